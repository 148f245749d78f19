"""The process that runs the Beam job: `main([PIPE])`, and then an `order` on its standard input.

It is a process of its own, in a process group of its own, so that whoever started it can end the job for certain:
Beam's local runner waits for ever for a worker that has died, and its threads outlive an exception. What the reader is
to know goes through PIPE, the number of an open file, apart from what is printed. Beam is imported
before the order is read, so that it can be while its giver still plans and checks.

A job on Flink goes on without this process: so it has Flink cancel the job when its launcher is gone, or lets go.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import Any, NoReturn

from augmill.pipeline.flink import cancel_jobs
from augmill.pipeline.target import AnyWorkspace, open_workspace

WORKER_DIED = 70  # exit codes
JOB_FAILED = 71
CANCELLING = 15.0  # seconds that an engine may take to cancel a job
_PIPE_HOLDS = 4096  # bytes that can be written before anyone reads
_NEEDED = ("augmill.pipeline.job", "apache_beam.runners.portability.fn_api_runner.fn_runner")


def order(workspace: AnyWorkspace, beam_options: Sequence[str], *, scratch: str = "") -> bytes:
    """What is written to a driver's standard input, to have it run the unfinished blocks of a workspace.

    Args:
      workspace: what to build.
      beam_options: Beam's flags.
      scratch: a folder for the temporary files of an engine's job server; none, where the driver does the work.
    """
    return json.dumps([workspace.address, list(beam_options), scratch]).encode() + b"\n"


def main(arguments: list[str]) -> NoReturn:
    """Wait for an order, run the blocks that are not finished yet, and exit."""
    pipe = int(arguments[0])
    threading.excepthook = functools.partial(_end_with_worker, pipe)
    try:
        for module in _NEEDED:
            importlib.import_module(module)
        ordered = sys.stdin.buffer.readline()
        if ordered:
            _run(*json.loads(ordered))
    except Exception as error:
        _exit(JOB_FAILED, pipe, _reason(error), error)
    _exit(0, pipe)


def _run(address: Any, beam_options: list[str], scratch: str) -> None:
    if not scratch:
        end_with_launcher()
    if sys.version_info < (3, 11):  # workers know no PYTHONSAFEPATH, and import from the current folder first
        os.chdir("/")

    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from augmill.pipeline.job import build_graph

    logging.basicConfig(level=logging.WARNING)
    options = PipelineOptions(beam_options)
    if scratch:
        tempfile.tempdir = scratch
        _cancel_jobs(options)  # of a driver that could not
        threading.Thread(target=_cancel_with_launcher, args=(options,), daemon=True).start()
    workspace = open_workspace(address)
    blocks = workspace.plan().blocks
    done = workspace.finished(blocks)
    pending = [block for block in range(blocks) if block not in done]
    with beam.Pipeline(options=options) as pipeline:
        build_graph(pipeline, address, pending)


def _cancel_with_launcher(options: Any) -> None:
    """Wait for the launcher to end or to let go; then cancel the job, and end Beam's job server with this process.

    A job on Spark ends with the job server, which is the driver of it.
    """
    sys.stdin.buffer.read()
    _cancel_jobs(options)
    shutil.rmtree(tempfile.gettempdir(), ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def _cancel_jobs(options: Any) -> None:
    from apache_beam.options.pipeline_options import FlinkRunnerOptions, GoogleCloudOptions, StandardOptions

    if options.view_as(StandardOptions).runner == "FlinkRunner":
        name = options.view_as(GoogleCloudOptions).job_name  # which Beam keeps there for all engines
        for job in cancel_jobs(options.view_as(FlinkRunnerOptions).flink_master, name):
            logging.warning("cancelled job %s", job)


def _reason(error: Exception) -> str:
    """The part of a runner's error that was meant for the reader: the last BlockError in it, else its last line."""
    lines = f"{type(error).__name__}: {str(error).strip()}".splitlines()
    meant = [line.partition("BlockError: ")[2] for line in lines if "BlockError: " in line]
    named = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Interrupt)\b", line)]
    return (meant or named or lines)[-1].split(" [while running", 1)[0]


def end_with_launcher() -> None:
    """Have this process's whole group ended when the launcher ends, however it ends: then standard input is closed.

    A process of its own waits for that. A thread could not while an op holds Python's lock, and when this process is
    killed too, workers that had not reached it yet would try to for ever.
    """
    subprocess.Popen(["/bin/sh", "-c", "read _; kill -KILL 0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _end_with_worker(pipe: int, thread: threading.ExceptHookArgs) -> None:
    """End the job when the thread that watches a worker process fails: the runner would wait for ever."""
    if thread.thread is not None and thread.thread.name == "run_worker":
        _exit(WORKER_DIED, pipe, f"a worker process died: {thread.exc_value}", thread.exc_value)
    logging.error("thread %s failed", thread.thread, exc_info=thread.exc_value)


def _exit(code: int, pipe: int, message: str = "", error: BaseException | None = None) -> NoReturn:
    """Say why and exit at once: Beam's and gRPC's threads would hold up an ordinary exit."""
    os.write(pipe, message.encode("utf-8", "replace")[:_PIPE_HOLDS])
    with contextlib.suppress(OSError):  # the launcher, which reads it, may be gone
        if error is not None:
            logging.error(message, exc_info=error)
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
