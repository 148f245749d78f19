"""Draws made ahead: the first words of the streams of many renditions at once, where one by one they cost too much."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from augmill.transforms.philox import first_words
from augmill.transforms.randomness import Draws, stream_keys

_BLOCKS = 2  # eight words, which only ops that mix images draw more of; a block made alone costs as much as forty here


class DrawsAhead:
    """The streams of some renditions, with their first words already made; they are the same as ever.

    Args:
      seed: of the build.
      renditions: (key, copy) of each.
      places: the positions in the policy whose ops draw in every rendition.
    """

    def __init__(self, seed: int, renditions: Iterable[tuple[str, int]], places: Sequence[str]) -> None:
        self._seed = seed
        renditions = list(renditions)
        names = [(key, copy, at) for key, copy in renditions for at in places]
        drawn = b"".join(stream_keys(seed, renditions, places))
        keys = np.frombuffer(drawn, "<u8").reshape(-1, 2)
        # Turned round, for a stream takes its words from the end of a list.
        words = first_words(keys, _BLOCKS)[:, ::-1].tolist()
        self._words: dict[tuple[str, int, str], list[int]] = dict(zip(names, words, strict=True))

    def draws(self, key: str, copy: int, at: str) -> Draws:
        """The stream of one op of one rendition, whether it was made ahead or not."""
        words = self._words.get((key, copy, at))
        return Draws(seed=self._seed, key=key, copy=copy, at=at, first=None if words is None else words.copy())
