"""Engines are told what they need, and what is wrong with that is said before anything is started."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from augmill.pipeline.engines import Engine, job_name
from augmill.pipeline.errors import BuildError, OptionError


def _listed(error: OptionError) -> list[str]:
    return [line.strip() for line in str(error).splitlines() if line.startswith("  ")]


def test_all_that_is_missing_or_malformed_is_told_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # so that there is no java

    with pytest.raises(OptionError) as refused:
        Engine("flink", spark_master="spark://here:7077", worker_pool="here", job_server_jar="none.jar").check()

    assert [line.split(":")[0] for line in _listed(refused.value)] == [
        "--spark-master is for --runner spark, got --runner flink",
        "--flink-master is missing",
        "--worker-pool must be HOST",
        "--job-server-jar",
        "there is no java to run Beam's job server with",
    ]
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        (Engine("hadoop"), "the runner must be one of local, flink, spark, got 'hadoop'"),
        (Engine(flink_master="here:8081"), "--flink-master is for --runner flink, got --runner local"),
        (Engine(worker_pool="here:50000"), "--worker-pool is for --runner flink or spark, got --runner local"),
        (Engine("flink", "here", worker_pool="here:1"), "--flink-master must be HOST:PORT, got 'here'"),
        (Engine("spark", spark_master="here:7077", worker_pool="here:1"), "--spark-master must be spark://HOST:PORT"),
    ],
)
def test_one_problem_is_told_by_itself(engine: Engine, told: str) -> None:
    with pytest.raises(OptionError) as refused:
        engine.check(["--job_endpoint=localhost:8099"])

    assert str(refused.value).startswith(told)


def test_workers_come_from_a_pool_or_in_a_way_of_beams() -> None:
    with pytest.raises(OptionError, match="--worker-pool is missing: give HOST:PORT"):
        Engine("flink", "here:8081").check(["--job_endpoint=localhost:8099"])

    Engine("flink", "here:8081").check(["--job_endpoint=localhost:8099", "--environment_type=DOCKER"])
    Engine("flink", "http://here:8081", worker_pool="here:50000").check(["--job_endpoint=localhost:8099"])
    Engine("spark", spark_master="spark://a:7077,b:7077", worker_pool="c:1").check(["--job_endpoint=localhost:8099"])
    Engine().check()


def test_an_engine_that_is_not_there_is_told_by_its_address() -> None:
    with socket.socket() as closed:
        closed.bind(("localhost", 0))  # and does not listen
        place = f"localhost:{closed.getsockname()[1]}"

        with pytest.raises(BuildError, match=f"no Flink JobManager answers at {place}: .*refused; start one"):
            Engine("flink", place).reach(None)
        with pytest.raises(BuildError, match=f"no Spark master answers at spark://{place}: .*refused; start one"):
            Engine("spark", spark_master=f"spark://{place}").reach(None)


@pytest.fixture
def overview(request: pytest.FixtureRequest) -> Iterator[str]:
    """A web server that says of itself what a JobManager would; its HOST:PORT."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(request.param).encode())

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("localhost", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"localhost:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("overview", [{"slots-total": 6, "taskmanagers": 3}], indirect=True)
def test_flinks_slots_are_its_workers_and_each_takes_some_pieces(overview: str) -> None:
    engine = Engine("flink", overview, worker_pool="localhost:50000")

    assert (engine.reach(None), engine.reach(2)) == (6, 2)
    few, many, more = (engine.flags(workers=6, asked=False, blocks=n, job="a") for n in (4, 100, 10_000))
    assert ["--parallelism=4" in few, "--parallelism=12" in many, "--parallelism=24" in more] == [True] * 3
    assert "--parallelism=9" in engine.flags(workers=9, asked=True, blocks=100, job="a")
    assert {"--sdk_worker_parallelism=2", "--environment_config=localhost:50000"} <= set(few)


@pytest.mark.parametrize("overview", [{"slots-total": 0, "taskmanagers": 0}, {"hello": "world"}], indirect=True)
def test_a_flink_without_slots_and_another_server_are_refused(overview: str) -> None:
    with pytest.raises(BuildError, match=f"the Flink cluster at {overview} has no slots|no Flink JobManager answers"):
        Engine("flink", overview).reach(None)


def test_a_job_keeps_its_name_as_long_as_its_workspace() -> None:
    assert job_name(Path("/data/a/1.0.0.building")) == job_name("/data/a/1.0.0.building")
    assert job_name("/data/a/1.0.0.building") != job_name("/data/b/1.0.0.building")
