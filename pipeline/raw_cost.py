"""When raw pixels pay: what decoding costs a training against the bytes that it spares, from a timed sample."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from augmill.pipeline.image import decode_image, encode_image
from augmill.pipeline.spec import ImageSpec
from augmill.pipeline.units import size_text

RAW = "raw"
_TURNS = 3  # the quickest counts: what is slower was disturbed


@dataclass(frozen=True)
class RawCost:
    """What a record costs in one encoding and as raw pixels.

    Attributes:
      encoding: "jpeg" or "png", to which raw is compared.
      encoded_bytes, raw_bytes: of a record, in the mean.
      decode_seconds: to decode one, on one core, in the median.
    """

    encoding: str
    encoded_bytes: float
    raw_bytes: float
    decode_seconds: float

    @property
    def ratio(self) -> float:
        """How many times as large raw records are."""
        return self.raw_bytes / self.encoded_bytes

    @property
    def pays_above(self) -> float:
        """Bytes a second, for each core that decodes, above which raw records are read in less time.

        The bytes that raw adds then take no longer to read than the encoded image to decode. To copy them from the
        disk's cache takes its time too, which is not counted, so that this is the least.
        """
        return max(0.0, self.raw_bytes - self.encoded_bytes) / self.decode_seconds

    def to_json(self, records: int) -> dict[str, Any]:
        """This as JSON values, with the bytes of an epoch of `records`."""
        return {
            self.encoding: {
                "record_bytes": round(self.encoded_bytes),
                "epoch_bytes": round(self.encoded_bytes * records),
                "decode_seconds": round(self.decode_seconds, 7),
            },
            RAW: {"record_bytes": round(self.raw_bytes), "epoch_bytes": round(self.raw_bytes * records)},
            "raw_pays_above_bytes_per_second": round(self.pays_above),
        }

    def lines(self, records: int) -> list[str]:
        """Say it in two lines, with the bytes of an epoch of `records`.

        >>> print("\\n".join(RawCost("jpeg", 21_000, 151_000, 0.00027).lines(10_000)))
        jpeg: 21.0 kB a record, 210.0 MB an epoch; to decode one takes 0.27 ms of a core
        raw: 151.0 kB a record (7.2 times as large), 1.5 GB an epoch; pays where the disk reads over 480 MB/s a core
        """
        rate = f"where the disk reads over {float(f'{self.pays_above / 1e6:.2g}'):g} MB/s a core"
        return [
            f"{self.encoding}: {_bytes_text(self.encoded_bytes, records)}; "
            f"to decode one takes {self.decode_seconds * 1e3:.2g} ms of a core",
            f"raw: {_bytes_text(self.raw_bytes, records, f' ({self.ratio:.1f} times as large)')}; "
            f"pays {rate if self.pays_above else 'anywhere'}",
        ]


def _bytes_text(size: float, records: int, beside: str = "") -> str:
    return f"{size_text(size)} a record{beside}, {size_text(size * records)} an epoch"


@dataclass
class RawSample:
    """Renditions that are encoded and decoded to see what that costs.

    Attributes:
      image: how the spec stores images. A spec that stores them raw is compared with JPEG.
    """

    image: ImageSpec
    _seen: list[tuple[int, int, float]] = field(default_factory=list)

    @property
    def encoding(self) -> str:
        """The encoding that raw is compared with."""
        return "jpeg" if self.image.encoding == RAW else self.image.encoding

    def add(self, pixels: np.ndarray, record_bytes: int) -> None:
        """Take in a rendition, uint8 [height, width, channels], whose record has so many bytes."""
        encoded = encode_image(pixels, self.encoding, self.image.quality)
        rest = record_bytes - (pixels.nbytes if self.image.encoding == RAW else len(encoded))
        seconds = min(_timed(encoded, self.image.channels) for _ in range(_TURNS))
        self._seen.append((rest + len(encoded), rest + pixels.nbytes, seconds))

    def cost(self) -> RawCost | None:
        """What they cost; nothing where there are none, or their sizes vary, which raw pixels cannot say."""
        if not self._seen or self.image.size is None:
            return None
        encoded, raw, seconds = np.array(self._seen).T
        return RawCost(self.encoding, float(encoded.mean()), float(raw.mean()), float(np.median(seconds)))


def _timed(encoded: bytes, channels: int) -> float:
    """Seconds of a core to decode; the loader's own decoder, TensorFlow's, takes as long and seconds to import."""
    start = time.thread_time()
    decode_image(encoded, channels)
    return time.thread_time() - start
