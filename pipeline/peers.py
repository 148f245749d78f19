"""The examples that an op which mixes images takes its partners from: the others of the same block."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable

from augmill.transforms.base import Sample, TransformError
from augmill.transforms.randomness import Draws

_KEPT_BYTES = 64 << 20  # of opened images, so that a partner met again need not be decoded again


class BlockPeers:
    """Opens the examples of a block as they are asked for.

    The partner follows from the draw and the block's keys alone. One that cannot be read is passed over, as it is by
    every worker that ever meets it.
    """

    def __init__(self, keys: Iterable[str], open_example: Callable[[str], Sample]) -> None:
        self._keys = sorted(keys)
        self._open = open_example
        self._opened: OrderedDict[str, Sample] = OrderedDict()
        self._bytes = 0

    def draw(self, draws: Draws, key: str, tried: Collection[str] = ()) -> tuple[str, Sample]:
        """Draw another example than `key`'s and those `tried`.

        Raises:
          TransformError: no other can be read.
        """
        others = self._keys.copy()
        for known in {key, *tried}:
            place = bisect_left(others, known)
            if others[place : place + 1] == [known]:
                del others[place]
        while others:
            chosen = others.pop(draws.integer(0, len(others)))
            try:
                return chosen, self.open(chosen)
            except (OSError, ValueError):  # it is named as failed where its own turn comes
                continue
        raise TransformError(
            f"of the {len(self._keys)} examples of its block there is no other to mix it with; raise block_examples"
        )

    def open(self, key: str) -> Sample:
        """Open the example with this key.

        Raises:
          OSError, ValueError: it cannot be read.
        """
        if key in self._opened:
            self._opened.move_to_end(key)
            return self._opened[key]
        sample = self._open(key)
        self._opened[key] = sample
        self._bytes += sample.image.nbytes
        while self._bytes > _KEPT_BYTES and len(self._opened) > 1:
            self._bytes -= self._opened.popitem(last=False)[1].image.nbytes
        return sample
