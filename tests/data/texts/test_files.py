"""Text files become documents, sentences and a corpus; nothing is lost, and errors name the line."""

import gzip
import json
import lzma
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from showtell.data.texts import files
from showtell.data.texts.corpus import tokenise
from showtell.data.texts.files import Layout, documents, layout_of, text_files
from showtell.data.texts.sentences import split_sentences
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import UserError
from showtell.progress import shown_by


def read(file: Path) -> list[str]:
    return list(documents(file, layout_of(file)))


def write(file: Path, content: str | bytes) -> Path:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


@pytest.mark.parametrize(
    ("content", "layout", "expected"),
    [
        ("one\ntwo\n", Layout.LINES, ["one", "two"]),
        ("\n\none\ntwo\n\n\n", Layout.LINES, ["one", "two"]),
        ("one\nline two\n\n \t\nthree", Layout.BLANK, ["one\nline two", "three"]),
        ("one\r\n\r\ntwo\r\n", Layout.BLANK, ["one", "two"]),
        ("\ufeffone\ntwo", Layout.LINES, ["one", "two"]),
        ("a<br /><br>b\n<BR/>\nc", Layout.LINES, ["a\nb", "c"]),
        ("", Layout.LINES, []),
        (" \n\n", Layout.LINES, []),
    ],
)
def test_documents_are_separated_as_in_the_file(tmp_path, content, layout, expected) -> None:
    file = write(tmp_path / "a.txt", content)
    assert layout_of(file) is layout
    assert read(file) == expected


def test_compressed_files_read_as_plain_ones(tmp_path) -> None:
    records = (
        "".join(json.dumps({"text": text, "n": 1}) + "\n" for text in ("einé", "", "zwei\nlines")) + "\n"
    )
    for name, content in {"a.txt": "einé\n\nzwei\nlines", "b.jsonl": records}.items():
        for ending, pack in {"": bytes, ".xz": lzma.compress, ".gz": gzip.compress}.items():
            assert read(write(tmp_path / (name + ending), pack(content.encode()))) == ["einé", "zwei\nlines"]
    assert [file.name for file in text_files(tmp_path)] == sorted(file.name for file in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"good\ncaf\xe9\n", "a.txt, line 2: is not UTF-8"),
        ("a.txt", "one\n".encode("utf-16"), "a.txt, line 1"),
        ("a.txt", b"good\nPK\0\1", "a.txt, line 2: holds a zero byte"),
        ("a.jsonl", b'{"text": "a"}\n{"text": ', "a.jsonl, line 2: is not valid JSON"),
        ("a.jsonl", b'\n{"words": "a"}', "a.jsonl, line 2: has no text"),
        ("a.jsonl", b'{"text": 3}', "a.jsonl, line 1: has no text"),
        ("a.jsonl", b"[" * 100_000, "a.jsonl, line 1"),
        ("a.txt.xz", b"not packed", "a.txt.xz cannot be decompressed"),
        ("a.txt.gz", b"not packed", "a.txt.gz cannot be decompressed"),
        ("a.txt.xz", lzma.compress(b"one\ntwo\n" * 99)[:-30], "a.txt.xz cannot be decompressed"),
        ("a.txt.gz", gzip.compress(b"one\ntwo\n" * 99, mtime=0)[:-30], "a.txt.gz cannot be decompressed"),
    ],
)
def test_what_is_broken_is_named_with_its_line(tmp_path, name, content, message) -> None:
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        read(write(tmp_path / name, content))


def test_a_place_without_texts_is_named(tmp_path) -> None:
    write(tmp_path / ".hidden.txt", "x")
    write(tmp_path / "image.jpg", "x")
    with pytest.raises(UserError, match="holds no text files"):
        text_files(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        text_files(tmp_path / "nowhere")
    file = write(tmp_path / "shut.txt", "x")
    file.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        layout_of(file)


def test_real_files_are_read_as_what_they_are(shared_data) -> None:
    counts = {
        "brown": (Layout.BLANK, 500),
        "gutenberg": (Layout.BLANK, 17),
        "wikitext103_valid": (Layout.LINES, 2461),
    }
    for name, (layout, count) in counts.items():
        file = shared_data / "text" / f"{name}.txt.xz"
        assert layout_of(file) is layout
        found = read(file)
        assert len(found) == count
        assert all(document == document.strip() != "" for document in found)


@pytest.mark.parametrize(
    "sentences",
    [
        ["One.", " Two!", " Three?! and", "\nfour"],
        ["He said No. 5 was Mr. Smith of the U.S. Army.", " Yes."],
        ['"Why?" he asked.', ' "Because!"', " (Really.)", " So"],
        ["It cost 3.5 dollars...", " Then e.g. more."],
        ["他来了。", "“走吧！”", "好"],
        ["a line", "\nanother line", "\n\nafter a blank"],
        ["The film , she said .", " `` Good ! ''", " It ended ."],
        ["on Aug. 31 it rained", "\nJ. R. R. Tolkien wrote."],
        ["यह है।", " वह है।"],
    ],
)
def test_sentences_end_where_a_reader_would_end_them(sentences) -> None:
    assert split_sentences("".join(sentences)) == sentences


@pytest.mark.parametrize("odd", [".", " ", ". ", "a.", " ''", "\n", " \n", '"'])
def test_a_hundred_thousand_of_anything_are_split_at_once(odd) -> None:
    text = f"a. {odd * 100_000}"
    assert "".join(split_sentences(text)) == text
    assert "".join(split_sentences(text + "x")) == text + "x"


@given(st.text(st.sampled_from("aB .!?\n。'\"”1\u3000\t")) | st.text())
def test_sentences_joined_are_the_text(text: str) -> None:
    sentences = split_sentences(text)
    assert "".join(sentences) == text
    assert all(sentence.strip() for sentence in sentences) or len(sentences) == 1


@pytest.fixture(scope="module")
def tokenizers() -> list[SubwordTokenizer]:
    texts = ["The dog sat. It was low, lower, lowest!", "newest wider 中文 é\n\nwidest"] * 3
    return [
        SubwordTokenizer.train(texts, "wordpiece", 120),
        SubwordTokenizer.train(texts, "bpe", 300, "gpt2"),
    ]


DOCUMENTS = st.lists(
    st.lists(st.sampled_from(["The dog sat.", "It was low!", "\n", "lowest", "\u200b", "\0", "é?"])).map(
        " ".join
    )
)


@settings(deadline=None)
@given(DOCUMENTS)
def test_a_corpus_holds_every_token_of_every_document(tokenizers, texts) -> None:
    for tokenizer in tokenizers:
        corpus = tokenise(texts, tokenizer)
        whole = [tokenizer.pieces(text) for text in texts]
        assert corpus.ids.tolist() == [i for pieces in whole for i in pieces.ids]
        held = [pieces for pieces in whole if pieces.ids]
        edges = np.cumsum([0, *(len(pieces.ids) for pieces in held)])
        assert corpus.edges.tolist() == edges.tolist()
        assert (np.diff(corpus.sentences) > 0).all()
        assert (np.diff(corpus.documents) > 0).all()
        begins = [g != h for p in held for g, h in zip(p.groups, [-1, *p.groups], strict=False)]
        assert corpus.begins.tolist() == begins


def test_a_corpus_is_small_and_reports_progress(tokenizers) -> None:
    told: list[tuple[int, int]] = []
    with shown_by(lambda what, done, total, note: told.append((done, total))):
        corpus = tokenise(["The dog sat."] * 600, tokenizers[0])
    assert corpus.ids.dtype == np.uint16
    assert told == [(256, 600), (512, 600), (600, 600)]
    assert len(tokenise([], tokenizers[0]).ids) == 0


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", "é" * 900 + "\nshort\n" + "b" * 700, ["é" * 32, "short", "b" * 64]),
        ("a.txt", "one\n" * 50 + "\nshort", ["one\n" * 16, "short"]),
        ("a.txt", "x" * 64 + "\r\n" + "y" * 64, ["x" * 64, "y" * 64]),
        ("a.jsonl", json.dumps({"text": "é" * 900, "n": 1}) + '\n{"text": "short"}', ["é" * 9, "short"]),
    ],
)
@pytest.mark.parametrize(("ending", "pack"), [("", bytes), (".xz", lzma.compress), (".gz", gzip.compress)])
def test_a_long_document_is_cut_and_counted(
    tmp_path, monkeypatch, caplog, name, content, expected, ending, pack
) -> None:
    monkeypatch.setattr(files, "LONGEST", 64)
    found = read(write(tmp_path / (name + ending), pack(content.encode())))
    assert found == [text.strip() for text in expected]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == (not expected[0].startswith("x"))
    assert all("longer than 64 bytes cut there, the first at line " in message for message in said)


def test_a_line_that_unpacks_to_much_is_read_as_a_stream(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(files, "LONGEST", 1 << 16)
    with lzma.open(tmp_path / "a.txt.xz", "wb") as out:
        for _ in range(32):
            out.write(b"a" * (1 << 20))
    tracemalloc.start()
    try:
        (found,) = read(tmp_path / "a.txt.xz")
        assert tracemalloc.get_traced_memory()[1] < 1 << 24  # the dictionary of xz is half of it
    finally:
        tracemalloc.stop()
    assert found == "a" * (1 << 16)


def test_a_long_line_of_a_table_is_named(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(files, "LONGEST", 64)
    with pytest.raises(UserError, match=r"a\.tsv, line 2: is longer than 64 bytes"):
        list(files.lines(write(tmp_path / "a.tsv", "text\tlabel\n" + "x" * 99)))
