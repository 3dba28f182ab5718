from dataclasses import replace

import numpy as np
import pytest
import torch

from showtell.data.images.page import Page
from showtell.data.images.render.fonts import BUILT_IN, fonts
from showtell.data.images.render.style import SMALL, SizeClass
from showtell.data.tokenizers.pieces import Pieces
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.rendered_texts import RenderedTexts, Rendering, choose_masked
from showtell.errors import UserError

TEXT = "The black dog runs over a lazy fox, unhappily. Then it sat down and looked at the giraffe. " * 20
TOKENIZER = SubwordTokenizer.train([TEXT], "wordpiece", 90)


def texts(**settings) -> RenderedTexts:
    size = settings.pop("size", SMALL)
    return RenderedTexts([TEXT], TOKENIZER, Rendering(size, (64, 256), **settings), [BUILT_IN])


def test_the_target_is_the_full_text_and_the_image_has_masks() -> None:
    data = texts(mask_rate=0.5, inverted=0.0)
    batch = data.batch([0, 1], seed=(0, 0))
    assert batch.images.pixels.shape == (2, 3, 64, 256)
    assert batch.images.pixels.dtype == torch.uint8
    assert TOKENIZER.decode(batch.texts.ids[0].tolist()) == TOKENIZER.decode(TOKENIZER.encode(data.texts[0]))
    assert batch.texts.ids[0, 0] == TOKENIZER.start
    masked = batch.targets.masked
    assert masked.any(1).all()
    special = torch.isin(batch.texts.ids, torch.tensor(TOKENIZER.special))
    assert not (masked & special).any()
    assert torch.equal(batch.targets.boxes.isnan().all(2), special)
    plain = texts(mask_rate=0.0, inverted=0.0).batch([0, 1], seed=(0, 0))
    assert not plain.targets.masked.any()
    assert not torch.equal(plain.images.pixels, batch.images.pixels)


def test_the_characters_on_a_page_come_with_their_tokens_and_places() -> None:
    tokenizer = SubwordTokenizer.train([TEXT], "bpe", 300, "roberta")
    how = Rendering(SMALL, (64, 256), 0.0, inverted=0.0, page=Page(64, 256, 8), letters=True)
    data = RenderedTexts([TEXT], tokenizer, how, [BUILT_IN])
    batch = data.batch([0, 1], seed=(4,))
    letters, boxes = batch.targets["letters"], batch.targets["letter_boxes"]
    assert letters.shape == boxes.shape[:2]
    seen = letters[0][~boxes[0].isnan().any(1)].tolist()
    assert "".join(tokenizer.tokens[i] for i in seen) == "".join(data.texts[0].split())
    for row in range(2):
        for left, top, right, bottom in boxes[row][~boxes[row].isnan().any(1)].round().int().tolist():
            assert (batch.images.pixels[row, 0, top:bottom, left : max(right, left + 1)] < 255).any()


def test_blank_texts_and_characters_that_are_not_for_print_are_left_out() -> None:
    blank = ["\u200b", "\u2800 \u3164", "\x96"]  # an en dash of Windows-1252, read as Latin-1
    data = RenderedTexts([*blank, "a dog"], TOKENIZER, Rendering(SMALL, (32, 96)), fonts())
    assert data.texts == ["a dog"]
    with pytest.raises(UserError, match="nothing to draw"):
        RenderedTexts(blank[:2], TOKENIZER, Rendering(SMALL, (32, 96)), fonts())


def test_a_batch_follows_from_its_seed_alone() -> None:
    first, again = texts().batch([2, 0], seed=(5, 1)), texts().batch([2, 0], seed=(5, 1))
    assert torch.equal(first.images.pixels, again.images.pixels)
    assert torch.equal(first.targets.masked, again.targets.masked)
    other = texts().batch([2, 0], seed=(5, 2))
    assert not torch.equal(first.images.pixels, other.images.pixels)


def test_the_channels_share_memory_and_a_part_keeps_its_rows() -> None:
    batch = texts().batch([0, 1, 2, 3], seed=(0,))
    assert batch.images.pixels.stride()[1] == 0
    half = batch.part(1, 2)
    assert torch.equal(half.targets.masked, batch.targets.masked[2:])
    assert torch.equal(half.images.pixels, batch.images.pixels[2:])


def test_masks_are_as_frequent_as_said() -> None:
    generator = np.random.default_rng(0)
    pieces = Pieces([*range(20_000)], [*range(20_000)], [(n, n + 1) for n in range(20_000)])
    share = choose_masked(pieces, 0.15, False, generator).mean()
    assert abs(share - 0.15) < 4 * (0.15 * 0.85 / 20_000) ** 0.5
    words = Pieces([*range(30_000)], [n // 3 for n in range(30_000)], [(n, n + 1) for n in range(30_000)])
    whole = choose_masked(words, 0.15, True, generator).reshape(-1, 3)
    assert (whole.all(1) == whole.any(1)).all()
    assert abs(whole.mean() - 0.15) < 4 * (0.15 * 0.85 / 10_000) ** 0.5


def test_half_of_the_images_are_inverted() -> None:
    data = texts()
    items = [n % len(data) for n in range(200)]
    corners = data.batch(items, seed=(3,)).images.pixels[:, 0, 0, 0]
    share = (corners == 0).float().mean()
    assert abs(share - 0.5) < 4 * (0.25 / 200) ** 0.5


def test_a_text_never_has_more_tokens_than_its_class() -> None:
    data = texts(size=SizeClass("tiny", 7, 20, (20, 30)))
    assert len(data) > 30
    ids = data.batch(range(30), seed=(0,)).texts
    assert ids.keep.sum(1).max() <= 7 + 2


def test_texts_that_no_font_draws_are_left_out_and_counted(caplog) -> None:
    tokenizer = SubwordTokenizer.train([TEXT, "黑猫"], "wordpiece", 90)
    data = RenderedTexts([TEXT, "黑猫"], tokenizer, Rendering(SMALL, (64, 256)), [BUILT_IN])
    assert not any("黑" in text for text in data.texts)
    assert "1 text of" in caplog.text
    assert "'猫' (U+732B)" in caplog.text
    with pytest.raises(UserError, match="none of 1 font draws"):
        RenderedTexts(["黑猫"], tokenizer, Rendering(SMALL, (64, 256)), [BUILT_IN])


def test_texts_of_like_length_come_together() -> None:
    texts = [("ab " * length).strip() for length in (1, 9, 2, 8, 3, 7)]
    data = RenderedTexts(texts, TOKENIZER, Rendering(SMALL, (64, 256)), [BUILT_IN])
    batches = data.batches(2, seed=0)
    found = [sorted(len(data.texts[item]) for item in batches(step)) for step in range(3)]
    assert sorted(found) == [[2, 5], [8, 20], [23, 26]]


def test_no_more_texts_are_cut_than_asked_for() -> None:
    how = Rendering(replace(SMALL, tokens=4), (64, 256))
    every = RenderedTexts([TEXT] * 3, TOKENIZER, how, [BUILT_IN])
    some = RenderedTexts([TEXT] * 3, TOKENIZER, how, [BUILT_IN], most=len(every) - 1)
    assert some.texts == every.texts[:-1]
