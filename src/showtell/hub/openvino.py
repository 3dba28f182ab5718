"""A convolutional network run by OpenVINO: the fastest way to its features on a CPU."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from showtell.hub.signal_stack import signal_stack_kept
from showtell.nn.backbones.efficientnet import InvertedResidual, SameConv2d
from showtell.nn.backbones.resnet import ResidualBlock
from showtell.runtime import module_hidden


@runtime_checkable
class Convolutional(Protocol):
    """Turns normalised pixels `[B 3 H W]` into a grid `[B D H' W']` by layers that OpenVINO has."""

    config: Any
    """With the pixels' `mean` and `std`, in 0..1."""

    def feature_layers(self) -> nn.Module:
        """The layers, each of a kind that `operations` knows."""
        ...


class OpenVINORunner:
    """`uint8 [B S S 3]` to `float32 [B N D]`, one image per request, one request per core.

    So an image's activations stay in its core's cache. EfficientNet-Lite0 on 2 cores, images per second: 240,
    in batches of 4 it is 180, of 32 it is 115. Threads may share a runner.
    """

    def __init__(self, system: Convolutional, size: int) -> None:
        openvino = imported()
        network = compiled(_model(system, size))
        self.num_tokens, self.width = network.output(0).shape[1:]
        self._queue = openvino.AsyncInferQueue(network)
        self._queue.set_callback(_keep)
        self._lock = Lock()  # the queue waits for all its requests, so two callers must not share it

    def __call__(self, pixels: np.ndarray) -> Tensor:
        """Features of any number of images."""
        grid = np.empty((len(pixels), self.num_tokens, self.width), np.float32)
        with self._lock:
            for image, row in zip(np.ascontiguousarray(pixels), grid, strict=True):
                self._queue.start_async([image[None]], row)
            self._queue.wait_all()
        return torch.from_numpy(grid)


def read_graph(path: Path) -> Any:
    """The graph of an ONNX file, as OpenVINO reads it."""
    openvino = imported()
    with signal_stack_kept():
        return openvino.Core().read_model(path)


def compiled(graph: Any) -> Any:
    """A graph compiled for this CPU, in float32: many requests at once, each on one core."""
    settings = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_PRECISION_HINT": "f32",
        # Layers that are kept ready for shapes that came before. Of the default, 5,000, a network that reads
        # images of any size takes megabytes for each new size, up to hundreds.
        "CPU_RUNTIME_CACHE_CAPACITY": "512",
    }
    with signal_stack_kept():
        return imported().compile_model(graph, "CPU", settings)


def imported() -> Any:
    """OpenVINO's module.

    Its import reports to its makers over the network, from a forked process, unless it finds no module to
    report with.
    """
    with module_hidden("openvino_telemetry"):
        import openvino
    return openvino


def _keep(request: Any, row: np.ndarray) -> None:
    row[:] = request.get_output_tensor(0).data[0]


def _model(system: Convolutional, size: int) -> Any:
    """OpenVINO's graph for one image `uint8 [1 S S 3]`, written layer by layer.

    The general converters would do, but take seconds and depend on torch's deprecated tracer.
    """
    import openvino
    from openvino import opset13 as ops

    mean, std = (
        np.array([255 * v for v in values], np.float32)[None, :, None, None]
        for values in (system.config.mean, system.config.std)
    )
    pixels = ops.parameter([1, size, size, 3], np.uint8, "pixels")
    values = ops.transpose(ops.convert(pixels, np.float32), np.array([0, 3, 1, 2]))
    grid = operations(system.feature_layers(), ops.divide(ops.subtract(values, mean), std))
    rows = ops.reshape(grid, np.array([1, grid.shape[1], -1]), special_zero=False)
    return openvino.Model([ops.transpose(rows, np.array([0, 2, 1]))], [pixels], type(system).__name__)


def operations(module: nn.Module, grid: Any) -> Any:
    """The operations of a module applied to a node `[1 C H W]`.

    Raises `TypeError` for a kind of module that has none here.
    """
    from openvino import opset13 as ops

    match module:
        case nn.Sequential():
            for layer in module:
                grid = operations(layer, grid)
            return grid
        case InvertedResidual():
            out = operations(module.layers, grid)
            return ops.add(grid, out) if module.adds_input else out
        case ResidualBlock():
            return ops.relu(ops.add(operations(module.layers, grid), operations(module.shortcut, grid)))
        case nn.Conv2d():
            return _convolution(module, grid)
        case nn.BatchNorm2d():
            tensors = (module.weight, module.bias, module.running_mean, module.running_var)
            arrays = [t.detach().numpy() for t in tensors if t is not None]
            return ops.batch_norm_inference(grid, *arrays, module.eps)
        case nn.ReLU6():
            return ops.clamp(grid, 0.0, 6.0)
        case nn.ReLU():
            return ops.relu(grid)
        case nn.MaxPool2d():
            kernel, stride, pad = ([side] * 2 for side in (module.kernel_size, module.stride, module.padding))
            return ops.max_pool(grid, stride, [1, 1], pad, pad, kernel).output(0)
        case nn.Identity():
            return grid
    raise TypeError(f"no OpenVINO operation is written for {type(module).__name__}")


def _convolution(module: nn.Conv2d, grid: Any) -> Any:
    from openvino import opset13 as ops

    weight, groups, pads = module.weight.detach().numpy(), module.groups, list(module.padding)
    settings = (list(module.stride), pads, pads, list(module.dilation))
    padding = "same_upper" if isinstance(module, SameConv2d) else "explicit"
    if groups == 1:
        return ops.convolution(grid, weight, *settings, auto_pad=padding)
    grouped = weight.reshape(groups, len(weight) // groups, *weight.shape[1:])
    return ops.group_convolution(grid, grouped, *settings, auto_pad=padding)
