"""Llama equals the reference: logits, every gradient, import and export, old and new settings."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from showtell.data.batch import Batch, TextBatch, pad
from showtell.errors import UserError
from showtell.hub.huggingface.families import llama
from showtell.hub.huggingface.folder import export_folder, import_folder
from showtell.systems.llama import Llama
from support.hf import imported, same_bits, same_gradients

transformers = pytest.importorskip("transformers")
SIZES = {
    "vocab_size": 37,
    "hidden_size": 36,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "intermediate_size": 21,
    "max_position_embeddings": 19,
}
MODELS = {
    "grouped": {"rms_norm_eps": 1e-5},
    "tied": {"num_key_value_heads": 1, "tie_word_embeddings": True},
    "all_heads": {"num_key_value_heads": 6, "rope_parameters": {"rope_type": "default", "rope_theta": 50.0}},
}
CASES = {
    "unpadded": [[5, 6, 7, 8, 9], [10, 11, 12, 13, 14]],
    "padded": [[5, 6, 7, 8, 9, 10, 11], [12, 13, 14], [15]],
    "one": [[20]],
}


@pytest.fixture(params=MODELS, scope="module")
def pair(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    settings = SIZES | MODELS[request.param]
    reference = transformers.LlamaForCausalLM(transformers.LlamaConfig(**settings))
    return reference, imported(reference, folder), folder


@pytest.mark.parametrize("case", CASES)
def test_forward_and_every_gradient(pair, case):
    reference, ours, _ = pair
    ids, keep = pad(CASES[case])
    expected = reference(input_ids=ids, attention_mask=keep.long()).logits[keep]
    logits = ours.next_token_logits(ours.encode_texts(Batch(texts=TextBatch(ids, keep))).tokens[keep])
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
    weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(3)) / 30
    for system, out in ((ours, logits), (reference, expected)):
        system.zero_grad()
        (out * weights).sum().backward()
    same_gradients(ours, reference, llama.table(ours.config))


def test_export_and_import_keep_every_bit(pair, tmp_path):
    reference, ours, folder = pair
    same_bits(reference, ours, folder, tmp_path)
    assert import_folder(tmp_path).config == ours.config
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert again.config.rope_parameters["rope_theta"] == ours.config.theta
    assert ours.config.theta == reference.config.rope_parameters["rope_theta"]


def test_the_loss_is_the_references(pair):
    reference, ours, _ = pair
    ids, keep = pad(CASES["unpadded"])
    expected = reference(input_ids=ids, labels=ids).loss
    torch.testing.assert_close(ours(Batch(texts=TextBatch(ids, keep))).losses["lm"], expected)


@torch.no_grad()
def test_greedy_decoding_with_a_cache_equals_the_references(pair):
    reference, ours, _ = pair
    ids = torch.tensor([[5, 6, 7]])
    expected = reference.generate(ids, max_new_tokens=9, do_sample=False, eos_token_id=None, pad_token_id=0)
    _, state = ours.extend(ours.empty_cache(1), ids[:, :-1], torch.ones(1, 2, dtype=torch.bool))
    state, found = ours.initial_state(state), ids[0].tolist()
    for _ in range(9):
        logits, state = ours.step({}, state, torch.tensor([[found[-1]]]))
        found.append(int(logits.argmax()))
    assert found == expected[0].tolist()


def test_settings_of_files_before_version_5_are_read(pair, tmp_path):
    _, ours, folder = pair
    theirs = json.loads((folder / "config.json").read_text())
    theta = theirs.pop("rope_parameters")["rope_theta"]
    del theirs["head_dim"]
    tensors = load_file(folder / "model.safetensors")
    if ours.config.tied:
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(
        tensors | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(3)},
        tmp_path / "model.safetensors",
    )
    for old in ({"rope_theta": theta}, {"rope_theta": theta, "rope_scaling": None}):
        (tmp_path / "config.json").write_text(json.dumps(theirs | old))
        again = import_folder(tmp_path)
        assert isinstance(again, Llama)
        assert again.config == ours.config
        assert all(torch.equal(a, b) for a, b in zip(again.parameters(), ours.parameters(), strict=True))


REFUSED = {
    "rope_type 'yarn'": {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}},
    "rope_type 'linear'": {"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2.0}},
    "attention_bias True": {"attention_bias": True},
    "hidden_act 'gelu'": {"hidden_act": "gelu"},
    "head_dim 8": {"head_dim": 8},
}


@pytest.mark.parametrize("message", REFUSED)
def test_settings_without_a_counterpart_are_refused(pair, tmp_path, message):
    _, ours, _ = pair
    export_folder(ours, tmp_path)
    file = tmp_path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | REFUSED[message]))
    with pytest.raises(UserError, match=f"{message} is not supported"):
        import_folder(tmp_path)
