"""Runners: starts the job, shows its progress, and ends it for certain when something dies."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from augmill.pipeline.driver import WORKER_DIED, order
from augmill.pipeline.errors import BuildError, OptionError
from augmill.pipeline.job_log import JobLog
from augmill.pipeline.stall import STALL_TIMEOUT, StallWatch
from augmill.pipeline.target import AnyWorkspace

# `-m` and `-c` would import what stands in the current folder before the libraries of the same name.
_START = (
    "import sys; sys.path[:] = filter(None, sys.path); from augmill.pipeline.driver import main; main(sys.argv[1:])"
)


class Driver:
    """The process that runs a job; it imports Beam from the start on, and waits to be told what to run.

    As a context manager it ends the process, and all that it started, for certain.
    """

    def __init__(self) -> None:
        said, saying = os.pipe()
        self._log = JobLog()
        self._reasons = os.fdopen(said, "rb")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, str(saying)],
                stdin=subprocess.PIPE,  # held open: the driver ends with this process
                stdout=self._log.writes,
                stderr=self._log.writes,
                pass_fds=[saying],
                env=_environment(),
                start_new_session=True,
            )
        finally:
            os.close(saying)
            self._log.started()

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *raised: object) -> None:
        _end_group(self._process)
        self._log.close()
        self._reasons.close()

    def run(
        self,
        workspace: AnyWorkspace,
        *,
        workers: int,
        beam_options: Sequence[str] = (),
        stall_timeout: float = STALL_TIMEOUT,
        progress: Callable[[int], None],
    ) -> None:
        """Run the unfinished blocks on this machine; once.

        Args:
          workspace: what to build.
          workers: processes; with one, the driver itself does the work.
          beam_options: Beam's own flags, which win over the ones set here.
          stall_timeout: seconds after which a block in which nothing has been done ends the job; 0 for never.
          progress: called twice a second with the images done so far.

        Raises:
          BuildError: the job failed, or a worker died or hangs; finished blocks stay for a resume.
        """
        mode = "in_memory" if workers == 1 else "multi_processing"
        options = [
            # DirectRunner would look for Prism first, and then not honour the number of workers.
            "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",
            f"--direct_num_workers={workers}",
            f"--direct_running_mode={mode}",
            *beam_options,
        ]
        assert self._process.stdin is not None
        try:
            self._log.write_to(workspace.log)
        except OSError as error:
            raise BuildError(f"cannot write to {workspace.log}: {error.strerror}; the same command goes on") from error
        with contextlib.suppress(BrokenPipeError):  # it has ended already, and says why below
            self._process.stdin.write(order(workspace, options))
            self._process.stdin.flush()
        try:
            _watch(self._process, workspace, StallWatch(workspace, stall_timeout), progress)
        finally:
            _end_group(self._process)
        reason = self._reasons.read().decode("utf-8", "replace")
        progress(workspace.images_done())
        if self._process.returncode:
            raise BuildError(_failure(workspace, self._process.returncode, reason))


def run_local(workspace: AnyWorkspace, **arguments: Any) -> None:
    """Run the unfinished blocks on this machine, by a driver started for it; otherwise as `Driver.run`."""
    with Driver() as driver:
        driver.run(workspace, **arguments)


def check_beam_options(options: Sequence[str]) -> None:
    """Refuse Beam flags that Beam does not know, which it would ignore in silence.

    Raises:
      OptionError: naming them.
    """
    if not options:
        return
    names = {option.partition("=")[0] for option in options}
    if names & {"--help", "-h", "--runner"}:
        raise OptionError(f"{min(names & {'--help', '-h', '--runner'})} is not for Beam here; give it before --")
    with _warnings_disabled(), contextlib.redirect_stderr(io.StringIO()) as complaint:
        from apache_beam.options.pipeline_options import PipelineOptions

        try:
            known = PipelineOptions(list(options)).get_all_options()
            everything = PipelineOptions(list(options)).get_all_options(retain_unknown_options=True)
        except SystemExit:  # argparse, of a value that does not fit
            reason = complaint.getvalue().strip().rpartition("error: ")[2] or "they cannot be read"
            raise OptionError(f"Beam refuses its options: {reason}") from None
    unknown = sorted(set(everything) - set(known))
    stray = [option for option in options if not option.startswith("-") and option not in map(str, everything.values())]
    if unknown or stray:
        listed = ", ".join([f"--{name}" for name in unknown] + stray)
        raise OptionError(f"Beam has no option {listed}; what follows -- must be Beam's own")


@contextlib.contextmanager
def _warnings_disabled() -> Iterator[None]:
    """Beam warns of what is told in an error here."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


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


def _end_group(driver: subprocess.Popen[bytes]) -> None:
    """End the driver and every worker it started; they write to temporary names, so nothing half-done is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended, and every worker with it
        os.killpg(driver.pid, signal.SIGKILL)
    if driver.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            driver.stdin.close()
    driver.wait()


def _environment() -> dict[str, str]:
    """A worker's environment: this process's modules, no GPU, one thread an op, quiet."""
    paths = [path for path in sys.path if path and os.pathsep not in path]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONSAFEPATH": "1",
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OMP_NUM_THREADS": "1",
        "OPENCV_LOG_LEVEL": "SILENT",
    }


def _failure(workspace: AnyWorkspace, code: int, reason: str) -> str:
    """Say why the job ended, in the words it left."""
    if not reason:
        ended = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        reason = f"the job's process {ended}"
    if code in (WORKER_DIED, -signal.SIGKILL):
        reason += "; the system may have run out of memory"
    return f"{reason}. The log is {workspace.log}; the same command goes on from the finished blocks"
