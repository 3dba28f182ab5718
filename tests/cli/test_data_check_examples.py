def test_examples_are_checked_with_file_line_and_fix(ask, tmp_path) -> None:
    (tmp_path / "train.conll").write_text("A\tDET\n\ndog\n")
    status, (report,), said = ask("data", "check", tmp_path)
    assert status == 1
    assert report["splits"] == {"train": 1}
    (problem,) = report["problems"]
    assert problem["line"] == 3
    assert problem["file"].endswith("train.conll")
    assert "a tab and its tag" in problem["fix"]
    assert "1 problem" in said
    (tmp_path / "train.conll").write_text("A\tDET\n")
    assert ask("data", "check", tmp_path / "train.conll", "--format", "conll")[0] == 0
