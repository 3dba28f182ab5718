"""The command: what it prints where, with which exit status, and how soon."""

import json
import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from showtell.cli.main import run
from showtell.data.images.samples import sample_photographs
from showtell.errors import UserError
from showtell.hub.catalogue import all_packages
from showtell.pipelines.model import load_model
from support.checkpoints import tiny_checkpoint

PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "china.jpg", "rocket.jpg")


@pytest.fixture(scope="session")
def album(tmp_path_factory) -> Path:
    """Five photographs, two of them with names that need care."""
    folder = tmp_path_factory.mktemp("album")
    names = {"chelsea.png": "猫 在 100% 屋顶.png", "rocket.jpg": "sub folder/rocket.JPG"}
    for path in sample_photographs():
        if path.name in PHOTOGRAPHS:
            target = folder / names.get(path.name, path.name)
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, target)
    return folder


@pytest.fixture(scope="session")
def library(album: Path, checkpoint: Path, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("libraries") / "album"
    assert run(["index", str(album), "--library", str(folder), "--model", str(checkpoint)]) == 0
    return folder


@pytest.fixture(autouse=True)
def model(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOWTELL_MODEL", str(checkpoint))


def test_help_is_fast_and_imports_nothing_heavy() -> None:
    probe = "import showtell.cli.main, sys; print(*(m for m in sys.modules if '.' not in m))"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    heavy = {"torch", "numpy", "PIL", "pyarrow", "lancedb", "openvino", "sklearn", "tokenizers"}
    assert heavy & set(loaded.stdout.split()) == set()
    seconds = []
    for _ in range(3):
        before = os.times()
        subprocess.run([sys.executable, "-m", "showtell", "--help"], capture_output=True, check=True)
        after = os.times()
        seconds.append(sum(after[2:4]) - sum(before[2:4]))  # of children: others may keep the machine busy
    assert min(seconds) <= 0.5


@pytest.mark.parametrize(
    "verb",
    [
        *("demo", "caption", "classify", "embed", "index", "search", "similar", "train", "evaluate", "probe"),
        *("fill-mask", "generate", "import", "export", "models", "env", "chat", "ask"),
        *("explain", "words", "map", "data", "library", "tokenizer"),
        *("words.similar", "words.analogy", "map.words", "map.images", "data.check"),
        *("library.verify", "library.info", "library.forget", "tokenizer.train", "tokenizer.encode"),
    ],
)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture) -> None:
    assert run([*verb.split("."), "--help"]) == 0
    out, err = capsys.readouterr()
    assert f"showtell {verb.replace('.', ' ')}" in out
    assert err == ""


def test_help_is_wrapped_at_the_width_of_the_terminal(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 60)
    assert run(["explain", "--help"]) == 0
    above = capsys.readouterr().out.partition("╭")[0]
    (proof,) = [part for part in re.split(r"\n\s*\n", above) if "Integrated gradients" in part]
    lines = [line.split() for line in proof.splitlines()]
    assert len(lines) > 3
    for line, following in pairwise(lines):
        assert len(" ".join([*line, following[0]])) > 57  # the next word would not fit


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "dog", "--num", "2"], "No such option: --num; see showtell search --help"),
        (
            ["search", "a", "dog"],
            'Got unexpected extra argument(s) (dog); put what has spaces in "quotes"; see '
            "showtell search --help",
        ),
        (
            ["caption", "x.jpg", "--sample"],
            "Option '--sample' requires an argument; see showtell caption --help",
        ),
        (["words", "similar"], "Missing argument 'word'; see showtell words similar --help"),
        (["caption", "x.jpg", "--device", "tpu"], "--device tpu is not the name of a device; give KNOWN"),
        (["search"], "Missing argument 'query'; see showtell search --help"),
        (["captoin", "dog"], "No such command 'captoin'. Did you mean 'caption'? See showtell --help"),
    ],
)
def test_a_usage_error_says_what_is_wrong_and_where_to_look(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture
) -> None:
    from showtell.device import known_devices

    assert run(arguments) == 2
    message = message.replace("KNOWN", known_devices())
    assert capsys.readouterr().err == f"showtell: {message}\n"


def test_a_file_whose_name_begins_with_a_dash_can_be_named(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-dash.jpg").touch()
    assert run(["caption", "-dash.jpg"]) == 2
    assert "No such option: -d; to name that file write ./-dash.jpg; see" in capsys.readouterr().err


def test_facts_of_a_library_are_words(library: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(["library", "info", "--library", str(library)]) == 0
    facts = capsys.readouterr().out.splitlines()[-1].split()
    assert facts.count("yes") == 2  # captioned, up to date


def test_a_model_is_forgotten_by_its_folder(
    ask, album: Path, checkpoint: Path, clip: Path, tmp_path: Path
) -> None:
    library = tmp_path / "library"
    for model in (checkpoint, clip):
        status, _, said = ask("index", album, "--library", library, "--model", model)
        assert status == 0
    name = load_model(checkpoint, "cpu").name
    assert f"to drop them: showtell library forget {name} --library {library}" in said
    status, (forgotten,), _ = ask("library", "forget", checkpoint, "--library", library)
    assert (status, forgotten["forgotten"]) == (0, name)


def test_version_and_completion(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    import showtell

    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"showtell {showtell.__version__}\n"
    environment = {
        **os.environ,
        "_SHOWTELL_COMPLETE": "complete_bash",
        "COMP_WORDS": "showtell s",
        "COMP_CWORD": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "showtell"], env=environment, capture_output=True, text=True, check=False
    )
    assert {"search", "serve", "similar"} == set(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["caption", "a.jpg", "--beam", "abc"], "'--beam': expected a whole number; see"),
        (["caption", "a.jpg", "--beam", "0"], "'--beam': expected 1 or more; see"),
        (["serve", "--port", "99999"], "'--port': expected 65535 or less; see"),
        (["classify", "a.jpg"], "name labels with --labels"),
    ],
)
def test_a_wrong_value_is_said_in_plain_words(arguments, said, capsys) -> None:
    assert run(arguments) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["serch", "dog"],
        ["caption"],
        ["caption", "a.jpg", "--beam", "0"],
        ["caption", "a.jpg", "--sample", "greedy"],
        ["caption", "a.jpg", "--sample", "nucleus", "--beam", "3"],
        ["classify", "--texts", "what a film"],
        ["caption", "a.jpg", "--device", "quantum"],
        ["evaluate", "--data", "x", "--device", "quantum"],
        ["demo", "--device", "quantum"],
        ["search", "dog", "--engine", "magic"],
        ["search", "dog", "--loss-curve"],
        ["index"],
        ["map", "words", "--output", "map.txt"],
        ["words", "similar", "unicorn"],
        ["words", "similar", "two words"],
        ["train", "show_and_tel", "--data", "x", "--output", "y"],
        ["train", "show_and_tell", "--data", "x", "--output", "y", "--set", "train.stops=3"],
    ],
    ids=" ".join,
)
def test_a_usage_error_is_one_line_and_status_2(
    arguments: list[str], capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("showtell: ")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_no_verb_shows_the_verbs(capsys: pytest.CaptureFixture) -> None:
    assert run([]) == 2
    assert "search" in "".join(capsys.readouterr())


def test_a_traceback_only_in_debug_mode(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOWTELL_DEBUG", "1")
    assert run(["similar", "nowhere.jpg", "--library", "nowhere"]) == 1
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.delenv("SHOWTELL_DEBUG")
    assert run(["similar", "nowhere.jpg", "--library", "nowhere"]) == 1
    assert capsys.readouterr().err.startswith("showtell: there is no library nowhere")


def test_an_internal_error_asks_for_a_report(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("showtell.pipelines.environment.env", lambda: 1 / 0)
    assert run(["env"]) == 1
    assert "internal error: ZeroDivisionError" in capsys.readouterr().err


def test_caption_continues_after_an_unreadable_file(ask, album: Path, tmp_path: Path) -> None:
    bad = tmp_path / "坏.jpg"
    bad.write_bytes(b"")
    status, lines, err = ask(
        "caption", album / "astronaut.png", bad, album / "猫 在 100% 屋顶.png", "--num", 2
    )
    assert status == 1
    assert [Path(line["path"]).name for line in lines] == ["astronaut.png", "猫 在 100% 屋顶.png"]
    assert err == f"showtell: {bad}: is empty\n"
    for line in lines:
        assert set(line) == {"path", "captions", "model", "tags", "familiar", "familiarity"}
        assert line["model"].startswith("show_and_tell@")
        assert len(line["captions"]) == 2
        for caption in line["captions"]:
            assert set(caption) == {"text", "logprob", "logprob_per_token"}
            assert caption["logprob"] <= caption["logprob_per_token"] < 0


def test_caption_reads_paths_from_standard_input(ask, album: Path) -> None:
    files = sorted(album.glob("*.png"))
    status, lines, _ = ask("caption", "-", stdin="\n".join(map(str, files)) + "\n\n")
    assert status == 0
    assert [line["path"] for line in lines] == list(map(str, files))


@pytest.mark.parametrize("verb", ["index", "caption", "embed"])
def test_a_folder_without_images_is_a_failure(ask, tmp_path: Path, verb: str) -> None:
    (tmp_path / "empty").mkdir()
    options = ["--library", tmp_path / "library"] if verb == "index" else []
    status, _, err = ask(verb, tmp_path / "empty", *options)
    assert status == 1
    (line,) = err.splitlines()
    assert f"there are no images in {tmp_path / 'empty'}" in line
    assert not (tmp_path / "library").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses such names")
def test_a_line_break_in_a_name_breaks_no_line(album: Path, tmp_path: Path, capsys) -> None:
    folder, library = tmp_path / "images", str(tmp_path / "library")
    folder.mkdir()
    shutil.copy(album / "astronaut.png", folder / "two\nlines\t.png")
    (folder / "no\nimage.jpg").write_bytes(b"text")
    assert run(["caption", str(folder)]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == f"{folder}/two\\nlines\\t.png"
    assert err == f"showtell: {folder}/no\\nimage.jpg: is not an image: it looks like text\n"
    assert run(["index", str(folder), "--library", library, "--model", "default"]) == 0
    assert f"the first: {folder}/no\\nimage.jpg: is not" in capsys.readouterr().err
    (folder / "two\nlines\t.png").write_bytes(b"text")
    assert run(["library", "verify", "--library", library]) == 1
    changed = f"{folder}/two\\nlines\\t.png: its file has changed since it was indexed"
    assert capsys.readouterr().out.splitlines() == [changed]


def test_index_counts_and_then_has_nothing_to_do(ask, album: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(album, tmp_path / "album")
    (folder / "bad.jpg").write_bytes(b"<html>")
    library = tmp_path / "图书馆"
    status, (first,), err = ask("index", folder, "--library", library)
    assert status == 0
    assert (first["added"], first["skipped"], first["total"]) == (5, 1, 5)
    assert "skipped.jsonl; the first" in err
    assert "bad.jpg: is not an image" in err
    (skipped,) = map(json.loads, (library / "skipped.jsonl").read_text().splitlines())
    assert set(skipped) == {"path", "reason"}
    assert skipped["path"].endswith("bad.jpg")
    (folder / "astronaut.png").unlink()
    _, (second,), _ = ask("index", folder, "--library", library)
    assert (second["unchanged"], second["removed"], second["added"]) == (4, 1, 0)
    assert ask("library", "verify", "--library", library)[:2] == (0, [])
    (folder / "coffee.png").unlink()
    status, (problem,), _ = ask("library", "verify", "--library", library)
    assert status == 1
    assert problem["path"].endswith("coffee.png")


@pytest.mark.parametrize("engine", ["likelihood", "inversion"])
def test_search_ranks_every_image(ask, library: Path, engine: str) -> None:
    status, lines, err = ask("search", "a dog running", "--library", library, "--engine", engine)
    assert (status, err) == (0, "")
    assert [line["rank"] for line in lines] == [1, 2, 3, 4, 5]
    known = {"query", "rank", "path", "score", "engine", "tags", "familiar", "familiarity"}
    assert all({"query", "rank", "path", "score"} <= set(line) <= known for line in lines), lines[0]
    assert all(line["engine"] == engine for line in lines)
    scores = [line["score"] for line in lines]
    assert scores == sorted(scores, reverse=True)
    assert len({line["path"] for line in lines}) == 5
    assert (
        ask("search", "a dog running", "--library", library, "--engine", engine, "--top", 2)[1] == lines[:2]
    )


def test_search_in_captions_finds_what_a_person_wrote(ask, album: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(album, tmp_path / "album")
    (folder / "china.txt").write_text("A pagoda by the lake.\n")
    library = tmp_path / "library"
    assert ask("index", folder, "--library", library, "--no-captions")[1][0]["added"] == 5
    _, (hit,), _ = ask("search", "a PAGODA", "--library", library, "--engine", "captions")
    assert hit["path"] == str(folder / "china.jpg")
    assert hit["score"] > 0
    assert ask("search", "unheard", "--library", library, "--engine", "captions")[:2] == (0, [])


def test_inversion_shows_its_loss_curve(ask, library: Path) -> None:
    arguments = [
        "search",
        "red shirt",
        "--library",
        library,
        "--engine",
        "inversion",
        "--loss-curve",
        "--top",
        1,
    ]
    _, (hit, curve), _ = ask(*arguments)
    assert hit["rank"] == 1
    assert set(curve) == {"query", "loss_curve"}
    assert curve["loss_curve"][-1] < curve["loss_curve"][0]


def test_unknown_words_are_named_and_ignored(ask, library: Path) -> None:
    _, known, silence = ask("search", "a dog", "--library", library)
    status, lines, err = ask("search", "a zebra dog", "--library", library)
    assert (status, silence) == (0, "")
    assert "zebra" in err
    assert [(line["path"], line["score"]) for line in lines] == [
        (line["path"], line["score"]) for line in known
    ]
    status, lines, err = ask("search", "zebra crossing", "--library", library)
    assert (status, lines) == (2, [])
    assert err.count("\n") == 1


def test_many_queries_one_model_and_a_bad_one_between(ask, library: Path) -> None:
    status, lines, err = ask(
        "search", "-", "--library", library, "--top", 1, stdin="a dog\nzebra\n\nthe sky\n"
    )
    assert status == 1
    assert [line["query"] for line in lines] == ["a dog", "the sky"]
    assert "zebra" in err


def test_a_query_that_fails_does_not_end_the_stream(ask, library: Path, monkeypatch) -> None:
    from showtell.pipelines.search import Searcher

    search = Searcher.search

    def fail_once(self: Searcher, query: str, *rest: object):
        if query == "bad":
            raise UserError("the library is being written")
        return search(self, query, *rest)

    monkeypatch.setattr(Searcher, "search", fail_once)
    arguments = ["--library", library]
    status, lines, err = ask("search", "-", *arguments, stdin="bad\na dog\n")
    assert (status, err) == (1, "showtell: the library is being written\n")
    assert lines
    assert ask("search", "bad", *arguments)[0] == 1


def test_a_library_of_another_model_is_refused(ask, library: Path, tmp_path: Path) -> None:
    other = tiny_checkpoint(tmp_path / "other", seed=5)
    for arguments in (["search", "a dog"], ["similar", library / "library.json"]):
        status, lines, err = ask(*arguments, "--library", library, "--model", other)
        assert (status, lines) == (1, [])
        assert "has no vectors of show_and_tell@" in err


def test_similar_leaves_out_the_image_itself_but_not_its_copy(
    ask, album: Path, library: Path, tmp_path: Path
) -> None:
    _, lines, _ = ask("similar", album / "china.jpg", "--library", library)
    assert len(lines) == 4
    assert str(album / "china.jpg") not in {line["path"] for line in lines}
    copy = shutil.copyfile(album / "china.jpg", tmp_path / "copy.jpg")
    _, (nearest, *_), _ = ask("similar", copy, "--library", library)
    assert nearest["path"] == str(album / "china.jpg")
    assert nearest["score"] == pytest.approx(1, abs=1e-4)


def test_words(ask) -> None:
    status, lines, _ = ask("words", "similar", "dog", "--top", 3)
    assert status == 0
    assert [set(line) for line in lines] == [{"word", "score"}] * 3
    assert "dog" not in {line["word"] for line in lines}
    _, lines, _ = ask("words", "analogy", "man", "men", "woman")
    assert len(lines) == 10
    assert not {"man", "men", "woman"} & {line["word"] for line in lines}


def test_maps_are_files_whose_names_are_printed(ask, library: Path, tmp_path: Path) -> None:
    _, (words,), _ = ask("map", "words", "--output", tmp_path / "词.html")
    _, (images,), _ = ask("map", "images", "--library", library, "--output", tmp_path / "p.html")
    assert images["points"] == 5
    for drawn in (words, images):
        assert Path(drawn["output"]).is_file()
        assert Path(drawn["image"]).is_file()
    assert "motorcycle" in (tmp_path / "词.html").read_text()
    assert "屋顶" in (tmp_path / "p.html").read_text()


def test_data_check_says_where_and_fails(ask, album: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(album, tmp_path / "data")
    good = ["image,caption", *(f"{p.name},An image." for p in sorted(folder.glob("*.*")))]
    (folder / "sub folder" / "rocket.JPG").unlink()
    (folder / "captions.txt").write_text("\n".join(good) + "\n")
    status, (report,), _ = ask("data", "check", folder)
    assert (status, report["problems"], report["format"]) == (0, [], "flickr8k")
    assert report["images"] == 4
    (folder / "captions.txt").write_text("\n".join([*good, "missing.jpg,A ghost."]) + "\n")
    status, (report,), _ = ask("data", "check", folder)
    assert status == 1
    (problem,) = report["problems"]
    assert problem["line"] == 6
    assert problem["fix"]


def test_env_is_one_object(ask) -> None:
    status, (facts,), err = ask("env")
    assert (status, err) == (0, "")
    assert facts["packages"]["torch"]
    assert facts["cores"] >= 1
    assert facts["weights"] == {package.name: package.installed for package in all_packages()}
    assert any(facts["weights"].values())


def test_people_get_tables_without_colour_or_cut_paths(
    capsys: pytest.CaptureFixture, library: Path, album: Path
) -> None:
    capsys.readouterr()
    assert run(["search", "a dog", "--library", str(library)]) == 0
    out = capsys.readouterr().out
    assert str(album / "猫 在 100% 屋顶.png") in out
    assert "\x1b" not in out
    assert not any(line.endswith(" ") for line in out.splitlines())


def test_lists_of_figures_are_one_line_each(monkeypatch, capsys) -> None:
    figures = {"neighbours": {"boy": ["girl", "child"]}, "unreadable": []}
    monkeypatch.setattr("showtell.evaluation.evaluate.evaluate", lambda *_, **__: figures)
    assert run(["evaluate", "--data", "any"]) == 0
    rows = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert rows == [["figure", "value"], ["neighbours.boy", "girl, child"], ["unreadable", "none"]]
