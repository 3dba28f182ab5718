"""BERT, DistilBERT, RoBERTa, GPT-2 and OPT equal the reference: logits, every gradient, import and export."""

import json
from dataclasses import replace
from itertools import islice

import pytest
import torch
from safetensors.torch import load_file, save_file

from showtell.data.batch import Batch, TextBatch, pad
from showtell.errors import UsageError, UserError
from showtell.hub.huggingface.families import bert, distilbert, gpt2, opt, roberta
from showtell.hub.huggingface.folder import export_folder, import_folder
from showtell.systems.gpt import GPT, GPTConfig
from showtell.systems.show_and_tell import ShowAndTell, ShowAndTellConfig
from showtell.tasks.decoding import stream_tokens
from support.hf import imported, same_gradients

transformers = pytest.importorskip("transformers")
VOCAB = 37
SIZES = {
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 21,
    "vocab_size": VOCAB,
    "max_position_embeddings": 19,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
FAMILIES = {
    "bert": (bert, lambda: transformers.BertForPreTraining(transformers.BertConfig(**SIZES))),
    "bert_mlm": (bert, lambda: transformers.BertForMaskedLM(transformers.BertConfig(**SIZES))),
    "distilbert_mlm": (
        distilbert,
        lambda: transformers.DistilBertForMaskedLM(
            transformers.DistilBertConfig(
                vocab_size=VOCAB, max_position_embeddings=19, n_layers=2, n_heads=3, dim=12, hidden_dim=21
            )
        ),
    ),
    "roberta": (
        roberta,
        lambda: transformers.RobertaForMaskedLM(transformers.RobertaConfig(type_vocab_size=1, **SIZES)),
    ),
    "gpt2": (
        gpt2,
        lambda: transformers.GPT2LMHeadModel(
            transformers.GPT2Config(
                vocab_size=VOCAB,
                n_embd=12,
                n_layer=2,
                n_head=3,
                n_inner=21,
                n_positions=17,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
            )
        ),
    ),
    "opt": (
        opt,
        lambda: transformers.OPTForCausalLM(
            transformers.OPTConfig(
                vocab_size=VOCAB,
                hidden_size=12,
                ffn_dim=21,
                num_hidden_layers=2,
                num_attention_heads=3,
                max_position_embeddings=17,
                dropout=0.0,
                pad_token_id=0,
            )
        ),
    ),
}
CASES = {
    "unpadded": [[5, 6, 7, 8, 9], [10, 11, 12, 13, 14]],
    "padded": [[5, 6, 7, 8, 9, 10, 11], [12, 13, 14], [15]],
    "one": [[20]],
}


@pytest.fixture(params=FAMILIES, scope="module")
def pair(request, tmp_path_factory):
    family, make = FAMILIES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    reference = make()
    return request.param, family, reference, imported(reference, folder), folder


@pytest.mark.parametrize("case", CASES)
def test_forward_and_every_gradient(pair, case):
    name, family, reference, ours, _ = pair
    ids, keep = pad(CASES[case], padding=1 if name == "roberta" else 0)
    inputs = {"input_ids": ids, "attention_mask": keep.long()}
    segments = None
    if name == "bert":
        segments = inputs["token_type_ids"] = (torch.arange(ids.shape[1]) > 2).long().expand_as(ids)
    theirs = reference(**inputs)
    encoded = ours.encode_texts(Batch(texts=TextBatch(ids, keep, segments=segments)))
    teacher_forced_logits = ours.next_token_logits if isinstance(ours, GPT) else ours.masked_token_logits
    logits = teacher_forced_logits(encoded.tokens[keep])
    expected = (theirs.prediction_logits if name == "bert" else theirs.logits)[keep]
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
    weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(3)) / 30
    loss, their_loss = (logits * weights).sum(), (expected * weights).sum()
    if name == "bert":
        follows = ours.next_sentence(encoded.pooled)
        torch.testing.assert_close(follows, theirs.seq_relationship_logits, atol=1e-5, rtol=1e-5)
        loss, their_loss = loss + follows[:, 0].sum(), their_loss + theirs.seq_relationship_logits[:, 0].sum()
    ours.zero_grad()
    reference.zero_grad()
    loss.backward()
    their_loss.backward()
    same_gradients(ours, reference, family.table(ours.config))


def test_export_and_import_keep_every_bit(pair, tmp_path):
    _, _, reference, ours, folder = pair
    export_folder(ours, tmp_path)
    before, after = load_file(folder / "model.safetensors"), load_file(tmp_path / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    again = import_folder(tmp_path)
    assert again.config == ours.config
    theirs = type(reference).from_pretrained(tmp_path)
    for name, weight in theirs.state_dict().items():
        assert torch.equal(weight, reference.state_dict()[name]), name


# Tensors of released files that their model does not read.
LEFTOVERS = {
    "bert": ("bert.embeddings.position_ids", "cls.predictions.decoder.weight"),
    "bert_mlm": ("cls.predictions.decoder.weight", "bert.pooler.dense.weight", "bert.pooler.dense.bias"),
    "distilbert_mlm": ("distilbert.embeddings.position_ids", "vocab_projector.weight"),
    "roberta": (
        "roberta.embeddings.position_ids",
        "roberta.pooler.dense.weight",
        "roberta.pooler.dense.bias",
    ),
    "gpt2": ("transformer.h.0.attn.bias", "transformer.h.1.attn.masked_bias", "lm_head.weight"),
    "opt": (),
}


def test_redundant_tensors_of_older_files_are_ignored(pair, tmp_path):
    name, _, _, ours, folder = pair
    tensors = load_file(folder / "model.safetensors")
    if name == "bert":  # TensorFlow's names of a norm's weight and bias
        tensors = {
            n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): t
            for n, t in tensors.items()
        }
    if name == "gpt2":  # the first release has no prefix
        tensors = {n.removeprefix("transformer."): t for n, t in tensors.items()}
    if name == "opt":  # without a prefix, and with a copy of the tied embedding
        tensors = {n.removeprefix("model."): t for n, t in tensors.items()}
        tensors["lm_head.weight"] = tensors["decoder.embed_tokens.weight"].clone()
    save_file(tensors | {n: torch.ones(3) for n in LEFTOVERS[name]}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    again = import_folder(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), ours.parameters(), strict=True))


def test_each_tensor_that_does_not_fit_is_named(pair, tmp_path):
    _, _, _, _, folder = pair
    tensors = load_file(folder / "model.safetensors")
    names = sorted(n for n in tensors if tensors[n].dim() > 1)
    gone, bent = names[0], names[-1]
    del tensors[gone]
    tensors[bent] = tensors[bent][:-1].clone()
    save_file(tensors | {"transformer.foreign": torch.zeros(2)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(UserError) as error:
        import_folder(tmp_path)
    for part in (f"{gone} is missing", "transformer.foreign is unknown", f"{bent} is ["):
        assert part in str(error.value)


def test_damaged_folders_are_refused(pair, tmp_path):
    _, _, _, _, folder = pair
    with pytest.raises(UserError, match=r"lacks config\.json"):
        import_folder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"x" * 40)
    (tmp_path / "config.json").write_text('{"model_type": "mamba"}')
    with pytest.raises(UserError, match="model_type 'mamba'; known are bert"):
        import_folder(tmp_path)
    (tmp_path / "config.json").write_text('{"format": 1, "system": "gpt.GPT"}')
    with pytest.raises(UserError, match="has no model_type: this is no folder in the Hugging Face layout"):
        import_folder(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="cannot read"):
        import_folder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    changed = {"enable_bias": False} if config["model_type"] == "opt" else {"add_cross_attention": True}
    (tmp_path / "config.json").write_text(json.dumps(config | changed))
    with pytest.raises(UserError, match=r"(enable_bias False|add_cross_attention True) is not supported"):
        import_folder(tmp_path)
    width = {"distilbert": "dim", "gpt2": "n_embd"}.get(config["model_type"], "hidden_size")
    other = {width: 24} | ({"word_embed_proj_dim": 24} if "word_embed_proj_dim" in config else {})
    (tmp_path / "config.json").write_text(json.dumps(config | other))
    with pytest.raises(UserError, match=r"does not fit its config\.json"):
        import_folder(tmp_path)


def test_an_interrupted_export_mixes_no_models(pair, tmp_path, monkeypatch):
    _, _, _, ours, _ = pair
    export_folder(ours, tmp_path)
    old = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(UserError, match="No space left on device"):
            export_folder(ours, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == old

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(tmp_path), "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        export_folder(ours, tmp_path)
    with pytest.raises(UserError, match=r"lacks config\.json"):
        import_folder(tmp_path)


def test_a_system_without_counterpart_is_refused(tmp_path):
    with pytest.raises(UsageError, match="ShowAndTell has no counterpart"):
        export_folder(ShowAndTell(replace(ShowAndTellConfig(), vocab_size=9, width=4)), tmp_path)


@pytest.mark.parametrize(
    "changed",
    [
        {"do_layer_norm_before": False},  # OPT-350M
        {"word_embed_proj_dim": 6},
        {"layer_norm_elementwise_affine": False},
        {"_remove_final_layer_norm": True},
        {"tie_word_embeddings": False},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_an_opt_of_another_shape_is_refused_by_what_differs(changed):
    ((name, value),) = changed.items()
    with pytest.raises(ValueError, match=f"{name} {value} is not supported"):
        opt.config_from({"hidden_size": 12} | changed, set())


def test_a_gpt_goes_out_as_what_it_is(tmp_path):
    sizes = {"vocab_size": 37, "width": 12, "depth": 1, "num_heads": 3, "mlp_dim": 21, "max_length": 17}
    for first, model_type in ((0, "gpt2"), (2, "opt")):
        export_folder(GPT(GPTConfig(**sizes, first_position=first)), tmp_path)
        assert json.loads((tmp_path / "config.json").read_text())["model_type"] == model_type
    with pytest.raises(UsageError, match="first_position 2 and eps 1e-05, not 1 and 1e-05"):
        export_folder(GPT(GPTConfig(**sizes, first_position=1)), tmp_path)


@torch.no_grad()
def test_opt_decodes_with_a_cache_as_the_reference(tmp_path):
    reference = FAMILIES["opt"][1]()
    ours = imported(reference, tmp_path)
    ids = torch.tensor([[5, 6, 7]])
    expected = reference.generate(ids, max_new_tokens=9, do_sample=False, eos_token_id=None, pad_token_id=0)
    _, state = ours.extend(ours.empty_cache(1), ids[:, :-1], torch.ones(1, 2, dtype=torch.bool))
    found = stream_tokens(ours, state, start=7, end=-1, generator=torch.Generator())
    assert [5, 6, 7, *islice(found, 9)] == expected[0].tolist()
