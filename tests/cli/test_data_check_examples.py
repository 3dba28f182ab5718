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


def test_texts_are_counted_as_a_run_divides_them(ask, tmp_path) -> None:
    (tmp_path / "plain.txt").write_text("".join(f"Cat {n} sat.\n" for n in range(40)))
    status, (report,), _ = ask("data", "check", tmp_path / "plain.txt")
    assert (status, report["format"], report["classes"]) == (0, "texts", [])
    assert sum(report["splits"].values()) == 40
    assert report["splits"]["held out"] > 0
    assert ask("data", "check", tmp_path)[1][0]["splits"] == report["splits"]
    (tmp_path / "plain.txt").write_bytes(b"A cat sat.\nA dog \xff ran.\n")
    status, _, said = ask("data", "check", tmp_path)
    assert status == 1
    assert "plain.txt, line 2: is not UTF-8" in said


def test_labelled_texts_are_counted_with_their_classes(ask, tmp_path) -> None:
    (tmp_path / "train.tsv").write_text("sentence\tlabel\ngood\t1\nbad\t0\n \t0\n")
    (tmp_path / "test.tsv").write_text("sentence\tlabel\nfine\t1\n")
    status, (report,), _ = ask("data", "check", tmp_path)
    assert (status, report["format"]) == (0, "labelled texts")
    assert report["splits"] == {"train": 2, "held out": 1}
    assert (report["classes"], report["empty"]) == (["0", "1"], 1)


def test_captions_without_their_images_are_no_texts(ask, tmp_path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"file_name": "nowhere-1.jpg", "text": "A cat."}\n' * 3)
    status, _, said = ask("data", "check", tmp_path)
    assert status == 1
    assert "nowhere-1.jpg" in said
    (tmp_path / "rows.jsonl").unlink()
    (tmp_path / "captions.txt").write_text("image,caption\nnowhere-1.jpg,A cat.\nnowhere-2.jpg,A dog.\n")
    assert "holds no images" in ask("data", "check", tmp_path)[2]


def test_what_was_looked_for_names_every_kind_of_data(ask, tmp_path) -> None:
    (tmp_path / "odd.json").write_text('{"data": 5}')
    status, _, said = ask("data", "check", tmp_path)
    assert status == 1
    for part in ("karpathy:", "squad:", "image_table:", "texts:"):
        assert part in said
