"""The worker pool starts SDK workers when asked, tells them apart, and leaves none behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import psutil
import pytest
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

AUGMILL = str(Path(sys.executable).with_name("augmill"))


@pytest.fixture
def control() -> Iterator[str]:
    """What an engine's worker is to an SDK worker: a server to connect to, which has no work; its address."""

    class Control(beam_fn_api_pb2_grpc.BeamFnControlServicer):
        def Control(self, requests: object, context: grpc.ServicerContext) -> Iterator[object]:  # noqa: N802
            while context.is_active():
                time.sleep(0.1)
            yield from ()

    from concurrent.futures import ThreadPoolExecutor

    server = grpc.server(ThreadPoolExecutor(8))
    beam_fn_api_pb2_grpc.add_BeamFnControlServicer_to_server(Control(), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    yield f"localhost:{port}"
    server.stop(0).wait()


@pytest.fixture
def pool() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [AUGMILL, "worker-pool", "--port", "0", "--workers", "3"], stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.communicate()


def _connect(pool: subprocess.Popen[str]) -> beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub:
    assert pool.stdout is not None
    said = pool.stdout.readline()
    assert said.endswith(" for up to 3 workers\n")
    # Each client has a connection of its own, as each TaskManager has.
    options = [("grpc.use_local_subchannel_pool", 1)]
    channel = grpc.insecure_channel(said.split()[2], options)
    return beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)


def _start(client: beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub, control: str) -> str:
    request = beam_fn_api_pb2.StartWorkerRequest(worker_id="1-1")
    request.control_endpoint.url = control
    return str(client.StartWorker(request).error)


def _wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_workers_of_one_name_are_told_apart_and_none_outlives_the_pool(
    pool: subprocess.Popen[str], control: str
) -> None:
    """Two TaskManagers of one machine name their workers alike, and each stops its own."""
    ours = _connect(pool)
    address = psutil.Process(pool.pid).net_connections()[0].laddr
    theirs = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(
        grpc.insecure_channel(f"localhost:{address.port}", [("grpc.use_local_subchannel_pool", 1)])
    )
    assert (_start(ours, control), _start(theirs, control)) == ("", "")
    workers = psutil.Process(pool.pid).children()
    assert len(workers) == 2

    ours.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id="1-1"))
    _wait_until(lambda: len(psutil.Process(pool.pid).children()) == 1)
    (left,) = psutil.Process(pool.pid).children()
    assert left == workers[1]

    os.kill(pool.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs([left], timeout=20)
    assert not alive


def test_a_worker_ends_when_its_engine_is_gone_or_never_was(pool: subprocess.Popen[str], control: str) -> None:
    client = _connect(pool)
    assert _start(client, control) == ""
    (worker,) = psutil.Process(pool.pid).children()

    pool.send_signal(signal.SIGTERM)  # and a pool that is ended by hand ends its workers

    assert pool.wait(timeout=20) == 0
    _, alive = psutil.wait_procs([worker], timeout=20)
    assert not alive


def test_a_port_that_is_taken_is_told_in_words(pool: subprocess.Popen[str]) -> None:
    assert pool.stdout is not None
    place = pool.stdout.readline().split()[2]

    second = subprocess.run(
        [AUGMILL, "worker-pool", "--port", place.split(":")[1]], capture_output=True, text=True, timeout=60
    )

    assert second.returncode == 2
    assert second.stderr.startswith(f"augmill: cannot listen at {place}: another process may")
