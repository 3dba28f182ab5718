import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image

from showtell.data.check import unreadable_images
from showtell.data.qa.examples import ImageQuestion, images_of, unknown_answers
from showtell.data.qa.read import found_format, read_examples


def draw(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(folder / name)


def write_lines(file: Path, *rows: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(map(json.dumps, rows)))


def test_a_table_of_questions_in_each_of_its_spellings(tmp_path: Path) -> None:
    draw(tmp_path, ["train/a.png", "b.png"])
    rows = [
        {"image": "train/a.png", "question": "what is it?", "answer": "dog", "split": "train"},
        {"images": ["train/a.png", "b.png"], "question": "the same?", "answers": ["no", "no", "yes"]},
        {"image": "b.png", "question": "how many?", "answer": 2},
        {"image": "b.png", "question": "unknown?", "answer": ""},
    ]
    write_lines(tmp_path / "questions.jsonl", *rows)
    source = read_examples(tmp_path)
    assert source.format == "image_table"
    assert source.unlabelled == 1
    first, second, third = source.splits["train"] + source.splits[None]
    assert first == ImageQuestion((tmp_path / "train/a.png",), "what is it?", (("dog", 1.0),), "train")
    assert [path.name for path in second.images] == ["a.png", "b.png"]
    assert dict(second.answers)["no"] > dict(second.answers)["yes"] > 0
    assert third.labels == ["2"]
    (tmp_path / "questions.jsonl").write_text(json.dumps(rows[0]))
    for name, text in {
        "rows.json": json.dumps([rows[0]]),
        "rows.csv": "image,question,answer\ntrain/a.png,what is it?,dog\n",
        "rows.tsv": "image\tquestion\tanswer\ntrain/a.png\twhat is it?\tdog\n",
    }.items():
        (tmp_path / name).write_text(text)
        (found,) = next(iter(read_examples(tmp_path / name).splits.values()))
        assert (found.images, found.text, found.labels) == (first.images, first.text, ["dog"])


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"question": "what?", "answer": "dog"}, "names no image"),
        ({"image": "none.png", "question": "what?", "answer": "dog"}, "'none.png', which is missing"),
        ({"image": "a.png", "question": " ", "answer": "dog"}, "has no question"),
        ({"image": "a.png", "question": 7, "answer": "dog"}, "has no question"),
        ({"images": ["a.png"] * 3, "question": "what?", "answer": "dog"}, "names 3 images"),
        ({"image": "a.png", "question": "what?"}, "has no answer"),
        ({"image": "a.png", "question": "what?", "answer": {"a": 1}}, "has no answer"),
    ],
)
def test_a_bad_row_is_a_problem_with_its_line(tmp_path: Path, row: dict, says: str) -> None:
    draw(tmp_path, ["a.png"])
    good = {"image": "a.png", "question": "what?", "answer": "dog"}
    write_lines(tmp_path / "train.jsonl", good, row, good)
    source = read_examples(tmp_path)
    assert len(source.splits["train"]) == 2
    (problem,) = source.problems
    assert (problem.file.name, problem.line) == ("train.jsonl", 2)
    assert says in problem.what
    assert problem.fix


def vqa(folder: Path, split: str, questions: list, annotations: list | None) -> None:
    value = {"data_subtype": f"{split}2014", "questions": questions}
    (folder / f"v2_OpenEnded_mscoco_{split}2014_questions.json").write_text(json.dumps(value))
    if annotations is not None:
        file = folder / f"v2_mscoco_{split}2014_annotations.json"
        file.write_text(json.dumps({"annotations": annotations}))


def answers(*texts: str) -> list[dict]:
    return [{"answer": text, "answer_confidence": "yes"} for text in texts]


def test_vqa(tmp_path: Path) -> None:
    draw(
        tmp_path,
        ["images/train2014/COCO_train2014_000000000009.jpg", "images/val2014/COCO_val2014_000000000010.jpg"],
    )
    ten = ["The dog"] * 2 + ["dog."] + ["cat"] * 3 + [f"x{n}" for n in range(4)]
    asked = [
        {"image_id": 9, "question": "what?", "question_id": 90},
        {"image_id": 8, "question": "what?", "question_id": 80},
        {"question": "what?", "question_id": 70},
        {"image_id": 9, "question": "whose?", "question_id": 60},
    ]
    said = [{"question_id": number, "answers": answers(*ten)} for number in (90, 80, 70)]
    vqa(tmp_path, "train", asked, [*said, {"question_id": 50, "answers": []}])
    vqa(tmp_path, "val", [{"image_id": 10, "question": "who?", "question_id": 1}], None)
    source = read_examples(tmp_path)
    assert source.format == "vqa"
    (found,) = source.splits["train"]
    assert found.images[0].name == "COCO_train2014_000000000009.jpg"
    assert dict(found.answers) == {"dog": 0.9, "cat": 0.9, **{f"x{n}": 0.3 for n in range(4)}}
    assert source.unlabelled == 2  # one question of train, and all of val
    whats = [problem.what for problem in source.problems]
    assert "annotations[3] has no answers" in whats
    assert "questions[1] names the image 'COCO_train2014_000000000008', which is missing" in whats
    assert "questions[2] names no image" in whats


def test_gqa(tmp_path: Path) -> None:
    draw(tmp_path, ["images/12.jpg"])
    good = {"imageId": "12", "question": "Is it dark?", "answer": "yes", "fullAnswer": "Yes, it is."}
    rows = {"1": good, "2": {**good, "imageId": "13"}, "3": {"imageId": "12", "question": "Who?"}}
    (tmp_path / "train_balanced_questions.json").write_text(json.dumps(rows))
    (tmp_path / "testdev_balanced_questions.json").write_text(json.dumps({"4": good}))
    source = read_examples(tmp_path)
    assert source.format == "gqa"
    assert source.splits["train"] == [
        ImageQuestion((tmp_path / "images/12.jpg",), "Is it dark?", (("yes", 1.0),))
    ]
    assert len(source.splits["test"]) == 1
    assert source.unlabelled == 1
    (problem,) = source.problems
    assert "'2' names the image '13', which is missing" in problem.what


def test_coco_qa(tmp_path: Path) -> None:
    draw(tmp_path, ["train2014/COCO_train2014_000000000009.jpg"])
    (tmp_path / "train").mkdir()
    for name, text in {
        "questions.txt": "what is it ?\nwho is it ?\nwhere is it ?\n",
        "answers.txt": "dog\n\ncat\n",
        "img_ids.txt": "9\n9\n7\n",
        "types.txt": "0\n0\n3\n",
    }.items():
        (tmp_path / "train" / name).write_text(text)
    source = read_examples(tmp_path)
    assert source.format == "coco_qa"
    (found,) = source.splits["train"]
    assert (found.text, found.labels) == ("what is it ?", ["dog"])
    assert [(problem.line, problem.what.split(",")[0]) for problem in source.problems] == [
        (2, "has no answer"),
        (3, "names the image 'COCO_test2015_000000000007'"),
    ]
    (tmp_path / "train/img_ids.txt").write_text("9\n")
    (problem,) = read_examples(tmp_path).problems
    assert problem.unread


def test_easy_vqa_as_its_author_writes_it(tmp_path: Path) -> None:
    draw(tmp_path, ["train/images/0.png"])
    rows = [["what shape?", "circle", 0], ["what shape?", "circle", 1], ["what shape?", "circle"]]
    (tmp_path / "train/questions.json").write_text(json.dumps(rows))
    source = read_examples(tmp_path)
    assert source.format == "easy_vqa"
    (found,) = source.splits["train"]
    assert found.images == (tmp_path / "train/images/0.png",)
    assert [problem.what.split(" ")[0] for problem in source.problems] == ["[1]", "[2]"]


def test_nlvr(tmp_path: Path) -> None:
    draw(tmp_path, [f"train/images/90/train-3304-0-{order}.png" for order in (0, 5)])
    row = {"sentence": "There is a box.", "label": "true", "identifier": "3304-0", "directory": "90"}
    write_lines(tmp_path / "train/train.json", {**row, "structured_rep": []}, {**row, "identifier": "3304-1"})
    source = read_examples(tmp_path)
    assert source.format == "nlvr"
    assert [one.images[0].name for one in source.splits["train"]] == [
        "train-3304-0-0.png",
        "train-3304-0-5.png",
    ]
    assert source.splits["train"][0].labels == ["true"]
    (problem,) = source.problems
    assert "train-3304-1-0.png" in problem.what


def test_nlvr2_wants_both_images(tmp_path: Path) -> None:
    draw(tmp_path, ["dev/dev-1-0-img0.png", "dev/dev-1-0-img1.png", "dev/dev-2-0-img0.png"])
    row = {"sentence": "Both dogs run.", "label": "False", "left_url": "u", "right_url": "v"}
    write_lines(tmp_path / "dev.json", {**row, "identifier": "dev-1-0-0"}, {**row, "identifier": "dev-2-0-0"})
    source = read_examples(tmp_path)
    assert source.format == "nlvr2"
    (found,) = source.splits["val"]
    assert [path.name for path in found.images] == ["dev-1-0-img0.png", "dev-1-0-img1.png"]
    assert found.labels == ["false"]
    (problem,) = source.problems
    assert "dev-2-0-img1.png', which is missing" in problem.what


def test_snli_ve_is_not_entailment_of_texts(tmp_path: Path) -> None:
    draw(tmp_path, ["flickr30k_images/12.jpg"])
    row = {"Flickr30K_ID": "12", "sentence1": "A dog.", "sentence2": "A cat.", "gold_label": "contradiction"}
    write_lines(
        tmp_path / "snli_ve_dev.jsonl", row, {**row, "gold_label": "-"}, {**row, "Flickr30K_ID": "13"}
    )
    source = read_examples(tmp_path)
    assert source.format == "snli_ve"
    (found,) = source.splits["val"]
    assert (found.text, found.labels) == ("A cat.", ["contradiction"])
    assert source.unlabelled == 1
    assert len(source.problems) == 1


def test_captions_are_no_questions(tmp_path: Path) -> None:
    draw(tmp_path, ["a.png"])
    write_lines(tmp_path / "captions.jsonl", {"image": "a.png", "caption": "a dog"})
    (tmp_path / "captions.json").write_text(json.dumps({"images": [{"id": 1, "file_name": "a.png"}]}))
    (tmp_path / "captions.csv").write_text("image,caption\na.png,a dog\n")
    assert found_format(tmp_path) is None


def test_unreadable_images_and_unknown_answers_are_counted(tmp_path: Path) -> None:
    draw(tmp_path, ["a.png"])
    (tmp_path / "b.png").write_bytes(b"no image")
    row = {"image": "a.png", "question": "what?", "answer": "dog"}
    write_lines(tmp_path / "train.jsonl", row)
    write_lines(tmp_path / "val.jsonl", {**row, "answer": "cat"}, {**row, "image": "b.png"})
    source = read_examples(tmp_path)
    images = [image for some in source.splits.values() for one in some for image in images_of(one)]
    (problem,) = unreadable_images(images, "questions")
    assert problem.file.name == "b.png"
    assert unknown_answers(source) == 1


def test_real_questions_have_no_problems(shared_data: Path) -> None:
    for name, sizes in {
        "easy_vqa": {"train": 38575, "test": 9673},
        "nlvr": {"train": 3452, "val": 498},
    }.items():
        source = read_examples(shared_data / name)
        assert not source.problems
        assert {split: len(examples) for split, examples in source.splits.items()} == sizes
