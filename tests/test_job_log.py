"""What a job's processes print is kept, and never stops them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from augmill.pipeline.job_log import JobLog

PRINT_A_MEGABYTE = "import sys; sys.stdout.write('x' * 1_000_000); sys.stderr.write('last words')"


def _run(log: JobLog) -> int:
    process = subprocess.Popen([sys.executable, "-c", PRINT_A_MEGABYTE], stdout=log.writes, stderr=log.writes)
    log.started()
    return process.wait(30)


def test_all_that_is_printed_is_in_the_file(tmp_path: Path) -> None:
    log = JobLog()
    log.write_to(tmp_path / "job.log")
    assert _run(log) == 0
    log.close()
    assert (tmp_path / "job.log").read_text() == "x" * 1_000_000 + "last words"


def test_a_full_disk_stops_nobody_who_prints() -> None:
    log = JobLog()
    log.write_to(Path("/dev/full"))
    assert _run(log) == 0
    log.close()


def test_what_is_printed_before_there_is_a_file_is_kept(tmp_path: Path) -> None:
    log = JobLog()
    process = subprocess.Popen([sys.executable, "-c", "print('early')"], stdout=log.writes, stderr=log.writes)
    log.started()
    process.wait(30)
    log.write_to(tmp_path / "job.log")
    log.close()
    assert (tmp_path / "job.log").read_text() == "early\n"


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    log = JobLog()
    with pytest.raises(IsADirectoryError):
        log.write_to(tmp_path)
    log.started()
    log.close()
