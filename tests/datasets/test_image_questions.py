import json
import logging
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from showtell.data.features import FeatureCache
from showtell.datasets.image_questions import load_images, read_image_questions, read_split

ROW = {"image": "a.png", "question": "what?", "answer": "dog"}


def write(folder: Path, **splits: list) -> Path:
    for name in ("a", "b", "c"):
        Image.new("RGB", (4, 4), (ord(name), 0, 0)).save(folder / f"{name}.png")
    for split, rows in splits.items():
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def test_answers_are_those_of_training_alone_and_the_unknown_are_counted(tmp_path: Path, caplog) -> None:
    val = [{**ROW, "image": "b.png", "answer": "zebra"}, {**ROW, "image": "c.png"}]
    data = write(tmp_path, train=[ROW, ROW, {**ROW, "answer": "cat"}], val=val)
    found = read_image_questions(data, at_least=2)
    assert found.answers == ("dog",)
    assert (found.num_training, len(found.validation)) == (2, 2)
    assert found.exclusive
    assert "1 training question left out" in caplog.text
    assert "1 question with an answer outside the 1 of training: counted as wrong" in caplog.text


def test_questions_about_one_image_where_most_are_about_two(tmp_path: Path, caplog) -> None:
    two = {**ROW, "images": ["a.png", "b.png"]}
    data = write(tmp_path, train=[two, two, ROW], val=[{**two, "images": ["b.png", "c.png"]}])
    found = read_image_questions(data)
    assert (found.num_images, found.num_training) == (2, 2)
    assert "1 question left out: not about 2 images" in caplog.text


def test_soft_answers_do_not_exclude_each_other(tmp_path: Path) -> None:
    rows = [{**ROW, "answer": None, "answers": ["dog", "dog", "cat"]}]
    data = write(tmp_path, train=rows, val=[{**ROW, "image": "b.png"}])
    assert not read_image_questions(data).exclusive


def test_the_hash_does_not_depend_on_the_folder(tmp_path: Path) -> None:
    hashes = set()
    for place in ("x/data", "y/data"):
        (tmp_path / place).mkdir(parents=True)
        rows = {"train": [ROW], "val": [{**ROW, "image": "b.png"}]}
        hashes.add(read_image_questions(write(tmp_path / place, **rows)).hash)
    assert len(hashes) == 1


def test_images_and_scores_of_questions(tmp_path: Path, caplog) -> None:
    caplog.set_level(logging.INFO)
    rows = [ROW, {**ROW, "image": "b.png", "answers": ["dog", "cat"]}, {**ROW, "image": "c.png"}]
    data = write(tmp_path, test=rows)
    (data / "c.png").write_bytes(b"no image")
    cache = FeatureCache(
        tmp_path / "cache", "", "x", lambda p: torch.from_numpy(p).permute(0, 3, 1, 2), (3, 4, 4), 4, np.uint8
    )
    loaded = load_images(read_split(data, "test"), cache)
    assert len(loaded) == 2
    assert "1 question left out, whose images cannot be read" in caplog.text
    assert loaded.images([1, 0]).pixels[:, 0, 0, 0].tolist() == [ord("b"), ord("a")]
    scores = loaded.scores([0, 1], ["cat", "dog"])
    assert scores[0].tolist() == [0.0, 1.0]
    assert scores[1].tolist() == [0.5, 0.5]


def test_without_a_split_val_it_is_what_training_holds_out(tmp_path: Path, caplog) -> None:
    names = [f"{number}.png" for number in range(30)]
    for name in names:
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    rows = [{**ROW, "image": name} for name in names]
    (tmp_path / "questions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = read_image_questions(tmp_path)
    assert 0 < len(found.validation) < len(found.training)
    assert read_split(tmp_path, "val") == found.validation
    assert "to validate on, more than" not in caplog.text
    few = [*rows[:3], *({**ROW, "image": found.validation[0].images[0].name} for _ in range(9))]
    (tmp_path / "questions.jsonl").write_text("\n".join(map(json.dumps, few)))
    read_image_questions(tmp_path)
    assert "to validate on, more than the 2 to train on; add examples" in caplog.text
