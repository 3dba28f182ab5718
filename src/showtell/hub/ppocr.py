"""PP-OCRv4: three networks that find lines of text, turn them upright, and read them.

    image   -> detector   -> the probability of text at each pixel
    line    -> classifier -> the probability that it stands on its head
    line    -> recogniser -> the probability of each character at each place along it

Source: Du et al. 2020, "PP-OCR: A Practical Ultra Lightweight OCR System"; PaddleOCR's release of version 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from showtell.errors import UserError
from showtell.hub.onnx import OnnxRunner

DETECTOR = "ch_PP-OCRv4_det_infer.onnx"
CLASSIFIER = "ch_ppocr_mobile_v2.0_cls_infer.onnx"
RECOGNISER = "ch_PP-OCRv4_rec_infer.onnx"
HEIGHT = 48
"""Of a line as the networks read it, in pixels."""
STEP, LONGEST = 160, 4800
"""Lines are padded to multiples of `STEP` pixels, so that few shapes occur, and at most `LONGEST` wide."""
# ImageNet's, in the order blue, green, red, which is how PaddleOCR trains.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PPOCR:
    """The three networks, on the CPU, one image per request and one request per core."""

    def __init__(self, folder: Path) -> None:
        """Raises `UserError` with the name of a file that is damaged."""
        self._detector, self._classifier, self._recogniser = (
            OnnxRunner(folder / name) for name in (DETECTOR, CLASSIFIER, RECOGNISER)
        )
        listed = self._recogniser.metadata("character").split("\n")
        self.characters: Sequence[str] = ["", *listed, " "]
        """The blank, and what the recogniser can read."""
        if len(listed) < 1000:
            raise UserError(f"{folder / RECOGNISER} lists no characters; install the package again")

    def text_probability(self, pixels: UInt8[np.ndarray, "H W 3"]) -> Float[np.ndarray, "H W"]:
        """The probability of text at each pixel, of an image of any size, padded to multiples of 32."""
        height, width = pixels.shape[:2]
        mean, std = np.asarray(MEAN, np.float32), np.asarray(STD, np.float32)
        values = (pixels[..., ::-1] / np.float32(255) - mean) / std
        values = np.pad(values, ((0, -height % 32), (0, -width % 32), (0, 0)))
        (found,) = self._detector([values.transpose(2, 0, 1)[None]])
        return found[0, 0, :height, :width]

    def upside_down(self, lines: Sequence[Image.Image]) -> Float[np.ndarray, " T"]:
        """The probability that a line stands on its head."""
        found = self._classifier([_line(line, 4 * HEIGHT, 4 * HEIGHT) for line in lines])
        return np.array([probability[0, 1] for probability in found], np.float32)

    def read(self, lines: Sequence[Image.Image]) -> list[Float[np.ndarray, "L V"]]:
        """The probabilities of `characters` along each line."""
        return [found[0] for found in self._recogniser([_line(line, 2 * STEP, LONGEST) for line in lines])]


def _line(line: Image.Image, at_least: int, at_most: int) -> np.ndarray:
    """A line `float32 [1 3 48 W]` from -1 to 1, padded by zeros to a multiple of `STEP` or `at_least`."""
    width = int(np.clip(np.ceil(HEIGHT * line.width / line.height), 1, at_most))
    resized = np.asarray(line.resize((width, HEIGHT), Image.Resampling.BILINEAR), np.float32)
    values = resized[..., ::-1] / np.float32(127.5) - 1
    padding = max(at_least - width, -width % STEP if at_most > at_least else 0)
    return np.pad(values, ((0, 0), (0, padding), (0, 0))).transpose(2, 0, 1)[None]
