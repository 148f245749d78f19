"""Encoded bytes to pixels and back: one way to decode, resize and encode for every source."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from augmill.pipeline.decoder import decode_with_opencv
from augmill.pipeline.fast_resize import resize_fast
from augmill.pipeline.image_header import (
    LIMITS,
    ImageError,
    Limits,
    check_limits,
    check_pixels,
    image_size,
    png_is_whole,
    what_else,
)
from augmill.pipeline.png import encode_png
from augmill.transforms.motion import Motion, scaling, translation

_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"RIFF", b"GIF8")
_TAIL = 64  # bytes at the end to look at: some cameras pad after the end marker
EXTENSIONS = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".gif"})


def decode_image(data: bytes, channels: int = 3, limits: Limits = LIMITS) -> np.ndarray:
    """Decode JPEG, PNG, BMP, WebP or the first frame of a GIF to what a viewer shows.

    Grayscale, palette, CMYK and 16-bit images become RGB; 16 bits are scaled to 8; an alpha channel is dropped, not
    blended, as `tf.io.decode_png(channels=3)` does; EXIF orientation is applied, which `tf.io.decode_jpeg` does not.

    Args:
      data: a whole encoded image.
      channels: 3 for RGB, or 1 for its grey (ITU-R BT.601 luma): of a gray image, its own levels.
      limits: of its bytes and, by its header, of its pixels; beyond them nothing is decoded.

    Returns:
      uint8 [height, width, channels].

    Raises:
      ImageError: empty, truncated, over a limit or not one of these formats.
    """
    check_limits(data, limits)
    image = _decode_colours(data, limits)
    return image if channels == 3 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]


def _decode_colours(data: bytes, limits: Limits) -> np.ndarray:
    if not data:
        raise ImageError("the file is empty")
    if not data.startswith(_MAGIC) or (data.startswith(b"RIFF") and data[8:12] != b"WEBP"):
        raise ImageError(what_else(data))
    # OpenCV gives a GIF's transparent pixels another colour, and must not decode what may be of any size.
    if data.startswith(b"GIF8") or not is_whole(data) or image_size(data) is None:
        image = _decode_with_pillow(data, limits)
        if data.startswith(b"\xff\xd8"):
            decode_with_opencv(data, cv2.IMREAD_REDUCED_COLOR_8)  # which tells of pixels that are made up
        return image
    image = decode_with_opencv(data, cv2.IMREAD_COLOR_RGB)
    # Pillow has a second opinion, and a reason.
    return image if image is not None else _decode_with_pillow(data, limits)


def is_whole(data: bytes) -> bool:
    """Tell whether a JPEG or PNG is there to its end mark, so that OpenCV can be trusted with it.

    OpenCV before release 5 fills what a truncated JPEG lacks with grey and says nothing; Pillow refuses it. For a chunk
    of a PNG OpenCV makes as much room as the chunk says that it needs, be it 2 GB in a file of 1 kB.
    """
    if data.startswith(b"\x89PNG"):
        return png_is_whole(data)
    return not data.startswith(b"\xff\xd8\xff") or b"\xff\xd9" in data[-_TAIL:]


def _decode_with_pillow(data: bytes, limits: Limits) -> np.ndarray:
    from PIL import ImageOps

    if data.startswith(b"RIFF") and len(data) < (size := int.from_bytes(data[4:8], "little") + 8):
        raise ImageError(f"cannot be decoded: it is truncated, {len(data):,} bytes of {size:,} are there")
    stage = "cannot be decoded: its header is damaged or cut short"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is damaged is told by an error, or does no harm to the pixels
            with _opened_with_pillow(data) as opened:
                stage = "cannot be decoded"
                check_pixels(opened.size[::-1], limits)
                upright = ImageOps.exif_transpose(opened)
                if upright.mode.startswith("I"):  # 16 bits, which `convert` would clip to 8, not scale
                    levels = (np.asarray(upright).astype(np.int64) >> 8).astype(np.uint8)
                    return np.repeat(levels[..., None], 3, axis=2)
                return np.array(upright.convert("RGB"))
    except ImageError:
        raise
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error... for bad bytes
        # A reader that runs off the end of a header says so in terms of its own.
        cut = isinstance(error.__cause__, (IndexError, TypeError, KeyError, EOFError, struct.error))
        own = cut and isinstance(error, SyntaxError)
        reason = "" if own else " ".join(str(error).split())
        raise ImageError(f"{stage}: {reason}" if reason else stage) from error


def _opened_with_pillow(data: bytes) -> Any:
    """Read an image's header with the reader of its format alone.

    `Image.open` tries those of fifty formats, and has a limit of pixels of its own, which warns before it refuses.
    """
    from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

    readers = {
        b"\xff\xd8": JpegImagePlugin.JpegImageFile,
        b"\x89P": PngImagePlugin.PngImageFile,
        b"BM": BmpImagePlugin.BmpImageFile,
        b"RI": WebPImagePlugin.WebPImageFile,
        b"GI": GifImagePlugin.GifImageFile,
    }
    return readers[data[:2]](io.BytesIO(data))


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
