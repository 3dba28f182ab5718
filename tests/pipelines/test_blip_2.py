"""BLIP-2 imported as it is published: captions, answers, conversations from the command line."""

import io
import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from showtell.cli.main import run
from showtell.pipelines.export_model import export_model
from showtell.pipelines.import_model import import_model
from showtell.pipelines.model import load_model
from showtell.tasks.decoding import beam_search
from support.blip2 import QUERIES, blip2_folder

pytest.importorskip("transformers")
TEXTS = ["a red square and a blue one", "what is it?", "a dog\n"] * 3


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder, draw = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number in range(2):
        Image.fromarray(draw.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def over_opt(tmp_path_factory):
    return given(tmp_path_factory, "opt")


@pytest.fixture(scope="module")
def over_t5(tmp_path_factory):
    return given(tmp_path_factory, "t5")


@pytest.fixture(params=["over_opt", "over_t5"])
def over_each(request):
    return request.getfixturevalue(request.param)


def given(tmp_path_factory, language):
    """The reference, and the folder of the imported model."""
    folder = tmp_path_factory.mktemp(language)
    reference = blip2_folder(folder / "theirs", language, TEXTS)
    import_model(str(folder / "theirs"), folder / "ours")
    return reference, folder / "ours"


def lines(capsys) -> list:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def pixels_of(model, image):
    config, pixels = model.system.config, torch.from_numpy(model.read(image)).permute(2, 0, 1)[None]
    mean, std = (torch.tensor(value)[:, None, None] for value in (config.mean, config.std))
    return (pixels / 255 - mean) / std


def test_over_opt_texts_begin_by_the_start_token_and_end_by_a_line_break(over_opt):
    tokenizer = load_model(over_opt[1], "cpu").tokenizer
    start, end = tokenizer.tokens.index("</s>"), tokenizer.tokens.index("Ċ")
    assert (tokenizer.start, tokenizer.end, tokenizer.opening) == (start, end, [start])
    assert tokenizer.encode("a dog") == [start, *tokenizer.pieces("a dog").ids, end]
    assert start in tokenizer.never_generated(320)
    assert tokenizer.tokens.index("<image>") in tokenizer.never_generated(320)


def test_over_t5_texts_begin_by_padding_and_end_by_the_end_token(over_t5):
    model = load_model(over_t5[1], "cpu")
    assert (model.tokenizer.start, model.tokenizer.end, model.system.config.prompt) == (0, 1, (1,))
    assert model.tokenizer.encode("a dog") == [0, *model.tokenizer.pieces("a dog").ids, 1]
    assert model.tokenizer.decode(model.tokenizer.encode("a dog")) == "a dog"


@torch.no_grad()
def test_captions_have_the_log_probability_that_the_reference_gives_them(over_each, images, capsys):
    reference, ours = over_each
    assert (
        run(["caption", *map(str, images), "--model", str(ours), "--json", "--beam", "5", "--most-probable"])
        == 0
    )
    found, model = lines(capsys), load_model(ours, "cpu")
    start, end = model.tokenizer.start, model.tokenizer.end
    banned = model.tokenizer.never_generated(model.system.config.vocab_size)
    for image, one in zip(images, found, strict=True):
        (best,) = one["captions"]
        memory = model.system.prefill(model.encode([model.read(image)]))
        ((wrote,),) = beam_search(model.system, memory, start=start, end=end, banned=banned)
        assert model.tokenizer.decode(wrote.ids).strip() == best["text"] != ""
        seen, ids = [model.system.image_id] * QUERIES, [start, *wrote.ids, end]
        if hasattr(model.system.config, "prompt"):
            call = {"input_ids": torch.tensor([[*seen, 1]]), "decoder_input_ids": torch.tensor([ids[:-1]])}
            logits = reference(**call, pixel_values=pixels_of(model, image)).logits[0]
        else:
            call = {"input_ids": torch.tensor([seen + ids])}
            logits = reference(**call, pixel_values=pixels_of(model, image)).logits[0, QUERIES:-1]
        logits[:, banned] = -torch.inf
        expected = logits.log_softmax(-1).gather(1, torch.tensor(ids[1:])[:, None]).sum().item()
        assert best["logprob"] == pytest.approx(expected, abs=1e-4)
    assert found[0]["captions"] != found[1]["captions"]


def test_a_question_is_asked_as_the_paper_does_and_answered(over_opt, images, capsys, monkeypatch):
    (reference, ours), image = over_opt, images[0]
    model = load_model(ours, "cpu")
    monkeypatch.setattr(sys, "stdin", io.StringIO("what is it?\nis it red?\n"))
    assert run(["chat", str(image), "--model", str(ours), "--max-tokens", "6", "--json"]) == 0
    first, second = (one["answer"] for one in lines(capsys))
    asked, said = "Question: what is it? Answer:", ""
    for answer in (first, second):
        tokenizer = model.tokenizer
        ids = [model.system.image_id] * QUERIES + [tokenizer.start, *tokenizer.pieces(asked + said).ids]
        out = reference.generate(
            pixels_of(model, image),
            torch.tensor([ids]),
            do_sample=False,
            max_new_tokens=6,
            suppress_tokens=tokenizer.never_generated(320),
        )[0].tolist()[len(ids) :]
        written = out[: out.index(tokenizer.end)] if tokenizer.end in out else out
        assert tokenizer.decode(written) == answer
        said = f" {first.strip()}. Question: is it red? Answer:"
    assert run(["ask", str(image), "what is it?", "--model", str(ours), "--top", "2", "--json"]) == 0
    (found,) = lines(capsys)
    assert len(found["answers"]) == 2


def test_over_t5_nothing_is_asked_yet(over_t5, images, capsys):
    assert run(["ask", str(images[0]), "what is it?", "--model", str(over_t5[1])]) == 2
    assert "answers no questions about images" in capsys.readouterr().err
    assert run(["chat", str(images[0]), "--model", str(over_t5[1])]) == 2
    assert "is not an image reader" in capsys.readouterr().err


def test_what_goes_out_generates_the_same_in_the_reference(over_each, images, tmp_path):
    reference, ours = over_each
    export_model(ours, tmp_path / "out")
    again = type(reference).from_pretrained(tmp_path / "out").eval()
    pixels = pixels_of(load_model(ours, "cpu"), images[0])
    how = {"do_sample": False, "max_new_tokens": 20}
    assert again.generate(pixels, **how).tolist() == reference.generate(pixels, **how).tolist()
    import_model(str(tmp_path / "out"), tmp_path / "again")
    assert load_model(tmp_path / "again").hash == load_model(ours).hash
