"""Images of invented Chinese licences, as if photographed, and a data set of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from showtell.data.documents.labelled import Material
from showtell.data.documents.licences.forms import HELD_OUT, TEMPLATES, Template, template
from showtell.data.documents.licences.layouts import LINE, PLACE, Sheet, width_of
from showtell.data.documents.licences.values import invented, invented_licence
from showtell.data.documents.materials import LICENCES
from showtell.data.documents.text_line import TextLine
from showtell.data.images.render.fonts import Font, fonts
from showtell.errors import MissingError
from showtell.progress import report
from showtell.writing import replace_folder

INSTALL = "apt install fonts-wqy-microhei"
SPECIMEN = "样本"
"""Printed on every licence, so that none is taken for a real one."""
TITLE = 1.7
"""The size of a title, in letters."""
MARGIN = 1.6
"""Around what is printed on a sheet, in letters."""
TURNED = 2.0
"""Degrees by which an image is turned at most."""
SECOND, THIRD = 0.4, 0.1
"""The share of images with a second licence, and with a third."""
INK = (35, 30, 30)
ROWS = "materials.jsonl"


@cache
def chinese_fonts() -> tuple[Font, ...]:
    """The fonts that draw all that is printed. Raises `MissingError` with the line that installs one."""
    wanted = "".join(LICENCES) + SPECIMEN + "统一社会信用代码壹贰叁(){}:;,ABC0123"
    found = tuple(font for font in fonts() if font.covers(wanted))
    if not found:
        raise MissingError(f"no font here draws Chinese; install one: {INSTALL}")
    return found


@dataclass(frozen=True)
class Drawn:
    """An image of licences."""

    image: Image.Image
    materials: tuple[Material, ...]
    """What the licences say, from the top."""
    lines: tuple[TextLine, ...]
    """All that is printed, and where."""


def draw_licence(kind: str, number: int, generator: np.random.Generator) -> Drawn:
    """A licence of a kind by one of its templates, upright and clean, with all of its fields.

    Raises `MissingError` without a Chinese font.
    """
    form, material = template(kind, number), invented_licence(kind, generator)
    values = [
        (label, material[name] if name in material else invented(kind, name, generator))
        for name, label in form.labels
    ]
    faces = chinese_fonts()
    face = faces[int(generator.integers(len(faces)))]
    image, lines = _printed(form, _placed(form, values), face)
    return Drawn(image, (material,), tuple(lines))


def draw_page(kinds: Sequence[str], number: int, generator: np.random.Generator) -> Drawn:
    """Licences on one page, below one another, as a photograph of them: turned a little, blurred, noisy."""
    drawn = [draw_licence(kind, number, generator) for kind in kinds]
    gap = int(generator.integers(30, 70))
    width = max(one.image.width for one in drawn) + 2 * gap
    height = sum(one.image.height + gap for one in drawn) + gap
    page = Image.new("RGB", (width, height), tuple(generator.integers(190, 250, 3).tolist()))
    lines, top = list[TextLine](), gap
    for one in drawn:
        left = int(generator.integers(gap // 2, width - one.image.width - gap // 2))
        page.paste(one.image, (left, top))
        lines += [replace(line, box=np.add(line.box, (left, top)).tolist()) for line in one.lines]
        top += one.image.height + gap
    angle = float(generator.uniform(-TURNED, TURNED))
    image = _photographed(page, angle, generator)
    turned = [replace(line, box=_turned(line.box, angle, page.size, image.size)) for line in lines]
    return Drawn(image, tuple(material for one in drawn for material in one.materials), tuple(turned))


def draw_data_set(folder: Path, training: int, held_out: int, seed: int = 0) -> int:
    """Write images of licences, and `materials.jsonl` with what they say; the number of images.

    `training` images begin with each kind, by its templates for training, with all lines that are printed;
    `held_out`, the split `val`, by those that are held out. Equal for equal arguments, fonts and Pillow.

    Raises `MissingError` without a Chinese font, `UsageError` for a folder of other files.
    """
    chinese_fonts()
    turns = [*((False, turn) for turn in range(training)), *((True, turn) for turn in range(held_out))]
    images = [(*each, place) for each in turns for place in range(len(LICENCES))]

    def write(inside: Path) -> None:
        rows = list[str]()
        for held, turn, place in images:
            page, generator = sample_page(place, turn, held, seed)
            name = f"{len(rows):05}.jpg"
            page.image.save(inside / name, quality=int(generator.integers(75, 93)))
            row = {"image": name, "materials": page.materials, "split": "val" if held else "train"}
            if not held:
                row["lines"] = [asdict(line) for line in page.lines]
            rows.append(json.dumps(row, ensure_ascii=False))
            report("drawing", len(rows), len(images))
        (inside / ROWS).write_text("\n".join(rows) + "\n", "utf-8")

    replace_folder(folder, write, ROWS)
    return len(images)


def sample_page(place: int, turn: int, held_out: bool, seed: int = 0) -> tuple[Drawn, np.random.Generator]:
    """A page of a data set, which begins with a licence of the kind at a place; and what draws what follows.

    Pages of other turns have other values, and templates in turn.
    """
    generator = np.random.default_rng([seed, TEMPLATES * held_out, turn, place])
    kinds = list(LICENCES)
    others = int(generator.choice(3, p=(1 - SECOND - THIRD, SECOND, THIRD)))
    chosen = [kinds[place], *generator.choice(kinds, others).tolist()]
    number = TEMPLATES + turn % HELD_OUT if held_out else turn % TEMPLATES
    return draw_page(chosen, number, generator), generator


def _placed(form: Template, values: Sequence[tuple[str, str]]) -> Sheet:
    """What is printed on a sheet without its margin."""
    sheet = Sheet(form.wide - 2 * MARGIN)
    y = 0.0
    if form.title:
        shown = " ".join(form.title) if form.spaced else form.title
        size = min(TITLE, sheet.width / width_of(shown))
        y = sheet.block((sheet.width - size * width_of(shown)) / 2, y, shown, sheet.width + 1, size) + 0.6
    PLACE[form.layout]([(_label(form, label), value) for label, value in values], sheet, y)
    for note in (*form.notes, SPECIMEN):
        sheet.block(0, sheet.height + 0.3, note, sheet.width, 0.8)
    return sheet


def _label(form: Template, label: str) -> str:
    if form.spaced and len(label) == 2:
        label = f"{label[0]}    {label[1]}"
    return f"{label}：" if form.colon else label


def _printed(form: Template, sheet: Sheet, font: Font) -> tuple[Image.Image, list[TextLine]]:
    size = (int(form.wide * form.size), int((sheet.height + 2 * MARGIN) * form.size))
    image = Image.new("RGB", size, form.tint)
    draw = ImageDraw.Draw(image)
    draw.rectangle((4, 4, size[0] - 5, size[1] - 5), outline=(120, 90, 60), width=2)
    for rule in sheet.rules:
        draw.line([(MARGIN + place) * form.size for place in rule], fill=(90, 90, 90), width=2)
    lines = []
    for x, y, scale, text in sheet.texts:
        left, top = (MARGIN + x) * form.size, (MARGIN + y + (LINE - 1) / 2 * scale) * form.size
        face = font.at(scale * form.size, ImageFont.Layout.BASIC)
        draw.text((left, top), text, INK, face)
        right, bottom = left + face.getlength(text), top + 1.1 * scale * form.size
        lines.append(TextLine(text, 1.0, [[left, top], [right, top], [right, bottom], [left, bottom]]))
    return image, lines


def _photographed(page: Image.Image, angle: float, generator: np.random.Generator) -> Image.Image:
    """A page turned by degrees, to the left, out of focus, in uneven light."""
    edge = page.getpixel((0, 0))
    page = page.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=edge)
    page = page.filter(ImageFilter.GaussianBlur(float(generator.uniform(0, 0.8))))
    pixels = np.asarray(page, np.float32)
    height, width = pixels.shape[:2]
    light = np.linspace(0, float(generator.uniform(-30, 0)), width, dtype=np.float32)[:, None]
    noise = generator.standard_normal((height, width, 1), np.float32) * np.float32(generator.uniform(1, 6))
    return Image.fromarray(np.rint(pixels + light + noise).clip(0, 255).astype(np.uint8))


def _turned(
    box: list[list[float]], angle: float, before: tuple[int, int], after: tuple[int, int]
) -> list[list[float]]:
    """Corners in a page of one size, after `_photographed` turned it into one of another."""
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    turn = np.array([[cos, -sin], [sin, cos]])
    placed = (np.array(box) - np.array(before) / 2) @ turn + np.array(after) / 2
    return np.round(placed, 1).tolist()
