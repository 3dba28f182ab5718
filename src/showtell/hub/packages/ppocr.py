"""PP-OCRv4: finds and reads lines of Chinese and English text in images."""

from __future__ import annotations

from showtell.hub.catalogue import Package

PACKAGE = Package(
    name="pp-ocrv4",
    what="a detector and reader of printed text (Chinese and English, 6,623 characters)",
    used_by="ocr, extract",
    module="rapidocr_onnxruntime",
    inside="models",
    # Without its code, whose dependencies are opencv, shapely, pyclipper and onnxruntime; its limit to Python
    # below 3.13 does not concern the weights.
    install="--no-deps --ignore-requires-python rapidocr-onnxruntime==1.4.4",
    size=16_189_007,
    licence="Apache-2.0",
    about=(
        "PP-OCRv4 mobile (PaddlePaddle, 2023): text detector, direction classifier and recogniser, in ONNX "
        "from the PyPI package `rapidocr-onnxruntime` 1.4.4, which states the Apache License 2.0."
    ),
    read=None,
)
