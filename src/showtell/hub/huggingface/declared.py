"""What kind of model a folder is: what it declares, not which spare tensors lie in it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from torch import Tensor

logger = logging.getLogger(__name__)


def without_spare(
    found: dict[str, Tensor], theirs: Mapping[str, Any], heads: Mapping[str, tuple[str, ...]]
) -> dict[str, Tensor]:
    """The tensors without those of heads that the folder does not declare, which are logged.

    `heads` has the prefixes of the heads of each of their classes. A folder that declares a pooling is a
    sentence encoder, without heads; else the class in `architectures` counts. A declared head that is missing
    is logged: what is there is read.
    """
    wanted: tuple[str, ...] = ()
    if theirs.get("sentence_encoder"):
        declared = "a sentence encoder"
    else:
        declared = str(next(iter(theirs.get("architectures") or ()), None))
        if declared not in heads:
            return found
        wanted = heads[declared]
    every = tuple({prefix for prefixes in heads.values() for prefix in prefixes})
    spare = sorted(name for name in found if name.startswith(every) and not name.startswith(wanted))
    if spare:
        logger.warning("the folder declares %s; left out: %s", declared, ", ".join(spare))
    if missing := [prefix for prefix in wanted if not any(name.startswith(prefix) for name in found)]:
        logger.warning("the folder declares %s, but has no tensors %s*", declared, "*, ".join(missing))
    return {name: tensor for name, tensor in found.items() if name not in spare}
