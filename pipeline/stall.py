"""Stalls: a block in which nothing has been done for too long, for a worker that hangs says nothing itself."""

from __future__ import annotations

import time
from collections.abc import Callable

from augmill.pipeline.errors import BuildError
from augmill.pipeline.target import AnyWorkspace
from augmill.pipeline.units import time_text

STALL_TIMEOUT = 1800.0  # seconds: ops of one's own may take minutes an image
_LOOKS = 10  # within the timeout
_START_TIMEOUT = 120.0  # seconds, at least, for workers to import what they need on a busy machine


class StallWatch:
    """Looks at a build's progress, and tells when a block has made none for too long.

    Args:
      workspace: of the build.
      timeout: seconds without an image; 0 waits for ever.
      clock: seconds, never going back, as the machine's time may.
    """

    def __init__(self, workspace: AnyWorkspace, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._workspace, self._timeout, self._clock = workspace, timeout, clock
        self._seen: dict[int | None, tuple[object, float]] = {}  # what a block stood at, and since when
        self._begun = False  # whether there has been a block in hand
        self._next = clock()

    def look(self, done: int) -> None:
        """Compare the progress with what it was.

        Args:
          done: images done in all.

        Raises:
          BuildError: a block stands still, or all does with no block in hand.
        """
        now = self._clock()
        if not self._timeout or now < self._next:
            return
        self._next = now + self._timeout / _LOOKS
        running = self._workspace.running()
        self._begun |= bool(running)
        states: list[tuple[int | None, object]] = [(None, (done, len(running))), *running.items()]
        for block in self._seen.keys() - {block for block, _ in states}:
            del self._seen[block]  # finished
        for block, state in states:
            before, since = self._seen.get(block, (None, now))
            if state != before:
                self._seen[block] = (state, now)
            elif block is not None and now - since >= self._timeout:
                raise BuildError(self._told(block, running, now - since))
            elif not running and now - since >= (self._timeout if self._begun else max(self._timeout, _START_TIMEOUT)):
                raise BuildError(self._told(None, running, now - since))

    def _told(self, block: int | None, running: dict[int, tuple[int, int]], seconds: float) -> str:
        still = f"nothing has been done for {time_text(seconds)}"
        cure = "a larger --stall-timeout waits longer; the same command goes on from the finished blocks"
        if block is None:
            return f"{still}, and no block is in hand: the workers may not start. See {self._workspace.log}; {cure}"
        rows, examples = self._workspace.blocks().read(block), running[block][1]
        if examples == len(rows):
            where = "as its shards were being made durable: see whether the disk answers"
        else:
            where = (
                f"after {examples:,} of its {len(rows):,} examples: a worker hangs, in {rows[examples]['key']} or soon "
                "after it. Try what an op of your own does there"
            )
        return f"{still} in block {block}, {where}; {cure}"
