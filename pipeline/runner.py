"""Runners: starts the job, shows its progress, and ends it for certain when something dies."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

from augmill.pipeline.driver import CANCELLING, WORKER_DIED, order
from augmill.pipeline.engines import Engine, job_name
from augmill.pipeline.errors import BuildError
from augmill.pipeline.job_log import JobLog
from augmill.pipeline.process_environment import process_environment, starting
from augmill.pipeline.stall import STALL_TIMEOUT, StallWatch
from augmill.pipeline.target import AnyWorkspace

LOCAL = Engine()


class Driver:
    """The process that runs a job; it imports Beam from the start on, and waits to be told what to run.

    As a context manager it ends the process, and all that it started, for certain.
    """

    def __init__(self) -> None:
        said, saying = os.pipe()
        self._log = JobLog()
        self._patience = 0.0  # seconds for the driver to end by itself
        self._scratch = ""
        self._reasons = os.fdopen(said, "rb")
        try:
            self._process = subprocess.Popen(
                [*starting("driver.main"), str(saying)],
                stdin=subprocess.PIPE,  # held open: the driver ends with this process
                stdout=self._log.writes,
                stderr=self._log.writes,
                pass_fds=[saying],
                env=process_environment(),
                start_new_session=True,
            )
        finally:
            os.close(saying)
            self._log.started()

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *raised: object) -> None:
        _end_group(self._process, self._patience)
        shutil.rmtree(self._scratch or os.devnull, ignore_errors=True)
        self._log.close()
        self._reasons.close()

    def run(
        self,
        workspace: AnyWorkspace,
        *,
        workers: int,
        engine: Engine = LOCAL,
        asked: bool = True,
        beam_options: Sequence[str] = (),
        stall_timeout: float = STALL_TIMEOUT,
        progress: Callable[[int], None],
    ) -> None:
        """Run the unfinished blocks; once.

        Args:
          workspace: what to build.
          workers: processes; on this machine with one, the driver itself does the work.
          engine: where the job runs.
          asked: whether the number of workers is the reader's wish.
          beam_options: Beam's own flags, which win over the ones set here.
          stall_timeout: seconds after which a block in which nothing has been done ends the job; 0 for never.
          progress: called twice a second with the images done so far.

        Raises:
          BuildError: the job failed, or a worker died or hangs; finished blocks stay for a resume.
        """
        if not engine.local:
            self._scratch = tempfile.mkdtemp(prefix="augmill-job-server-")
        options = engine.flags(
            workers=workers,
            asked=asked,
            blocks=workspace.plan().blocks,
            job=job_name(workspace.path),
            scratch=self._scratch,
        )
        options += beam_options
        assert self._process.stdin is not None
        try:
            self._log.write_to(workspace.log)
        except OSError as error:
            raise BuildError(f"cannot write to {workspace.log}: {error.strerror}; the same command goes on") from error
        with contextlib.suppress(BrokenPipeError):  # it has ended already, and says why below
            self._process.stdin.write(order(workspace, options, scratch=self._scratch))
            self._process.stdin.flush()
        self._patience = 0.0 if engine.local else CANCELLING
        try:
            _watch(self._process, workspace, StallWatch(workspace, stall_timeout), progress)
        finally:
            _end_group(self._process, self._patience)
        reason = self._reasons.read().decode("utf-8", "replace")
        progress(workspace.images_done())
        if self._process.returncode:
            raise BuildError(_failure(workspace, engine, self._process.returncode, reason))


def run_local(workspace: AnyWorkspace, **arguments: Any) -> None:
    """Run the unfinished blocks on this machine, by a driver started for it; otherwise as `Driver.run`."""
    with Driver() as driver:
        driver.run(workspace, **arguments)


def _watch(
    driver: subprocess.Popen[bytes], workspace: AnyWorkspace, stalls: StallWatch, progress: Callable[[int], None]
) -> None:
    while True:
        done = workspace.images_done()
        progress(done)
        stalls.look(done)
        with contextlib.suppress(subprocess.TimeoutExpired):
            driver.wait(workspace.told_every)
            return


def _end_group(driver: subprocess.Popen[bytes], patience: float) -> None:
    """End the driver and every worker it started; they write to temporary names, so nothing half-done is left.

    With patience, it is let cancel its job on the engine first.
    """
    if patience and driver.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            driver.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            driver.wait(patience)
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended, and every worker with it
        os.killpg(driver.pid, signal.SIGKILL)
    if driver.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            driver.stdin.close()
    driver.wait()


def _failure(workspace: AnyWorkspace, engine: Engine, code: int, reason: str) -> str:
    """Say why the job ended, in the words it left."""
    if not reason:
        ended = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        reason = f"the job's process {ended}"
    if code in (WORKER_DIED, -signal.SIGKILL):
        reason += "; the system may have run out of memory"
    if not engine.local and str(workspace.path) in reason and "No such file" in reason:
        reason += "; every machine of the cluster must have this folder, at this path: share it, or build into a store"
    return f"{reason}. The log is {workspace.log}; the same command goes on from the finished blocks"
