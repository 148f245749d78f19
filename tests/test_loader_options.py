"""What a loader may be asked for is checked before anything is read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from augmill.pipeline.loader_options import Ranks, check_options, check_whole, resolve_remainder


def test_a_place_is_a_rank_of_a_world() -> None:
    assert Ranks.of(1, 3, None) == Ranks(1, 3, 1)
    for rank, world_size in ((3, 3), (-1, 2), (0, 0)):
        with pytest.raises(ValueError, match=f"got rank {rank}, world_size {world_size}"):
            Ranks.of(rank, world_size, None)


def context(pipelines: int, replicas: int, number: int = 0) -> Any:
    return SimpleNamespace(num_input_pipelines=pipelines, num_replicas_in_sync=replicas, input_pipeline_id=number)


def test_a_place_may_come_from_tensorflow() -> None:
    ranks = Ranks.of(0, 1, context(2, 8, 1))
    assert ranks == Ranks(1, 2, 4) and ranks.batches == 8
    share = ranks.share(1000, 16, "drop")
    assert (share.batch_size, share.global_batch, share.rank) == (64, 128, 1)
    with pytest.raises(ValueError, match="leave rank and world_size out"):
        Ranks.of(1, 2, context(2, 2))
    with pytest.raises(ValueError, match="3 replicas cannot be shared evenly by 2 input pipelines"):
        Ranks.of(0, 1, context(2, 3))


def test_the_remainder_is_kept_alone_and_dropped_in_company() -> None:
    assert [resolve_remainder(None, batches) for batches in (1, 2)] == ["keep", "drop"]
    assert resolve_remainder("pad", 5) == "pad" and resolve_remainder("drop", 1) == "drop"
    with pytest.raises(ValueError, match="unequal steps"):
        resolve_remainder("keep", 2)


def test_whole_numbers_are_whole() -> None:
    check_whole("epoch", 3, most=3)
    for value in (-1, 1.0, True, "1", 4):
        with pytest.raises(ValueError, match=f"epoch must be a whole number from 0 to 3, got {value!r}"):
            check_whole("epoch", value, most=3)  # type: ignore[arg-type]


GOOD: dict[str, Any] = {"batch_size": 1, "seed": 0, "verify": None, "on_error": "skip", "max_skipped": 0.0}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"batch_size": True}, "batch_size must be a whole number of at least 1, got True"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"verify": "all"}, "got 'all'"),
        ({"on_error": None}, "got None"),
        ({"max_skipped": -0.1}, "got -0.1"),
    ],
)
def test_an_option_out_of_its_range_is_refused(wrong: dict[str, Any], told: str) -> None:
    check_options(**GOOD)
    with pytest.raises(ValueError, match=told):
        check_options(**{**GOOD, **wrong})
