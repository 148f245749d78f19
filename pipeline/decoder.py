"""OpenCV's decoders, and what the C libraries under them have to say, which they write to standard error alone.

libjpeg makes up the rest of an image whose data ends early or does not decode, and goes on: half a photo comes out with
grey below it, and nothing but a line on standard error tells. That line is caught here, and is the reason for which the
image is refused. It takes 2 microseconds an image.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import cv2
import numpy as np

from augmill.pipeline.image_header import ImageError

T = TypeVar("T")

# What libjpeg says where pixels are made up; of bytes too many, or of an unknown mark, it warns too. Source: jerror.h.
_MADE_UP = re.compile(
    r"Corrupt JPEG data: (premature end of data segment|bad Huffman code|bad arithmetic code|found marker .* instead)"
    r"|Premature end of JPEG file"
)
_DECODERS = re.compile(
    r"libpng (warning|error): |Corrupt JPEG data: |Premature end of JPEG file|Inconsistent progression sequence"
    r"|Invalid SOS parameters|Warning: unknown JFIF revision|Unknown Adobe color transform"
    r"|\[ *(WARN|ERROR|INFO|DEBUG)[: ]|> |\s*$"  # OpenCV goes on to say what it checked in lines after >
)

_lock = threading.Lock()
_sink: tuple[int, int] | None = None  # the process that it belongs to, and what standard error leads to meanwhile


def decode_with_opencv(data: bytes, flags: int) -> Any:
    """Decode by `cv2.imdecode`.

    Returns:
      uint8 [height, width, 3], or None where OpenCV cannot read it.

    Raises:
      ImageError: a JPEG decodes to pixels that are made up in part.
    """
    image, said = _listening(lambda: _imdecode(data, flags))
    made_up = _MADE_UP.search(said) if said else None
    if made_up and image is not None:
        raise ImageError(f"cannot be decoded: {made_up[0]}; a part of its pixels would be made up")
    return image


def _imdecode(data: bytes, flags: int) -> Any:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # a header that claims an impossible size
        return None


def _listening(work: Callable[[], T]) -> tuple[T, str]:
    """Do some work; give its result, and what it wrote to standard error, which nobody else gets to see.

    What another thread writes meanwhile, as far as no decoder writes such, is passed on.
    """
    with _lock:
        try:
            stderr, sink = os.dup(2), _open_sink()
        except OSError:  # there is no standard error
            return work(), ""
        try:
            os.dup2(sink, 2)
            try:
                result = work()
            finally:
                os.dup2(stderr, 2)
            length = os.lseek(sink, 0, os.SEEK_CUR)
            if length == 0:
                return result, ""
            said = os.pread(sink, length, 0).decode("utf-8", "replace")
            os.lseek(sink, 0, os.SEEK_SET)
            os.ftruncate(sink, 0)
            others = "".join(line for line in said.splitlines(keepends=True) if not _DECODERS.match(line))
            if others:
                os.write(stderr, others.encode())
            return result, said
        finally:
            os.close(stderr)


def _open_sink() -> int:
    """A file that is in no folder; one of its own in each process, forked or not."""
    global _sink
    if _sink is None or _sink[0] != os.getpid():
        with tempfile.TemporaryFile() as file:
            _sink = os.getpid(), os.dup(file.fileno())
    return _sink[1]
