"""The precision of products; `auto` is settled before a run begins: its record names the one that it has."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from showtell.nn.bfloat16 import has_fast_bfloat16
from showtell.train.config import Precision
from showtell.train.distributed import from_first
from showtell.train.same_run import saved_run

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(precision: Precision, device_type: str) -> AbstractContextManager[Any]:
    """A context whose products have that precision; `auto` must be settled before."""
    dtype = PRECISIONS[precision]
    return torch.autocast(device_type, dtype, enabled=dtype != torch.float32)


def settle(precision: Precision, device: str, output: Path, resume: bool) -> Precision:
    """What `auto` is: bf16 where it is faster on the device, else float32; resumed, a run keeps its own."""
    if precision != "auto":
        return precision

    def first() -> Precision:
        if resume and (saved := saved_run(output)):
            kept: Precision = saved["record"]["train"]["precision"]
            return kept
        return "bf16" if has_fast_bfloat16(device) else "float32"

    return from_first(first)
