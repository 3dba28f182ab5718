"""`import` and `export`, end to end: from an image file and the words of a text to the same vectors."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from showtell.checkpoint.save import save_checkpoint
from showtell.cli.main import run
from showtell.data.batch import Batch, TextBatch
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import MissingError
from showtell.pipelines.export_model import export_model
from showtell.pipelines.import_model import import_model
from showtell.pipelines.model import load_model
from showtell.systems.bert import BERT, BERTConfig
from showtell.systems.gpt import GPT, GPTConfig
from showtell.systems.roberta import RoBERTa, RoBERTaConfig
from support.checkpoints import CAPTIONS

transformers = pytest.importorskip("transformers")
TEXTS = ["a dog running", "Two men riding a motorcycle", "", "women"]
SIZES = {
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 21,
}
IMAGE = {"image_size": 12, "patch_size": 4}
TOWERS = {"num_hidden_layers": 1, "num_attention_heads": 3, "intermediate_size": 20}
SQUARE = {"size": {"height": 12, "width": 12}}
CUT = {"size": {"shortest_edge": 16}, "crop_size": {"height": 12, "width": 12}, "image_mean": [0.4, 0.5, 0.6]}


def words(kind, family, vocab_size=540):
    return SubwordTokenizer.train(CAPTIONS, kind, vocab_size, family)


def bert(words, **extra):
    return transformers.BertConfig(vocab_size=len(words), max_position_embeddings=32, **SIZES, **extra)


def roberta(words):
    return transformers.RobertaConfig(
        vocab_size=len(words), max_position_embeddings=34, pad_token_id=words.pad, type_vocab_size=1, **SIZES
    )


def clip_config(words, name, end):
    tower = {"hidden_size": 12, **TOWERS}
    text = {"vocab_size": len(words), "max_position_embeddings": 32, "projection_size": 12, **tower}
    text |= {"bos_token_id": words.start, "eos_token_id": words.end, "pad_token_id": end}
    shared = {"projection_dim": 8} if name == "CLIPConfig" else {}
    return getattr(transformers, name)(text_config=text, vision_config=IMAGE | tower, **shared)


# A tokenizer, a model of the reference, a processor of images: each None where there is none.
MODELS = {
    "bert": (("wordpiece", "bert"), lambda w: transformers.BertForPreTraining(bert(w)), None),
    "encoder": (("wordpiece", "bert"), lambda w: transformers.BertModel(bert(w)), None),
    "no-pooler": (
        ("wordpiece", "bert"),
        lambda w: transformers.BertModel(bert(w), add_pooling_layer=False),
        None,
    ),
    "distilbert": (
        ("wordpiece", "bert"),
        lambda w: transformers.DistilBertForMaskedLM(
            transformers.DistilBertConfig(
                vocab_size=len(w), max_position_embeddings=32, n_layers=2, n_heads=3, dim=12, hidden_dim=21
            )
        ),
        None,
    ),
    "roberta": (("bpe", "roberta"), lambda w: transformers.RobertaForMaskedLM(roberta(w)), None),
    "roberta-encoder": (
        ("bpe", "roberta"),
        lambda w: transformers.RobertaModel(roberta(w), add_pooling_layer=False),
        None,
    ),
    "gpt2": (
        ("bpe", "gpt2"),
        lambda w: transformers.GPT2LMHeadModel(
            transformers.GPT2Config(vocab_size=len(w), n_embd=12, n_layer=2, n_head=3, n_positions=32)
        ),
        None,
    ),
    "vit": (
        None,
        lambda w: transformers.ViTForImageClassification(
            transformers.ViTConfig(num_labels=3, **SIZES, **IMAGE)
        ),
        ("ViTImageProcessorPil", SQUARE),
    ),
    "dinov2": (
        None,
        lambda w: transformers.Dinov2Model(
            transformers.Dinov2Config(
                hidden_size=12, num_hidden_layers=2, num_attention_heads=3, mlp_ratio=2, **IMAGE
            )
        ),
        ("BitImageProcessorPil", CUT),
    ),
    "clip": (
        ("bpe", "clip"),
        lambda w: transformers.CLIPModel(clip_config(w, "CLIPConfig", w.pad)),
        ("CLIPImageProcessorPil", CUT),
    ),
    "siglip": (
        ("bpe", "siglip"),
        lambda w: transformers.SiglipModel(clip_config(w, "SiglipConfig", w.pad)),
        ("SiglipImageProcessorPil", SQUARE),
    ),
}


def text_vectors(reference, ids):
    """What the reference says of one text, as showtell pools it."""
    ids = torch.tensor([ids])
    match type(reference).__name__:
        case "BertForPreTraining":
            return reference.bert(ids).pooler_output
        case "BertModel":
            found = reference(ids)
            return found.last_hidden_state.mean(1) if reference.pooler is None else found.pooler_output
        case "DistilBertForMaskedLM":
            return reference.distilbert(ids).last_hidden_state.mean(1)
        case "RobertaModel":
            return reference(ids).last_hidden_state.mean(1)
        case "RobertaForMaskedLM":
            return reference.roberta(ids).last_hidden_state[:, 0]
        case "GPT2LMHeadModel":
            return reference.transformer(ids).last_hidden_state[:, -1]
        case "SiglipModel":
            config = reference.config.text_config
            room = (0, config.max_position_embeddings - ids.shape[1])
            ids = torch.nn.functional.pad(ids, room, value=config.pad_token_id)
    features = reference.get_text_features(ids)
    return torch.nn.functional.normalize(getattr(features, "pooler_output", features), dim=-1)


def image_vector(reference, pixels):
    if hasattr(reference, "get_image_features"):
        features = reference.get_image_features(pixels)
        return torch.nn.functional.normalize(getattr(features, "pooler_output", features), dim=-1)
    return reference.base_model(pixels).last_hidden_state[:, 0]


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "image.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)).save(path)
    return path


ONE = pytest.mark.parametrize("source", ["clip"], indirect=True)


@pytest.fixture(params=MODELS, scope="module")
def source(request, tmp_path_factory):
    """A folder as the reference writes it: weights everywhere random, words, the processor of images."""
    told, make, processor = MODELS[request.param]
    folder = tmp_path_factory.mktemp(request.param) / "source"
    tokenizer = words(*told) if told else None
    torch.manual_seed(0)
    reference = make(tokenizer).eval()
    with torch.no_grad():
        for weight in reference.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    reference.save_pretrained(folder)
    if tokenizer:
        (folder / "tokenizer.json").write_text(tokenizer.to_json())
    if processor:
        getattr(transformers, processor[0])(**processor[1]).save_pretrained(folder)
    return folder, reference


@torch.no_grad()
def same_answers(model, reference, folder, image, tokenizer=None):
    if model.vocabulary is not None:
        ids = [
            model.tokenizer.encode(text) if tokenizer is None else tokenizer(text).input_ids for text in TEXTS
        ]
        kept = [i for i, row in enumerate(ids) if row]
        expected = torch.cat([text_vectors(reference, ids[i]) for i in kept])
        found = model.text_vectors([TEXTS[i] for i in kept])
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    if model.images is not None:
        prepare = transformers.AutoImageProcessor.from_pretrained(folder)
        pixels = prepare(Image.open(image), return_tensors="pt")["pixel_values"]
        found = model.encode([model.read(image)]).pooled
        torch.testing.assert_close(found, image_vector(reference, pixels), atol=1e-5, rtol=1e-5)


def test_in_and_out_and_in_again(source, image, tmp_path, capsys):
    folder, reference = source
    assert run(["import", str(folder), "--output", str(tmp_path / "ours"), "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    model = load_model(tmp_path / "ours")
    assert done["parameters"] == sum(p.numel() for p in model.system.parameters())
    same_answers(model, reference, folder, image)

    assert run(["export", str(tmp_path / "ours"), "--output", str(tmp_path / "theirs")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'theirs'}\n"
    before, after = load_file(folder / "model.safetensors"), load_file(tmp_path / "theirs/model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    theirs, report = type(reference).from_pretrained(tmp_path / "theirs", output_loading_info=True)
    assert not report["unexpected_keys"]
    tokenizer = None
    if model.vocabulary is not None:
        tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "theirs")
        for text in TEXTS:
            assert tokenizer(text).input_ids == model.tokenizer.encode(text)
    if getattr(reference, "pooler", theirs) is None:
        theirs.pooler = None  # which `from_pretrained` makes up
    for name, weight in theirs.state_dict().items():
        assert torch.equal(weight, reference.state_dict()[name]), name
    same_answers(model, theirs, tmp_path / "theirs", image, tokenizer)
    assert type(transformers.AutoModel.from_pretrained(tmp_path / "theirs")).__name__.endswith("Model")

    assert run(["import", str(tmp_path / "theirs"), "--output", str(tmp_path / "again")]) == 0
    assert load_model(tmp_path / "again").hash == model.hash


def test_a_run_may_go_on_from_it(source, tmp_path):
    """The words that are hidden, and those that never are, are those of the tokenizer."""
    folder, _ = source
    import_model(str(folder), tmp_path / "ours")
    model = load_model(tmp_path / "ours")
    if hasattr(model.system.config, "mask_id"):
        assert model.system.config.mask_id == model.tokenizer.mask
        assert model.system.config.special == model.tokenizer.special


OURS = {
    "bert": (BERT, BERTConfig, "wordpiece", "bert"),
    "roberta": (RoBERTa, RoBERTaConfig, "bpe", "roberta"),
    "gpt": (GPT, GPTConfig, "bpe", "gpt2"),
}


@pytest.mark.parametrize("name", OURS)
@torch.no_grad()
def test_what_showtell_trained_goes_out_with_its_own_words(name, tmp_path):
    cls, config, kind, family = OURS[name]
    tokenizer = words(kind, family)
    torch.manual_seed(0)
    system = cls(
        config(width=12, depth=2, num_heads=3, mlp_dim=20, max_length=32).with_tokenizer(tokenizer)
    ).eval()
    text = tokenizer.to_json()
    save_checkpoint(tmp_path / "ours", system, record={}, tokenizer_json=text, preprocess={}, card="")
    export_model(tmp_path / "ours", tmp_path / "theirs")
    reference = transformers.AutoModel.from_pretrained(tmp_path / "theirs").eval()
    read = transformers.AutoTokenizer.from_pretrained(tmp_path / "theirs")
    inputs = read([t for t in TEXTS if t], padding=True, return_tensors="pt")
    keep = inputs["attention_mask"].bool()
    expected = reference(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
    found = system.encode_texts(Batch(texts=TextBatch(inputs["input_ids"], keep))).tokens
    torch.testing.assert_close(found[keep], expected.last_hidden_state[keep], atol=1e-5, rtol=1e-5)
    import_model(str(tmp_path / "theirs"), tmp_path / "again")
    again = load_model(tmp_path / "again")
    assert again.system.config == system.config
    assert all(torch.equal(a, b) for a, b in zip(again.system.parameters(), system.parameters(), strict=True))


@ONE
def test_an_export_goes_where_nothing_else_is(source, tmp_path, capsys):
    import_model(str(source[0]), tmp_path / "ours")
    holds = {path.name: path.read_bytes() for path in (tmp_path / "ours").iterdir()}
    assert run(["export", str(tmp_path / "ours"), "--output", str(tmp_path / "ours")]) == 2
    assert "holds a checkpoint of showtell" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in (tmp_path / "ours").iterdir()} == holds
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "diary.txt").write_text("mine")
    assert run(["export", str(tmp_path / "ours"), "--output", str(tmp_path / "other")]) == 2
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["diary.txt"]
    theirs = tmp_path / "theirs"
    shutil.copytree(source[0], theirs)
    (theirs / "diary.txt").write_text("mine")
    found = sorted(path.name for path in theirs.iterdir())
    assert run(["export", str(tmp_path / "ours"), "--output", str(theirs)]) == 2
    assert f"{theirs} holds diary.txt" in capsys.readouterr().err
    assert run(["import", str(theirs), "--output", str(theirs)]) == 2
    assert "was not written by showtell" in capsys.readouterr().err
    assert sorted(path.name for path in theirs.iterdir()) == found
    assert run(["export", str(tmp_path / "ours"), "--output", str(tmp_path / "x"), "--format", "onnx"]) == 2
    assert "no format is called 'onnx'" in capsys.readouterr().err


def test_a_system_without_counterpart_is_not_exported(checkpoint, tmp_path, capsys):
    assert run(["export", str(checkpoint), "--output", str(tmp_path / "out")]) == 2
    assert "ShowAndTell has no counterpart in the Hugging Face layout" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert run(["export", str(tmp_path), "--output", str(tmp_path / "out")]) == 1


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        (
            ["openai/clip-vit-base-patch32"],
            4,
            "the model openai/clip-vit-base-patch32 is not on this machine",
        ),
        (["openai/clip-vit-base-patch32", "--download"], 4, "openai/clip-vit-base-patch32 cannot be fetched"),
        (["clip"], 2, "no model of a package: all-MiniLM-L6-v2, efficientnet_lite0"),
        (["../../no/such"], 2, "is no folder, no id"),
        ([__file__], 2, "is a file; give the folder that holds it"),
    ],
)
def test_what_is_not_here_is_named_and_nothing_is_fetched_unasked(
    asked, status, said, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("reached for the network"))
    assert run(["import", *asked, "--output", str(tmp_path / "out")]) == status
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@ONE
def test_a_model_fetched_before_is_found_in_the_hubs_cache(source, tmp_path, monkeypatch):
    folder, _ = source
    asked = []

    def snapshot_download(name, *, allow_patterns, local_files_only):
        asked.append((name, local_files_only))
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    done = import_model("someone/something", tmp_path / "ours")
    import_model("someone/something", tmp_path / "ours", download=True)
    assert asked == [("someone/something", True), ("someone/something", False)]
    assert load_model(done["model"]).name.startswith("something@")
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "config.json").write_text("{}")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(tmp_path / "part"))
    with pytest.raises(MissingError, match=r"not on this machine, but for config\.json; --download"):
        import_model("someone/something", tmp_path / "ours")


def copied(source, tmp_path):
    folder, _ = source
    target = tmp_path / "broken"
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def refused(folder, tmp_path, capsys, status=1):
    assert run(["import", str(folder), "--output", str(tmp_path / "out")]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert not (tmp_path / "out").exists()
    assert captured.err.startswith("showtell: ")
    assert captured.err.count("\n") == 1
    return captured.err


def test_missing_words_and_images_are_named(source, tmp_path, capsys):
    folder = copied(source, tmp_path)
    for name in ("tokenizer.json", "preprocessor_config.json"):
        if (folder / name).exists():
            (folder / name).rename(folder / "elsewhere")
            assert name in refused(folder, tmp_path, capsys)
            (folder / "elsewhere").rename(folder / name)


def test_words_of_another_model_are_refused(source, tmp_path, capsys):
    folder = copied(source, tmp_path)
    if (folder / "tokenizer.json").exists():
        other = SubwordTokenizer.train(["a b"], "wordpiece", 9, "bert")
        (folder / "tokenizer.json").write_text(other.to_json())
        message = refused(folder, tmp_path, capsys)
        assert f"has {len(other)} tokens, the embedding has" in message


@ONE
def test_weights_in_many_files(source, tmp_path, capsys):
    folder = copied(source, tmp_path)
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    (folder / "model.safetensors").unlink()
    shards = {f"model-0000{i + 1}-of-00002.safetensors": names[i::2] for i in range(2)}
    for shard, inside in shards.items():
        save_file({name: tensors[name] for name in inside}, folder / shard)
    index = folder / "model.safetensors.index.json"
    places = {name: shard for shard, inside in shards.items() for name in inside}
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    import_model(str(folder), tmp_path / "sharded")
    import_model(str(source[0]), tmp_path / "whole")
    assert load_model(tmp_path / "sharded").hash == load_model(tmp_path / "whole").hash

    index.write_text(json.dumps({"weight_map": places | {"foreign": "../model.safetensors"}}))
    assert "no weight_map of .safetensors files beside it" in refused(folder, tmp_path, capsys)
    index.write_text(json.dumps({"weight_map": places | {"foreign": next(iter(shards))}}))
    assert "names tensors that no file holds: foreign" in refused(folder, tmp_path, capsys)
    index.write_text(json.dumps({"weight_map": places}))
    lost = next(iter(shards))
    (folder / lost).unlink()
    assert f"lacks {lost}" in refused(folder, tmp_path, capsys)


@ONE
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened_exactly(source, dtype, tmp_path):
    folder = copied(source, tmp_path)
    halves = {n: t.to(dtype) for n, t in load_file(folder / "model.safetensors").items()}
    save_file(halves, folder / "model.safetensors")
    import_model(str(folder), tmp_path / "ours")
    export_model(tmp_path / "ours", tmp_path / "theirs")
    after = load_file(tmp_path / "theirs" / "model.safetensors")
    assert after.keys() == halves.keys()
    assert all(torch.equal(after[name], half.float()) for name, half in halves.items())


@ONE
def test_a_pickle_is_refused_with_the_way_out(source, tmp_path, capsys):
    folder = copied(source, tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    message = refused(folder, tmp_path, capsys)
    assert "pytorch_model.bin, a pickle" in message
    assert "save_pretrained" in message
    (folder / "pytorch_model.bin").unlink()
    assert "lacks model.safetensors" in refused(folder, tmp_path, capsys)
