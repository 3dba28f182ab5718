import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from showtell.data.features import FeatureCache
from showtell.data.prefetch import prefetch
from showtell.progress import shown_by

SHAPE = (4, 3)


class FakeNet:
    """Means of the quarters of an image; counts the images that it has seen."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, pixels: np.ndarray) -> torch.Tensor:
        self.seen += len(pixels)
        quarters = pixels.reshape(len(pixels), 2, 4, 2, 4, 3).mean((2, 4))
        return torch.from_numpy(quarters.reshape(len(pixels), *SHAPE)).float()


@pytest.fixture
def paths(tmp_path) -> list[Path]:
    rng = np.random.default_rng(0)
    made = [tmp_path / f"图 {i}.png" for i in range(70)]
    for path in made:
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(path)
    return made


def cache(tmp_path, net, model="a") -> FeatureCache:
    return FeatureCache(tmp_path / "cache", model, "squash8-v1", net, SHAPE, size=8)


def test_computes_once_and_gives_the_right_rows(tmp_path, paths) -> None:
    net, seen = FakeNet(), []
    features = cache(tmp_path, net)
    with shown_by(lambda what, done, total, note: seen.append((done, total))):
        found = features.add(paths)
    expected = net(np.stack([np.asarray(Image.open(p)) for p in paths]))
    torch.testing.assert_close(features.grid(found.rows), expected.half().float())
    assert features.array.dtype == np.float16
    assert features.array.shape == (70, *SHAPE)
    assert seen[-1] == (70, 70)

    net.seen = 0
    again = cache(tmp_path, net)
    np.testing.assert_array_equal(again.add(paths[::-1]).rows, found.rows[::-1])
    assert net.seen == 0


def test_knows_images_by_content(tmp_path, paths) -> None:
    net = FakeNet()
    features = cache(tmp_path, net)
    first = features.add(paths[:40])
    moved = paths[0].rename(tmp_path / "moved.png")
    copy = tmp_path / "copy.png"
    copy.write_bytes(paths[1].read_bytes())
    new = features.add([moved, copy, copy, paths[50], paths[50]])
    assert new.rows.tolist() == [first.rows[0], first.rows[1], first.rows[1], 40, 40]
    assert net.seen == 41
    assert len(features) == 41


def test_copies_far_apart_are_computed_once(tmp_path, paths) -> None:
    net = FakeNet()
    features = cache(tmp_path, net)
    found = features.add([*paths, *paths])
    assert net.seen == len(features) == 70
    np.testing.assert_array_equal(found.rows[:70], found.rows[70:])


def test_another_model_has_its_own_features(tmp_path, paths) -> None:
    net = FakeNet()
    cache(tmp_path, net).add(paths[:5])
    assert len(cache(tmp_path, net, model="b")) == 0
    assert len(cache(tmp_path, net)) == 5


def test_unreadable_images_are_skipped_with_a_reason(tmp_path, paths) -> None:
    paths[1].write_bytes(b"")
    paths[2].write_bytes(paths[2].read_bytes()[:60])
    os.mkfifo(tmp_path / "pipe.png")
    features = cache(tmp_path, FakeNet())
    asked = [*paths[:4], tmp_path / "absent.png", tmp_path / "pipe.png"]
    found = features.add(asked)
    assert (found.rows >= 0).tolist() == [True, False, False, True, False, False]
    assert set(found.skipped) == {asked[i] for i in (1, 2, 4, 5)}
    assert all(found.skipped.values())
    with pytest.raises(IndexError, match="skipped"):
        features.grid(found.rows)


def test_an_unfinished_tail_is_overwritten(tmp_path, paths) -> None:
    features = cache(tmp_path, FakeNet())
    found = features.add(paths[:40])
    with (features.folder / "features.f16").open("ab") as file:
        file.write(b"half a row")
    with (features.folder / "index.sha256").open("ab") as file:
        file.write(b"half a digest")
    mended = cache(tmp_path, FakeNet())
    assert len(mended) == 40
    rows = mended.add(paths).rows
    np.testing.assert_array_equal(rows[:40], found.rows)
    fresh = FeatureCache(tmp_path / "other", "a", "squash8-v1", FakeNet(), SHAPE, size=8)
    torch.testing.assert_close(mended.grid(rows), fresh.grid(fresh.add(paths).rows))


def test_digests_without_rows_are_forgotten(tmp_path, paths) -> None:
    features = cache(tmp_path, FakeNet())
    features.add(paths)
    os.truncate(features.folder / "features.f16", 50 * 24 + 5)
    net = FakeNet()
    mended = cache(tmp_path, net)
    assert len(mended) == 50
    assert mended.add(paths).rows.max() == 69
    assert net.seen == 20


def test_a_wrong_shape_is_refused(tmp_path, paths) -> None:
    with pytest.raises(ValueError, match="the backbone returned"):
        cache(tmp_path, lambda pixels: torch.zeros(len(pixels), 5, 3)).add(paths[:2])


WRITER = """
import sys, time
sys.path.insert(0, {tests!r})
from pathlib import Path
from showtell.progress import shown_by
from test_features import FakeNet, cache
net = FakeNet()
slow = lambda pixels: (time.sleep(0.05), net(pixels))[1]
with shown_by(lambda what, done, total, note: print(done, flush=True)):
    cache(Path({folder!r}), slow).add(sorted(Path({folder!r}).glob("*.png")))
"""


def test_killed_while_writing_keeps_what_was_acknowledged(tmp_path, paths) -> None:
    script = WRITER.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    done = int(process.stdout.readline())
    process.kill()
    process.wait()
    features = cache(tmp_path, FakeNet())
    assert len(features) >= done > 0
    found = features.add(paths)
    expected = FakeNet()(np.stack([np.asarray(Image.open(p)) for p in paths]))
    torch.testing.assert_close(features.grid(found.rows), expected.half().float())


def test_prefetch_keeps_order_and_stops_with_its_consumer() -> None:
    started: list[int] = []

    def work(i: int) -> int:
        started.append(i)
        return i * i

    results = prefetch(work, range(1000), ahead=4)
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    results.close()
    assert len(started) < 20
    assert list(prefetch(work, range(100), ahead=4)) == [i * i for i in range(100)]


@pytest.mark.slow
def test_real_photographs(tmp_path, shared_data) -> None:
    from showtell.hub.backbones import load_backbone

    backbone = load_backbone()
    files = sorted((shared_data / "flickr8k").rglob("*.jpg"))[:500]
    features = FeatureCache(tmp_path, backbone.hash, backbone.preprocessing, backbone, (49, 1280))
    found = features.add(files)
    assert len(found.rows) == len(files)
    assert (found.rows >= 0).sum() + len(found.skipped) == len(files)
    grid = features.grid(found.rows[found.rows >= 0][:8])
    assert torch.isfinite(grid).all()
    assert grid.std() > 0.1


def test_bytes_are_kept_as_bytes(tmp_path, paths) -> None:
    """The pixels themselves, channels first: nothing is rounded, and a row is as small as it can be."""

    def first(pixels: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(pixels).permute(0, 3, 1, 2)

    kept = FeatureCache(tmp_path / "cache", "", "squash8-v1", first, (3, 8, 8), 8, np.uint8)
    found = kept.add(paths)
    expected = np.stack([np.asarray(Image.open(p)) for p in paths]).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(kept.array[found.rows], expected)
    assert kept.array.dtype == np.uint8
    assert (kept.folder / "features.u8").stat().st_size == 70 * 3 * 8 * 8
