"""ViLT and its heads equal the reference library: forward, gradients, import, export, preprocessing."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from showtell.checkpoint.load import load_checkpoint
from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.data.images.fit import Fit
from showtell.hub.huggingface.families import vilt
from showtell.hub.huggingface.folder import export_folder, import_folder
from showtell.hub.huggingface.preprocessor import Preprocessor, preprocessor_config, read_preprocessor
from showtell.pipelines.export_model import export_model
from showtell.pipelines.import_model import import_model
from showtell.systems.vilt import ViLT, ViLTConfig, ViLTEncoder
from showtell.systems.vilt_finetuned import ViLTAnswerer, ViLTAnswererConfig, ViLTRanker
from support.hf import imported, same_bits, same_gradients
from support.pairs import untrained_vilt

SIZES = {
    "vocab_size": 31,
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "max_position_embeddings": 9,
    "image_size": 16,
    "patch_size": 4,
}
NAMES = {0: "yes", 1: "no", 2: "red"}
NAMED = {"id2label": NAMES, "label2id": {name: place for place, name in NAMES.items()}}
HEADS = {
    "ViltModel": (ViLTEncoder, {}),
    "ViltForQuestionAnswering": (
        ViLTAnswerer,
        {"id2label": NAMES, "label2id": {v: k for k, v in NAMES.items()}},
    ),
    "ViltForImagesAndTextClassification": (ViLTAnswerer, {"num_images": 2, "modality_type_vocab_size": 3}),
    "ViltForImageAndTextRetrieval": (ViLTRanker, {}),
    "ViltForMaskedLM": (ViLT, {}),
}


@pytest.fixture(scope="module", params=HEADS)
def pair(request, tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    cls, more = HEADS[request.param]
    folder = tmp_path_factory.mktemp("vilt")
    reference = getattr(transformers, request.param)(transformers.ViltConfig(**SIZES, **more))
    if cls is ViLT:  # the authors' head of matching, which the reference has no class for
        reference.itm_score = torch.nn.ModuleDict({"fc": torch.nn.Linear(SIZES["hidden_size"], 2)})
    ours = imported(reference, folder)
    assert type(ours) is cls
    return reference, ours, folder


@pytest.fixture
def in_order(monkeypatch):
    """The reference shuffles the patches; not here."""
    monkeypatch.setattr(torch, "multinomial", lambda weights, num, **_: torch.arange(num) % len(weights))


def outputs(reference, ours, padded: bool):
    """What both say of the same pairs."""
    generator = torch.Generator().manual_seed(1)
    ids, keep = pad([[2, 5, 6, 7, 3], [2, 13, 3]] if padded else [[2, 5, 6, 3], [2, 13, 8, 3]])
    count = getattr(ours, "num_images", 1)
    sides = [(16, 16), (8, 20)] if padded else [(16, 24), (16, 24)]
    high, wide = (max(side) for side in zip(*sides, strict=True))
    pixels = torch.randint(256, (2 * count, 3, high, wide), generator=generator, dtype=torch.uint8)
    seen = torch.zeros(2 * count, high, wide, dtype=torch.long)
    own = [sides[row // count] for row in range(2 * count)]
    for mask, (rows, columns) in zip(seen, own, strict=True):
        mask[:rows, :columns] = 1
    texts = TextBatch(ids, keep, segments=torch.zeros_like(ids))
    batch = Batch(ImageBatch(pixels=pixels, sizes=torch.tensor(own)), texts)
    values, shown = pixels / 127.5 - 1, seen
    if count > 1:
        values, shown = (tensor.unflatten(0, (2, count)) for tensor in (values, seen))
    both = isinstance(ours, ViLT)
    reads = reference.vilt if both else reference
    theirs = reads(
        input_ids=ids,
        attention_mask=keep.long(),
        token_type_ids=torch.zeros_like(ids),
        pixel_values=values,
        pixel_mask=shown,
    )
    if isinstance(ours, ViLTAnswerer):
        return ours.answer(batch), theirs.logits
    fused = ours.fuse(batch)
    if both:
        words = theirs.last_hidden_state[:, : ids.shape[1]]
        no, yes = reference.itm_score["fc"](theirs.pooler_output).unbind(1)
        found = ours.masked_token_logits(fused.tokens[:, : ids.shape[1]][keep])
        expected = reference.mlm_score(words)[keep]
        return torch.cat([found.flatten(), ours.match(fused.pooled)]), torch.cat(
            [expected.flatten(), yes - no]
        )
    if isinstance(ours, ViLTRanker):
        return ours.match(fused.pooled), theirs.logits[:, 0]
    return fused.pooled, theirs.pooler_output


@pytest.mark.parametrize("padded", [False, True], ids=["full", "padded"])
def test_forward_and_every_gradient(pair, in_order, padded):
    reference, ours, _ = pair
    found, expected = outputs(reference, ours, padded)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(3))
    ours.zero_grad()
    reference.zero_grad()
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    table = [row for row in vilt.table(ours.config) if row.ours != "rank_bias"]  # no parameter of ours
    same_gradients(ours, reference, table)


# Of `ViLT` the reference reads one head of the two back: tested below.
@pytest.mark.parametrize("pair", [name for name in HEADS if name != "ViltForMaskedLM"], indirect=True)
def test_export_and_import_keep_every_bit(pair, tmp_path):
    reference, ours, folder = pair
    same_bits(reference, ours, folder, tmp_path)
    assert import_folder(tmp_path).config == ours.config


def test_answers_have_their_names(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.ViltConfig(**SIZES, **NAMED)
    ours = imported(transformers.ViltForQuestionAnswering(config), tmp_path)
    assert ours.class_names == ("yes", "no", "red")
    assert not ours.config.exclusive


def test_the_head_of_masked_words_is_said_to_be_left_out(tmp_path, caplog):
    transformers = pytest.importorskip("transformers")
    ours = imported(transformers.ViltForMaskedLM(transformers.ViltConfig(**SIZES)), tmp_path)
    assert type(ours) is ViLTEncoder
    assert "not imported, as fine-tuning does not read them: the heads mlm_score" in caplog.text


@pytest.mark.parametrize("bias", ["mlm_score.decoder.bias", "mlm_score.bias"], ids=["newer", "older"])
def test_both_heads_of_pretraining_go_out_and_in(tmp_path, bias):
    transformers = pytest.importorskip("transformers")
    sizes = {"vocab_size": 9, "width": 4, "depth": 1, "num_heads": 1, "mlp_dim": 4}
    ours = ViLTConfig(**sizes, image_size=8, patch_size=4).build()
    torch.nn.init.normal_(ours.mlm_head.bias)
    export_folder(ours, tmp_path)
    reference, read = transformers.ViltForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not read["missing_keys"]
    assert torch.equal(reference.mlm_score.decoder.bias, ours.mlm_head.bias)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors[bias] = tensors.pop("mlm_score.decoder.bias")
    save_file(tensors, tmp_path / "model.safetensors")
    again = import_folder(tmp_path)
    assert again.config == ours.config
    expected = ours.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in again.state_dict().items())


def test_a_pretrained_model_masks_with_its_tokenizers_token_after_going_out_and_in(tmp_path):
    ours = load_checkpoint(untrained_vilt(tmp_path / "ours"))
    assert ours.system.config.mask_id != ViLTConfig().mask_id
    export_model(tmp_path / "ours", tmp_path / "out")
    import_model(str(tmp_path / "out"), tmp_path / "again")
    again = load_checkpoint(tmp_path / "again")
    assert again.system.config == ours.system.config
    assert again.tokenizer_json == ours.tokenizer_json
    expected = ours.system.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in again.system.state_dict().items())


@pytest.mark.parametrize("exclusive", [False, True])
def test_whether_answers_exclude_each_other_goes_out_and_in(tmp_path, exclusive):
    sizes = {"vocab_size": 9, "width": 4, "depth": 1, "num_heads": 1, "mlp_dim": 4, "num_classes": 2}
    config = ViLTAnswererConfig(**sizes, image_size=8, patch_size=4, exclusive=exclusive)
    export_folder(config.build(), tmp_path)
    assert import_folder(tmp_path).config == config


@pytest.mark.parametrize("shape", [(30, 40), (90, 41), (20, 32), (64, 64), (7, 9)])
def test_images_are_resized_as_by_the_reference(shape):
    processing = pytest.importorskip("transformers.models.vilt.image_processing_pil_vilt")
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    processor = processing.ViltImageProcessorPil(size={"shortest_edge": 64}, size_divisor=16)
    theirs = processor(Image.fromarray(pixels), return_tensors="np")["pixel_values"][0]
    ours = Fit(64, 16)(pixels)
    assert ours.shape[:2] == theirs.shape[1:]
    np.testing.assert_allclose(ours / 127.5 - 1, theirs.transpose(1, 2, 0), atol=1e-5)


def test_a_very_long_image_keeps_one_patch() -> None:
    assert Fit(64, 16)(np.zeros((4, 400, 3), np.uint8)).shape == (16, 96, 3)  # the reference's has no height


def test_the_preprocessing_goes_in_and_out(tmp_path: Path) -> None:
    old = {"feature_extractor_type": "ViltFeatureExtractor", "size": 384, "size_divisor": 32, "resample": 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(old))
    found = read_preprocessor(tmp_path)
    assert found == Preprocessor("fit384x32-v1", (0.5,) * 3, (0.5,) * 3)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(preprocessor_config(found, vilt.PROCESSOR)))
    assert read_preprocessor(tmp_path) == found
    with pytest.raises(ValueError, match="no preprocessing"):
        Fit.of("fit0x32-v1")
