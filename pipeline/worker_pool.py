"""A pool of SDK workers: starts a process for each worker that Flink or Spark asks for, and ends it for certain.

Beam has such a server too. It knows a worker by its id alone, which two TaskManagers of one machine give twice, and
then ends the wrong one; it listens to the whole network, though whoever reaches it has code run; and its workers may
outlive it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.utils.thread_pool_executor import shared_unbounded_instance

from augmill.pipeline.errors import OptionError
from augmill.pipeline.process_environment import process_environment, starting

_PATIENCE = 60.0  # seconds that an engine's request waits for a place, as workers of an earlier job may just be ending


class WorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Starts SDK workers when asked, not more at once than there are places.

    Args:
      places: processes at once.
    """

    def __init__(self, places: int) -> None:
        self._places, self._free = places, threading.Semaphore(places)
        self._workers: dict[tuple[str, str], subprocess.Popen[bytes]] = {}  # by who asked, and the id in its words

    def StartWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Start a worker, which connects to whoever asks."""
        if not self._free.acquire(timeout=_PATIENCE):
            told = (
                f"this worker pool has {self._places} at work already: start it with more --workers, or ask for fewer"
            )
            logging.error(told)
            return beam_fn_api_pb2.StartWorkerResponse(error=told)
        try:
            process = subprocess.Popen(
                [*starting("sdk_worker.main"), request.control_endpoint.url, request.worker_id],
                stdin=subprocess.PIPE,  # held open: the worker ends with this process
                stdout=sys.stderr,
                env=process_environment(),
                start_new_session=True,
            )
        except OSError as error:
            self._free.release()
            return beam_fn_api_pb2.StartWorkerResponse(error=f"cannot start a worker: {error}")
        threading.Thread(target=self._wait, args=(process, request.worker_id), daemon=True).start()
        self._workers[context.peer(), request.worker_id] = process
        logging.info("worker %s started: process %d", request.worker_id, process.pid)
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        """End the worker that the same client started; where it connects anew, the worker ends with its connection."""
        process = self._workers.pop((context.peer(), request.worker_id), None)
        if process is not None:
            _end(process)
        return beam_fn_api_pb2.StopWorkerResponse()

    def close(self) -> None:
        """End all workers."""
        for process in list(self._workers.values()):
            _end(process)

    def _wait(self, process: subprocess.Popen[bytes], worker: str) -> None:
        code = process.wait()
        self._free.release()
        logging.info("worker %s ended with code %d", worker, code)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def serve(host: str, port: int, places: int) -> Iterator[int]:
    """Have a pool listen while the context lasts.

    Yields:
      The port, which is a free one for 0.

    Raises:
      OptionError: it cannot listen there.
    """
    pool = WorkerPool(places)
    server = grpc.server(shared_unbounded_instance(), options=[("grpc.so_reuseport", 0)])
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    try:
        bound = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError:
        bound = 0
    if not bound:
        raise OptionError(f"cannot listen at {host}:{port}: another process may, or the host is none of this machine's")
    server.start()
    try:
        yield bound
    finally:
        server.stop(0)
        pool.close()
