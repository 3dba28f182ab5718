"""Synchronised batch norm over gloo: its statistics are those of the batches of all processes.

Torch's own `SyncBatchNorm` does not run on a CPU; this one also allows batches of different sizes.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from showtell.collective import gather


class _Synchronised(_BatchNorm):
    """In training, normalises by the mean and variance over all processes:

        mean = sum_p n_p mean_p / N          variance = sum_p n_p (variance_p + (mean_p - mean)^2) / N

    Source: Chan et al. 1979, "Updating formulae and a pairwise algorithm for computing sample variances".
    """

    def forward(self, input: Float[Tensor, "B C *rest"]) -> Float[Tensor, "B C *rest"]:
        if not (self.training and distributed.is_initialized()):
            return super().forward(input)
        self._check_input_dim(input)
        values = input if input.dtype == torch.float64 else input.float()
        axes = [axis for axis in range(input.ndim) if axis != 1]
        count = values.new_tensor([input.numel() / input.shape[1]])
        own = torch.cat([values.mean(axes), values.var(axes, correction=0), count])
        sizes = [input.shape[1], input.shape[1], 1]
        means, variances, counts = gather(own).split(sizes, dim=1)
        shares = counts / counts.sum()
        mean = (shares * means).sum(0)
        variance = (shares * (variances + (means - mean).square())).sum(0)
        if self.track_running_stats:
            self._track(mean.detach(), variance.detach(), counts.sum())
        shape = [1, -1] + [1] * (input.ndim - 2)
        scale = (variance + self.eps).rsqrt()
        scale = scale if self.weight is None else scale * self.weight
        out = (values - mean.view(shape)) * scale.view(shape)
        out = out if self.bias is None else out + self.bias.view(shape)
        return out.to(input.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        weight = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), weight)
        self.running_var.lerp_((variance * count / (count - 1)).to(self.running_var.dtype), weight)


class _BatchNorm1d(_Synchronised, nn.BatchNorm1d): ...


class _BatchNorm2d(_Synchronised, nn.BatchNorm2d): ...


class _BatchNorm3d(_Synchronised, nn.BatchNorm3d): ...


_SYNCHRONISED: dict[type, type] = {
    nn.BatchNorm1d: _BatchNorm1d,
    nn.BatchNorm2d: _BatchNorm2d,
    nn.BatchNorm3d: _BatchNorm3d,
}


def synchronise(module: nn.Module) -> None:
    """Synchronise every batch norm of a module over the processes of `torch.distributed`, in place.

    Parameters, buffers and names stay. In evaluation mode, or in a single process, nothing changes.
    """
    for child in module.modules():
        # Another class over the same tensors: an optimiser, a teacher or a hook still holds them.
        child.__class__ = _SYNCHRONISED.get(type(child), type(child))
