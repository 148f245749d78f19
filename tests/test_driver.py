"""The driver finds, in whatever a runner raises, the words that were meant for the reader."""

from __future__ import annotations

import pytest

from augmill.pipeline.driver import _reason
from augmill.pipeline.materialize import BlockError

NESTED = """Traceback (most recent call last):
  File "worker.py", line 3, in process
augmill.pipeline.materialize.BlockError: block 4 cannot be written: No space left on device (/data) [while running 'M']

During handling of the above exception, another exception occurred:
RuntimeError: bundle failed"""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BlockError("block 1 cannot be written: x [while running 'Materialize']"), "block 1 cannot be written: x"),
        (RuntimeError(NESTED), "block 4 cannot be written: No space left on device (/data)"),
        (ValueError("no such runner"), "ValueError: no such runner"),
        (RuntimeError("a long\ntrace\nOSError: no such thing\n  ]"), "OSError: no such thing"),
        (MemoryError(), "MemoryError: "),
    ],
)
def test_the_reason_is_found(error: Exception, told: str) -> None:
    assert _reason(error) == told
