"""Words of pages: how they are split, what is made of their labels, and that labels give the values back."""

import numpy as np
import pytest

from showtell.data.documents.materials import KIND
from showtell.datasets.printed_text import page_of
from showtell.tasks.page_words import Page
from showtell.tasks.word_fields import materials_of
from showtell.tasks.word_labels import NONE, labels_of
from support.documents import receipt


def page(*placed) -> Page:
    """Lines `(x, y, text)` of 20 pixels height, 10 pixels per character, Chinese ones 20."""
    boxes = []
    for x, y, text in placed:
        width = sum(20 if char > "\u3000" else 10 for char in text)
        boxes.append([[x, y], [x + width, y], [x + width, y + 20], [x, y + 20]])
    return Page([text for _, _, text in placed], np.array(boxes, float).reshape(-1, 4, 2))


def certain(labels: list[str]) -> tuple[np.ndarray, list[str]]:
    names = sorted({*labels, NONE})
    return np.eye(len(names))[[names.index(label) for label in labels]], names


@pytest.mark.parametrize("number", range(6))
def test_labels_of_a_receipt_give_its_values_back(number) -> None:
    material, lines = receipt(number)
    read = page_of(lines)
    labels = labels_of(read, [material])
    by_word = dict(zip((word.text for word in read.words), labels, strict=True))
    assert by_word["TOTAL"] == by_word["DATE:"] == by_word["BREAD"] == NONE
    assert by_word["JOHOR"] == "receipt/address+"
    (found,) = materials_of(read, *certain(labels))
    assert found == material | {"address": material["address"].replace(", 8", " 8")}


def test_values_that_are_misread_are_labelled_where_they_are_most_alike() -> None:
    read = page((0, 0, "SYARIKAI PERNIAGAAN G1N KEE"), (0, 40, "PERNIAGAAN"), (0, 80, "9.00"))
    labels = labels_of(read, [{KIND: "receipt", "company": "SYARIKAT PERNIAGAAN GIN KEE"}])
    assert labels[:4] == ["receipt/company"] * 4
    assert labels[4:] == [NONE, NONE]


def test_two_materials_of_a_kind_are_told_apart_by_their_titles() -> None:
    lines = []
    for x, name, code in ((0, "甲公司", "91A"), (600, "乙公司", "92B")):
        lines += [(x + 100, 0, "营业执照"), (x, 60, f"名称：{name}"), (x, 120, f"统一社会信用代码：{code}")]
    read = page(*lines)
    materials = [
        {KIND: "营业执照", "统一社会信用代码": "91A", "名称": "甲公司"},
        {KIND: "营业执照", "统一社会信用代码": "92B", "名称": "乙公司"},
    ]
    labels = labels_of(read, materials)
    assert labels.count(f"营业执照/{KIND}") == 2
    assert materials_of(read, *certain(labels)) == materials


def test_values_of_two_materials_below_one_another_belong_to_the_title_above() -> None:
    read = page(
        *((100, 0, "营业执照"), (0, 60, "名称：甲公司"), (0, 400, "统一社会信用代码：91A")),
        *((100, 460, "营业执照"), (0, 520, "名称：乙公司"), (0, 900, "统一社会信用代码：92B")),
    )
    materials = [
        {KIND: "营业执照", "统一社会信用代码": code, "名称": name}
        for code, name in (("91A", "甲公司"), ("92B", "乙公司"))
    ]
    assert materials_of(read, *certain(labels_of(read, materials))) == materials


def test_words_know_their_label_wherever_it_is_printed() -> None:
    read = page(
        *((0, 0, "姓名：张三 性别：男"), (0, 40, "住"), (60, 40, "所："), (120, 40, "广州市")),
        *((0, 80, "出生"), (20, 120, "丁巳年")),
    )
    named = dict(zip((word.text for word in read.words), read._named(), strict=True))
    for word, label in {"张三": "姓名", "男": "性别", "广州市": "住所", "丁巳年": "出生"}.items():
        assert f"label={label}" in named[word], word


def test_words_know_the_title_above_them() -> None:
    boxes = [[[0, y], [80, y], [80, y + high], [0, y + high]] for y, high in ((0, 40), (60, 20), (100, 20))]
    read = Page(["营 业 执 照", "名称", "甲公司"], np.array(boxes, float))
    for named in read._named():
        assert {"under=营业执照", "under part=执照"} <= {*named}
    flat = page((0, 0, "营业执照"), (0, 40, "名称"))
    assert all("under=none" in named for named in flat._named())


def test_pages_are_read_the_same_when_they_are_turned_and_bounds_are_hashed() -> None:
    _, lines = receipt(1)
    read = page_of(lines)
    cos, sin = np.cos(0.5), np.sin(0.5)
    turned = Page(read.texts, read.boxes @ np.array([[cos, sin], [-sin, cos]]))
    assert [word.text for word in turned.words] == [word.text for word in read.words]
    features = read.features(512)
    assert turned.features(512) == features
    assert all(min(row) > 0 and max(row) < 512 for row in features)
    assert len({tuple(row) for row in features}) == len(features)
    assert Page([], np.zeros((0, 4, 2))).features(512) == []
    assert materials_of(Page([], np.zeros((0, 4, 2))), np.zeros((0, 1)), [NONE]) == []
