"""The command as a process: signals, pipes, odd names, a hostile folder."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from showtell.cli.main import run
from support import hostile

SHOWTELL = [sys.executable, "-m", "showtell"]


def test_a_closed_pipe_ends_it_quietly() -> None:
    process = subprocess.Popen([*SHOWTELL, "--version"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait() == -signal.SIGPIPE
    assert process.stderr.read() == b""


def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        version, env = (
            subprocess.run([*SHOWTELL, *verb], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
            for verb in (["--version"], ["env", "--json"])
        )
    for done in (version, env):
        assert done.returncode == 1
        assert done.stderr.startswith("showtell: ")
        assert "Traceback" not in done.stderr
    assert "standard output: No space left" in env.stderr


def test_closed_streams(tmp_path: Path) -> None:
    def shell(line: str) -> subprocess.CompletedProcess[str]:
        whole = f"{sys.executable} -m showtell {line}"
        return subprocess.run(whole, shell=True, capture_output=True, text=True, check=False)

    empty = shell("caption - --json <&-")
    said = "standard input is empty: there is nothing to do\n"
    assert (empty.returncode, empty.stdout, empty.stderr) == (0, "", said)
    lost = shell("--version >&-")
    assert lost.returncode == 1
    assert lost.stderr.startswith("showtell: standard output is closed")
    assert shell("caption nowhere.png 2>&-").returncode == 1


def test_queries_are_answered_one_by_one_and_ctrl_c_is_130(checkpoint: Path, tmp_path: Path) -> None:
    image = tmp_path / "images" / "one.png"
    image.parent.mkdir()
    hostile.photograph(1).save(image)
    library = tmp_path / "library"
    assert run(["index", str(image.parent), "--library", str(library), "--model", str(checkpoint)]) == 0
    arguments = ["search", "-", "--library", str(library), "--model", str(checkpoint), "--json"]
    process = subprocess.Popen(
        [*SHOWTELL, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for query in ("a dog", "the sky"):
        process.stdin.write(f"{query}\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["query"] == query
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 130
    assert process.communicate()[1] == ""


def test_a_hostile_folder_loses_nothing(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOWTELL_MODEL", str(checkpoint))
    expected = hostile.build(tmp_path / "hostile")
    fates = list(expected.values())
    capsys.readouterr()
    assert run(["index", str(tmp_path / "hostile"), "--library", str(tmp_path / "library"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["added"] == fates.count("ok")
    assert report["skipped"] == fates.count("skip")
    assert report["added"] + report["skipped"] == len(fates)

    assert run(["caption", str(tmp_path / "hostile"), "--json"]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == fates.count("ok")
    passed_over, *skipped = err.splitlines()
    assert passed_over.endswith("1 hidden or system item passed over: ._plain.jpg")
    assert len(skipped) == fates.count("skip")
    for line in map(json.loads, out.splitlines()):
        assert expected[os.path.relpath(line["path"], tmp_path / "hostile")] == "ok"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_not_utf8_can_be_read_back_from_the_json(checkpoint: Path, tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.png"
    hostile.photograph(1).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(os.fsdecode(name))
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [*SHOWTELL, "caption", name, "--model", checkpoint, "--json"],
        env=environment,
        capture_output=True,
        check=True,
    )
    assert os.fsencode(json.loads(done.stdout)["path"]) == name


@pytest.mark.parametrize("engine", [pytest.param("likelihood", marks=pytest.mark.slow), "captions"])
def test_a_query_that_is_not_utf8(checkpoint: Path, tmp_path: Path, engine: str) -> None:
    (tmp_path / "images").mkdir()
    hostile.photograph(1).save(tmp_path / "images" / "one.png")
    options = ["--library", str(tmp_path / "library"), "--model", str(checkpoint), "--json"]
    assert run(["index", str(tmp_path / "images"), *options]) == 0
    search = [*SHOWTELL, "search", *options, "--engine", engine]
    done = subprocess.run([*search, b"a dog caf\xe9"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    queries = b"a dog caf\xe9\n\xff\na dog\n"
    done = subprocess.run([*search, "-"], input=queries, capture_output=True, check=False)
    assert b"internal error" not in done.stderr
    assert done.returncode == (1 if engine == "likelihood" else 0)  # of the lone \xff it knows no word
    if engine == "likelihood":
        assert [json.loads(line)["query"] for line in done.stdout.splitlines()] == [
            "a dog caf\udce9",
            "a dog",
        ]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_path_on_standard_input_keeps_its_bytes(checkpoint: Path, tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.png"
    hostile.photograph(1).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(os.fsdecode(name))
    done = subprocess.run(
        [*SHOWTELL, "caption", "-", "--model", checkpoint, "--json"],
        input=name + b"\n",
        capture_output=True,
        check=True,
    )
    assert os.fsencode(json.loads(done.stdout)["path"]) == name
