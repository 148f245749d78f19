"""Flink and Spark on this machine for tests: each part a process of its own, with a small heap, on free ports."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent
ENGINES = REPOSITORY / ".engines"  # made by scripts/environment engines
_PATIENCE = 30.0  # seconds for a process to come up
# What Flink and Spark reach into on Java 17; their own scripts say the same.
_OPENED = [
    "java.base/java.lang",
    "java.base/java.lang.invoke",
    "java.base/java.lang.reflect",
    "java.base/java.io",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/sun.nio.ch",
    "java.base/sun.nio.cs",
    "java.base/sun.security.action",
    "java.base/sun.util.calendar",
]
_JAVA = ["java", "-Xmx512m", "-XX:+UseSerialGC", *(f"--add-opens={name}=ALL-UNNAMED" for name in _OPENED)]


def missing() -> str:
    """What is not installed of the engines, or nothing."""
    wanted = [ENGINES / name for name in ("flink/lib", "spark/jars", "flink-job-server.jar", "spark-job-server.jar")]
    absent = [str(path) for path in wanted if not path.exists()] + ["java"] * (shutil.which("java") is None)
    return ", ".join(absent)


def free_port() -> int:
    """A port that nothing listens on, for the moment."""
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return int(found.getsockname()[1])


class Cluster:
    """Processes that are started in turn, and ended together for certain."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str], **environment: str) -> subprocess.Popen[bytes]:
        """Start a process in a group of its own; what it prints goes to NAME.log."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
                cwd=self.folder,
                start_new_session=True,
            )
        self.processes[name] = process
        return process

    def kill(self, name: str) -> None:
        """Kill a process and whatever it started."""
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def wait_until(self, what: str, holds: Any) -> None:
        """Wait until something holds.

        Raises:
          TimeoutError: it does not, with the ends of the processes' logs.
        """
        end = time.monotonic() + _PATIENCE
        while not holds():
            if time.monotonic() > end:
                tails = "\n".join(f"{log}:\n{log.read_text()[-1500:]}" for log in sorted(self.folder.glob("*.log")))
                raise TimeoutError(f"{what} did not come up\n{tails}")
            time.sleep(0.1)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *raised: object) -> None:
        for name in list(self.processes):
            self.kill(name)


class WorkerPool(Cluster):
    """`augmill worker-pool`, which starts SDK workers when an engine asks for them."""

    def __init__(self, folder: Path, workers: int = 2) -> None:
        super().__init__(folder)
        self.port, self._workers = free_port(), workers

    def __enter__(self) -> WorkerPool:
        self.start_pool()
        return self

    def start_pool(self) -> None:
        """Start it, or start it again."""
        augmill = [str(Path(sys.executable).with_name("augmill")), "worker-pool"]
        self.start("pool", [*augmill, "--port", str(self.port), "--workers", str(self._workers)])
        self.wait_until("the worker pool", lambda: _listens(self.port))


class Flink(Cluster):
    """A JobManager and two TaskManagers of one slot each."""

    def __init__(self, folder: Path, task_managers: int = 2, restarts: int = 3) -> None:
        super().__init__(folder)
        self._restarts = restarts
        self.master, self._rpc = f"localhost:{free_port()}", free_port()
        self._task_managers = task_managers

    def __enter__(self) -> Flink:
        settings = {
            "jobmanager.rpc.address": "localhost",
            "jobmanager.rpc.port": self._rpc,
            "jobmanager.bind-host": "localhost",
            "rest.address": "localhost",
            "rest.port": int(self.master.split(":")[1]),
            "taskmanager.host": "localhost",
            "taskmanager.numberOfTaskSlots": 1,
            "heartbeat.interval": 1000,
            "heartbeat.timeout": 8000,
            "restart-strategy.type": "fixed-delay" if self._restarts else "none",
            "restart-strategy.fixed-delay.attempts": self._restarts,
            "restart-strategy.fixed-delay.delay": "1 s",
            "io.tmp.dirs": self.folder / "tmp",
            "web.tmpdir": self.folder / "web",
            "blob.storage.directory": self.folder / "blobs",
        }
        (self.folder / "config.yaml").write_text("".join(f"{name}: {value}\n" for name, value in settings.items()))
        (self.folder / "log4j.properties").write_text(
            "rootLogger.level = INFO\nrootLogger.appenderRef.o.ref = O\nappender.o.name = O\n"
            "appender.o.type = CONSOLE\n"
            "appender.o.layout.type = PatternLayout\nappender.o.layout.pattern = %d{HH:mm:ss} %-5p %c{1} %m%n\n"
        )
        entry = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
        self.start("job-manager", [*self._java(), entry, "--configDir", str(self.folder), "--executionMode", "cluster"])
        self.wait_until("Flink's JobManager", lambda: self.ask("overview") is not None)
        for number in range(self._task_managers):
            self.start_task_manager(number)
        self.wait_until("Flink's TaskManagers", lambda: self.ask("overview")["slots-total"] == self._task_managers)
        return self

    def _java(self) -> list[str]:
        logging = f"-Dlog4j.configurationFile=file:{self.folder}/log4j.properties"
        return [*_JAVA, logging, "-cp", f"{ENGINES}/flink/lib/*"]

    def start_task_manager(self, number: int) -> None:
        """Start one more, or one again."""
        memory = {
            "taskmanager.cpu.cores": "1.0",
            "taskmanager.memory.task.heap.size": "256m",
            "taskmanager.memory.task.off-heap.size": "0",
            "taskmanager.memory.managed.size": "32m",
            "taskmanager.memory.network.min": "64m",
            "taskmanager.memory.network.max": "64m",
            "taskmanager.memory.framework.heap.size": "128m",
            "taskmanager.memory.framework.off-heap.size": "128m",
            "taskmanager.memory.jvm-metaspace.size": "256m",
            "taskmanager.memory.jvm-overhead.min": "192m",
            "taskmanager.memory.jvm-overhead.max": "192m",
            "taskmanager.resource-id": f"task-manager-{number}-{time.monotonic_ns()}",
        }
        settings = [part for name, value in memory.items() for part in ("-D", f"{name}={value}")]
        entry = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
        self.start(f"task-manager-{number}", [*self._java(), entry, "--configDir", str(self.folder), *settings])

    def ask(self, path: str) -> Any:
        """What the JobManager answers to a request, or None."""
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{self.master}/{path}", timeout=5) as answer:
            return json.load(answer)

    def busy(self) -> bool:
        """Whether a job has not ended."""
        return any(job["state"] in ("CREATED", "RUNNING", "RESTARTING") for job in self.ask("jobs/overview")["jobs"])


class Spark(Cluster):
    """A master and a worker of two cores, which starts an executor for each application."""

    def __init__(self, folder: Path, cores: int = 2) -> None:
        super().__init__(folder)
        self._port, self._web, self._cores = free_port(), free_port(), cores
        self.master = f"spark://localhost:{self._port}"

    def __enter__(self) -> Spark:
        where = ["--host", "localhost", "--webui-port"]
        self._run_class("master", "master.Master", *where, str(self._web), "--port", str(self._port))
        self.wait_until("Spark's master", lambda: _listens(self._port))
        sizes = ["--cores", str(self._cores), "--memory", "2g", "--work-dir", str(self.folder / "work")]
        self._run_class("worker", "worker.Worker", *where, str(free_port()), *sizes, self.master)
        self.wait_until("Spark's worker", lambda: len(self.ask()["workers"]) == 1)
        return self

    def _run_class(self, name: str, module: str, *arguments: str) -> None:
        spark_class = str(ENGINES / "spark/bin/spark-class")
        environment = {
            "SPARK_HOME": str(ENGINES / "spark"),
            "SPARK_DAEMON_MEMORY": "512m",
            "SPARK_LOCAL_IP": "127.0.0.1",
        }
        self.start(name, [spark_class, f"org.apache.spark.deploy.{module}", *arguments], **environment)

    def busy(self) -> bool:
        """Whether an application has not ended."""
        return bool(self.ask()["activeapps"])

    def ask(self) -> Any:
        """What the master says of itself; before it is up, that it has no workers."""
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://localhost:{self._web}/json/", timeout=5) as answer,
        ):
            return json.load(answer)
        return {"workers": []}


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("localhost", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def all_of(*parts: Cluster) -> Iterator[None]:
    """Have several clusters up together."""
    with contextlib.ExitStack() as up:
        for part in parts:
            up.push(part)  # first, so that one that does not come up whole is ended too
            part.__enter__()
        yield
