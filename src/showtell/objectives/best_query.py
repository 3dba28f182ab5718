"""The contrast of a text's vector with several vectors of an image, the most alike of which counts.

    s(image, text) = max_k q_k . v

Source: Li et al. 2023, "BLIP-2", section 3.2 (image-text contrastive learning).
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from showtell.objectives.cosine import all_cosines


def best_query(images: Float[Tensor, "B K D"], texts: Float[Tensor, "R D"]) -> Float[Tensor, "R B"]:
    """How alike each text and each image are: the highest cosine of its vector with one of the image's.

    Vectors have length 1.

    >>> import torch
    >>> best_query(torch.tensor([[[1.0, 0], [0, 1]]]), torch.tensor([[0.6, 0.8]])).tolist()
    [[0.800000011920929]]
    """
    return all_cosines(texts, images.flatten(0, 1)).unflatten(1, images.shape[:2]).amax(2)
