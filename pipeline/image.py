"""Encoded bytes to pixels and back: one way to decode, resize and encode for every source."""

from __future__ import annotations

import io

import cv2
import numpy as np

_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"RIFF", b"GIF8")
_END_MARKERS = {b"\xff\xd8\xff": b"\xff\xd9", b"\x89PNG": b"IEND"}
_TAIL = 64  # bytes at the end to look at: some cameras pad after the end marker
EXTENSIONS = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".gif"})


class ImageError(ValueError):
    """The bytes are not an image that can be read; the message is the reason."""


def decode_image(data: bytes) -> np.ndarray:
    """Decode JPEG, PNG, BMP, WebP or the first frame of a GIF to what a viewer shows.

    Grayscale, palette, CMYK and 16-bit images become RGB; 16 bits are scaled to 8; an alpha channel is dropped, not
    blended, as `tf.io.decode_png(channels=3)` does; EXIF orientation is applied, which `tf.io.decode_jpeg` does not.

    Args:
      data: a whole encoded image.

    Returns:
      uint8 [height, width, 3], RGB.

    Raises:
      ImageError: empty, truncated or not one of these formats.
    """
    if not data:
        raise ImageError("the file is empty")
    if not data.startswith(_MAGIC) or (data.startswith(b"RIFF") and data[8:12] != b"WEBP"):
        raise ImageError(_what_else(data))
    if data.startswith(b"GIF8") or not _is_whole(data):
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


def _is_whole(data: bytes) -> bool:
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


def fit_image(image: np.ndarray, size: tuple[int, int], fit: str = "stretch") -> np.ndarray:
    """Bring an image to `size`.

    Pixels are averaged over their area when shrinking and interpolated bilinearly when growing.

    Args:
      image: uint8 [height, width, 3].
      size: (height, width) in pixels.
      fit: "stretch" to the size as it is, "crop" the middle or "pad" with black to keep the proportions.
    """
    height, width = size
    if image.shape[:2] == (height, width):
        return image
    if fit == "crop":
        image = _crop_to_ratio(image, height, width)
    if fit != "pad":
        return _resize(image, height, width)
    scale = min(height / image.shape[0], width / image.shape[1])
    inner = _resize(image, max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale)))
    top, left = (height - inner.shape[0]) // 2, (width - inner.shape[1]) // 2
    padded = np.zeros((height, width, 3), np.uint8)
    padded[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return padded


def _crop_to_ratio(image: np.ndarray, height: int, width: int) -> np.ndarray:
    scale = min(image.shape[0] / height, image.shape[1] / width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (image.shape[0] - rows) // 2, (image.shape[1] - columns) // 2
    return image[top : top + rows, left : left + columns]


def _resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    shrinks = height < image.shape[0] or width < image.shape[1]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def encode_image(image: np.ndarray, encoding: str, quality: int = 95) -> bytes:
    """Encode a uint8 [height, width, 3] RGB image as "jpeg" (4:2:0, at `quality`), "png" (lossless) or "raw" bytes."""
    if encoding == "raw":
        return image.tobytes()
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality] if encoding == "jpeg" else [cv2.IMWRITE_PNG_COMPRESSION, 1]
    done, encoded = cv2.imencode(".jpg" if encoding == "jpeg" else ".png", image[..., ::-1], flags)
    if not done:
        raise ImageError(f"cannot be encoded as {encoding}, shape {list(image.shape)}")
    return encoded.tobytes()
