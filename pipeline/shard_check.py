"""Shards read through as they stream by: every record's checksums, where each begins, and some payloads."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable

from augmill.pipeline.shard import FOOTER, HEADER, masked_crc

_LENGTH, _CRC = struct.Struct("<Q"), struct.Struct("<I")


class ShardStream:
    """What is known of a shard whose bytes are fed in order, in pieces of any size.

    Attributes:
      bytes: fed so far.
      offsets: where each whole record begins, and the end of the last.
      fault: what is wrong with the first record that is not whole; records after it cannot be told apart.
    """

    def __init__(self, look: Callable[[int, bytes], None] | None = None, *, longest: int) -> None:
        """Begin a shard.

        Args:
          look: told the number and the payload of each whole record.
          longest: bytes of a record at most; a length beyond it is not believed.
        """
        self.bytes, self.offsets, self.fault = 0, [0], ""
        self._digest, self._held = hashlib.sha256(), bytearray()
        self._look, self._longest = look, longest

    def feed(self, data: bytes) -> None:
        """Take the next piece."""
        self.bytes += len(data)
        self._digest.update(data)
        if self.fault:
            return
        self._held += data
        start = 0
        while (end := self._record_end(start)) is not None:
            start = end
        del self._held[:start]

    def finish(self) -> str:
        """Say that all has been fed; return the SHA-256."""
        if not self.fault and self._held:
            self._say(f"the file ends {len(self._held)} bytes into it")
        return self._digest.hexdigest()

    def _record_end(self, start: int) -> int | None:
        """Check the record at a place of what is held; return where it ends, or None where it is not whole."""
        held = self._held
        if self.fault or len(held) - start < HEADER:
            return None
        header = bytes(held[start : start + HEADER])
        length = _LENGTH.unpack_from(header)[0]
        if _CRC.unpack_from(header, 8)[0] != masked_crc(header[:8]) or length > self._longest:
            self._say("its length's checksum is wrong")
            return None
        end = start + HEADER + length + FOOTER
        if len(held) < end:
            return None
        payload = bytes(held[start + HEADER : end - FOOTER])
        if _CRC.unpack_from(held, end - FOOTER)[0] != masked_crc(payload):
            self._say("its checksum is wrong")
            return None
        if self._look is not None:
            self._look(len(self.offsets) - 1, payload)
        self.offsets.append(self.offsets[-1] + end - start)
        return end

    def _say(self, what: str) -> None:
        """Note the fault; nothing more is looked at."""
        self.fault = f"record {len(self.offsets) - 1}, at byte {self.offsets[-1]}: {what}"
        self._held.clear()
