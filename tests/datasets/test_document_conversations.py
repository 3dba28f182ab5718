"""Documents as a language model is tuned on them: asked as `extract` asks, answered as its grammar writes."""

import json
from dataclasses import asdict

import pytest

from showtell.data.documents.materials import DEFAULT_SCHEMA, KIND, MATERIALS, schema_of
from showtell.data.tokenizers.chat import parts_of
from showtell.datasets.conversations import read_divided
from showtell.errors import UsageError, UserError
from showtell.pipelines.document_readers import LanguageReader
from showtell.pipelines.model import Model
from showtell.tasks.documents import asked_of_image
from showtell.tasks.grammar import accepts
from showtell.tasks.pen import Piece
from support.documents import receipt, receipts

pytest.importorskip("llguidance")


def rewrite(folder, change) -> None:
    """Change each row of a data set, a dict, in place."""
    file = folder / "materials.jsonl"
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    for number, row in enumerate(rows):
        change(number, row)
    file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Six receipts, the last two held out; what is printed on the others is known, and no image is read."""

    def divided(number, row) -> None:
        row["split"] = "val" if number >= 4 else "train"
        if number < 4:
            row["lines"] = [asdict(line) for line in receipt(number)[1]]

    def refuse() -> None:
        raise AssertionError("an image was read")

    receipts(tmp_path / "data", 6, lambda *_: None)
    rewrite(tmp_path / "data", divided)
    monkeypatch.setattr("showtell.datasets.printed_text.TextReader", refuse)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "data"


def test_a_tuned_model_is_asked_as_it_was_trained(data, monkeypatch) -> None:
    found = read_divided(data, None, 0)
    model = Model(None, None, None, "", "tuned", document_schema=found.schema)
    reader, asked = LanguageReader(model), []

    def stream(messages, model, max_tokens, schema):
        asked.append((messages, schema))
        yield Piece("[]", 1, 1, "stop")

    monkeypatch.setattr("showtell.pipelines.document_readers.stream", stream)
    for number, one in enumerate(found.training):
        reader(receipt(number)[1], reader.schema)
        messages, schema = asked.pop()
        (question, answer) = one.messages
        assert messages == [{"role": question.role, "content": question.content}]
        assert schema == found.schema == schema_of({"receipt": MATERIALS["receipt"]})
        assert accepts(schema, answer.content)
        assert json.loads(answer.content) == [receipt(number)[0]]
    assert LanguageReader(Model(None, None, None, "", "untuned")).schema == DEFAULT_SCHEMA


def test_documents_that_are_held_out_are_not_read(data, caplog) -> None:
    with caplog.at_level("INFO"):
        found = read_divided(data, None, 0.3)
    assert "2 documents held out, not read" in caplog.text
    said = sorted(one.where.rpartition("/")[2] for one in (*found.training, *found.validation))
    assert said == ["0.png", "1.png", "2.png", "3.png"]
    assert found.validation


def test_answers_have_the_order_of_the_schema_and_no_empty_fields(data) -> None:
    def other(number, row) -> None:
        if number == 1:
            row["materials"] = [
                {"total": "9.00", KIND: "receipt", "vat": "6 %", "date": "", "company": "A\nB"},
                {KIND: "pass", "to": "X"},
            ]

    rewrite(data, other)
    found = read_divided(data, None, 0)
    kinds = {"receipt": [*MATERIALS["receipt"], "vat"], "pass": ["to"]}
    assert found.schema == schema_of(kinds)
    answer = found.training[1].messages[1].content
    fields = {KIND: "receipt", "company": "A B", "total": "9.00", "vat": "6 %"}
    assert answer == json.dumps([fields, {KIND: "pass", "to": "X"}], ensure_ascii=False)


def test_documents_that_cannot_be_written_are_left_out_and_counted(data, caplog) -> None:
    def long(number, row) -> None:
        row["materials"][0]["company"] = "A" * (300 if number < last else 20)

    last = 1
    rewrite(data, long)
    assert len(read_divided(data, None, 0).training) == 3
    assert "1 document left out, whose materials cannot be written; the first: " in caplog.text
    assert "0.png: what was found does not keep the schema" in caplog.text
    last = 4
    rewrite(data, long)
    with pytest.raises(UserError, match=r"no document is left to train on; the first: .*0\.png"):
        read_divided(data, None, 0)


def test_a_model_that_sees_is_shown_the_image(data) -> None:
    found = read_divided(data, None, 0, seeing=True)
    for number, one in enumerate(found.training):
        assert one.images == (data / f"{number}.png",)
        assert parts_of(one.messages[0].content) == asked_of_image(found.schema)[0]["content"]


def test_conversations_beside_documents_come_first_and_formats_are_not_guessed(data) -> None:
    with pytest.raises(UsageError, match="recognised by their files; leave out --format sroie"):
        read_divided(data, "sroie", 0)
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    (data / "chats.json").write_text(json.dumps([{"messages": messages}]))
    found = read_divided(data, None, 0)
    assert (len(found.training), found.schema) == (1, None)
