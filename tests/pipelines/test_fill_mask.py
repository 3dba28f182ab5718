"""Masked tokens are predicted, and texts continued, by checkpoints of every family."""

import dataclasses
import io
import json
from pathlib import Path

import pytest
import torch

from showtell.checkpoint.save import save_checkpoint
from showtell.cli.main import run
from showtell.data.batch import Batch, TextBatch
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import UsageError, UserError
from showtell.pipelines.fill_mask import fill_mask
from showtell.pipelines.generate import generate
from showtell.pipelines.model import load_model
from showtell.systems.bert import BERT, BERTConfig
from showtell.systems.gpt import GPT, GPTConfig
from showtell.systems.roberta import RoBERTa, RoBERTaConfig

TEXTS = [
    "The cat sat on the mat.",
    "A dog was sitting near the other cats, and slept.",
    "猫 sat, naïve 🙂",
] * 3
SIZES = {"width": 12, "depth": 2, "num_heads": 3, "mlp_dim": 20, "max_length": 24}


def language_model(folder: Path, family: str) -> Path:
    """Random parameters over a vocabulary of a few dozen tokens."""
    kind = "wordpiece" if family == "bert" else "bpe"
    tokenizer = SubwordTokenizer.train(TEXTS, kind, 70 if kind == "wordpiece" else 300, family)
    sizes = {**SIZES, "vocab_size": len(tokenizer)}
    hide = {"mask_id": tokenizer.mask, "special": tokenizer.special}
    torch.manual_seed(1)
    system = {
        "bert": lambda: BERT(BERTConfig(**sizes, **hide)),
        "roberta": lambda: RoBERTa(RoBERTaConfig(**sizes, **hide)),
        "gpt2": lambda: GPT(GPTConfig(**sizes)),
    }[family]()
    with torch.no_grad():
        for weight in system.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    save_checkpoint(
        folder, system, record={}, tokenizer_json=tokenizer.to_json(), preprocess={}, card="# random\n"
    )
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {f: load_model(language_model(folder / f, f), "cpu") for f in ("bert", "roberta", "gpt2")}


@pytest.fixture(params=["bert", "roberta"])
def masked_model(request, models):
    return models[request.param]


def test_predictions_are_the_most_probable_tokens(masked_model):
    tokenizer = masked_model.tokenizer
    found = fill_mask("The [MASK] sat on the [MASK].", masked_model, top=4)
    ids = torch.tensor(
        [
            tokenizer.encode(
                "The [MASK] sat on the [MASK].".replace("[MASK]", tokenizer.tokens[tokenizer.mask]),
                special=True,
            )
        ]
    )
    tokens = masked_model.system.encode_texts(Batch(texts=TextBatch(ids, ids >= 0))).tokens
    words = [i for i in range(len(tokenizer)) if i not in tokenizer.special]
    logits = masked_model.system.masked_token_logits(tokens[0])[:, words]
    places = (ids[0] == tokenizer.mask).nonzero().flatten().tolist()
    assert [g.mask for g in found.predictions] == [0] * 4 + [1] * 4
    for i, prediction in enumerate(found.predictions):
        best = logits[places[prediction.mask]].softmax(-1).sort(descending=True)
        assert prediction.probability == pytest.approx(best.values[i % 4].item(), abs=1e-6)
        assert prediction.token == tokenizer.decode([words[int(best.indices[i % 4])]]).strip()
        assert prediction.text.count("[MASK]") == 1
    assert (found.unknown, found.cut) == (0, 0)


def test_a_token_replaces_its_mask(models):
    for prediction in fill_mask("The [MASK] sat.", models["bert"], top=60).predictions:
        piece = prediction.token
        joined = f"The{piece[2:]} sat." if piece.startswith("##") else f"The {piece} sat."
        assert prediction.text == joined
    tokenizer = models["roberta"].tokenizer
    texts = {g.token: g.text for g in fill_mask("The <mask> sat.", models["roberta"], top=300).predictions}
    assert "<mask>" not in "".join(texts.values())
    assert texts["sat"] in ("The sat sat.", "Thesat sat.")
    begun = {g.text for g in fill_mask("[MASK] sat.", models["roberta"], top=300).predictions}
    assert "cat sat." in begun or " cat" not in tokenizer.decode(range(len(tokenizer)))


def test_no_special_token_is_predicted(masked_model):
    found = fill_mask("The [MASK] sat.", masked_model, top=10_000)
    assert len(found.predictions) == len(masked_model.tokenizer) - len(masked_model.tokenizer.special)
    assert sum(g.probability for g in found.predictions) == pytest.approx(1, abs=1e-4)


def test_texts_and_models_that_do_not_fit_are_refused(models, checkpoint):
    bert = models["bert"]
    for empty in ("", "no mask here"):
        with pytest.raises(UserError, match=r"has no mask; write \[MASK\]"):
            fill_mask(empty, bert)
    with pytest.raises(
        UsageError, match="is not a masked language model: it does not predict the masked tokens of a text"
    ):
        fill_mask("a [MASK]", models["gpt2"])
    with pytest.raises(
        UsageError, match="is not a masked language model: it does not predict the masked tokens of a text"
    ):
        fill_mask("a [MASK]", load_model(checkpoint, "cpu"))
    assert fill_mask("☃☃ ☃ [MASK]", bert).unknown == 2


def test_a_long_text_is_cut_counted_or_refused(masked_model):
    long = "[MASK] " + "cat " * 40
    found = fill_mask(long, masked_model)
    assert len(found.predictions) == 5
    assert found.cut == len(masked_model.tokenizer.encode("cat " * 40)) + 1 - 24
    with pytest.raises(UserError, match="reads 24; shorten it"):
        fill_mask(long, masked_model, strict=True)
    with pytest.raises(UserError, match="reads 24; shorten it"):
        fill_mask("cat " * 40 + "[MASK]", masked_model)


def greedy(model, ids, count):
    """Without a cache: the whole text is read again for each token."""
    for _ in range(count):
        row = torch.tensor([ids])
        tokens = model.system.encode_texts(Batch(texts=TextBatch(row, row >= 0))).tokens[0, -1]
        best = int(model.system.next_token_logits(tokens).argmax())
        if best == model.tokenizer.end:
            break
        ids = [*ids, best]
    return ids


@pytest.mark.parametrize("text", ["The cat", "T", "", "猫 🙂"])
def test_generation_without_sampling_takes_the_most_probable_token(models, text):
    gpt = models["gpt2"]
    prompt = gpt.tokenizer.pieces(text).ids or [gpt.tokenizer.start]
    found = generate(text, gpt, 8)
    expected = greedy(gpt, prompt, 8)
    assert found.tokens == len(expected) - len(prompt) > 0
    assert text + found.completion == gpt.tokenizer.decode(expected)


def test_samples_follow_their_seed(models):
    gpt = models["gpt2"]
    drawn = [generate("The cat", gpt, 12, sample="nucleus", seed=s).completion for s in (0, 0, 1, 2)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) > 1


def test_of_a_long_prompt_the_end_is_read(models):
    gpt = models["gpt2"]
    long = "The cat sat on the mat. " * 20
    found = generate(long, gpt, 10)
    ids = gpt.tokenizer.pieces(long).ids
    assert found.cut == len(ids) - 14
    assert found.tokens <= 10
    assert found.completion == generate(gpt.tokenizer.decode(ids[-14:]), gpt, 10).completion
    with pytest.raises(UserError, match="shorten it"):
        generate(long, gpt, 10, strict=True)
    with pytest.raises(UsageError, match="ask for 23 or fewer"):
        generate("The", gpt, 24)
    with pytest.raises(UsageError, match="is not a causal language model: it does not continue a text"):
        generate("The", models["bert"])


def test_an_empty_text_is_refused_on_the_command_line(ask):
    for empty in ("", " \n"):
        status, _, err = ask("generate", empty, "--model", "any")
        assert (status, "the text to continue is empty" in err) == (2, True)


def test_results_are_json(models):
    for result in (
        fill_mask("The [MASK]", models["bert"], top=1).predictions[0],
        generate("The", models["gpt2"], 2),
    ):
        assert json.loads(json.dumps(dataclasses.asdict(result)))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folders")
    return {f: str(language_model(folder / f, f)) for f in ("bert", "gpt2")}


def test_fill_mask_on_the_command_line(folders, capsys, monkeypatch):
    assert run(["fill-mask", "The [MASK] sat.", "-m", folders["bert"], "--top", "2", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.keys() for line in lines] == [{"text", "mask", "token", "probability"}] * 2
    assert lines[0]["probability"] >= lines[1]["probability"]
    long = "[MASK] " + "cat " * 40
    monkeypatch.setattr("sys.stdin", io.StringIO(f"The [MASK].\nno mask\n{long}\nA ☃ [MASK]\n"))
    assert run(["fill-mask", "-", "-m", folders["bert"], "--top", "1", "--json"]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert "'no mask' has no mask" in err
    assert "24 tokens that the model reads, and cut: 1 of the texts" in err
    assert "tokens that the model does not know: 1" in err
    assert run(["fill-mask", long, "-m", folders["bert"], "--strict"]) == 1
    assert "shorten it" in capsys.readouterr().err
    assert run(["fill-mask", "The [MASK] sat.", "-m", folders["bert"]]) == 0
    assert "probability" in capsys.readouterr().out


def test_generate_on_the_command_line(folders, capsys):
    drawn = [
        "generate",
        "The cat",
        "-m",
        folders["gpt2"],
        "--max-tokens",
        "6",
        "--sample",
        "nucleus",
        "--json",
    ]
    assert run([*drawn, "--seed", "3"]) == run([*drawn, "--seed", "3"]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first == second
    assert first["text"] == "The cat"
    assert run(["generate", "The cat", "-m", folders["gpt2"], "--max-tokens", "3"]) == 0
    assert capsys.readouterr().out.startswith("The cat")
    assert run(["generate", "The cat " * 40, "-m", folders["gpt2"], "--max-tokens", "3"]) == 0
    assert "tokens of the text were not read" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["fill-mask", "generate"])
def test_a_language_model_has_to_be_named(verb, folders, checkpoint, capsys, monkeypatch):
    monkeypatch.delenv("SHOWTELL_MODEL", raising=False)
    assert run([verb, "a [MASK]"]) == 2
    assert f"showtell train {'bert' if verb == 'fill-mask' else 'gpt'}_mini --data" in capsys.readouterr().err
    other = folders["gpt2" if verb == "fill-mask" else "bert"]
    for wrong in (other, str(checkpoint)):
        assert run([verb, "a [MASK]", "-m", wrong]) == 2
        assert "choose another with --model" in capsys.readouterr().err
