"""Invented licences: numbers keep check digits, lines lie where they are printed, sets are equal."""

import json

import numpy as np
import pytest
from PIL import Image

from showtell.data.documents.labelled import read_labelled
from showtell.data.documents.licences import check_digits
from showtell.data.documents.licences.draw import chinese_fonts, draw_licence, draw_page
from showtell.data.documents.licences.forms import FORMS, HELD_OUT, TEMPLATES, template
from showtell.data.documents.licences.layouts import PLACE, Sheet, width_of, wrapped
from showtell.data.documents.licences.values import VALUES, invented_licence
from showtell.data.documents.materials import KIND, LICENCES
from showtell.errors import MissingError, UserError


@pytest.fixture(scope="module")
def _chinese_font():
    try:
        chinese_fonts()
    except MissingError as error:
        pytest.skip(str(error))


def test_a_wrong_character_breaks_a_check_digit() -> None:
    generator = np.random.default_rng(0)
    checked = {
        ("营业执照", "统一社会信用代码"): check_digits.credit_check,
        ("居民身份证", "公民身份号码"): check_digits.identity_check,
        ("组织机构代码证", "代码"): lambda code: check_digits.organisation_check(code.rstrip("-")),
        ("食品经营许可证", "许可证编号"): lambda code: check_digits.permit_check(code[2:]),
        ("开户许可证", "账号"): check_digits.account_check,
    }
    for (kind, field), check in checked.items():
        for _ in range(50):
            number = invented_licence(kind, generator)[field]
            assert check(number[:-1]) == number[-1], number
            wrong = number[:-2] + str((int(number[-2]) + 1) % 10) if number[-2].isdigit() else number[:-2]
            assert len(wrong) < len(number) - 1 or check(wrong) != number[-1], number


def test_a_citizen_agrees_with_the_number() -> None:
    for seed in range(20):
        material = invented_licence("居民身份证", np.random.default_rng(seed))
        number = material["公民身份号码"]
        assert material["出生"] == f"{number[6:10]}年{int(number[10:12])}月{int(number[12:14])}日"
        assert material["性别"] == "女男"[int(number[16]) % 2]
        assert number.startswith("99")  # no region


def test_every_kind_has_its_fields_and_a_layout_that_is_held_out() -> None:
    for kind, fields in LICENCES.items():
        material = invented_licence(kind, np.random.default_rng(1))
        assert list(material) == [KIND, *fields]
        forms = [template(kind, number) for number in range(TEMPLATES + HELD_OUT)]
        assert not {form.layout for form in forms[:TEMPLATES]} & {form.layout for form in forms[TEMPLATES:]}
        assert all({*fields} <= {name for name, _ in form.labels} for form in forms)
        assert all(f"{kind}/{name}" in VALUES or name in VALUES for name in FORMS[kind].more)
    with pytest.raises(ValueError, match="营业执照 has no template 20"):
        template("营业执照", 20)


@pytest.mark.parametrize("layout", PLACE)
def test_layouts_print_every_character_without_overlap(layout) -> None:
    fields = [("名称", "广州市恒信科技有限公司"), ("住所", "广东省" * 12), ("账号", "9" * 60), ("类型", "中")]
    sheet = Sheet(24)
    PLACE[layout](fields, sheet, 1.0)
    said = "".join(text for *_, text in sheet.texts)
    assert sorted(said.replace("：", "")) == sorted("".join(label + value for label, value in fields))
    boxes = [(x, y, x + size * width_of(text), y + size) for x, y, size, text in sheet.texts]
    assert max(right for _, _, right, _ in boxes) <= sheet.width
    assert max(bottom for *_, bottom in boxes) <= sheet.height
    for i, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[:i]:
            assert left >= other[2] or other[0] >= right or top >= other[3] or other[1] >= bottom
    assert "".join(wrapped(fields[1][1], 7)) == fields[1][1]


@pytest.mark.usefixtures("_chinese_font")
def test_lines_lie_where_they_are_printed() -> None:
    drawn = draw_licence("安全生产许可证", 0, np.random.default_rng(0))
    dark = np.asarray(drawn.image.convert("L")) < 128
    covered = np.zeros_like(dark)
    for line in drawn.lines:
        (left, top), (right, bottom) = np.rint(line.box[0]).astype(int), np.rint(line.box[2]).astype(int)
        assert dark[top:bottom, left:right].any(), line
        covered[top - 2 : bottom + 2, left - 2 : right + 2] = True
    covered[:8], covered[-8:], covered[:, :8], covered[:, -8:] = (True,) * 4  # the border
    assert not (dark & ~covered).any()
    page = draw_page(["安全生产许可证", "营业执照"], 0, np.random.default_rng(0))
    grey = np.asarray(page.image.convert("L"), float)
    for line in page.lines:
        x, y = np.array(line.box)[[0, 3]].mean(0)
        part = grey[int(y) - 12 : int(y) + 12, int(x) : int(x) + 24]
        assert np.ptp(part) > 60, line.text


@pytest.mark.slow
@pytest.mark.usefixtures("_chinese_font")
def test_data_sets_are_equal_and_hold_out_templates(tmp_path, ask) -> None:
    for name in ("a", "b"):
        status, (done,), _ = ask("data", "draw", tmp_path / name, "--training", 1, "--held-out", 1)
        assert (status, done) == (0, {"data": str(tmp_path / name), "images": 24})
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in "ab")
    assert first == second
    documents = read_labelled(tmp_path / "a")
    assert [one.split for one in documents] == ["train"] * 12 + ["val"] * 12
    assert [one.materials[0][KIND] for one in documents] == 2 * list(LICENCES)
    assert any(len(one.materials) > 1 for one in documents)
    for one in documents:
        assert (one.lines is None) == (one.split == "val")
        if one.lines:
            said = "".join(line.text for line in one.lines)
            assert all(material[KIND] == "居民身份证" or len(said) > 40 for material in one.materials)
            with Image.open(one.path) as image:
                assert all(0 <= x <= image.width and 0 <= y <= image.height for x, y in one.lines[0].box)


def test_lines_of_data_that_are_wrong_are_named(tmp_path) -> None:
    Image.new("L", (9, 9)).save(tmp_path / "1.png")
    for lines in (
        [{"text": "a"}],
        3,
        [{"text": 1, "confidence": 1, "box": [[0, 0]] * 4}],
        [{"text": "a", "confidence": 1, "box": [[0, 0]] * 3}],
    ):
        row = {"image": "1.png", "materials": [], "lines": lines}
        (tmp_path / "materials.jsonl").write_text(json.dumps(row))
        with pytest.raises(UserError, match=r"jsonl:1: lines are not \["):
            read_labelled(tmp_path)
