"""Reads examples from remote storage, the next ones ahead of their turn: each takes a request, and that takes time."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from augmill.pipeline.annotation_info import NO_ANNOTATIONS, AnnotationInfo
from augmill.pipeline.errors import MissingFileError, VersionError
from augmill.pipeline.example import decode_example
from augmill.pipeline.remote import RemoteStorage
from augmill.pipeline.shard import FOOTER, HEADER, RecordError, record_in
from augmill.pipeline.source import Encoded, Reader, mask_of

AHEAD = 32  # pieces that are asked for before their turn
AHEAD_BYTES = 64 << 20  # and how many bytes they may have together, but for one that is larger
_THREADS = 16


class _Piece(NamedTuple):
    """A file, or a record with its frame: `length` bytes from `start` on."""

    uri: str
    start: int
    length: int
    whole: bool  # whether the file must end there


class RemoteReader(Reader):
    """Reads examples at a URL. What may pass is tried again; what still fails then ends the build, and is no failure.

    An example whose object is gone, or has another size than when it was listed, is one that failed.
    """

    def __init__(
        self,
        root: str,
        container: str,
        image_feature: str | None,
        annotations: AnnotationInfo = NO_ANNOTATIONS,
    ) -> None:
        super().__init__(root, container, image_feature, annotations)
        self._storage = RemoteStorage(root)
        self._waiting: deque[_Piece] = deque()
        self._coming: dict[_Piece, Future[bytes]] = {}
        self._coming_bytes = 0
        self._threads = ThreadPoolExecutor(_THREADS, "reading")

    def expect(self, addresses: Sequence[Mapping[str, Any]]) -> None:
        """Begin to fetch the examples that will be read, in their order, as many as there is room for."""
        for piece in [*self._coming]:
            self._forget(piece)
        self._waiting = deque(piece for address in addresses for piece in self._pieces(address))
        self._fetch_ahead()

    def read_example(self, address: Mapping[str, Any]) -> Encoded:
        try:
            return super().read_example(address)
        finally:  # if its image failed nobody asks for its mask
            for piece in self._pieces(address):
                self._forget(piece)
            self._fetch_ahead()

    def _pieces(self, address: Mapping[str, Any]) -> list[_Piece]:
        uri, offset, length = address["uri"], address["offset"], address["length"]
        if self._container != "file":
            return [_record_piece(uri, offset, length)]
        mask = mask_of(address.get("annotations"))
        return [_Piece(uri, 0, length, True), *([_Piece(mask[0], 0, mask[1], True)] if mask else [])]

    def _file(self, uri: str, length: int) -> bytes:
        return self._take(_Piece(uri, 0, length, True))

    def _example(self, uri: str, offset: int, length: int) -> dict[str, list[Any]]:
        data = self._take(_record_piece(uri, offset, length))
        return decode_example(record_in(data, f"{self._storage.location}/{uri}, record at byte {offset}"))

    def _take(self, piece: _Piece) -> bytes:
        coming = self._coming.get(piece)
        return coming.result() if coming is not None else self._fetch(piece)

    def _fetch(self, piece: _Piece) -> bytes:
        name = piece.uri.rpartition("/")[2]
        try:
            # A byte more, to see whether there is one; of a file that is empty no range can be asked for.
            end = piece.start + piece.length + piece.whole if piece.length else piece.start
            data = self._storage.read_range(piece.uri, piece.start, end)
        except MissingFileError:
            raise RecordError(f"{name} is gone since it was listed") from None
        except VersionError as error:
            if "range" not in str(error).lower():
                raise
            raise RecordError(f"{name} changed since it was listed: it ends before byte {piece.start}") from None
        if piece.whole and len(data) != piece.length:
            now = "more" if len(data) > piece.length else str(len(data))
            raise RecordError(f"{name} changed since it was listed: {piece.length} bytes then, {now} now")
        return data

    def _fetch_ahead(self) -> None:
        while self._waiting and len(self._coming) < AHEAD:
            if self._coming and self._coming_bytes + self._waiting[0].length > AHEAD_BYTES:
                return
            piece = self._waiting.popleft()
            if piece not in self._coming:
                self._coming[piece] = self._threads.submit(self._fetch, piece)
                self._coming_bytes += piece.length

    def _forget(self, piece: _Piece) -> None:
        coming = self._coming.pop(piece, None)
        if coming is not None:
            coming.cancel()
            self._coming_bytes -= piece.length


def _record_piece(uri: str, offset: int, length: int) -> _Piece:
    return _Piece(uri, offset, HEADER + length + FOOTER, False)
