"""A small GGUF file, written after the specification."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

F32, F16, Q4_1, Q8_0 = 0, 1, 3, 8


def text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def setting(value: Any) -> bytes:
    """A bool, text, whole number, fraction or list as its type and value."""
    match value:
        case bool():
            return struct.pack("<I?", 7, value)
        case str():
            return struct.pack("<I", 8) + text(value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
        case list():
            items = [setting(one) for one in value]
            kind = items[0][:4] if items else struct.pack("<I", 4)
            return (
                struct.pack("<I", 9) + kind + struct.pack("<Q", len(items)) + b"".join(i[4:] for i in items)
            )
    raise TypeError(value)


def numbers(values: np.ndarray, kind: int) -> bytes:
    """Floats as stored; whole numbers as the blocks of a quantised type, with scale 0.5 and minimum -2."""
    if kind in (F32, F16):
        return values.astype("<f4" if kind == F32 else "<f2").tobytes()
    out = b""
    for block in values.reshape(-1, 32).tolist():
        if kind == Q4_1:
            pairs = bytes(low | high << 4 for low, high in zip(block[:16], block[16:], strict=True))
            out += struct.pack("<ee", 0.5, -2.0) + pairs
        else:
            out += struct.pack("<e32b", 0.5, *block)
    return out


def write_gguf(
    path: Path, settings: dict[str, Any], tensors: dict[str, tuple[np.ndarray, int]], version: int = 3
) -> Path:
    """Settings, and tensors by name with the type to store them as."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(settings))
    head += b"".join(text(name) + setting(value) for name, value in settings.items())
    body = b""
    for name, (values, kind) in tensors.items():
        head += text(name) + struct.pack("<I", values.ndim)
        head += struct.pack(f"<{values.ndim}Q", *values.shape[::-1]) + struct.pack("<IQ", kind, len(body))
        stored = numbers(values, kind)
        body += stored + bytes(-len(stored) % 32)
    path.write_bytes(head + bytes(-len(head) % 32) + body)
    return path
