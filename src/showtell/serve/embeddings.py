"""`/v1/embeddings`: vectors of texts, and of images as `data:` URLs."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from fastapi import APIRouter, Request

from showtell.protocols import ImageEncoder
from showtell.serve.answers import EmbeddingsAnswer, good
from showtell.serve.errors import invalid
from showtell.serve.pixels import is_image, pixels_of
from showtell.serve.served import Served, embeds_texts
from showtell.serve.wire import EmbeddingRequest
from showtell.serve.worker import Worker

router = APIRouter(prefix="/v1")


@router.post("/embeddings", responses=good(EmbeddingsAnswer))
async def embeddings(body: EmbeddingRequest, request: Request) -> dict[str, Any]:
    """One vector per input, in order; a text that is too long is refused."""
    served: Served = request.app.state.served
    worker: Worker = request.app.state.worker
    name, model = served.named(body.model)
    given = [body.input] if isinstance(body.input, str) else body.input
    images = [place for place, one in enumerate(given) if is_image(one)]
    texts = [place for place, one in enumerate(given) if not is_image(one)]
    if texts and not embeds_texts(model):
        raise invalid(f"the model {name} embeds no texts; GET /v1/models says what it can", "model")
    if images and not model.can(ImageEncoder):
        raise invalid(f"the model {name} embeds no images; GET /v1/models says what it can", "model")
    if empty := [place for place in texts if not given[place].strip()]:
        raise invalid(f"input.{empty[0]} is empty", "input")

    def found() -> tuple[dict[int, np.ndarray], int]:
        vectors: dict[int, np.ndarray] = {}
        for place in images:
            prepared = model.prepare(pixels_of(given[place], f"input.{place}"))
            vectors[place] = model.encode([prepared]).pooled[0].cpu().numpy()
        if texts:
            made = model.encode_texts([given[place] for place in texts], strict=True)
            vectors |= dict(zip(texts, made, strict=True))
        return vectors, sum(len(model.read_text(given[place]).ids) for place in texts)

    vectors, count = await worker.run(found)
    data = [
        {"object": "embedding", "index": place, "embedding": _spelled(vectors[place], body.encoding_format)}
        for place in range(len(given))
    ]
    usage = {"prompt_tokens": count, "total_tokens": count}
    return {"object": "list", "data": data, "model": name, "usage": usage}


def _spelled(vector: np.ndarray, encoding: str) -> list[float] | str:
    """A vector as numbers, or as the base64 of its little-endian float32 bytes."""
    if encoding == "float":
        return vector.tolist()
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()
