"""Encoded bytes to pixels and back: one way to decode, resize and encode for every source."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from augmill.pipeline.fast_resize import resize_fast
from augmill.pipeline.png import encode_png
from augmill.transforms.motion import Motion, scaling, translation

_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"RIFF", b"GIF8")
_END_MARKERS = {b"\xff\xd8\xff": b"\xff\xd9", b"\x89PNG": b"IEND"}
_TAIL = 64  # bytes at the end to look at: some cameras pad after the end marker
EXTENSIONS = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".gif"})


class ImageError(ValueError):
    """The bytes are not an image that can be read; the message is the reason."""


def decode_image(data: bytes, channels: int = 3) -> np.ndarray:
    """Decode JPEG, PNG, BMP, WebP or the first frame of a GIF to what a viewer shows.

    Grayscale, palette, CMYK and 16-bit images become RGB; 16 bits are scaled to 8; an alpha channel is dropped, not
    blended, as `tf.io.decode_png(channels=3)` does; EXIF orientation is applied, which `tf.io.decode_jpeg` does not.

    Args:
      data: a whole encoded image.
      channels: 3 for RGB, or 1 for its grey (ITU-R BT.601 luma): of a gray image, its own levels.

    Returns:
      uint8 [height, width, channels].

    Raises:
      ImageError: empty, truncated or not one of these formats.
    """
    image = _decode_colours(data)
    return image if channels == 3 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]


def _decode_colours(data: bytes) -> np.ndarray:
    if not data:
        raise ImageError("the file is empty")
    if not data.startswith(_MAGIC) or (data.startswith(b"RIFF") and data[8:12] != b"WEBP"):
        raise ImageError(_what_else(data))
    if data.startswith(b"GIF8") or not is_whole(data):
        return _decode_with_pillow(data)  # OpenCV gives a GIF's transparent pixels another colour
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:  # a header that claims an impossible size
        image = None
    # Pillow has a second opinion, and a reason.
    return image if image is not None else _decode_with_pillow(data)


def _what_else(data: bytes) -> str:
    """Say what bytes are that are none of the formats read here."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as opened:
            return f"{opened.format} is not read here; use JPEG, PNG, BMP, WebP or GIF"
    except Exception:  # Pillow raises many kinds for bad bytes
        return "not an image: no JPEG, PNG, BMP, WebP or GIF begins like this"


def is_whole(data: bytes) -> bool:
    """Tell whether a JPEG or PNG has its end marker, so that OpenCV can be trusted with it.

    OpenCV before release 5 fills what a truncated JPEG lacks with grey and says nothing; Pillow refuses it.
    """
    return all(end in data[-_TAIL:] for start, end in _END_MARKERS.items() if data.startswith(start))


def _decode_with_pillow(data: bytes) -> np.ndarray:
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(data)) as opened:
            upright = ImageOps.exif_transpose(opened)
            if upright.mode.startswith("I"):  # 16 bits, which `convert` would clip to 8, not scale
                levels = (np.asarray(upright).astype(np.int64) >> 8).astype(np.uint8)
                return np.repeat(levels[..., None], 3, axis=2)
            return np.array(upright.convert("RGB"))
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error... for bad bytes
        raise ImageError(f"cannot be decoded: {error}") from error


class Fit(NamedTuple):
    """How an image is brought to a size: a window of it is resized into a place of the result. All in pixels."""

    top: int
    left: int
    rows: int
    columns: int
    place_top: int
    place_left: int
    height: int
    width: int

    def place(self, inner: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Put the resized window in its place, with black around it where it does not fill `size`."""
        if inner.shape[:2] == tuple(size):
            return np.ascontiguousarray(inner)
        padded = np.zeros((*size, inner.shape[2]), np.uint8)
        padded[self.place_top : self.place_top + self.height, self.place_left : self.place_left + self.width] = inner
        return padded


def fit_image(image: np.ndarray, size: tuple[int, int], fit: str = "stretch", *, fast: bool = False) -> np.ndarray:
    """Bring an image to `size`.

    Pixels are averaged over their area when shrinking and interpolated bilinearly when growing.

    Args:
      image: uint8 [height, width, channels].
      size: (height, width) in pixels.
      fit: "stretch" to the size as it is, "crop" the middle or "pad" with black to keep the proportions.
      fast: take the mean over areas as `fast_resize` does, which differs a little.
    """
    if image.shape[:2] == tuple(size):
        return image
    by = fit_of(image.shape, size, fit)
    window = image[by.top : by.top + by.rows, by.left : by.left + by.columns]
    return by.place((resize_fast if fast else _resize)(window, by.height, by.width), size)


def fit_motion(shape: Sequence[int], size: tuple[int, int], fit: str = "stretch") -> Motion:
    """Where `fit_image` moves the pixels of an image of `shape`; annotations go the same way."""
    by = fit_of(shape, size, fit)
    to_window = translation(-by.left, -by.top)
    to_place = translation(by.place_left, by.place_top)
    return Motion((size[0], size[1]), to_place @ scaling(by.width / by.columns, by.height / by.rows) @ to_window)


def fit_of(shape: Sequence[int], size: tuple[int, int], fit: str) -> Fit:
    """How an image of `shape` is brought to `size`."""
    (rows, columns), (height, width) = shape[:2], size
    if fit == "crop":
        scale = min(rows / height, columns / width)
        kept_rows, kept_columns = max(1, round(height * scale)), max(1, round(width * scale))
        top, left = (rows - kept_rows) // 2, (columns - kept_columns) // 2
        return Fit(top, left, kept_rows, kept_columns, 0, 0, height, width)
    if fit == "pad":
        scale = min(height / rows, width / columns)
        inner_height, inner_width = max(1, round(rows * scale)), max(1, round(columns * scale))
        top, left = (height - inner_height) // 2, (width - inner_width) // 2
        return Fit(0, 0, rows, columns, top, left, inner_height, inner_width)
    return Fit(0, 0, rows, columns, 0, 0, height, width)


def _resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    shrinks = height < image.shape[0] or width < image.shape[1]
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return resized.reshape(height, width, image.shape[2])  # OpenCV drops a single channel's axis


def encode_image(image: np.ndarray, encoding: str, quality: int = 95, lines: np.ndarray | None = None) -> bytes:
    """Encode a uint8 [height, width, 3 or 1] image as "jpeg" (4:2:0, at `quality`), "png" (lossless) or "raw" bytes.

    A PNG is sooner made with the `lines` that `png.filtered_lines` made of the image among others; it is the same.
    """
    if encoding == "raw":
        return image.tobytes()
    if encoding == "png":
        return encode_png(image, lines)
    # Not `image[..., ::-1]`, which OpenCV would first copy, pixel by pixel.
    channels = image if image.shape[2] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, encoded = cv2.imencode(".jpg", channels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ImageError(f"cannot be encoded as {encoding}, shape {list(image.shape)}")
    return encoded.tobytes()
