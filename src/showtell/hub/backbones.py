"""Frozen networks whose weights come from a package: images in, a grid of features out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from showtell.errors import UsageError
from showtell.hub.packages import package_path
from showtell.hub.signal_stack import signal_stack_kept
from showtell.nn.backbones.efficientnet import EfficientNetLite0, InvertedResidual, SameConv2d
from showtell.runtime import module_hidden

SIZE = 224
NUM_TOKENS = 49

# The reference's names for the layers of a block, and their places in ours.
BLOCK_LAYERS = {
    "_expand_conv": 0,
    "_bn0": 1,
    "_depthwise_conv": 3,
    "_bn1": 4,
    "_project_conv": 6,
    "_bn2": 7,
}
OUTER_LAYERS = {
    "_conv_stem": "stem.0",
    "_bn0": "stem.1",
    "_conv_head": "head.0",
    "_bn1": "head.1",
    "_fc": "classifier",
}


@dataclass(frozen=True)
class Backbone:
    """A frozen network that reads images as they are decoded: `uint8 [B S S 3]` to `float32 [B N D]`."""

    name: str
    size: int
    """`S`, the side of the images in pixels."""
    width: int
    """`D`."""
    num_tokens: int
    """`N`, a square grid row by row."""
    hash: str
    """SHA-256 of the file of weights, in hexadecimal."""
    preprocessing: str
    """How an image becomes `S` by `S`: `squash224-v1` gives up its aspect ratio, as `transforms.squash`."""
    run: Callable[[np.ndarray], Tensor] = field(repr=False)

    def __call__(self, pixels: np.ndarray) -> Tensor:
        """`uint8 [B S S 3]`, any `B`, to `float32 [B N D]` on the CPU."""
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (self.size, self.size, 3):
            raise ValueError(
                f"{self.name} takes uint8 [B {self.size} {self.size} 3], not {pixels.dtype} {pixels.shape}"
            )
        return self.run(pixels) if len(pixels) else torch.empty(0, self.num_tokens, self.width)


def load_backbone(name: str = "efficientnet_lite0", device: str = "cpu") -> Backbone:
    """The frozen ImageNet network, ready to run: through OpenVINO on a CPU, torch on a GPU.

    Raises:
        UsageError: no backbone has this name.
        UserError: the package that carries the weights is missing.
    """
    if name != "efficientnet_lite0":
        raise UsageError(f"no backbone is called {name!r}; there is efficientnet_lite0")
    weights = package_path(name)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    run = _OpenVINO(weights) if torch.device(device).type == "cpu" else _Torch(weights, device)
    return Backbone(name, SIZE, EfficientNetLite0.width, NUM_TOKENS, digest, "squash224-v1", run)


def efficientnet_lite0(weights: Path) -> EfficientNetLite0:
    """The network with the weights of a reference file, strictly: every tensor, no other."""
    reference = torch.load(weights, map_location="cpu", weights_only=True)
    net = EfficientNetLite0()
    net.load_state_dict({rename(name): tensor for name, tensor in reference.items()}, strict=True)
    return net.eval().requires_grad_(False)


def rename(name: str) -> str:
    """A tensor's name in the reference file to its name in `nn.convnet`.

    >>> rename("_blocks.3._bn1.running_mean"), rename("_blocks.0._bn1.bias"), rename("_fc.weight")
    ('blocks.3.layers.4.running_mean', 'blocks.0.layers.1.bias', 'classifier.weight')
    """
    if block := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name):
        index, layer, tensor = block.groups()
        # The first block does not widen, so it lacks the three layers that do.
        return f"blocks.{index}.layers.{BLOCK_LAYERS[layer] - 3 * (index == '0')}.{tensor}"
    layer, tensor = name.split(".")
    return f"{OUTER_LAYERS[layer]}.{tensor}"


class FromPixels(nn.Module):
    """The network behind its normalisation, `(x - 127) / 128`, so that it takes bytes."""

    def __init__(self, net: EfficientNetLite0) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixels: Tensor) -> Tensor:
        """`uint8 [B S S 3]` to `float32 [B N D]`; an image's bytes are channels-last, the fastest layout."""
        return self.net((pixels.permute(0, 3, 1, 2).float() - 127) / 128)


class _Torch:
    def __init__(self, weights: Path, device: str) -> None:
        self._net = FromPixels(efficientnet_lite0(weights)).to(device)
        self._device = device

    @torch.no_grad()
    def __call__(self, pixels: np.ndarray) -> Tensor:
        chunks = torch.from_numpy(np.ascontiguousarray(pixels)).split(256)
        return torch.cat([self._net(chunk.to(self._device)).cpu() for chunk in chunks])


class _OpenVINO:
    """One image a request, one request a core: its maps stay in the core's own cache.

    Measured on 2 cores, images a second: 240 so, 180 in batches of 4 and 115 in batches of 32.
    """

    def __init__(self, weights: Path) -> None:
        with module_hidden("openvino_telemetry"):
            import openvino

        settings = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
        with signal_stack_kept():
            compiled = openvino.compile_model(_openvino_model(efficientnet_lite0(weights)), "CPU", settings)
        self._queue = openvino.AsyncInferQueue(compiled)
        self._queue.set_callback(_keep)
        self._lock = Lock()  # the queue waits for all its requests, so two callers must not share it

    def __call__(self, pixels: np.ndarray) -> Tensor:
        grid = np.empty((len(pixels), NUM_TOKENS, EfficientNetLite0.width), np.float32)
        with self._lock:
            for image, row in zip(np.ascontiguousarray(pixels), grid, strict=True):
                self._queue.start_async([image[None]], row)
            self._queue.wait_all()
        return torch.from_numpy(grid)


def _keep(request: Any, row: np.ndarray) -> None:
    row[:] = request.get_output_tensor(0).data[0]


def _openvino_model(net: EfficientNetLite0) -> Any:
    """`FromPixels` for one image as OpenVINO's graph, written layer by layer.

    The general converters would do, but take seconds and stand on torch's deprecated tracer.
    """
    import openvino
    from openvino import opset13 as ops

    pixels = ops.parameter([1, SIZE, SIZE, 3], np.uint8, "pixels")
    values = ops.transpose(ops.convert(pixels, np.float32), np.array([0, 3, 1, 2]))
    normal = ops.divide(ops.subtract(values, np.float32(127)), np.float32(128))
    grid = _emit(nn.Sequential(net.stem, net.blocks, net.head), normal)
    rows = ops.reshape(grid, np.array([1, EfficientNetLite0.width, NUM_TOKENS]), special_zero=False)
    return openvino.Model([ops.transpose(rows, np.array([0, 2, 1]))], [pixels], "efficientnet_lite0")


def _emit(module: nn.Module, grid: Any) -> Any:
    """The operations of a module of `nn.convnet` applied to a node `[1 C H W]`."""
    from openvino import opset13 as ops

    match module:
        case nn.Sequential():
            for layer in module:
                grid = _emit(layer, grid)
            return grid
        case InvertedResidual():
            out = _emit(module.layers, grid)
            return ops.add(grid, out) if module.adds_input else out
        case nn.Conv2d():
            weight, groups = module.weight.numpy(), module.groups
            settings = (list(module.stride), [0, 0], [0, 0], list(module.dilation))
            padding = "same_upper" if isinstance(module, SameConv2d) else "valid"
            if groups == 1:
                return ops.convolution(grid, weight, *settings, auto_pad=padding)
            grouped = weight.reshape(groups, len(weight) // groups, *weight.shape[1:])
            return ops.group_convolution(grid, grouped, *settings, auto_pad=padding)
        case nn.BatchNorm2d():
            tensors = (module.weight, module.bias, module.running_mean, module.running_var)
            return ops.batch_norm_inference(grid, *(t.numpy() for t in tensors if t is not None), module.eps)
        case nn.ReLU6():
            return ops.clamp(grid, 0.0, 6.0)
    raise TypeError(f"no OpenVINO operation is written for {type(module).__name__}")
