"""`showtell search`: mistakes are named before the library is opened."""

from showtell.cli.main import run


def test_a_model_that_an_engine_does_not_take_is_no_fault_of_the_library(tmp_path, capsys) -> None:
    command = ["search", "a dog", "--library", str(tmp_path / "none"), "--model", "default"]
    assert run([*command, "--engine", "rerank"]) == 2
    assert "is not a pair scorer" in capsys.readouterr().err
    assert run([*command, "--engine", "likelihood"]) == 1
    assert "is not a library" in capsys.readouterr().err
