"""A folder of everything that can be wrong with image files."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def photograph(seed: int, width: int = 96, height: int = 64) -> Image.Image:
    """A smooth coloured image, another one for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, format: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def build(folder: Path) -> dict[str, str]:
    """Fill a folder; return the expected outcome of each image, 'ok' or 'skip', by relative name.

    Files that are not named here (hidden ones, notes) are not images and should not be found.
    """
    folder.mkdir(parents=True, exist_ok=True)
    frames = [photograph(seed).convert("RGB") for seed in (20, 21, 22)]
    animation = {"save_all": True, "append_images": frames[1:], "duration": 100}
    palette = photograph(8).quantize(16)
    transparent = photograph(7).convert("RGBA")
    transparent.putalpha(Image.linear_gradient("L").resize(transparent.size))
    jpeg = encoded(photograph(1, 640, 480), "JPEG", quality=95)
    ok = {
        "plain.jpg": encoded(photograph(2), "JPEG"),
        "UPPER.JPG": encoded(photograph(3), "JPEG"),
        "really a png.jpg": encoded(photograph(4), "PNG"),
        "cmyk.jpg": encoded(photograph(5).convert("CMYK"), "JPEG", icc_profile=cmyk_profile()),
        "grey16.png": encoded(grey16(), "PNG"),
        "rgba.png": encoded(transparent, "PNG"),
        "palette.png": encoded(palette, "PNG", transparency=0),
        "animated.gif": encoded(frames[0], "GIF", **animation),
        "animated.webp": encoded(frames[0], "WEBP", **animation),
        "rotated.jpg": encoded(photograph(9), "JPEG", exif=orientation(6)),
        "pixel.png": encoded(Image.new("RGB", (1, 1), "red"), "PNG"),
        "猫 在 100% 屋顶上.jpg": encoded(photograph(10), "JPEG"),
        "percent%20%E7%8C%AB.jpg": encoded(photograph(11), "JPEG"),
        "相册 2024/deep/nested.jpeg": encoded(photograph(12), "JPEG"),
        "folder.jpg/inside.png": encoded(photograph(13), "PNG"),
    }
    skip = {
        "truncated.jpg": jpeg[: len(jpeg) // 2],
        "truncated.png": encoded(photograph(14, 640, 480), "PNG")[:4000],
        "header only.jpg": jpeg[:30],
        "empty.jpg": b"",
        "text.jpg": "这不是图片 this is not an image\n".encode() * 9,
        "page.png": b"<!DOCTYPE html><html><body>404</body></html>",
        "zeros.jpg": bytes(5000),
        "bomb.png": bomb(60000, 60000),
        "phone.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100),
    }
    for name, data in (ok | skip).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    expected = dict.fromkeys(ok, "ok") | dict.fromkeys(skip, "skip")
    (folder / "notes.txt").write_text("not an image")
    (folder / "._plain.jpg").write_bytes(b"\0\5\x16\7")
    (folder / "dangling.jpg").symlink_to(folder / "gone.jpg")
    os.mkfifo(folder / "pipe.jpg")
    unreadable = folder / "unreadable.jpg"
    unreadable.write_bytes(encoded(photograph(15), "JPEG"))
    unreadable.chmod(0)
    may_read = os.access(unreadable, os.R_OK)  # root may read anything
    return expected | {
        "dangling.jpg": "skip",
        "pipe.jpg": "skip",
        "unreadable.jpg": "ok" if may_read else "skip",
    }


def build_unnameable(folder: Path) -> list[Path]:
    """Good images whose names are not UTF-8; none where the file system refuses such names."""
    made = []
    for seed, name in enumerate((b"caf\xe9.jpg", b"alb\xfcm/inside.jpg"), 16):
        path = folder / os.fsdecode(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(photograph(seed), "JPEG"))
        except OSError:
            continue
        made.append(path)
    return made


def grey16() -> Image.Image:
    """A ramp over all 16 bits, from black on the left to white on the right."""
    return Image.fromarray(np.tile(np.linspace(0, 65535, 96).astype(np.uint16), (64, 1)))


def orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises more pixels than memory holds."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def cmyk_profile() -> bytes:
    """A printer's colour profile with muted inks, unlike plain CMYK arithmetic: cyan is Lab 55 -37 -50."""
    inks = {
        (0, 0, 0): (100, 0, 0),
        (1, 0, 0): (55, -37, -50),
        (0, 1, 0): (48, 74, -3),
        (0, 0, 1): (89, -5, 93),
        (1, 1, 0): (24, 22, -46),
        (1, 0, 1): (50, -65, 27),
        (0, 1, 1): (47, 68, 48),
        (1, 1, 1): (23, 0, 0),
    }
    corners = [(c, m, y, k) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    lab = [(12, 0, 0) if k else inks[c, m, y] for c, m, y, k in corners]
    clut = bytes(value for L, a, b in lab for value in (round(L * 2.55), a + 128, b + 128))
    identity = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 * value for value in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + matrix + identity * 4 + clut + identity * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table})


def rotated_rgb_profile() -> bytes:
    """A screen's profile whose red is sRGB's green, green its blue, and blue its red."""
    red, green, blue = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256))
    columns = {b"rXYZ": _xyz(*green), b"gXYZ": _xyz(*blue), b"bXYZ": _xyz(*red)}
    return _profile(b"mntr", b"RGB ", b"XYZ ", columns | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def _xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(65536 * value) for value in values))


def _profile(device: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC version 2 profile."""
    name = b"odd\0"
    described = b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78)
    tags = {b"desc": described, b"wtpt": _xyz(0.9642, 1, 0.8249), b"cprt": b"text\0\0\0\0none\0"} | tags
    directory, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for tag, data in tags.items():
        directory += tag + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size, version = start + len(body), 0x02100000
    header = struct.pack(">I4sI4s4s4s", size, b"lcms", version, device, space, connection)
    header += bytes(12) + b"acsp" + bytes(28) + _xyz(0.9642, 1, 0.8249)[8:]
    return header.ljust(128, b"\0") + directory + body
