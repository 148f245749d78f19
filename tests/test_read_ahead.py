"""Examples that another thread reads: the same ones, in the same order, with what is wrong where it is."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from augmill.pipeline.listing import list_source
from augmill.pipeline.plan import make_plan
from augmill.pipeline.read_ahead import UNREADABLE, Read, read_ahead


def _given(read: Callable[[], Read]) -> bytes | str:
    try:
        return read().content
    except UNREADABLE as error:
        return f"{type(error).__name__}: {error}"


def test_a_thread_reads_what_is_read_without_one(make_spec: Callable[..., Any]) -> None:
    plan = make_plan(make_spec(), list_source(make_spec()))
    rows = plan.table.to_pylist()
    rows[1] = {**rows[1], "length": rows[1]["length"] + 1}
    rows[2] = {**rows[2], "uri": "nothing.jpg"}

    with ThreadPoolExecutor(1) as ahead:
        found = [_given(read) for read in read_ahead(plan.reader(), rows, ahead)]

    assert found == [_given(read) for read in read_ahead(plan.reader(), rows)]
    assert len({*found}) == len(rows) > 3 and str(found[1]).startswith("RecordError")
    assert str(found[2]).startswith("FileNotFoundError") and isinstance(found[3], bytes)
