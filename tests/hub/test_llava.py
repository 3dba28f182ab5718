"""LLaVA equals the reference library: forward, every gradient, generated tokens, import, export."""

from dataclasses import replace
from itertools import islice

import pytest
import torch
from safetensors.torch import load_file, save_file

from showtell.data.batch import Batch, ImageBatch, pad
from showtell.errors import UsageError, UserError
from showtell.fusion.projector import expanded
from showtell.hub.huggingface.families import llava
from showtell.hub.huggingface.folder import export_folder, import_folder
from showtell.nn.pixels import CLIP_MEAN, CLIP_STD
from showtell.systems.gpt import GPTConfig
from showtell.systems.llava import LLaVA, LLaVAConfig
from showtell.tasks.decoding import beam_search, stream_tokens
from support.hf import imported, same_bits, same_outputs_and_gradients
from support.tiny import tiny

IMAGE, END, PATCHES = 60, 2, 16
VISION = {
    "hidden_size": 12,
    "intermediate_size": 20,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "image_size": 16,
    "patch_size": 4,
}
TEXT = {
    "hidden_size": 16,
    "intermediate_size": 18,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 64,
    "max_position_embeddings": 60,
}
MODELS = {
    "patches": {},
    "class and last layer": {"vision_feature_select_strategy": "full", "vision_feature_layer": -1},
    "tied": {"tied": True, "vision_feature_layer": 1},
}
MEMORY = {
    "language_model.model.": "model.language_model.",
    "language_model.lm_head.": "lm_head.",
    "vision_tower.": "model.vision_tower.",
    "multi_modal_projector.": "model.multi_modal_projector.",
}
"""Prefixes of names in files, and of the reference's modules in memory."""


def reference_of(tied=False, **settings):
    transformers = pytest.importorskip("transformers")
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**VISION),
        text_config=transformers.LlamaConfig(**TEXT, tie_word_embeddings=tied),
        image_token_index=IMAGE,
        tie_word_embeddings=tied,
        **settings,
    )
    return transformers.LlavaForConditionalGeneration(config)


@pytest.fixture(scope="module", params=MODELS)
def pair(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("llava")
    reference = reference_of(**MODELS[request.param])
    ours = imported(reference, folder)
    assert type(ours) is LLaVA
    return reference, ours, folder


def in_memory(table):
    """The rename table with the names of the reference's modules."""

    def renamed(name):
        return next(new + name.removeprefix(old) for old, new in MEMORY.items() if name.startswith(old))

    return [replace(row, theirs=tuple(map(renamed, row.theirs))) for row in table]


def images(count):
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (count, 3, 16, 16), generator=generator, dtype=torch.uint8)
    mean, std = (torch.tensor(value)[:, None, None] for value in (CLIP_MEAN, CLIP_STD))
    return ImageBatch(pixels=pixels), (pixels / 255 - mean) / std


def prompts(ours, padded):
    """Two texts about three images; padded on the right, as in training."""
    rows = [[1, 5, IMAGE, 6, 7], [1, IMAGE, 8, IMAGE, 9, 11, 12]]
    rows = rows if padded else [[1, IMAGE, 5, IMAGE, 6], [1, 8, IMAGE, 9, 10] + [4] * (tokens_of(ours) - 1)]
    return pad([expanded(row, IMAGE, tokens_of(ours)) for row in rows])


def tokens_of(ours):
    return PATCHES + ours.config.class_token


@pytest.mark.parametrize("padded", [False, True], ids=["full", "padded"])
def test_forward_and_every_gradient(pair, padded):
    reference, ours, _ = pair
    (ids, keep), (given, values) = prompts(ours, padded), images(3)
    assert padded == (not keep.all())
    ours.requires_grad_(True)
    tokens, _ = ours.extend_seen(ours.empty_cache(2), ids, keep, ours.encode_images(Batch(given)))
    expected = reference(input_ids=ids, attention_mask=keep.long(), pixel_values=values).logits
    logits = ours.next_token_logits(tokens[keep])
    torch.testing.assert_close(logits, expected[keep], atol=1e-5, rtol=1e-5)
    found = [(logits / 30, expected[keep] / 30)]  # gradients of about one
    unread = same_outputs_and_gradients(found, ours, reference, in_memory(llava.table(ours.config)))
    # No output depends on what comes after the layer that is read.
    assert all("vision_tower.encoder.layers" in name or "post_layernorm" in name for name in unread)


def test_export_and_import_keep_every_bit(pair, tmp_path):
    reference, ours, folder = pair
    same_bits(reference, ours, folder, tmp_path)
    assert import_folder(tmp_path).config == ours.config


def test_names_of_older_files_are_read(pair, tmp_path):
    _, ours, folder = pair
    found = load_file(folder / "model.safetensors")
    older = {n.replace("vision_tower.", "vision_tower.vision_model."): t for n, t in found.items()}
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    save_file(older, tmp_path / "model.safetensors", metadata={"format": "pt"})
    again = import_folder(tmp_path).state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in ours.state_dict().items())


@torch.no_grad()
def test_a_wrong_number_of_image_tokens_is_refused_with_both_counts(pair):
    _, ours, _ = pair
    seen = ours.encode_images(Batch(images(2)[0]))
    ids, keep = pad([expanded([1, IMAGE, 5], IMAGE, tokens_of(ours))])
    count = tokens_of(ours)
    with pytest.raises(UserError, match=f"{count} image tokens, and the 2 images have {2 * count}"):
        ours.extend_seen(ours.empty_cache(1), ids, keep, seen)


@pytest.mark.parametrize(
    ("changes", "why"), [({"feature_width": 12}, "reads pixels"), ({"projector": "linear"}, "two layers")]
)
def test_what_the_reference_cannot_express_is_refused(pair, changes, why, tmp_path):
    _, ours, _ = pair
    with pytest.raises(UsageError, match=why):
        export_folder(replace(ours.config, **changes).build(), tmp_path)


def test_a_language_model_that_the_reference_does_not_put_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="a GPT is no language model of it in transformers"):
        export_folder(
            replace(tiny(LLaVAConfig()), language=GPTConfig(64, 12, 1, 2, 20, 40)).build(), tmp_path
        )


def random_model(seed, folder):
    """A reference away from its start, ours, which holds the same, and a prompt with an image."""
    torch.manual_seed(seed)
    reference = reference_of()
    with torch.no_grad():
        for weight in reference.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
        reference.lm_head.weight[END] *= 3  # so that some texts end
    reference.eval().save_pretrained(folder)
    return reference, import_folder(folder), torch.tensor([expanded([1, 5, IMAGE, 6, 7], IMAGE, PATCHES)])


def generated(reference, ids, values, **how):
    """What the reference says after a prompt, without its end, and its score."""
    found = reference.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        pixel_values=values,
        do_sample=False,
        max_new_tokens=9,
        eos_token_id=END,
        pad_token_id=0,
        return_dict_in_generate=True,
        output_scores=True,
        **how,
    )
    said = found.sequences[0, ids.shape[1] :].tolist()
    return said[: said.index(END)] if END in said else said, found.get("sequences_scores")


def memory_of(ours, ids, given):
    """The keys and values of a prompt without its last token."""
    keep = torch.ones_like(ids[:, :-1], dtype=torch.bool)
    return ours.extend_seen(ours.empty_cache(1), ids[:, :-1], keep, ours.encode_images(Batch(given)))[1]


@pytest.mark.slow
@torch.no_grad()
def test_the_most_probable_tokens_of_fifty_models_are_those_of_the_reference(tmp_path):
    given, values = images(1)
    for seed in range(50):
        reference, ours, ids = random_model(seed, tmp_path)
        expected, _ = generated(reference, ids, values)
        memory = memory_of(ours, ids, given)
        found = stream_tokens(ours, memory, start=7, end=END, generator=torch.Generator())
        assert list(islice(found, 9)) == expected, seed


@pytest.mark.slow
@torch.no_grad()
def test_no_beam_of_fifty_models_scores_below_the_reference(tmp_path):
    """The reference drops an ended text that is not among the beams; ours keeps it: no worse."""
    given, values = images(1)
    same = 0
    for seed in range(50):
        reference, ours, ids = random_model(seed, tmp_path)
        expected, scores = generated(
            reference, ids, values, num_beams=3, length_penalty=0.0, early_stopping="never"
        )
        memory = memory_of(ours, ids, given)
        ((found, *_),) = beam_search(ours, memory, start=7, end=END, beam=3, max_tokens=8, length_penalty=0.0)
        if len(expected) < 9:  # it ended
            assert found.logprob >= scores.item() - 1e-4, seed
            same += list(found.ids) == expected
    assert same > 15, same
