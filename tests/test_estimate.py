"""A build's cost is its timed sample times the whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from augmill.pipeline.errors import BuildError
from augmill.pipeline.estimate import (
    TENSORFLOW_SECONDS,
    WORKER_START_SECONDS,
    Estimate,
    check_room,
    check_writable,
    default_workers,
    estimate,
)
from augmill.pipeline.judgement import CheckReport
from augmill.pipeline.listing import list_source
from augmill.pipeline.plan import make_plan
from augmill.transforms.audit import Effects


def test_the_estimate_is_the_sample_times_the_whole(tmp_path: Path, make_spec: Callable[..., Any]) -> None:
    spec = make_spec()
    plan = make_plan(spec, list_source(spec))
    report = CheckReport(Effects([]), open_seconds=0.5, copy_seconds=2.0, record_bytes=1000.0)

    one, two = (estimate(spec, plan, report, workers, tmp_path / "not/there/yet") for workers in (1, 2))

    train = plan.splits["train"].examples
    copies = 3 * train + (48 - train)
    assert one.records == copies == 116
    assert one.bytes == 1000 * copies
    start = WORKER_START_SECONDS
    assert one.seconds - start == pytest.approx(0.5 * 48 + 2.0 * 2 * train)
    assert two.seconds - start == pytest.approx((one.seconds - start) / 2)
    assert one.free > 0


@pytest.mark.parametrize("keep_original", [True, False])
def test_originals_cost_no_augmentation(tmp_path: Path, make_spec: Callable[..., Any], keep_original: bool) -> None:
    spec = make_spec(keep_original=keep_original, copies=3)
    plan = make_plan(spec, list_source(spec))
    report = CheckReport(Effects([]), open_seconds=0.0, copy_seconds=1.0)

    cost = estimate(spec, plan, report, 1, tmp_path)

    assert cost.seconds - WORKER_START_SECONDS == 3 * plan.splits["train"].examples


def test_tensorflow_takes_its_time_where_workers_need_it(tmp_path: Path, make_spec: Callable[..., Any]) -> None:
    light, heavy = (make_spec(kernels=kernels) for kernels in ("fast", "reference"))
    report = CheckReport(Effects([]))
    plan = make_plan(light, list_source(light))

    costs = [estimate(spec, plan, report, 1, tmp_path) for spec in (light, heavy)]

    assert [cost.seconds for cost in costs] == [WORKER_START_SECONDS, WORKER_START_SECONDS + TENSORFLOW_SECONDS]


def test_what_stands_already_needs_no_room() -> None:
    cost = Estimate(records=10, bytes=5_000_000, seconds=1.0, workers=1, free=1_000_000)

    check_room(cost, 4_000_000)
    with pytest.raises(BuildError, match=r"needs about 1\.5 MB more and 1\.0 MB are free"):
        check_room(cost, 3_500_000)


def test_a_target_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")

    check_writable(tmp_path / "not/there/yet")
    with pytest.raises(BuildError, match="is a file; choose another --output"):
        check_writable(tmp_path / "file/below")


def test_there_is_a_worker_for_each_core_there_may_be() -> None:
    assert default_workers() >= 1
