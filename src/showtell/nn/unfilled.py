"""Systems built without random parameters, for weights that come from a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import init
from torch.overrides import TorchFunctionMode


class Unfilled(TorchFunctionMode):
    """Within it, parameters are not drawn at random: they hold what their memory held.

    For readers that then fill every parameter. Drawing 135 million numbers takes five seconds of a core, and
    touches memory that a file of the wrong sizes would not need.

    >>> with Unfilled():
    ...     nn.Linear(2, 3).weight.shape
    torch.Size([3, 2])
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Leave out drawings into parameters; everything else is done."""
        into = args[0] if args else (kwargs or {}).get("tensor")
        if func in _INITIAL or (func in _METHODS and isinstance(into, nn.Parameter)):
            return into
        return func(*args, **(kwargs or {}))


# Some functions of `nn.init` are seen here themselves, others by the method that they call.
_INITIAL = (init.normal_, init.uniform_, init.kaiming_uniform_)
_METHODS = (Tensor.normal_, Tensor.uniform_)
