"""A short form of the suite that kills builds at random moments; `scripts/test-faults` runs the whole."""

from __future__ import annotations

import os
import time
from pathlib import Path

from kills import killed


def test_a_killed_build_is_ended_by_the_same_command_in_the_same_bytes(photo_folder: Path, tmp_path: Path) -> None:
    seed = os.environ.get("KILLS_SEED", str(int(time.time())))
    print(f"KILLS_SEED={seed}")
    done = []
    for kill in killed(photo_folder, tmp_path, seed, kills=20):
        print(kill.line())
        done.append(kill)
    assert [kill.line() for kill in done if kill.problems] == []
