"""JSON files that hold one object, such as settings, an index or a vocabulary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from showtell.errors import UserError


def read_object(file: Path) -> dict[str, Any]:
    """The object. Raises `UserError` with the file's name if it cannot be read or holds something else."""
    try:
        value = json.loads(file.read_text("utf-8-sig"))  # editors on Windows put a byte order mark first
    except FileNotFoundError:
        raise UserError(f"there is no file {file}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"cannot read {file}: {error}. Correct it, or copy or download it again.") from error
    if not isinstance(value, dict):
        raise UserError(f"{file} does not hold a JSON object. Correct it, or copy or download it again.")
    return value
