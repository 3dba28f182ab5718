"""Text-to-image and image-to-text retrieval by cosine similarity."""

from __future__ import annotations

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from showtell.tasks.metrics import ranks

CHUNK = 1024


def ranks_both_ways(images: Tensor, texts: Tensor, owner: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Rank of each text's image among all images, `int64 [R]`, and of each image's best text, `[B]`.

    `images [B D]`, `texts [R D]`; `owner [R]` is the image that each text describes, and every image has at
    least one. An image's rank is that of the first of its texts, not counting its other texts. Ties count
    against the model. Source: Karpathy & Fei-Fei 2015, section 4.1.
    """
    vectors, words = F.normalize(images, dim=-1).numpy(), F.normalize(texts, dim=-1).numpy()
    target = owner.numpy()
    of_texts = [
        ranks(words[first : first + CHUNK] @ vectors.T, target[first : first + CHUNK])
        for first in range(0, len(words), CHUNK)
    ]
    of_images = []
    for first in range(0, len(vectors), CHUNK):
        scores = vectors[first : first + CHUNK] @ words.T
        own = target == np.arange(first, first + len(scores))[:, None]
        best = np.where(own, scores, -np.inf).max(1, keepdims=True)
        of_images.append(1 + (~own & ~(scores < best)).sum(1))
    return np.concatenate(of_texts), np.concatenate(of_images)
