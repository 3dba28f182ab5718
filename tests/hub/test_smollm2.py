"""SmolLM2-135M-Instruct out of its package: parameters, tokenizer, chat template, and what it says."""

import json
from functools import cache
from itertools import pairwise

import pytest
import torch

from showtell.checkpoint.adapters import base_of
from showtell.cli.main import run
from showtell.data.batch import Batch, TextBatch
from showtell.hub.catalogue import find
from showtell.hub.gguf_llama import llama_of, tokenizer_of
from showtell.hub.huggingface.families.llama import config_to, table
from showtell.hub.huggingface.rename import write_out
from showtell.hub.huggingface.sidecars import tokenizer_config
from showtell.pipelines.generate import generate
from showtell.pipelines.model import load_model
from showtell.recipes.launch import train_model

NAME = "SmolLM2-135M-Instruct"
TEXTS = [
    "The capital of France is Paris.",
    "  two  spaces\n\n\tand tabs \r\n at the end   ",
    "In 2024, 1,234.5 apples; naïve café's don't we'LL",
    "猫が好き。北京有一只猫 🐈‍⬛🙂 — ½ ² Ⅷ ٣",
    "a<|im_end|>b <|endoftext|>",
    "",
    "def f(x):\n    return x**2  # ok\n",
    "\u00a0nbsp\u3000wide\u200bzero",
]


@pytest.fixture(scope="module")
def system(smollm2):
    return llama_of(smollm2[1], smollm2[0])


@pytest.fixture(scope="module")
def tokenizer(smollm2):
    return tokenizer_of(smollm2[1], smollm2[0])


@pytest.fixture(scope="module")
def model():
    if not find(NAME).installed:
        pytest.skip(f"{NAME} is not installed")
    return load_model(NAME, "cpu")


def test_ids_equal_byte_pairs_merged_one_by_one(smollm2, tokenizer):
    """llama.cpp's rules for `smollm`: digits alone, then GPT-2's words, then the first merge of all."""
    regex = pytest.importorskip("regex")
    said = smollm2[1].settings
    ids = {token: i for i, token in enumerate(said["tokenizer.ggml.tokens"])}
    ranks = {tuple(pair.split(" ")): i for i, pair in enumerate(said["tokenizer.ggml.merges"])}
    kept = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in kept]
    letters = {b: chr(b) for b in kept} | {b: chr(256 + i) for i, b in enumerate(rest)}
    words = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")

    @cache
    def merged(word):
        parts = [letters[b] for b in word.encode()]
        while pairs := [p for p in pairwise(parts) if p in ranks]:
            best, out = min(pairs, key=ranks.__getitem__), []
            while parts:
                take = 2 if tuple(parts[:2]) == best else 1
                out.append("".join(parts[:take]))
                del parts[:take]
            parts = out
        return [ids[part] for part in parts]

    for text in TEXTS:
        pieces = [p for p in regex.split(r"(\p{N})", text) if p]
        expected = [i for piece in pieces for word in words.findall(piece) for i in merged(word)]
        assert tokenizer.pieces(text).ids == expected, text
        assert tokenizer.decode(expected) == text


def test_ids_and_chats_equal_the_references(smollm2, tokenizer, tmp_path):
    transformers = pytest.importorskip("transformers")
    template = smollm2[1].settings["tokenizer.chat_template"]
    (tmp_path / "tokenizer.json").write_text(tokenizer.to_json())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(tokenizer_config(tokenizer, 8192)))
    (tmp_path / "chat_template.jinja").write_text(template)
    reference = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in TEXTS:
        assert tokenizer.encode(text, special=True) == reference(text).input_ids
    ours = tokenizer.reading({"chat_template": template})
    messages = [
        {"role": "user", "content": "Name a colour.\n"},
        {"role": "assistant", "content": "Blue 🙂"},
        {"role": "user", "content": "为什么?"},
    ]
    for given in (messages, messages[:1], [{"role": "system", "content": "Be short."}, *messages]):
        expected = reference.apply_chat_template(given, add_generation_prompt=True)["input_ids"]
        assert ours.encode_chat(given) == expected


@torch.no_grad()
def test_logits_equal_the_references(system, tokenizer):
    transformers = pytest.importorskip("transformers")
    with torch.device("meta"):
        reference = transformers.LlamaForCausalLM(transformers.LlamaConfig(**config_to(system.config)))
    state = write_out(system.state_dict(), table(system.config))
    reference.load_state_dict(state, strict=False, assign=True)
    reference.tie_weights()
    reference.model.rotary_emb = type(reference.model.rotary_emb)(reference.config)
    ids = torch.tensor([tokenizer.pieces("The capital of France is Paris. 猫 1 2 3").ids])
    expected = reference.eval()(input_ids=ids).logits
    logits = system.next_token_logits(system.encode_texts(Batch(texts=TextBatch(ids, ids >= 0))).tokens)
    torch.testing.assert_close(logits, expected, atol=1e-3, rtol=1e-4)


@pytest.mark.slow
def test_it_continues_answers_and_cuts_nothing(model, capsys):
    assert model.max_length == 8192
    assert generate("The capital of France is", model, 3).completion.startswith(" Paris")
    asked = [{"role": "user", "content": "What is the capital of France?"}]
    answer = generate(asked, model, 30)
    assert "Paris" in answer.completion
    assert answer.tokens < 30, "it ends by itself"
    assert answer.text == asked[0]["content"]
    assert run(["generate", asked[0]["content"], "--chat", "-m", NAME, "--max-tokens", "30"]) == 0
    assert capsys.readouterr().out.strip() == answer.completion.strip()


@pytest.mark.slow
def test_an_adapter_of_the_packages_model_names_it_and_is_loaded_again(model, tmp_path):
    said = [
        {"role": "user", "content": "Who are you?"},
        {"role": "assistant", "content": "A zebra named Zoe."},
    ]
    (tmp_path / "data.json").write_text(json.dumps([{"messages": said}]))
    settings = ["held_out=0", "train.steps=8", "train.batch_size=1", "train.learning_rate=1e-3"]
    train_model("tune", tmp_path / "data.json", tmp_path / "run", settings, model=NAME, device="cpu")
    assert base_of(tmp_path / "run") == NAME
    tuned = load_model(tmp_path / "run", "cpu")
    assert generate(said[:1], tuned, 20).completion == said[1]["content"]
    assert generate(said[:1], model, 20).completion != said[1]["content"]
