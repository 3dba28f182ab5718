"""BLIP and its heads equal the reference library: forward, gradients, generated tokens, import, export."""

from itertools import islice

import pytest
import torch

from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.hub.huggingface.families import blip
from showtell.hub.huggingface.folder import import_folder
from showtell.hub.huggingface.preprocessor import read_preprocessor
from showtell.nn.pixels import CLIP_MEAN, CLIP_STD
from showtell.systems.blip_finetuned import BLIPAnswerer, BLIPCaptioner, BLIPRetriever
from showtell.tasks.decoding import beam_search, stream_tokens
from support.hf import VISION, imported, same_bits, same_outputs_and_gradients

START, DECODE, END = 101, 118, 102
TEXT = {
    "hidden_size": 8,
    "encoder_hidden_size": 12,
    "intermediate_size": 18,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 120,
    "max_position_embeddings": 24,
    "bos_token_id": DECODE,
    "sep_token_id": END,
}
HEADS = {
    "BlipForConditionalGeneration": BLIPCaptioner,
    "BlipForImageTextRetrieval": BLIPRetriever,
    "BlipForQuestionAnswering": BLIPAnswerer,
}


def reference_of(name):
    transformers = pytest.importorskip("transformers")
    # The decoder of answers reads the question, whose width the reference takes for that of images.
    text = TEXT | ({"hidden_size": 12, "num_attention_heads": 3} if "Question" in name else {})
    config = transformers.BlipConfig(vision_config=VISION, text_config=text, image_text_hidden_size=6)
    return getattr(transformers, name)(config)


@pytest.fixture(scope="module", params=HEADS)
def pair(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("blip")
    ours = imported(reference_of(request.param), folder)
    assert type(ours) is HEADS[request.param]
    return reference_again(request.param, folder), ours, folder


def reference_again(name, folder):
    transformers = pytest.importorskip("transformers")
    return getattr(transformers, name).from_pretrained(folder).eval()


def given(padded):
    """Two images, a text of each, and pixels as the reference reads them."""
    rows = [[5, 6, 7, 8], [9, 10]] if padded else [[5, 6, 7], [9, 10, 11]]
    ids, keep = pad([[START, *row, END] for row in rows])
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (2, 3, 16, 16), generator=generator, dtype=torch.uint8)
    mean, std = (torch.tensor(value)[:, None, None] for value in (CLIP_MEAN, CLIP_STD))
    return ImageBatch(pixels=pixels), TextBatch(ids, keep), (pixels / 255 - mean) / std


def begun(ids, first):
    """Texts after another first token."""
    return torch.cat([torch.full_like(ids[:, :1], first), ids[:, 1:]], 1)


def outputs(reference, ours, padded):
    """What both say of the same pairs, as pairs of tensors."""
    images, texts, values = given(padded)
    seen, owner = texts.keep.long(), torch.arange(2)
    if isinstance(ours, BLIPCaptioner):
        theirs = reference(
            pixel_values=values, input_ids=begun(texts.ids, DECODE), attention_mask=seen
        ).logits
        memory = ours.prefill(ours.encode_images(Batch(images)))
        found = ours.teacher_forced_logits(memory, owner, begun(texts.ids, START), texts.keep)
        return [(found, theirs[:, :-1][texts.keep[:, 1:]])]
    if isinstance(ours, BLIPRetriever):
        call = {"pixel_values": values, "input_ids": texts.ids, "attention_mask": seen}
        scores = reference(**call, use_itm_head=True).itm_score
        alike = reference(**call, use_itm_head=False).itm_score
        batch = Batch(images, texts)
        vectors = ours.image_vectors(batch) @ ours.text_vectors(batch).T
        return [(ours.match(ours.pair_vectors(batch)), scores[:, 1] - scores[:, 0]), (vectors, alike)]
    answers, _ = pad([[DECODE, 12, 13, END], [DECODE, 14, 15, END]])
    fused = ours.fuse(Batch(images, texts))
    ours_said = ours.teacher_forced_logits(
        ours.prefill_questions(fused),
        owner,
        begun(answers, START),
        torch.ones_like(answers, dtype=torch.bool),
    )
    rows = []
    for row in range(2):  # one by one: the reference's decoder also looks at the padding of questions
        own, n = slice(row, row + 1), int(seen[row].sum())
        question = reference.text_encoder(
            input_ids=texts.ids[own, :n],
            encoder_hidden_states=reference.vision_model(values[own]).last_hidden_state,
        ).last_hidden_state
        said = reference.text_decoder(input_ids=answers[own], encoder_hidden_states=question).logits
        rows.append(said[0, :-1])
    return [(ours_said, torch.cat(rows))]


@pytest.mark.parametrize("padded", [False, True], ids=["full", "padded"])
def test_forward_and_every_gradient(pair, padded):
    reference, ours, _ = pair
    found = outputs(reference, ours, padded)
    unread = same_outputs_and_gradients(found, ours, reference, blip.table(ours.config))
    assert not unread


def test_export_and_import_keep_every_bit(pair, tmp_path):
    reference, ours, folder = pair
    same_bits(reference, ours, folder, tmp_path)
    assert import_folder(tmp_path).config == ours.config


def test_images_are_prepared_as_the_reference_prepares_them(tmp_path):
    transformers = pytest.importorskip("transformers")
    transformers.BlipImageProcessorPil().save_pretrained(tmp_path)
    found = read_preprocessor(tmp_path, blip.PROCESSOR)
    assert found.version.startswith("squash384")
    assert (found.mean, found.std) == (CLIP_MEAN, CLIP_STD)
    (tmp_path / "preprocessor_config.json").write_text('{"image_processor_type": "BlipImageProcessor"}')
    assert read_preprocessor(tmp_path, blip.PROCESSOR) == found


def random_captioner(seed, folder):
    """A reference away from its start and ours, which holds the same."""
    torch.manual_seed(seed)
    reference = reference_of("BlipForConditionalGeneration")
    with torch.no_grad():
        for weight in reference.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
        reference.text_decoder.cls.predictions.bias[END] += 2  # so that some captions end
    reference.eval().save_pretrained(folder)
    return reference, import_folder(folder)


def generated(reference, values, **how):
    """What the reference says of the images, without start and end, and its scores."""
    found = reference.generate(
        pixel_values=values,
        input_ids=torch.full((len(values), 2), DECODE),
        do_sample=False,
        suppress_tokens=[START],
        max_new_tokens=9,
        return_dict_in_generate=True,
        output_scores=True,
        **how,
    )
    rows = [row[1:] for row in found.sequences.tolist()]
    return [row[: row.index(END)] if END in row else row for row in rows], found.get("sequences_scores")


@pytest.mark.slow
@torch.no_grad()
def test_the_most_probable_tokens_of_fifty_models_are_those_of_the_reference(tmp_path):
    images, _, values = given(False)
    for seed in range(50):
        reference, ours = random_captioner(seed, tmp_path)
        memory = ours.prefill(ours.encode_images(Batch(images)))
        expected, _ = generated(reference, values)
        for row, tokens in enumerate(expected):
            own = {name: tensor[row : row + 1] for name, tensor in memory.items()}
            said = stream_tokens(ours, own, start=START, end=END, banned=[START], generator=torch.Generator())
            assert list(islice(said, 9)) == tokens, seed


@pytest.mark.slow
@torch.no_grad()
def test_no_beam_of_fifty_models_scores_below_the_reference(tmp_path):
    """The reference drops an ended caption that is not among the beams; ours keeps it: no worse."""
    images, _, values = given(False)
    same = 0
    for seed in range(50):
        reference, ours = random_captioner(seed, tmp_path)
        memory = ours.prefill(ours.encode_images(Batch(images)))
        expected, scores = generated(
            reference, values, num_beams=3, length_penalty=0.0, early_stopping="never"
        )
        how = {"beam": 3, "max_tokens": 8, "length_penalty": 0.0, "banned": [START]}
        found = beam_search(ours, memory, start=START, end=END, **how)
        for tokens, score, hypotheses in zip(expected, scores.tolist(), found, strict=True):
            if len(tokens) < 9:  # it ended
                assert hypotheses[0].logprob >= score - 1e-4, seed
                same += list(hypotheses[0].ids) == tokens
    assert same > 30
