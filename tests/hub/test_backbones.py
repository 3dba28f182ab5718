"""EfficientNet-Lite0 from its package, as a frozen backbone: fast, exact, quiet and safe."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from showtell.errors import MissingError, UsageError
from showtell.hub.backbones import TorchRunner, load_backbone
from showtell.hub.catalogue import package_path
from showtell.hub.efficientnet import read_efficientnet, rename
from showtell.hub.openvino import operations
from showtell.nn.backbones.efficientnet import EfficientNetLite


@pytest.fixture(scope="module")
def backbone():
    return load_backbone()


class Reference:
    """Eager torch, the definition of what the backbone computes."""

    def __init__(self) -> None:
        self.net = read_efficientnet(package_path("efficientnet_lite0")).net

    @torch.no_grad()
    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return self.net((images.permute(0, 3, 1, 2).float() - 127) / 128)


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    import skimage

    files = [
        Path(skimage.__file__).parent / "data" / name for name in ("chelsea.png", "coffee.png", "rocket.jpg")
    ]
    real = [np.asarray(Image.open(f).convert("RGB").resize((224, 224))) for f in files if f.is_file()]
    rng = np.random.default_rng(0)
    synthetic = [rng.integers(0, 256, (224, 224, 3), np.uint8), np.zeros((224, 224, 3), np.uint8)]
    return np.stack([*real, *synthetic])


def test_equals_eager_torch_on_every_image(backbone, reference, images) -> None:
    expected = reference(torch.from_numpy(images))
    grid = backbone(images)
    assert grid.shape == expected.shape == (len(images), backbone.num_tokens, backbone.width)
    assert grid.dtype == torch.float32
    assert torch.cosine_similarity(grid, expected, dim=-1).min() >= 0.9999
    torch.testing.assert_close(grid, expected, atol=1e-3, rtol=1e-3)


def test_the_torch_runner_equals_eager_torch(reference, images) -> None:
    run = TorchRunner(read_efficientnet(package_path("efficientnet_lite0")), "cpu")
    torch.testing.assert_close(run(images), reference(torch.from_numpy(images)), atol=1e-4, rtol=1e-4)


def test_it_recognises_a_cat_and_a_coffee(reference, images) -> None:
    """Wrong weights, channel order or normalisation would still give finite numbers."""
    labels = reference.net.classifier(reference(torch.from_numpy(images[:2])).mean(1)).topk(5).indices
    assert set(labels[0].tolist()) & {281, 282, 283, 284, 285}  # tabby ... Egyptian cat
    assert set(labels[1].tolist()) & {967, 504, 968}  # espresso, coffee mug, cup


def test_any_number_of_images(backbone, images) -> None:
    assert backbone(images[:0]).shape == (0, 49, 1280)
    one_by_one = torch.cat([backbone(p[None]) for p in images])
    torch.testing.assert_close(backbone(images), one_by_one)


def test_refuses_other_shapes(backbone, images) -> None:
    with pytest.raises(ValueError, match="uint8"):
        backbone(images.astype(np.float32))
    with pytest.raises(ValueError, match=re.escape("[B 224 224 3]")):
        backbone(images[:, :100])


def test_every_tensor_of_the_reference_is_renamed() -> None:
    reference = torch.load(package_path("efficientnet_lite0"), weights_only=True)
    ours = EfficientNetLite().state_dict()
    assert {rename(name) for name in reference} == set(ours)


def test_hash_and_unknown_name(backbone) -> None:
    assert re.fullmatch("[0-9a-f]{64}", backbone.hash)
    with pytest.raises(UsageError, match=r"no backbone is called 'efficientnet'.*efficientnet_lite0"):
        load_backbone("efficientnet")
    for name in ("resnet50", "dinov2"):
        with pytest.raises(MissingError, match=rf"no weights of {name} are on .*showtell import") as error:
            load_backbone(name)
        assert error.value.exit_status == 4


def test_threads_may_share_it(backbone, images) -> None:
    expected = backbone(images)
    with ThreadPoolExecutor(4) as pool:
        for grid in pool.map(backbone, [images] * 8):
            torch.testing.assert_close(grid, expected)


def test_an_unknown_layer_is_not_skipped() -> None:
    with pytest.raises(TypeError, match="GELU"):
        operations(torch.nn.Sequential(torch.nn.GELU()), None)


def test_nothing_is_reported_over_the_network(tmp_path) -> None:
    """OpenVINO would send an event on import, and store an id of the user in their home folder."""
    script = (
        "import multiprocessing.process, socket\n"
        "def refuse(*args, **kwargs): raise SystemExit('left the process')\n"
        "socket.socket.connect = multiprocessing.process.BaseProcess.start = refuse\n"
        "import numpy as np\n"
        "from showtell.hub.backbones import load_backbone\n"
        "load_backbone()(np.zeros((1, 224, 224, 3), np.uint8))\n"
        "import sys; assert not [m for m in sys.modules if m.startswith('openvino_telemetry.')]\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "CI"} | {"HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="sigaltstack is read as on Linux")
def test_signal_handlers_stay_on_their_own_stack() -> None:
    """On the small stack that OpenVINO sets, a signal during training caused a segmentation fault."""
    probe = """
import ctypes
from showtell.hub.backbones import load_backbone
load_backbone()
stack = (ctypes.c_char * 24)()
ctypes.CDLL(None).sigaltstack(None, stack)
print(int.from_bytes(stack[8:12], "little"))
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2"  # SS_DISABLE
