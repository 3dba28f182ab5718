"""What a `config.json` or `preprocessor_config.json` leaves out is the reference's own default."""

import json

import numpy as np
import pytest
import torch

from showtell.data.images.preprocess import Preprocessing
from showtell.errors import UserError
from showtell.hub.huggingface.families import (
    bert,
    clip,
    dinov2,
    distilbert,
    gpt2,
    resnet,
    roberta,
    siglip,
    vit,
)
from showtell.hub.huggingface.folder import import_folder
from showtell.hub.huggingface.preprocessor import read_preprocessor
from showtell.nn.pixels import PixelNorm
from support.pretrained import MODELS, transformers, write_source

DEFAULTS = {
    "BertConfig": bert.DEFAULTS,
    "DistilBertConfig": distilbert.DEFAULTS,
    "RobertaConfig": roberta.DEFAULTS,
    "GPT2Config": gpt2.DEFAULTS,
    "ViTConfig": vit.DEFAULTS,
    "Dinov2Config": {n: v for n, v in dinov2.DEFAULTS.items() if n != "num_register_tokens"},
    "Dinov2WithRegistersConfig": {
        n: v for n, v in (dinov2.DEFAULTS | dinov2.WITH_REGISTERS).items() if n != "use_mask_token"
    },
    "ResNetConfig": {n: list(v) if isinstance(v, tuple) else v for n, v in resnet.DEFAULTS.items()},
    "CLIPTextConfig": clip.TEXT,
    "CLIPVisionConfig": clip.IMAGE,
    "SiglipTextConfig": siglip.TEXT,
    "SiglipVisionConfig": siglip.IMAGE,
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_are_the_references(name):
    theirs = getattr(transformers, name)().to_dict()
    assert {setting: theirs[setting] for setting in DEFAULTS[name]} == DEFAULTS[name]


@pytest.fixture(params=MODELS, scope="module")
def source(request, tmp_path_factory):
    return write_source(request.param, tmp_path_factory.mktemp(request.param) / "source")


def in_each(config, name):
    """A setting of a config and of its towers."""
    parts = (config, config.get("text_config", {}), config.get("vision_config", {}))
    return [part.get(name) for part in parts]


def without(folder, target, *names):
    """The folder with a `config.json` that lacks settings, also those of towers."""
    target.mkdir()
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    theirs = json.loads((folder / "config.json").read_text())
    for settings in (theirs, theirs.get("text_config", {}), theirs.get("vision_config", {})):
        for name in names:
            settings.pop(name, None)
    (target / "config.json").write_text(json.dumps(theirs))
    return target


USUAL = (
    "layer_norm_eps", "layer_norm_epsilon", "hidden_act", "activation_function", "activation",
    "type_vocab_size",
    "num_channels", "qkv_bias", "use_swiglu_ffn", "layerscale_value", "layer_type", "pad_token_id", "n_inner",
    "projection_size", "logit_scale_init_value", "is_decoder", "add_cross_attention", "tie_word_embeddings",
)  # fmt: skip


def test_a_config_without_the_usual_settings_is_read_as_the_reference_reads_it(source, tmp_path):
    folder, reference = source
    said = type(reference.config)
    default = said.from_pretrained(without(folder, tmp_path / "bare", *USUAL)).to_dict()
    config = reference.config.to_dict()
    usual = [name for name in USUAL if in_each(default, name) == in_each(config, name)]
    assert len(usual) > len(USUAL) - 4
    bare = without(folder, tmp_path / "usual", *usual)
    assert import_folder(bare).config == import_folder(folder).config


@pytest.mark.parametrize("lacking", [("model_type",), ("model_type", "architectures")])
def test_a_config_without_its_type_is_read_after_its_tensors(source, lacking, tmp_path, caplog):
    folder, reference = source
    folder = without(folder, tmp_path / "whole")
    if reference.config.model_type == "roberta":  # its padding id tells an encoder alone from BERT's
        theirs = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(theirs | {"pad_token_id": 1}))
    ours = import_folder(without(folder, tmp_path / "bare", *lacking))
    assert ours.config == import_folder(folder).config
    if "architectures" in lacking:
        assert f"has no model_type: read as '{reference.config.model_type}'" in caplog.text


def test_tensors_of_no_family_need_a_type(tmp_path):
    torch.save({"weight": torch.ones(2)}, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="has no model_type, and its tensors are of no known family"):
        import_folder(tmp_path)


@pytest.mark.parametrize("name", ["vit", "resnet"])
def test_classes_may_be_counted_alone(name, tmp_path):
    folder, _ = write_source(name, tmp_path / "source")
    bare = without(folder, tmp_path / "bare", "id2label", "label2id")
    theirs = json.loads((bare / "config.json").read_text())
    (bare / "config.json").write_text(json.dumps(theirs | {"num_labels": 3}))
    assert import_folder(bare).config.num_classes == 3


def test_other_names_that_the_reference_takes(tmp_path):
    folder, _ = write_source("gpt2", tmp_path / "source")
    theirs = json.loads((folder / "config.json").read_text())
    expected = import_folder(folder).config
    for other, name in gpt2.SYNONYMS.items():
        theirs[other] = theirs.pop(name)
    (folder / "config.json").write_text(json.dumps(theirs))
    assert import_folder(folder).config == expected


def test_towers_under_the_older_name(tmp_path):
    folder, _ = write_source("clip", tmp_path / "source")
    theirs = json.loads((folder / "config.json").read_text())
    expected = import_folder(folder).config
    for name in ("text_config", "vision_config"):
        theirs[f"{name}_dict"], theirs[name] = theirs[name], None
    (folder / "config.json").write_text(json.dumps(theirs))
    assert import_folder(folder).config == expected


FAMILIES = {"clip": clip, "siglip": siglip, "vit": vit, "dinov2": dinov2, "resnet": resnet}
GIVEN = {"ConvNext": {"size": {"shortest_edge": 224}, "crop_pct": 0.875}}


@pytest.mark.parametrize("typed", ["image_processor_type", "feature_extractor_type", None])
@pytest.mark.parametrize(
    "lacking", [("resample",), ("resample", "size", "crop_size", "image_mean", "image_std")]
)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_preprocessor_without_settings_does_what_the_references_does(family, lacking, typed, tmp_path):
    module = FAMILIES[family]
    name = getattr(module, "UNNAMED_PROCESSOR", module.PROCESSOR)
    kind = name.removesuffix("ImageProcessor")
    full = {"do_resize": True, "do_normalize": True, "image_mean": [0.4] * 3, "image_std": [0.3] * 3}
    theirs = {n: v for n, v in (full | GIVEN.get(kind, {})).items() if n not in lacking}
    if typed:
        theirs[typed] = name if typed == "image_processor_type" else f"{kind}FeatureExtractor"
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(theirs))
    ours = read_preprocessor(tmp_path, name)
    pixels = np.random.default_rng(0).integers(0, 256, (500, 410, 3), np.uint8)
    reference = getattr(transformers, f"{name}Pil")(**theirs)
    expected = reference(pixels, input_data_format="channels_last", return_tensors="pt")["pixel_values"]
    prepared = torch.from_numpy(Preprocessing.of(ours.version)(pixels)).permute(2, 0, 1)[None]
    torch.testing.assert_close(PixelNorm(ours.mean, ours.std)(prepared), expected, atol=1e-5, rtol=1e-5)


def test_an_unknown_processor_has_no_defaults(tmp_path):
    theirs = {"image_processor_type": "OtherImageProcessor", "size": 8}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(theirs))
    with pytest.raises(UserError, match="names no image processor with known defaults"):
        read_preprocessor(tmp_path)
