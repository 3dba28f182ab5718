"""Statements about one image or two, true or false, fine-tuned."""

from dataclasses import replace

from showtell.recipes.vqa import MINI
from showtell.runs.image_answering import ImageAnsweringRun, answering_training


def nlvr_vilt(num_statements: int) -> ImageAnsweringRun:
    """Whether a statement about an image (NLVR) or two (NLVR2) is true; starts from a ViLT, or from scratch.

    Paper: Kim et al. 2021, "ViLT: Vision-and-Language Transformer Without Convolution or Region Supervision"
    Time: not measured
    """
    return ImageAnsweringRun(
        system=replace(MINI, image_size=96), train=answering_training(num_statements), statements=True
    )
