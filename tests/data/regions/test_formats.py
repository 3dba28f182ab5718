"""Region files of every format: read alike, found by images' names, unsound regions refused by name."""

import numpy as np
import pytest
import torch

from showtell.data.images.decode import ImageError
from showtell.data.regions.read import RegionFile, region_format
from showtell.data.regions.region import image_key, packed, region_batch
from showtell.errors import MissingError, UsageError, UserError
from support.regions import HEIGHT, WIDTH, some_regions, write_hdf5, write_npz, write_tsv

IMAGES = {"COCO_val2014_000000000042": some_regions(3), "a": some_regions(5, seed=1)}


@pytest.fixture(params=["tsv", "lxmert", "npz", "norm_bb", "hdf5"])
def written(request, tmp_path):
    match request.param:
        case "tsv" | "lxmert":
            return write_tsv(tmp_path / "r.tsv", IMAGES, lxmert=request.param == "lxmert")
        case "npz" | "norm_bb":
            return write_npz(tmp_path / "r", IMAGES, normalised=request.param == "norm_bb")
    pytest.importorskip("h5py")
    return write_hdf5(tmp_path / "r.h5", IMAGES)


def test_every_format_gives_the_same_regions(written):
    file = RegionFile(written)
    assert (len(file), file.width, file.problems) == (2, 6, [])
    for image, (features, boxes) in (
        ("x/42.jpg", IMAGES["COCO_val2014_000000000042"]),
        ("a.png", IMAGES["a"]),
    ):
        found = file.load(image)
        np.testing.assert_allclose(found[:, :4], boxes / [WIDTH, HEIGHT, WIDTH, HEIGHT], atol=1e-6)
        np.testing.assert_allclose(found[:, 4:], features, atol=2e-3)
    with pytest.raises(ImageError, match=r"b\.png: has no regions in r"):
        file.load("b.png")
    with pytest.raises(UsageError, match="no pixels"):
        file(np.zeros((4, 4, 3), np.uint8))


def test_regions_are_padded_in_a_batch():
    batch = region_batch([packed(*IMAGES["a"], (WIDTH, HEIGHT)), packed(*some_regions(2), (WIDTH, HEIGHT))])
    assert batch.features.shape == (2, 5, 6)
    assert batch.boxes is not None
    assert batch.boxes.shape == (2, 5, 4)
    assert batch.keep is not None
    assert batch.keep.sum(1).tolist() == [5, 2]
    torch.testing.assert_close(batch.features[0], torch.from_numpy(IMAGES["a"][0]))


@pytest.mark.parametrize(
    ("boxes", "size", "said"),
    [
        (
            [[0, 0, WIDTH + 2, 5]],
            (WIDTH, HEIGHT),
            "1 of 1 boxes that leave the image, the first: 0.000 0.000 1.1",
        ),
        ([[-2, 0, 5, 5]], (WIDTH, HEIGHT), "leave the image"),
        ([[0, 0, 1.1, 1]], None, "leave the image"),
        ([[9, 1, 3, 5]], (WIDTH, HEIGHT), "left, top, right, bottom"),
        ([[0, 0, float("nan"), 1]], None, "not finite"),
        ([[0, 0, 1, 1], [0, 0, 1, 1]], None, "has 1 features and 2 boxes"),
        ([[0, 0, 5, 5]], (0, HEIGHT), "0 x 10 pixels"),
    ],
)
def test_unsound_boxes_are_said(boxes, size, said):
    with pytest.raises(ValueError, match=said):
        packed(np.zeros((1, 3)), np.array(boxes), size)


def test_a_box_that_leaves_by_a_pixel_is_cut():
    found = packed(np.zeros((1, 3)), np.array([[-0.5, 0, WIDTH + 0.9, HEIGHT]]), (WIDTH, HEIGHT))
    assert found[0, :4].tolist() == [0, 0, 1, 1]


def test_names_of_images_and_ids_meet():
    for name in (
        "9",
        "000000000009.jpg",
        "COCO_train2014_000000000009",
        "coco_val2014_000000000009.npz"[:-4],
        "a/9.png",
    ):
        assert image_key(name) == "9"
    assert image_key("1000268201_693b08cb0e.jpg") == "1000268201_693b08cb0e"
    assert image_key("flickr30k_000000065567") == image_key("65567.jpg")


def test_a_broken_file_is_said(tmp_path):
    file = write_tsv(tmp_path / "r.tsv", dict.fromkeys(("a", "a.jpg", "c"), IMAGES["a"]))
    text = file.read_text().splitlines()
    file.write_text("\n".join([*text[:2], text[2][:-40], "x\ty"]) + "\n")
    found = RegionFile(file)
    assert [str(one).partition(": ")[2] for one in found.problems] == [
        "holds 'a.jpg' and 'a' alike; delete one; the first is read",
        "has 2 columns; write 6, or LXMERT's 10",
    ]
    with pytest.raises(ImageError, match=r"c\.png: r\.tsv says 5 boxes and holds 80 and"):
        found.load("c.png")


def test_other_files_are_not_regions(tmp_path):
    (tmp_path / "captions.tsv").write_text("image\tcaption\na.jpg\ta dog\n")
    (tmp_path / "r.h5").write_bytes(b"no")
    assert region_format(tmp_path / "captions.tsv") is None
    assert region_format(tmp_path) is None
    with pytest.raises(UserError, match=r"r\.h5 holds no regions of images. Looked for:\n  hdf5: "):
        RegionFile(tmp_path / "r.h5")
    with pytest.raises(UserError, match="does not exist"):
        RegionFile(tmp_path / "none")


def test_features_of_another_width_are_said(tmp_path):
    file = RegionFile(write_npz(tmp_path / "r", {"a": some_regions(2), "b": some_regions(2, width=7)}))
    with pytest.raises(ImageError, match="7 numbers per region, elsewhere 6"):
        file.load("b.jpg")


def test_a_damaged_npz_is_one_image_less(tmp_path):
    folder = write_npz(tmp_path / "r", {"a": some_regions(2), "b": some_regions(2), "c": some_regions(2)})
    (folder / "b.npz").write_bytes((folder / "b.npz").read_bytes()[:200])
    np.savez(folder / "c.npz", features=np.zeros((2, 6)))
    file = RegionFile(folder)
    assert file.load("a.jpg").shape == (2, 10)
    with pytest.raises(ImageError, match=r"r holds b\.npz, which cannot be read"):
        file.load("b.jpg")
    with pytest.raises(ImageError, match="without bbox or boxes, only features"):
        file.load("c.jpg")


def test_hdf5_without_its_reader_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    (tmp_path / "r.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(MissingError, match="pip install h5py"):
        RegionFile(tmp_path / "r.h5")
