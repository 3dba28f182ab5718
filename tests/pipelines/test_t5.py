"""T5 by itself: it reads a text and writes another."""

import json

import pytest
import torch

from showtell.cli.main import run
from showtell.errors import UserError
from showtell.pipelines.generate import generate
from showtell.pipelines.import_model import import_model
from showtell.pipelines.model import load_model
from support.blip2 import t5_parts
from support.hf import untied

TEXT = "translate this to german"


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """The reference and the folder of the imported model."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("t5")
    made, config = t5_parts(folder / "letters")
    torch.manual_seed(0)
    reference = untied(transformers.T5ForConditionalGeneration(config)).eval()
    with torch.no_grad():
        for weight in reference.parameters():
            weight.add_(torch.randn_like(weight) * 0.9)
    reference.save_pretrained(folder / "theirs")
    (folder / "theirs" / "tokenizer.json").write_text(json.dumps(made))
    import_model(str(folder / "theirs"), folder / "ours")
    return reference, folder / "ours"


def test_it_writes_what_the_reference_writes(given, capsys):
    (reference, ours), written = given, {}
    tokenizer = load_model(ours, "cpu").tokenizer
    for text in (TEXT, "a dog"):
        ids = torch.tensor([[*tokenizer.pieces(text).ids, tokenizer.end]])
        how = {"max_new_tokens": 9, "do_sample": False, "suppress_tokens": tokenizer.never_generated(40)}
        expected = tokenizer.decode(reference.generate(ids, **how)[0].tolist())
        assert run(["generate", text, "--model", str(ours), "--max-tokens", "9", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["text"], found["completion"], found["cut"]) == (text, expected, 0)
        written[text] = expected
    assert written[TEXT] != written["a dog"]
    assert run(["generate", TEXT, "--model", str(ours), "--max-tokens", "9"]) == 0
    assert capsys.readouterr().out == written[TEXT] + "\n"


def test_of_a_text_that_is_too_long_the_end_is_read_or_none(given):
    model = load_model(given[1], "cpu")
    end = generate("b" * 510 + " c", model, 5)
    assert generate("a" * 900 + "b" * 510 + " c", model, 5).completion == end.completion
    assert generate("a" * 900 + "b" * 510 + " c", model, 5).cut == 902
    with pytest.raises(UserError, match=r"has 1414 tokens, and the model reads at most 512"):
        generate("a" * 900 + "b" * 510 + " c", model, 5, strict=True)


def test_it_answers_no_messages_and_captions_no_images(given, capsys):
    assert run(["generate", TEXT, "--chat", "--model", str(given[1])]) == 2
    assert "is not a causal language model" in capsys.readouterr().err
    assert "writes another" in (given[1] / "README.md").read_text()
