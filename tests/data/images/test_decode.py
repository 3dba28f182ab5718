import contextlib
import io
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from showtell.data.images import samples
from showtell.data.images.decode import (
    MAX_PIXELS,
    ImageError,
    decode_image,
    load_image,
)
from showtell.data.images.files import find_images, is_image_name, read_content, survey
from showtell.data.images.samples import sample_photographs
from showtell.errors import MissingError, UserError
from support import hostile


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("hostile")
    return path, hostile.build(path)


def test_hostile_folder(folder) -> None:
    root, expected = folder
    found = find_images(root)
    assert {path.relative_to(root).as_posix() for path in found} == expected.keys()
    assert found == sorted(found)
    for name, outcome in expected.items():
        if outcome == "ok":
            pixels = load_image(root / name)
            assert pixels.dtype == np.uint8
            assert pixels.ndim == 3
            assert pixels.shape[2] == 3
            assert pixels.flags.writeable
        else:
            with pytest.raises(ImageError) as caught:
                load_image(root / name)
            assert caught.value.path == root / name
            assert caught.value.reason
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("truncated.jpg", "cut short"),
        ("truncated.png", "cut short"),
        ("header only.jpg", "cut short"),
        ("empty.jpg", "is empty"),
        ("text.jpg", "looks like text"),
        ("page.png", "web page"),
        ("zeros.jpg", "known format"),
        ("bomb.png", "60000 x 60000"),
        ("phone.heic", "HEIC"),
        ("dangling.jpg", "link to a file that does not exist"),
        ("pipe.jpg", "not a file"),
        ("folder.jpg", "not a file"),
        ("never was.jpg", "does not exist"),
    ],
)
def test_plain_reasons(folder, name: str, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        load_image(folder[0] / name)


def test_a_pdf_is_named_with_the_verb_that_reads_it() -> None:
    with pytest.raises(ImageError, match="is a PDF, not an image; `showtell extract` reads"):
        decode_image(b"%PDF-1.7\n1 0 obj <</Type /Catalog>> endobj\n", "invoice.pdf")


def test_the_reason_survives_another_process() -> None:
    error = pickle.loads(pickle.dumps(ImageError("a.jpg", "is empty")))
    assert (str(error), error.reason) == ("a.jpg: is empty", "is empty")


def test_nothing_is_written_to_stderr(folder) -> None:
    """In a prepared process, even with `-W always`; libtiff itself prints a line for broken compression."""
    root, _ = folder
    tiff = hostile.encoded(hostile.photograph(1), "TIFF")
    (root / "cut.tif").write_bytes(tiff[:-400])
    (root / "bent.tif").write_bytes(tiff[:300] + bytes(200) + tiff[500:])
    cut_exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0\x0f\x01\x02\0\xff\0\0\0\x40\0\0\0\x12"
    (root / "half exif.jpg").write_bytes(hostile.encoded(hostile.photograph(1), "JPEG", exif=cut_exif))
    code = """
import sys
from showtell.data.images.decode import ImageError, load_image
from showtell.data.images.files import find_images
from showtell.runtime import prepare_process
prepare_process()
for path in find_images(sys.argv[1]):
    try: load_image(path)
    except ImageError: pass
"""
    run = subprocess.run(
        [sys.executable, "-W", "always", "-c", code, str(root)], capture_output=True, text=True
    )
    for name in ("cut.tif", "bent.tif", "half exif.jpg"):
        (root / name).unlink()
    assert (run.returncode, run.stderr, run.stdout) == (0, "", "")


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_upright_by_exif(value: int, format: str) -> None:
    upright = Image.new("RGB", (32, 16), "white")
    upright.paste("red", (0, 0, 8, 8))  # top left
    upright.paste("blue", (24, 8, 32, 16))  # bottom right
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposes of Pillow, inverted
    stored = upright if value == 1 else upright.transpose(Image.Transpose(undo[value]))
    options = {"exif": hostile.orientation(value)} | ({"quality": 100} if format in ("JPEG", "WEBP") else {})
    pixels = decode_image(hostile.encoded(stored, format, **options), "x").astype(int)
    assert pixels.shape == (16, 32, 3)
    assert np.abs(pixels[3, 3] - [255, 0, 0]).max() < 40
    assert np.abs(pixels[12, 28] - [0, 0, 255]).max() < 40


def test_a_broken_exif_is_ignored() -> None:
    data = hostile.encoded(hostile.photograph(1), "PNG", exif=b"Exif\0\0nonsense, not a TIFF header")
    assert decode_image(data, "x").shape == (64, 96, 3)


def test_16_bits_are_scaled() -> None:
    for format in ("PNG", "TIFF"):
        pixels = decode_image(hostile.encoded(hostile.grey16(), format), "x")
        row = pixels[0, :, 0].astype(int)
        np.testing.assert_array_equal(row, np.rint(np.linspace(0, 65535, 96).astype(int) / 257))
    dark = Image.fromarray(np.full((4, 4), 200, np.uint16))  # nearly black, not a bright 8-bit grey
    assert decode_image(hostile.encoded(dark, "PNG"), "x").max() == 1


@pytest.mark.parametrize(("full", "dtype"), [(1, np.float32), (255, np.float32), (60000, np.int32)])
def test_scientific_formats_are_scaled(full: float, dtype: type) -> None:
    ramp = (np.linspace(0, full, 64)[None].repeat(4, 0)).astype(dtype)
    pixels = decode_image(hostile.encoded(Image.fromarray(ramp), "TIFF"), "x")
    assert pixels[0, 0, 0] == 0
    assert pixels[0, -1, 0] > 230
    assert 100 < pixels[0, 32, 0] < 140


def test_cmyk_by_its_profile() -> None:
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    plain = decode_image(hostile.encoded(cyan, "TIFF"), "x")[8, 8]
    muted = decode_image(hostile.encoded(cyan, "TIFF", icc_profile=hostile.cmyk_profile()), "x")[8, 8]
    np.testing.assert_array_equal(plain, [0, 255, 255])
    lab = ImageCms.createProfile("LAB")
    there = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), lab, "RGB", "LAB")
    seen = ImageCms.applyTransform(Image.new("RGB", (1, 1), tuple(map(int, muted))), there).getpixel((0, 0))
    assert abs(seen[0] / 2.55 - 55) < 3  # the lightness that the profile gives cyan; plain cyan has 91
    white = Image.new("CMYK", (8, 8))
    assert decode_image(hostile.encoded(white, "TIFF", icc_profile=hostile.cmyk_profile()), "x").min() > 250


def test_rgb_by_its_profile() -> None:
    red = Image.new("RGB", (8, 8), "red")
    seen = decode_image(hostile.encoded(red, "PNG", icc_profile=hostile.rotated_rgb_profile()), "x")[0, 0]
    assert seen[1] > 240
    assert seen[0] < 40
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    np.testing.assert_array_equal(
        decode_image(hostile.encoded(red, "PNG", icc_profile=srgb), "x")[0, 0], [255, 0, 0]
    )


def test_a_broken_profile_is_ignored() -> None:
    red = hostile.encoded(Image.new("RGB", (8, 8), "red"), "PNG", icc_profile=b"nonsense" * 50)
    np.testing.assert_array_equal(decode_image(red, "x")[0, 0], [255, 0, 0])


def test_transparency_is_on_white() -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    half = Image.new("LA", (8, 8), (0, 128))
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([0, 255, 0, 255, 0, 0])
    assert decode_image(hostile.encoded(clear, "PNG"), "x").min() == 255
    assert decode_image(hostile.encoded(clear, "WEBP"), "x").min() == 255
    assert abs(int(decode_image(hostile.encoded(half, "PNG"), "x")[0, 0, 0]) - 127) <= 1
    assert decode_image(hostile.encoded(palette, "PNG", transparency=0), "x").min() == 255
    assert decode_image(hostile.encoded(palette, "GIF", transparency=0), "x").min() == 255
    np.testing.assert_array_equal(decode_image(hostile.encoded(palette, "PNG"), "x")[0, 0], [0, 255, 0])


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_first_frame_of_an_animation(format: str) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    data = hostile.encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=50)
    assert Image.open(io.BytesIO(data)).n_frames == 2
    assert np.abs(decode_image(data, "x")[0, 0].astype(int) - [255, 0, 0]).max() < 10


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM"])
def test_every_format_looks_the_same(format: str) -> None:
    image = hostile.photograph(3)
    pixels = decode_image(hostile.encoded(image, format), "x")
    assert np.abs(pixels.astype(int) - np.asarray(image)).mean() < 9  # GIF has 256 colours


def test_size_is_refused_from_the_header() -> None:
    data = hostile.encoded(Image.new("RGB", (40, 30)), "JPEG")
    assert decode_image(data, "x", max_pixels=1200).shape == (30, 40, 3)
    with pytest.raises(ImageError, match=r"40 x 30.*1,199"):
        decode_image(data, "x", max_pixels=1199)
    with pytest.raises(ImageError, match="cut short"):  # allowed above Pillow's own limit, then found empty
        decode_image(hostile.bomb(15000, 14000), "x", max_pixels=10**9)
    assert MAX_PIXELS < 15000 * 14000


@pytest.mark.parametrize(
    ("at_least", "shape"), [(100, (150, 200, 3)), (160, (300, 400, 3)), (301, (600, 800, 3))]
)
def test_a_jpeg_shrinks_but_never_below(at_least: int, shape: tuple[int, ...]) -> None:
    data = hostile.encoded(hostile.photograph(1, 800, 600), "JPEG")
    small, whole = decode_image(data, "x", at_least=at_least), decode_image(data, "x")
    assert small.shape == shape
    again = np.asarray(Image.fromarray(whole).resize(shape[1::-1], Image.Resampling.BOX))
    assert np.abs(small.astype(int) - again).mean() < 2


def test_threads_agree(folder) -> None:
    root, expected = folder
    names = [name for name, outcome in expected.items() if outcome == "ok"]
    alone = [load_image(root / name) for name in names]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            together = list(pool.map(load_image, [root / name for name in names]))
            for one, other in zip(alone, together, strict=True):
                np.testing.assert_array_equal(one, other)


def test_damaged_anywhere_never_crashes() -> None:
    """Bytes overwritten or cut at random: pixels or an ImageError, nothing else."""
    rng = np.random.default_rng(0)
    for format in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM"):
        whole = hostile.encoded(hostile.photograph(5), format)
        for _ in range(40):
            data = bytearray(whole)
            for place in rng.integers(0, len(data), 6):
                data[place] = rng.integers(256)
            del data[int(rng.integers(len(data) // 2, len(data) + 1)) :]
            with contextlib.suppress(ImageError):
                assert decode_image(bytes(data), "x", max_pixels=10**6).dtype == np.uint8


def test_names_that_are_not_unicode(tmp_path) -> None:
    path = os.fsencode(tmp_path) + "/照片.jpg".encode("gbk")
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(b"")
    [found] = find_images(tmp_path)
    with pytest.raises(ImageError) as caught:
        load_image(found)
    str(caught.value).encode()


def test_find_images(tmp_path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("z.JPG", "a.Png", "b/c.webp", "b/.d.jpg", ".hidden/e.jpg", "f.txt", "g.svg"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "b" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path)] == [
        "a.Png",
        "b/c.webp",
        "g.svg",
        "z.JPG",
    ]
    with pytest.raises(UserError, match="nowhere"):
        find_images(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"z\.JPG"):
        find_images(tmp_path / "z.JPG")
    assert not is_image_name("jpg")


def test_a_folder_that_cannot_be_listed_is_reported(tmp_path, monkeypatch) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    listing = os.scandir

    def scandir(path):
        if os.fspath(path) == str(closed):
            raise PermissionError(13, "Permission denied", str(closed))
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert find_images(tmp_path) == [closed]
    for read in (load_image, read_content):
        with pytest.raises(ImageError, match="is a folder that cannot be listed: Permission denied"):
            read(closed)


def test_a_folder_that_goes_away_while_it_is_listed_is_reported(tmp_path, monkeypatch) -> None:
    gone, stat = tmp_path / "gone", Path.stat
    gone.mkdir()
    (tmp_path / "a.jpg").touch()

    def refuse(path, **options):
        if path == gone:
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    assert find_images(tmp_path) == [tmp_path / "a.jpg", gone]


UNREADABLE = {
    "a.CR2": (b"II*\0\x10\0\0\0CR\2\0", "camera raw image"),
    "b.DNG": (None, "camera raw image"),
    "c.nef": (b"\0\1\2\3", "camera raw image"),
    "d.cr3": (b"\0\0\0\x18ftypcrx \0\0\0\1", "camera raw image"),
    "e.jxl": (b"\xff\x0a\1\2", "JPEG XL"),
    "f.psd": (b"8BPS\0\1", "Photoshop"),
    "g.svg": (b"<svg/>", "SVG"),
    "h.HEIF": (b"\0\0\0\x18ftypheix", "HEIC"),
    "i.jpg": (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    "j.tif": (None, "camera raw image"),
    "k.tga": (b"\0\0\2\0\0", "TGA"),
    "l": (b"\0\0\0\x18ftypheic", "HEIC"),
    "m.raf": (b"", "is empty"),
}


def test_kinds_that_cannot_be_read_are_found_and_named(tmp_path) -> None:
    for name, (data, _) in UNREADABLE.items():
        tiff = hostile.encoded(hostile.photograph(1), "TIFF", tiffinfo={50706: b"\1\4\0\0"})
        (tmp_path / name).write_bytes(tiff if data is None else data)
    assert [path.name for path in find_images(tmp_path)] == sorted(UNREADABLE)
    for name, (_, reason) in UNREADABLE.items():
        with pytest.raises(ImageError, match=reason):
            load_image(tmp_path / name)


def test_content_decides_where_it_can_be_read(tmp_path) -> None:
    for name in ("a.CR2", "b.heic", "without ending"):
        (tmp_path / name).write_bytes(hostile.encoded(hostile.photograph(1), "JPEG"))
    (tmp_path / "README").write_text("not an image")
    os.mkfifo(tmp_path / "pipe")
    found = find_images(tmp_path)
    assert [path.name for path in found] == ["a.CR2", "b.heic", "without ending"]
    assert {load_image(path).shape for path in found} == {(64, 96, 3)}


def test_system_folders_are_passed_over_and_counted(tmp_path, caplog) -> None:
    junk = [
        "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg",
        "b/@eaDir/a.jpg",
        ".thumbnails/a.jpg",
        "__MACOSX/a.jpg",
        ".Trash-1000/files/a.jpg",
        "$RECYCLE.BIN/a.jpg",
        "#recycle/a.jpg",
        "@Recycle/a.jpg",
        "System Volume Information/a.jpg",
        "lost+found/a.jpg",
        "b/Thumbs.db",
        "._a.jpg",
    ]
    for name in ["a.jpg", "b/c.jpg", ".gitignore", "notes.txt", *junk]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"\xff\xd8\xff")
    caplog.set_level("INFO", "showtell")
    assert find_images(tmp_path) == [tmp_path / "a.jpg", tmp_path / "b/c.jpg"]
    assert survey(tmp_path).passed_over.total() == len(junk)
    assert survey(tmp_path).passed_over["@eaDir"] == 2
    [message] = caplog.messages
    assert "12 hidden or system items passed over: @eaDir (2)" in message


def test_real_photographs(shared_data) -> None:
    found = find_images(shared_data / "photos")
    assert len(found) == 120
    for path in found[:20]:
        assert max(load_image(path).shape) == 500


def test_without_scikit_image_the_sample_photographs_name_the_command(monkeypatch) -> None:
    monkeypatch.setattr(samples, "find_spec", lambda name: None)
    with pytest.raises(MissingError, match=r"pip install 'showtell\[demo\]'; or name a folder"):
        sample_photographs()


def test_sample_photographs() -> None:
    found = sample_photographs()
    assert len(found) >= 10
    assert len({path.name for path in found}) == len(found)
    for path in found:
        assert min(load_image(path).shape[:2]) > 100
