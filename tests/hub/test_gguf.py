"""A GGUF file against loops over its specification; a Llama and its tokenizer out of one."""

import struct
from dataclasses import replace

import numpy as np
import pytest
import torch

from showtell.errors import UserError
from showtell.hub.gguf import read_gguf
from showtell.hub.gguf_llama import llama_of, tokenizer_of
from showtell.hub.huggingface.families.llama import table
from showtell.hub.huggingface.rename import write_out
from showtell.systems.llama import Llama, LlamaConfig
from support.gguf import F16, F32, Q4_1, Q8_0, setting, write_gguf

SETTINGS = {
    "one": 7,
    "half": 0.5,
    "yes": True,
    "name": "猫 é",
    "list": [3, 1],
    "words": ["a", ""],
    "none": [],
}


def test_settings_and_floats_come_back(tmp_path):
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 7
    tensors = {"a.weight": (values, F32), "b.weight": (values, F16)}
    found = read_gguf(write_gguf(tmp_path / "x.gguf", SETTINGS, tensors))
    assert found.settings == SETTINGS
    assert found.tensors["a.weight"].numpy().tolist() == values.tolist()
    assert found.tensors["b.weight"].numpy().tolist() == values.astype(np.float16).tolist()
    nested = write_gguf(tmp_path / "n.gguf", {"deep": [[1, 2], [3]], "general.alignment": 32}, {})
    assert read_gguf(nested).settings["deep"] == [[1, 2], [3]]


def test_blocks_of_numbers_equal_loops(tmp_path):
    generator = np.random.default_rng(0)
    four, eight = generator.integers(0, 16, (5, 64)), generator.integers(-128, 128, (3, 32))
    file = write_gguf(tmp_path / "x.gguf", {}, {"four": (four, Q4_1), "eight": (eight, Q8_0)})
    found = read_gguf(file).tensors
    assert found["four"].tolist() == [[0.5 * q - 2 for q in row] for row in four.tolist()]
    assert found["eight"].tolist() == [[0.5 * q for q in row] for row in eight.tolist()]


@pytest.mark.slow
def test_all_of_a_file_equals_the_reference_library(smollm2):
    gguf = pytest.importorskip("gguf", reason="the reference reader: pip install gguf")
    from gguf.quants import dequantize

    path, file = smollm2
    reader = gguf.GGUFReader(path)
    assert file.tensors.keys() == {tensor.name for tensor in reader.tensors}
    for tensor in reader.tensors:
        expected = dequantize(tensor.data, tensor.tensor_type)
        assert np.array_equal(file.tensors[tensor.name].numpy(), expected), tensor.name


def test_damaged_files_are_refused_by_name(tmp_path):
    values = np.ones((2, 32), np.float32)
    whole = write_gguf(tmp_path / "x.gguf", SETTINGS, {"a": (values, F32), "b": (values, F32)}).read_bytes()
    for size in range(0, len(whole), 7):
        (tmp_path / "cut.gguf").write_bytes(whole[:size])
        with pytest.raises(UserError, match=r"cut\.gguf cannot be read"):
            read_gguf(tmp_path / "cut.gguf")
    with pytest.raises(UserError, match="version 2 of GGUF, not 3"):
        read_gguf(write_gguf(tmp_path / "old.gguf", {}, {}, version=2))
    entry, other = (struct.pack("<I2QIQ", 2, 32, 2, kind, 0) for kind in (F32, 2))
    assert whole.count(entry) == 1
    (tmp_path / "x.gguf").write_bytes(whole.replace(entry, other))
    with pytest.raises(UserError, match="numbers in a of type 2, and types 0, 1, 3, 8 are read"):
        read_gguf(tmp_path / "x.gguf")
    (tmp_path / "x.gguf").write_bytes(b"PK" + whole)
    with pytest.raises(UserError, match="it is no GGUF file"):
        read_gguf(tmp_path / "x.gguf")
    with pytest.raises(UserError, match="cannot be read"):
        read_gguf(write_gguf(tmp_path / "x.gguf", {"general.alignment": 0}, {"a": (values, F32)}))
    with pytest.raises(UserError, match="cannot be read"):
        read_gguf(tmp_path / "nowhere.gguf")
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 2**62, 2**62) + setting(1) * 9)
    with pytest.raises(UserError, match="cannot be read"):
        read_gguf(tmp_path / "x.gguf")


CONFIG = LlamaConfig(
    vocab_size=300, width=12, depth=2, num_heads=2, num_kv_heads=1, mlp_dim=20, max_length=9, eps=1e-5
)
THEIRS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def written(system):
    """A system as llama.cpp's converter writes it: the rows that turn together are neighbours."""
    tensors = {}
    for name, tensor in write_out(system.state_dict(), table(system.config)).items():
        values = tensor.numpy()
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            rows = [
                head * 6 + i + half * 3
                for head in range(len(values) // 6)
                for i in range(3)
                for half in (0, 1)
            ]
            values = values[rows]
        name = name.removeprefix("model.").replace("layers.", "blk.")
        for theirs, ours in (THEIRS | {"embed_tokens": "token_embd", "lm_head": "output"}).items():
            name = name.replace(theirs, ours)
        tensors["output_norm.weight" if name == "norm.weight" else name] = (values, F32)
    c = system.config
    alphabet = [
        *map(chr, range(0x21, 0x21 + 295)),
        "ab",
        "abc",
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
    ]
    settings = {
        "llama.embedding_length": c.width,
        "llama.block_count": c.depth,
        "llama.attention.head_count": c.num_heads,
        "llama.attention.head_count_kv": c.num_kv_heads,
        "llama.feed_forward_length": c.mlp_dim,
        "llama.context_length": c.max_length,
        "llama.rope.freq_base": c.theta,
        "llama.attention.layer_norm_rms_epsilon": c.eps,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": alphabet,
        "tokenizer.ggml.token_type": [1] * 297 + [3] * 3,
        "tokenizer.ggml.merges": ["a b", "ab c"],
    }
    return settings, tensors


@pytest.mark.parametrize("tied", [False, True])
def test_a_llama_comes_back_bit_by_bit(tmp_path, tied):
    torch.manual_seed(0)
    ours = Llama(replace(CONFIG, tied=tied))
    path = write_gguf(tmp_path / "x.gguf", *written(ours))
    again = llama_of(read_gguf(path), path)
    assert again.config == ours.config
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, ours.state_dict()[name]), name


def test_files_of_other_models_are_refused(tmp_path):
    settings, tensors = written(Llama(CONFIG))

    def read(settings, tensors=tensors):
        path = write_gguf(tmp_path / "x.gguf", settings, tensors)
        file = read_gguf(path)
        return llama_of(file, path), tokenizer_of(file, path)

    read(settings)
    with pytest.raises(UserError, match=r"lacks the setting 'llama\.block_count'"):
        read({name: value for name, value in settings.items() if name != "llama.block_count"})
    with pytest.raises(UserError, match="damaged vocabulary"):
        read(settings | {"tokenizer.ggml.merges": ["a z9"]})
    with pytest.raises(UserError, match="byte pairs after 'smollm' are read"):
        read(settings | {"tokenizer.ggml.pre": "llama-bpe"})
    with pytest.raises(UserError, match=r"model\.layers\.1\.mlp\.up_proj\.weight is missing"):
        read(settings, {name: value for name, value in tensors.items() if name != "blk.1.ffn_up.weight"})
    for other in ("blk.0.ffn_moe.weight", "rope_freqs.weight"):
        with pytest.raises(UserError, match=f"{other} is unknown"):
            read(settings, tensors | {other: (np.ones((2, 2)), F32)})
