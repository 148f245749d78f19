"""A corpus of images that are bad or odd, each with what must become of it: the one table of docs/bad-input.md.

`python tests/corpus.py` prints the tables as the page has them.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

MOST_PIXELS, MOST_BYTES = 1_000_000, 200_000  # the limits under which the corpus is read


class Case(NamedTuple):
    """One input and what becomes of it.

    Attributes:
      name: the file's, or the record's key.
      what: what is odd about it.
      data: its bytes.
      outcome: the pixels that it is read as, or words of the reason for which it is refused.
      within: levels by which the pixels may differ.
    """

    name: str
    what: str
    data: bytes
    outcome: np.ndarray | str
    within: int = 0

    @property
    def told(self) -> str:
        """The outcome in words."""
        if isinstance(self.outcome, str):
            return f"refused: {self.outcome}"
        height, width = self.outcome.shape[:2]
        return f"read as {height}x{width}"


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """An image as Pillow encodes it."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def seen(data: bytes) -> np.ndarray:
    """The first frame of an encoded image as Pillow shows it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data)) as image:
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colours: int, lines: bytes, *, interlace: int = 0) -> bytes:
    """A PNG of filtered lines."""
    header = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, interlace)
    return PNG_SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")


PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def interlaced_png(image: np.ndarray) -> bytes:
    """An RGB PNG in the seven passes of Adam7."""
    starts = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    passes = [image[top::down, left::right] for top, left, down, right in starts]
    lines = b"".join(b"\0" + row.tobytes() for part in passes if part.size for row in part)
    return png(image.shape[1], image.shape[0], 8, 2, lines, interlace=1)


def turned(orientation: int) -> Image.Exif:
    """EXIF that says how an image is to be turned."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def patched(data: bytes, place: int, values: bytes) -> bytes:
    """The bytes with some of them replaced."""
    return data[:place] + values + data[place + len(values) :]


def _jpegs(cat: Image.Image, coffee: Image.Image) -> list[Case]:
    whole = saved(cat, "JPEG", quality=90)
    size = whole.index(b"\xff\xc0") + 5  # where the frame's height and width stand
    half, tables = len(whole) // 2, whole.index(b"\xff\xdb")
    odd = {
        "progressive.jpg": ("progressive", saved(cat, "JPEG", progressive=True)),
        "restarts.jpg": ("with restart markers", saved(cat, "JPEG", restart_marker_blocks=3)),
        "444.jpg": ("without chroma subsampling", saved(cat, "JPEG", subsampling=0)),
        "grey.jpg": ("one channel", saved(cat.convert("L"), "JPEG")),
        "padded.jpg": ("1,000 bytes after its end", whole + b"maker note" * 100),
        "between.jpg": ("bytes between two segments", whole[:tables] + b"\0\0\0" + whole[tables:]),
        "icc.jpg": ("a broken ICC profile", saved(cat, "JPEG", icc_profile=b"no profile" * 9)),
        "exif.jpg": ("EXIF that is no EXIF", saved(cat, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0" + b"\xff" * 40)),
        "turned-6.jpg": ("EXIF: a quarter turn", saved(cat, "JPEG", exif=turned(6))),
        "turned-5.jpg": ("EXIF: transposed", saved(cat, "JPEG", exif=turned(5))),
        "upside-down.jpg": ("EXIF: upside down", saved(cat, "JPEG", exif=turned(3))),
        "no-turn-9.jpg": ("EXIF: an orientation that there is not", saved(cat, "JPEG", exif=turned(9))),
        "comment.jpg": ("a comment of 60,000 bytes", saved(cat, "JPEG", comment=b"-" * 60_000)),
        "pictures.jpg": ("two pictures in one file (MPO)", saved(cat, "MPO", save_all=True, append_images=[coffee])),
        "one-pixel.jpg": ("1x1", saved(cat.crop((9, 9, 10, 10)), "JPEG")),
        "line.jpg": ("one line", saved(cat.crop((0, 9, 211, 10)), "JPEG")),
        "column.jpg": ("one column", saved(cat.crop((9, 0, 10, 150)), "JPEG")),
        "UPPER.JPEG": ("an extension in capitals", whole),
    }
    bad = {
        "half.jpg": ("cut in half", whole[:half], "truncated"),
        "last-byte.jpg": ("without its last byte", whole[:-1], "truncated"),
        "half-with-end.jpg": ("cut in half, with an end", whole[:half] + b"\xff\xd9", "premature end of data segment"),
        "hole.jpg": ("500 bytes lost in the middle", whole[:half] + whole[half + 500 :], "would be made up"),
        "hole-padded.jpg": (
            "500 bytes lost, and padded",
            whole[:half] + whole[half + 500 :] + bytes(99),
            "would be made up",
        ),
        "head.jpg": ("its head alone", whole[:tables], "cannot be decoded"),
        "markers.jpg": ("begin and end, and nothing between", b"\xff\xd8\xff\xd9", "its header is damaged"),
        "noise.jpg": ("a JPEG's first bytes, then noise", b"\xff\xd8\xff" + bytes(range(200)), "its header is damaged"),
        "no-height.jpg": ("a height of 0", patched(whole, size, b"\0\0"), "0x211 pixels"),
        "bomb.jpg": ("65500x65500 by its header", patched(whole, size, b"\xff\xdc\xff\xdc"), "65500x65500 pixels"),
    }
    cmyk = saved(cat.convert("CMYK"), "JPEG")
    return [
        *(Case(name, f"JPEG, {what}", data, seen(data)) for name, (what, data) in odd.items()),
        Case("cmyk.jpg", "JPEG, CMYK", cmyk, seen(cmyk), 1),
        *(Case(name, f"JPEG, {what}", data, reason) for name, (what, data, reason) in bad.items()),
    ]


def _pngs(cat: Image.Image, coffee: Image.Image) -> list[Case]:
    whole, pixels = saved(cat, "PNG"), np.array(cat)
    grey, alpha, palette = cat.convert("L"), coffee.convert("L"), cat.quantize(64)
    veiled, grey_veiled = cat.copy(), grey.copy()
    veiled.putalpha(alpha)
    grey_veiled.putalpha(alpha)
    deep = pixels[..., 1].astype(np.uint16) * 256 + np.array(alpha)
    deep_lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in np.repeat(deep[..., None], 3, axis=2))

    def thrice(image: Image.Image) -> np.ndarray:
        return np.array(image.convert("RGB"))

    def with_chunk(kind: bytes, data: bytes) -> bytes:
        return whole[:33] + chunk(kind, data) + whole[33:]

    bomb = zlib.compress(bytes(50_000_000))
    tail, middle = len(whole) - 12, len(whole) // 2
    rows: list[tuple[str, str, bytes, Any]] = [
        ("grey.png", "8 bits of grey", saved(grey, "PNG"), thrice(grey)),
        ("bit.png", "1 bit", saved(cat.convert("1"), "PNG"), thrice(cat.convert("1"))),
        ("grey-alpha.png", "grey with alpha", saved(grey_veiled, "PNG"), thrice(grey)),
        ("rgba.png", "alpha, which is dropped", saved(veiled, "PNG"), pixels),
        ("palette.png", "a palette", saved(palette, "PNG"), thrice(palette)),
        ("palette-alpha.png", "a palette with alpha", saved(palette, "PNG", transparency=bytes(64)), thrice(palette)),
        ("deep-grey.png", "16 bits of grey", saved(Image.fromarray(deep), "PNG"), thrice(cat.getchannel(1))),
        ("deep-rgb.png", "16 bits of RGB", png(211, 150, 16, 2, deep_lines), thrice(cat.getchannel(1))),
        ("interlaced.png", "interlaced", interlaced_png(pixels), pixels),
        ("animated.png", "animated", saved(cat, "PNG", save_all=True, append_images=[coffee]), pixels),
        ("turned-6.png", "EXIF: a quarter turn", saved(cat, "PNG", exif=turned(6)), np.rot90(pixels, -1)),
        ("icc.png", "a broken ICC profile", with_chunk(b"iCCP", b"icc\0\0" + zlib.compress(b"none")), pixels),
        ("icc-bomb.png", "an ICC profile of 50 MB in 50 kB", with_chunk(b"iCCP", b"icc\0\0" + bomb), pixels),
        ("text-bomb.png", "a text of 50 MB in 50 kB", with_chunk(b"zTXt", b"Comment\0\0" + bomb), pixels),
        ("one-pixel.png", "1x1", saved(cat.crop((9, 9, 10, 10)), "PNG"), pixels[9:10, 9:10]),
        ("line.png", "one line", saved(cat.crop((0, 9, 211, 10)), "PNG"), pixels[9:10]),
        ("half.png", "cut in half", whole[:middle], "truncated"),
        ("half-with-end.png", "cut in half, with an end", whole[:middle] + whole[tail:], "truncated"),
        ("flipped.png", "a bit of its data flipped", patched(whole, middle, bytes([whole[middle] ^ 1])), "broken data"),
        ("header-crc.png", "a wrong CRC of its header", patched(whole, 29, bytes(4)), "bad header checksum"),
        ("no-data.png", "without data", whole[:33] + whole[tail:], "cannot be decoded"),
        ("chunk.png", "a chunk of 2 GB by its length", patched(whole, 33, b"\x7f\xff\xff\xff"), pixels),
        ("signature.png", "its signature alone", whole[:8], "its header is damaged"),
        ("no-width.png", "a width of 0", png(0, 9, 8, 2, b"\0" * 9), "9x0 pixels"),
        ("bomb.png", "20000x20000 in 49 kB", png(20_000, 20_000, 1, 0, bytes(50_020_000)), "20000x20000 pixels"),
        ("vast.png", "2147483647 a side", png(2**31 - 1, 2**31 - 1, 8, 2, b""), "2147483647x2147483647 pixels"),
    ]
    return [Case(name, f"PNG, {what}", data, outcome) for name, what, data, outcome in rows]


def _others(cat: Image.Image, coffee: Image.Image) -> list[Case]:
    pixels, frames = np.array(cat), {"save_all": True, "append_images": [coffee]}
    veiled = cat.copy()
    veiled.putalpha(coffee.convert("L"))
    bmp, gif, webp = saved(cat, "BMP"), saved(cat, "GIF"), saved(cat, "WEBP", lossless=True)
    upside = patched(bmp, 22, struct.pack("<i", -150))  # its lines from the top
    frame = gif.index(b"\x2c", 13 + 3 * 256)  # its first frame; before it stand its header and palette
    extended = saved(cat, "WEBP", lossless=True, exif=turned(6))
    options = {"lossless": True, "exact": True}
    rows: list[tuple[str, str, bytes, Any]] = [
        ("plain.bmp", "BMP", bmp, pixels),
        ("palette.bmp", "BMP, a palette", saved(cat.quantize(64), "BMP"), np.array(cat.quantize(64).convert("RGB"))),
        ("upside.bmp", "BMP, lines from the top", upside, pixels[::-1]),
        ("half.bmp", "BMP, cut in half", bmp[: len(bmp) // 2], "truncated"),
        ("vast.bmp", "BMP, 2000000 a side", patched(bmp, 18, struct.pack("<ii", 2_000_000, 2_000_000)), "2000000x2000"),
        ("lossless.webp", "WebP, lossless", webp, pixels),
        ("lossy.webp", "WebP, lossy", (lossy := saved(cat, "WEBP", quality=90)), seen(lossy)),
        ("alpha.webp", "WebP, alpha, which is dropped", saved(veiled, "WEBP", **options), pixels),
        ("animated.webp", "WebP, animated", saved(cat, "WEBP", lossless=True, **frames), pixels),
        ("turned-6.webp", "WebP, EXIF: a quarter turn", extended, np.rot90(pixels, -1)),
        ("half.webp", "WebP, cut in half", webp[: len(webp) // 2], "truncated"),
        ("vast.webp", "WebP, 16384x16384", patched(webp, 21, b"\xff\xff\xff\x0f"), "16384x16384 pixels"),
        (
            "canvas.webp",
            "WebP, a canvas of 65536x65536",
            patched(extended, 24, b"\xff\xff\0" * 2),
            "65536x65536 pixels",
        ),
        ("plain.gif", "GIF", gif, seen(gif)),
        ("animated.gif", "GIF, animated", (moving := saved(cat, "GIF", **frames)), seen(moving)),
        ("interlaced.gif", "GIF, interlaced", (woven := saved(cat, "GIF", interlace=1)), seen(woven)),
        ("half.gif", "GIF, cut in half", gif[: len(gif) // 2], "truncated"),
        ("vast.gif", "GIF, 60000x60000", patched(gif, 6, struct.pack("<HH", 60_000, 60_000)), "60000x60000 pixels"),
        (
            "frame.gif",
            "GIF, a frame of 9000x9000",
            patched(gif, frame + 5, struct.pack("<HH", 9000, 9000)),
            "9000x9000",
        ),
    ]
    return [Case(*row) for row in rows]


def _no_images(cat: Image.Image) -> list[Case]:
    pixels, noise = np.array(cat), np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    rows: list[tuple[str, str, bytes, Any]] = [
        ("png-within.jpg", "a PNG called .jpg", saved(cat, "PNG"), pixels),
        ("jpeg-within.png", "a JPEG called .png", (jpeg := saved(cat, "JPEG")), seen(jpeg)),
        ("empty.jpg", "no bytes", b"", "the file is empty"),
        ("one-byte.jpg", "one byte", b"\xff", "not an image"),
        ("text.jpg", "text", b"a cat that sits\n", "not an image: no JPEG"),
        ("page.jpg", "an HTML page", b"<!DOCTYPE html><title>404</title>", "it is an HTML page"),
        ("pointer.jpg", "a Git LFS pointer", b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        ("archive.jpg", "a ZIP archive", b"PK\x03\x04" + bytes(99), "it is a ZIP archive"),
        ("tiff.jpg", "TIFF", saved(cat, "TIFF"), "TIFF is not read here"),
        ("phone.jpg", "HEIC", b"\0\0\0\x18ftypheic" + bytes(99), "HEIC is not read here"),
        ("zeros.png", "1,000 zeros", bytes(1000), "not an image"),
        ("heavy.png", "more bytes than `max_bytes`", saved(Image.fromarray(noise), "PNG"), "source.max_bytes"),
        ("large.png", "more pixels than `max_pixels`", png(1001, 1000, 1, 0, bytes(126_000)), "source.max_pixels"),
    ]
    return [Case(*row) for row in rows]


def _names(cat: Image.Image) -> list[Case]:
    pixels, data = np.array(cat), saved(cat, "PNG")
    names = {
        " two  spaces .png": "spaces",
        "Käthe-猫-😺.png": "Unicode",
        "cafe\u0301.png": "Unicode, decomposed",
        "'single' \"double\" `back`.png": "quotes",
        "new\nline.png": "a newline",
        "tab\tand \x1b[31mred.png": "a tab and a terminal's escape",
        "up..and..down.png": "`..` within",
        "...png.png": "dots at the beginning of a longer name",
        "-rf.png": "a dash first",
        "100%25 #?&;$HOME.png": "signs of URLs and shells",
        "back\\slash.png": "a backslash",
        "a" * 251 + ".png": "255 bytes",
        "\u202egnp.tac.png": "a turn from right to left",
    }
    return [Case(name, f"a name with {what}", data, pixels) for name, what in names.items()]


@lru_cache(maxsize=1)
def image_cases() -> list[Case]:
    """Every image of the corpus, by the name of its file."""
    from skimage import data

    cat = Image.fromarray(data.chelsea()[30:180, 120:331])
    coffee = Image.fromarray(data.coffee()[100:250, 200:411])
    return [*_jpegs(cat, coffee), *_pngs(cat, coffee), *_others(cat, coffee), *_no_images(cat), *_names(cat)]


def image_table() -> str:
    """The corpus of images as the page has it."""
    lines = [f"| {case.what} | {case.told} |" for case in image_cases()]
    return "\n".join(["| image | what becomes of it |", "|---|---|", *lines])


if __name__ == "__main__":
    from corpus_sources import record_table, source_table

    print("\n\n".join([image_table(), record_table(), source_table()]))
