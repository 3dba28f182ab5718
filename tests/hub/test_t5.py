"""T5 equals the reference: logits, every gradient, import and export, written tokens, settings."""

import json
from itertools import islice

import pytest
import torch
from safetensors.torch import load_file, save_file

from showtell.data.batch import Batch, TextBatch, pad
from showtell.errors import UserError
from showtell.hub.huggingface.families import t5
from showtell.hub.huggingface.folder import import_folder
from showtell.systems.t5 import T5, RelativePositions, T5Config
from showtell.tasks.decoding import stream_tokens
from support.hf import imported, same_bits, same_outputs_and_gradients, untied

transformers = pytest.importorskip("transformers")
START, END = 0, 1
SIZES = {
    "vocab_size": 37,
    "d_model": 12,
    "d_kv": 4,
    "d_ff": 21,
    "num_layers": 2,
    "num_decoder_layers": 3,
    "num_heads": 3,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 9,
    "dropout_rate": 0.0,
    "decoder_start_token_id": START,
}
MODELS = {
    "flan": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    "blip-2's": {"feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu", "tie_word_embeddings": False},
    "original": {"feed_forward_proj": "relu"},
}
CASES = {
    "unpadded": [[5, 6, 7, 8, 9], [10, 11, 12, 13, 14]],
    "padded": [[5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], [12, 13, 14], [15]],
    "one": [[20]],
}


def reference_of(name):
    reference = transformers.T5ForConditionalGeneration(transformers.T5Config(**SIZES | MODELS[name]))
    return untied(reference) if "tie_word_embeddings" in MODELS[name] else reference


@pytest.fixture(params=MODELS, scope="module")
def pair(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("t5")
    reference = reference_of(request.param)
    ours = imported(reference, folder)
    assert type(ours) is T5
    return reference, ours, folder


@pytest.mark.parametrize("case", CASES)
def test_forward_and_every_gradient(pair, case):
    reference, ours, _ = pair
    (ids, keep), (written, real) = (
        pad(CASES[case]),
        pad([[START, *row, END] for row in reversed(CASES[case])]),
    )
    expected = reference(
        input_ids=ids,
        attention_mask=keep.long(),
        decoder_input_ids=written[:, :-1],
        decoder_attention_mask=real[:, :-1].long(),
    )
    encoded = ours.encode_texts(Batch(texts=TextBatch(ids, keep)))
    memory = ours.prefill_texts(encoded)
    logits = ours.teacher_forced_logits(memory, torch.arange(len(ids)), written, real)
    found = [
        (logits / 30, expected.logits[real[:, 1:]] / 30),  # gradients of about one
        (encoded.tokens[keep] / 30, expected.encoder_last_hidden_state[keep] / 30),
    ]
    assert not same_outputs_and_gradients(found, ours, reference, t5.table(ours.config))


def test_export_and_import_keep_every_bit(pair, tmp_path):
    reference, ours, folder = pair
    same_bits(reference, ours, folder, tmp_path)
    assert import_folder(tmp_path).config == ours.config
    again = type(reference).from_pretrained(tmp_path).config
    assert (again.dense_act_fn, again.scale_decoder_outputs) == (
        reference.config.dense_act_fn,
        reference.config.scale_decoder_outputs,
    )


@torch.no_grad()
def test_what_is_written_token_by_token_is_what_the_reference_writes(pair):
    reference, ours, _ = pair
    ids, keep = pad([[5, 6, 7]])
    expected = reference.generate(
        ids, max_new_tokens=12, do_sample=False, eos_token_id=None, use_cache=False
    )[0, 1:]
    memory = ours.prefill_texts(ours.encode_texts(Batch(texts=TextBatch(ids, keep))))
    found = stream_tokens(ours, memory, start=START, end=-1, generator=torch.Generator())
    assert list(islice(found, 12)) == expected.tolist()


def test_settings_and_tensors_of_older_files_are_read(pair, tmp_path):
    _, ours, folder = pair
    theirs, tensors = (
        json.loads((folder / "config.json").read_text()),
        load_file(folder / "model.safetensors"),
    )
    theirs["tie_word_embeddings"] = theirs.pop("scale_decoder_outputs")
    for copy in ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight"):
        tensors[copy] = tensors["shared.weight"].clone()
    (tmp_path / "config.json").write_text(json.dumps(theirs))
    save_file(tensors | {t5.UNREAD: torch.ones(8, 3)}, tmp_path / "model.safetensors")
    again = import_folder(tmp_path)
    assert again.config == ours.config
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), ours.parameters(), strict=True))


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"d_kv": 5}, "d_kv 5 is not supported, only 4"),  # Flan-T5 small
        ({"feed_forward_proj": "gated-silu"}, "'gated-silu' with dense_act_fn '.*' is not supported"),
    ],
)
def test_settings_without_a_counterpart_are_refused(pair, tmp_path, changed, why):
    _, _, folder = pair
    theirs = json.loads((folder / "config.json").read_text()) | changed
    (tmp_path / "config.json").write_text(json.dumps(theirs))
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(UserError, match=why):
        import_folder(tmp_path)


@pytest.mark.parametrize("causal", [False, True])
def test_distances_fall_into_the_buckets_of_the_paper(causal):
    """Section 2.1: one bucket per near distance, then by logarithm up to 128; half of them for each side."""
    positions = RelativePositions(T5Config(), causal=causal)
    distance = torch.arange(-200, 201)
    found = dict(zip(distance.tolist(), positions.buckets(distance).tolist(), strict=True))
    exact, count = (16, 32) if causal else (8, 16)
    assert [found[-i] for i in range(exact)] == list(range(exact))
    assert found[-128] == found[-200] == count - 1
    behind = [found[-i] for i in range(200)]
    assert behind == sorted(behind)
    assert sorted(set(behind)) == list(range(count))
    ahead = [found[i] for i in range(1, 200)]
    assert ahead == ([0] * 199 if causal else [bucket + 16 for bucket in behind[1:]])


def test_flan_t5_has_its_published_size():
    with torch.device("meta"):
        count = sum(p.numel() for p in T5(T5Config()).parameters())
    assert count == 247_577_856
