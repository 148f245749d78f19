"""The process that runs the Beam job: `python -m augmill.pipeline.driver WORKSPACE [BEAM OPTIONS]`.

It is a process of its own, in a process group of its own, so that whoever started it can end the job for certain:
Beam's local runner waits for ever for a worker that has died, and its threads outlive an exception.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from typing import Any, NoReturn

WORKER_DIED = 70  # exit codes
JOB_FAILED = 71
MARK = "augmill-error: "  # begins the line of the log that the reader is to see


def main(arguments: list[str]) -> NoReturn:
    """Run the blocks that are not finished yet, and exit."""
    workspace_path, beam_options = arguments[0], arguments[1:]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    threading.excepthook = _end_with_worker

    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from augmill.pipeline.job import build_graph
    from augmill.pipeline.workspace import Workspace

    logging.basicConfig(level=logging.WARNING)
    workspace = Workspace(workspace_path)
    blocks = range(workspace.plan().blocks)
    pending = [block for block in blocks if workspace.row(block) is None]
    try:
        with beam.Pipeline(options=PipelineOptions(beam_options)) as pipeline:
            build_graph(pipeline, workspace_path, pending)
    except Exception as error:
        logging.exception("the job failed")
        _say(_reason(error))
        _exit(JOB_FAILED)
    _exit(0)


def _reason(error: Exception) -> str:
    """The part of a runner's error that was meant for the reader: the last BlockError in it, else its last line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    for line in reversed(lines):
        _, found, message = line.partition("BlockError: ")
        if found:
            return message.split(" [while running", 1)[0]
    return f"{type(error).__name__}: {lines[-1]}"


def _end_with_parent() -> None:
    """End the whole group when the launcher ends, however it ends: then standard input is closed."""
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGKILL)


def _end_with_worker(thread: Any) -> None:
    """End the job when the thread that watches a worker process fails: the runner would wait for ever."""
    logging.error("thread %s failed", thread.thread, exc_info=(thread.exc_type, thread.exc_value, thread.exc_traceback))
    if thread.thread is not None and thread.thread.name == "run_worker":
        _say(f"a worker process died: {thread.exc_value}")
        _exit(WORKER_DIED)


def _say(message: str) -> None:
    print(MARK + " ".join(message.split()), file=sys.stderr, flush=True)


def _exit(code: int) -> NoReturn:
    """Exit at once: Beam's and gRPC's threads would hold up an ordinary exit."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
