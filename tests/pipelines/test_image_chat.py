"""Qwen-VL folders as published are read whole, and answered in batches as alone."""

import json
import shutil

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from showtell.errors import UsageError, UserError
from showtell.hub.qwen_vl import is_qwen_vl, load_qwen_vl
from showtell.pipelines.image_chat import load_image_chat
from showtell.pipelines.prompt import TooLongError
from showtell.tasks.grammar import SchemaError
from showtell.tasks.pen import Sampling
from support.qwen import FAMILIES, TEMPLATE, qwen_folder

transformers = pytest.importorskip("transformers", "5.24")
jsonschema = pytest.importorskip("jsonschema")
pytest.importorskip("llguidance")


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request, tmp_path_factory):
    return qwen_folder(tmp_path_factory.mktemp("qwen") / request.param, request.param)


@pytest.fixture(scope="module")
def model(folder):
    return load_image_chat(folder, "cpu")


def image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def asked(text: str, images: int = 0) -> list[dict]:
    parts = [{"type": "image"}] * images + [{"type": "text", "text": text}]
    return [{"role": "user", "content": parts if images else text}]


def answers(model, questions) -> list[tuple[str, str, int]]:
    """The texts of a batch, how they finished, and their tokens."""
    found = [[] for _ in questions]
    model.answer(questions, [lambda piece, row=row: row.append(piece) or True for row in found])
    return [("".join(p.text for p in row), row[-1].finish, row[-1].tokens) for row in found]


def test_the_prompt_is_that_of_transformers(folder, model) -> None:
    loaded = load_qwen_vl(folder)
    reference = transformers.AutoTokenizer.from_pretrained(folder, chat_template=TEMPLATE)
    messages = [{"role": "system", "content": "Be brief. 请"}, *asked("What is it?", 2)]
    prompt = loaded.read(messages, [image(100, 120), image(40, 200)])
    theirs = reference.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    merged = (prompt.grids.prod(1) // 4).tolist()
    expanded = iter(merged)
    pad = loaded.model.config.image_token_id
    assert prompt.ids == [one for i in theirs for one in [i] * (next(expanded) if i == pad else 1)]
    assert len(set(merged)) == 2
    assert len(prompt.pixels) == 4 * sum(merged)


def test_the_most_probable_answer_is_that_of_transformers(folder) -> None:
    """What the folder asks of `generate`, such as a penalty for repetition, is left out on both sides."""
    loaded, model = load_qwen_vl(folder), load_image_chat(folder, "cpu")
    messages, pixels = asked("The cat", 1), image(90, 60)
    expected = loaded.model.generate(
        **loaded.collate([loaded.read(messages, [pixels])]),
        max_new_tokens=12,
        bad_words_ids=[
            [i]
            for i in loaded.tokenizer.never_generated(loaded.model.lm_head.out_features)
            if i not in loaded.ends
        ],
        eos_token_id=list(loaded.ends),
    )
    prompt = loaded.read(messages, [pixels])
    ids = [i for i in expected[0, len(prompt.ids) :].tolist() if i not in loaded.ends]
    found = model.generate(messages, [pixels], Sampling(12))
    assert found.completion == loaded.tokenizer.decode(ids)
    assert found.tokens == len(ids)


SCHEMA = {
    "type": "object",
    "properties": {"文字材料类别": {"enum": ["收据", "身份证"]}, "n": {"type": "integer"}},
    "required": ["文字材料类别"],
    "additionalProperties": False,
}


def test_a_batch_is_answered_as_each_alone(model) -> None:
    def questions():
        return [
            model.question(asked("The cat sat"), [], Sampling(9)),
            model.question(asked("What?", 1), [image(80, 50)], Sampling(20, 1.3, 0.95, seed=5)),
            model.question(asked("What?", 2), [image(30, 90), image(60, 60)], Sampling(14, 1.0, 1.0, seed=1)),
            model.question(asked("收据", 1), [image(64, 64, 3)], Sampling(60, 1.0, 1.0, seed=2), SCHEMA),
            model.question(asked("mat. " * 20), [], Sampling(4, 2.0, 1.0, seed=9)),
        ]

    together = answers(model, questions())
    alone = [answers(model, [one])[0] for one in questions()]
    assert together == alone
    assert len({text for text, _, _ in together}) == 5
    jsonschema.validate(json.loads(together[3][0]), SCHEMA)


def test_an_answer_ends_before_a_stop_and_when_nobody_listens(model) -> None:
    same = Sampling(20, 1.5, 1.0, seed=3)
    text = model.generate(asked("The cat"), sampling=same).completion
    stop = text[len(text) // 2 : len(text) // 2 + 2]
    cut = model.generate(asked("The cat"), sampling=Sampling(20, 1.5, 1.0, 3, stops=("not there", stop)))
    assert cut.completion == text[: text.index(stop)]
    assert cut.finish == "stop"
    heard = []
    puts = [lambda piece: heard.append(piece) or len(heard) < 3, lambda piece: True]
    questions = [model.question(asked("The cat"), [], same) for _ in range(2)]
    model.answer(questions, puts)
    assert len(heard) == 3


def test_the_failure_of_one_row_is_not_that_of_the_others(model) -> None:
    questions = [model.question(asked("The cat"), [], Sampling(50), SCHEMA) for _ in range(2)]
    questions[0].answer.take = lambda token: 1 / 0
    found = [[], []]
    model.answer(questions, [lambda piece, row=row: row.append(piece) or True for row in found])
    assert isinstance(found[0][-1], ZeroDivisionError)
    assert found[1][-1].finish


VALUES = st.recursive(
    st.sampled_from(
        [
            {"type": "integer", "minimum": -5, "maximum": 4000},
            {"type": "string"},
            {"type": "string", "minLength": 3, "maxLength": 9},
            {"type": "string", "pattern": "^[0-9]{4}[A-F]$"},
            {"type": "string", "format": "date"},
            {"enum": ["营业执照", "收据", 3, None]},
            {"type": "boolean"},
            {"type": "number", "exclusiveMinimum": 0},
        ]
    ),
    lambda inner: st.one_of(
        st.builds(
            lambda item, least: {"type": "array", "items": item, "minItems": least}, inner, st.integers(0, 2)
        ),
        st.dictionaries(st.sampled_from(["号码", "total", "name", "x"]), inner, max_size=3).map(
            lambda fields: {
                "type": "object",
                "properties": fields,
                "required": sorted(fields)[:2],
                "additionalProperties": False,
            }
        ),
    ),
    max_leaves=4,
)


def check_random_schemas(model, examples: int) -> None:
    """Batches of eight schemas, each with a seed and a budget of its own."""
    seen = {"answered": 0, "refused": 0, "cut": 0}

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(VALUES, min_size=8, max_size=8), st.integers(0, 10**6))
    def check(schemas, seed) -> None:
        questions, kept = [], []
        for i, schema in enumerate(schemas):
            sampling = Sampling(8 + (seed + 13 * i) % 80, (0.0, 0.7, 1.5)[i % 3], (1.0, 0.9)[i % 2], seed + i)
            try:
                questions.append(model.question(asked("收据"), [], sampling, schema))
            except SchemaError:  # more tokens than the budget
                seen["refused"] += 1
            else:
                kept.append((schema, sampling))
        if questions:
            for (schema, sampling), (text, finish, tokens) in zip(
                kept, answers(model, questions), strict=True
            ):
                jsonschema.validate(json.loads(text), schema, format_checker=jsonschema.FormatChecker())
                assert tokens <= sampling.max_tokens
                seen["answered"] += 1
                seen["cut"] += finish == "length"

    check()
    assert seen["answered"] > 3 * examples
    assert seen["cut"] > 0


def test_random_schemas_are_kept_within_their_budgets(model) -> None:
    check_random_schemas(model, 2)


@pytest.mark.slow
def test_ten_thousand_random_schemas_are_kept(model) -> None:
    check_random_schemas(model, 420)  # of eight, for each of three families


def test_what_does_not_fit_is_refused(model) -> None:
    with pytest.raises(TooLongError, match=r"the messages have \d+ tokens .* reads 1024 in all"):
        model.question(asked("The cat sat on the mat. " * 200), [], Sampling(9))
    with pytest.raises(UserError, match="name 1 images, and 2 came"):
        model.question(asked("What?", 1), [image(30, 30), image(30, 30)], Sampling(9))
    with pytest.raises(UserError, match="name 0 images, and 1 came"):
        model.question(asked("What?"), [image(30, 30)], Sampling(9))
    with pytest.raises(UserError, match="aspect ratio"):
        model.question(asked("What?", 1), [image(1, 300)], Sampling(9))
    with pytest.raises(UserError, match=r"spells the special token <\|image_pad\|>"):
        model.question(asked("<|image_pad|>"), [], Sampling(9))
    with pytest.raises(SchemaError, match="tokens at least, and 5 may be written"):
        model.question(asked("What?"), [], Sampling(5), SCHEMA)


def test_an_image_is_no_larger_than_the_limit(folder) -> None:
    loaded = load_qwen_vl(folder, max_image_tokens=25)
    prompt = loaded.read(asked("What?", 1), [image(400, 300)])
    assert 12 < prompt.ids.count(loaded.model.config.image_token_id) <= 25
    with pytest.raises(UsageError, match="makes 64 tokens of an image at most, not 65"):
        load_qwen_vl(folder, max_image_tokens=65)


def test_a_damaged_folder_is_refused(folder, tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    assert is_qwen_vl(folder)
    assert not is_qwen_vl(tmp_path)
    copy = shutil.copytree(folder, tmp_path / "copy")
    whole = load_file(copy / "model.safetensors")
    name = max(name for name in whole if "mlp" in name)
    save_file({k: v for k, v in whole.items() if k != name}, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="lacks 1 tensors, such as"):
        load_qwen_vl(copy)
    with (copy / "model.safetensors").open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(UserError, match="cannot be read"):
        load_qwen_vl(copy)
    torch.save(whole, copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    with pytest.raises(UserError, match="cannot be read"):
        load_qwen_vl(copy)
    (copy / "chat_template.json").unlink()
    with pytest.raises(UserError, match="has no chat template"):
        load_qwen_vl(copy)


# Qwen3-VL was never published so.
@pytest.mark.parametrize("folder", ["qwen2_vl", "qwen2_5_vl"], indirect=True)
def test_the_flat_layout_of_older_folders_is_read(folder, model, tmp_path) -> None:
    """Until transformers 5 the settings of the text model stood at the root of `config.json`."""
    copy = shutil.copytree(folder, tmp_path / "flat")
    said = json.loads((copy / "config.json").read_text())
    text = said.pop("text_config")
    rope = text.pop("rope_parameters")
    text |= {"rope_theta": rope["rope_theta"], "rope_scaling": {"type": "mrope", **rope}}
    text["rope_scaling"] = {"type": "mrope", "mrope_section": rope["mrope_section"]}
    (copy / "config.json").write_text(json.dumps({**text, **said}))
    same = asked("The cat", 1), [image(50, 60)], Sampling(9, 1.0, 1.0, 4)
    assert load_image_chat(copy, "cpu").generate(*same) == model.generate(*same)
