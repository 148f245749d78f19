"""The image of a record to pixels, into the place where they are wanted."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import simplejpeg

Size = tuple[int, int]


class Pixels:
    """Decodes a version's images.

    JPEGs are decoded by libjpeg-turbo with the exact transform and smooth upsampling, which gives the pixels of
    OpenCV, Pillow and TensorFlow's `dct_method="INTEGER_ACCURATE"`. Unlike OpenCV's own decoder it writes them where
    they are wanted, and takes no damaged image for a whole one.

    Attributes:
      shape: (height, width, channels) of what is given.
      resized_to: the size to which images are brought, or None where they stay as they are stored.
      length: the bytes of an encoded image, where all have as many.
    """

    def __init__(self, stored: dict[str, Any], size: Size | None) -> None:
        """Take the manifest's `image`, and the size to bring images to if there is one."""
        self._encoding = stored["encoding"]
        self._stored = (stored["height"], stored["width"], stored.get("channels", 3))
        self.resized_to = None if size is None or tuple(size) == self._stored[:2] else size
        self.shape: tuple[int, int, int] = (*(size or self._stored[:2]), self._stored[2])
        self.length = int(np.prod(self._stored)) if self._encoding == "raw" else None

    def decode(self, encoded: np.ndarray, out: np.ndarray | None) -> np.ndarray:
        """Decode an image, uint8 [bytes], to uint8 [height, width, channels]; into `out`, of that shape, if given.

        Raises:
          ValueError: it cannot be decoded, or has another shape than the manifest says.
        """
        straight = out if self.resized_to is None else None
        image = self._opened(encoded, straight)
        if self._stored[0] is not None and image.shape != self._stored:
            raise ValueError(f"its image has shape {list(image.shape)}, and the manifest has {list(self._stored)}")
        if self.resized_to is not None:
            image = resize(image, self.resized_to)
        if out is None or image is out:
            return image
        np.copyto(out, image)
        return out

    def _opened(self, encoded: np.ndarray, out: np.ndarray | None) -> np.ndarray:
        """The pixels of an image of any size; they are in `out` itself where the decoder can write there."""
        channels = self._stored[2]
        if self._encoding == "raw":
            if len(encoded) != self.length:
                raise ValueError(f"its image has {len(encoded)} bytes, and the manifest {list(self._stored)}")
            return encoded.reshape(self._stored)
        if self._encoding == "jpeg":
            try:
                found = simplejpeg.decode_jpeg(encoded, "RGB" if channels == 3 else "GRAY", buffer=out)
            except ValueError as error:
                raise ValueError(f"its image cannot be decoded: {error}") from None
            return out if out is not None and found.shape == out.shape else found
        # Pixels as they are stored: what an EXIF tag says of them was seen to when they were written.
        how = cv2.IMREAD_COLOR_RGB if channels == 3 else cv2.IMREAD_GRAYSCALE
        image = _opened(encoded, how | cv2.IMREAD_IGNORE_ORIENTATION)
        return image.reshape(*image.shape[:2], channels)


def open_mask(encoded: bytes, size: Size | None) -> np.ndarray:
    """Decode a mask to uint8 or uint16 [height, width, 1], and bring it to `size`; no id is made up."""
    mask = _opened(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)[..., None]
    return mask if size is None else resize(mask, size, nearest=True)


def resize(image: np.ndarray, size: Size, *, nearest: bool = False) -> np.ndarray:
    """Resize by TensorFlow, since no other library's pixels are equal to its own."""
    resized: np.ndarray = _resizer(nearest)(image, tuple(size)).numpy()
    return resized


@lru_cache
def _resizer(nearest: bool) -> Any:
    import tensorflow as tf

    def resize(image: Any, size: Any) -> Any:
        with tf.device("CPU"):
            if nearest:
                return tf.image.resize(image, size, method="nearest")
            return tf.saturate_cast(tf.round(tf.image.resize(image, size, antialias=True)), tf.uint8)

    return resize


def _opened(encoded: np.ndarray, how: int) -> np.ndarray:
    image = cv2.imdecode(encoded, how)
    if image is None:
        raise ValueError("an image cannot be decoded")
    return image
