"""Runners: starts the job, shows its progress, and ends it for certain when something dies."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from augmill.pipeline.driver import MARK, WORKER_DIED
from augmill.pipeline.errors import BuildError
from augmill.pipeline.workspace import Workspace

_POLL_SECONDS = 0.2
_TELL_SECONDS = 0.5
_LOG_TAIL = 256 * 1024


def run_local(
    workspace: Workspace, *, workers: int, beam_options: Sequence[str] = (), progress: Callable[[int], None]
) -> None:
    """Run the unfinished blocks on this machine.

    Args:
      workspace: what to build.
      workers: processes; with one, the job's own process does the work.
      beam_options: Beam's own flags, which win over the ones set here.
      progress: called twice a second with the images done so far.

    Raises:
      BuildError: the job failed or a worker died; finished blocks stay for a resume.
    """
    mode = "in_memory" if workers == 1 else "multi_processing"
    options = [
        # DirectRunner would look for Prism first, and then not honour the number of workers.
        "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",
        f"--direct_num_workers={workers}",
        f"--direct_running_mode={mode}",
        *beam_options,
    ]
    with workspace.log.open("ab") as log:
        driver = subprocess.Popen(
            [sys.executable, "-m", "augmill.pipeline.driver", str(workspace.path), *options],
            stdin=subprocess.PIPE,  # held open: the driver ends with this process
            stdout=log,
            stderr=log,
            env=_environment(),
            start_new_session=True,
        )
        started = log.tell()
        try:
            _watch(driver, workspace, progress)
        finally:
            _end_group(driver)
    progress(workspace.images_done())
    if driver.returncode:
        raise BuildError(_failure(workspace, driver.returncode, started))


def check_beam_options(options: Sequence[str]) -> None:
    """Refuse Beam flags that Beam does not know, which it would ignore in silence.

    Raises:
      BuildError: naming them.
    """
    if not options:
        return
    from apache_beam.options.pipeline_options import PipelineOptions

    known = PipelineOptions(list(options)).get_all_options()
    everything = PipelineOptions(list(options)).get_all_options(retain_unknown_options=True)
    unknown = sorted(set(everything) - set(known))
    stray = [option for option in options if not option.startswith("-") and option not in map(str, everything.values())]
    if unknown or stray:
        raise BuildError(
            f"Beam has no option {', '.join([f'--{name}' for name in unknown] + stray)}; see what follows --"
        )


def _watch(driver: subprocess.Popen[bytes], workspace: Workspace, progress: Callable[[int], None]) -> None:
    told = 0.0
    while driver.poll() is None:
        if time.monotonic() - told > _TELL_SECONDS:
            progress(workspace.images_done())
            told = time.monotonic()
        time.sleep(_POLL_SECONDS)


def _end_group(driver: subprocess.Popen[bytes]) -> None:
    """End the driver and every worker it started; they write to temporary names, so nothing half-done is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended, and every worker with it
        os.killpg(driver.pid, signal.SIGKILL)
    if driver.stdin is not None:
        driver.stdin.close()
    driver.wait()


def _environment() -> dict[str, str]:
    """A worker's environment: this process's modules, no GPU, one thread an op, quiet."""
    paths = [path for path in sys.path if path]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OMP_NUM_THREADS": "1",
        "OPENCV_LOG_LEVEL": "SILENT",
    }


def _failure(workspace: Workspace, code: int, started: int) -> str:
    """Say why the job ended, in the words it left in its log."""
    with workspace.log.open("rb") as log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(started, size - _LOG_TAIL))
        lines = log.read().decode("utf-8", "replace").splitlines()
    said = [line.partition(MARK)[2] for line in lines if MARK in line]
    if said:
        reason = said[-1]
    elif code < 0:
        reason = f"the job's process was ended by {signal.Signals(-code).name}"
    else:
        reason = f"the job's process ended with code {code}: {lines[-1] if lines else 'it said nothing'}"
    if code == WORKER_DIED or code == -signal.SIGKILL:
        reason += "; the system may have run out of memory"
    return f"{reason}. The log is {workspace.log}; the same command goes on from the finished blocks"
