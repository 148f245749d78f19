"""Engines: where a job runs, what that needs to be told, and Beam's flags for it.

The job is the same graph on each. What differs is who hands out blocks: Beam's local runner to processes of its own, or
Flink or Spark to SDK workers, which a worker pool beside each of the engine's workers starts.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from augmill.pipeline.errors import BuildError, OptionError
from augmill.pipeline.estimate import default_workers
from augmill.pipeline.flink import Slots, find_slots, url_of

RUNNERS = ("local", "flink", "spark")
# Flags that the job servers know and Beam's Python does not.
JOB_SERVER_FLAGS = {
    "local": (),
    "flink": ("execution_mode_for_batch", "execution_retry_delay", "number_of_execution_retries", "object_reuse"),
    "spark": ("bundle_size", "cache_disabled", "storage_level"),
}
_HOST_PORT = re.compile(r"[\w.-]+:\d{1,5}")
_PIECES = 4  # of the blocks to each of Flink's slots, at most: a slow one then does not hold up the rest
_PIECE = 8  # blocks in a piece, at least: each has a worker started, which takes seconds
_MOST_PIECES = 1000  # of the blocks that Spark hands out
_PATIENCE = 10.0  # seconds for a master to answer
_KEPT = 5000  # milliseconds that a worker without work waits for some, as starting one takes seconds


@dataclass(frozen=True)
class Engine:
    """Where a job runs.

    Args:
      runner: one of `RUNNERS`.
      flink_master: HOST:PORT of the JobManager's REST interface.
      spark_master: spark://HOST:PORT.
      worker_pool: HOST:PORT of the worker pool as the engine's workers see it: localhost where each has one beside it.
      job_server_jar: Beam's job server for the engine; Beam fetches its own unless given.
    """

    runner: str = "local"
    flink_master: str | None = None
    spark_master: str | None = None
    worker_pool: str | None = None
    job_server_jar: str | None = None

    @property
    def local(self) -> bool:
        return self.runner == "local"

    def check(self, beam_options: Sequence[str] = ()) -> None:
        """Refuse what is missing, malformed or of another engine, all of it at once; nothing is asked of the engine.

        Raises:
          OptionError: naming each problem.
        """
        if self.runner not in RUNNERS:
            raise OptionError(f"the runner must be one of {', '.join(RUNNERS)}, got {self.runner!r}")
        problems = [*self._strays(), *(() if self.local else self._faults(_names(beam_options)))]
        if problems:
            listed = "".join(f"\n  {problem}" for problem in problems)
            raise OptionError(problems[0] if len(problems) == 1 else f"--runner {self.runner}:{listed}")

    def _strays(self) -> list[str]:
        given = {
            "--flink-master": (self.flink_master, ("flink",)),
            "--spark-master": (self.spark_master, ("spark",)),
            "--worker-pool": (self.worker_pool, ("flink", "spark")),
            "--job-server-jar": (self.job_server_jar, ("flink", "spark")),
        }
        return [
            f"{flag} is for --runner {' or '.join(runners)}, got --runner {self.runner}"
            for flag, (value, runners) in given.items()
            if value is not None and self.runner not in runners
        ]

    def _faults(self, named: set[str]) -> list[str]:
        problems = []
        flag, wanted, master = (
            ("--flink-master", "HOST:PORT", self.flink_master)
            if self.runner == "flink"
            else ("--spark-master", "spark://HOST:PORT", self.spark_master)
        )
        if master is None:
            problems.append(f"{flag} is missing: give {wanted}")
        elif not _is_master(self.runner, master):
            problems.append(f"{flag} must be {wanted}, got {master!r}")
        if self.worker_pool is not None and not _HOST_PORT.fullmatch(self.worker_pool):
            problems.append(f"--worker-pool must be HOST:PORT, got {self.worker_pool!r}")
        if self.worker_pool is None and "--environment_type" not in named:
            problems.append(
                "--worker-pool is missing: give HOST:PORT of what `augmill worker-pool` says beside each of the "
                "engine's workers, or Beam's --environment_type after --"
            )
        if "--job_endpoint" in named:
            return problems
        if self.job_server_jar is not None and not Path(self.job_server_jar).is_file():
            problems.append(f"--job-server-jar: there is no file {self.job_server_jar}")
        if shutil.which("java") is None:
            problems.append(
                "there is no java to run Beam's job server with: install one, or give --job_endpoint after --"
            )
        return problems

    def reach(self, workers: int | None) -> int:
        """Ask the engine whether it is there.

        Args:
          workers: as the reader has them.

        Returns:
          How many workers are to be had: those that were asked for, else what the engine has where that can be known,
          else one a core of this machine.

        Raises:
          BuildError: it does not answer.
        """
        if self.runner == "flink":
            slots = find_slots(self._master).total
            return workers or slots
        if self.runner == "spark":
            host, _, port = self._master.rpartition("/")[2].split(",")[0].partition(":")
            try:
                socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
            except OSError as error:
                raise BuildError(
                    f"no Spark master answers at {self._master}: {error.strerror or error}; start one, or mend "
                    "--spark-master"
                ) from None
        return workers or default_workers()

    def flags(self, *, workers: int, asked: bool, blocks: int, job: str, scratch: str = "") -> list[str]:
        """Beam's flags for a job.

        Args:
          workers: that are to be had; `asked`: whether the reader gave them.
          blocks: that the plan has.
          job: a name for it on the engine.
          scratch: a folder for the temporary files of the job server.
        """
        if self.local:
            mode = "in_memory" if workers == 1 else "multi_processing"
            return [
                # DirectRunner would look for Prism first, and then not honour the number of workers.
                "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",
                f"--direct_num_workers={workers}",
                f"--direct_running_mode={mode}",
            ]
        flags = [f"--job_name={job}", f"--environment_cache_millis={_KEPT}", "--job_server_jvm_properties=-Xmx512m"]
        if scratch:
            flags.append(f"--job_server_jvm_properties=-Djava.io.tmpdir={scratch}")
        if self.worker_pool is not None:
            flags += ["--environment_type=EXTERNAL", f"--environment_config={self.worker_pool}"]
        if self.job_server_jar is not None:
            flags.append(f"--{self.runner}_job_server_jar={Path(self.job_server_jar).resolve()}")
        if self.runner == "spark":
            return flags + self._spark(workers, min(blocks, _MOST_PIECES))
        slots = find_slots(self._master)
        return flags + self._flink(slots, workers if asked else _pieces(blocks, slots.total))

    def _flink(self, slots: Slots, pieces: int) -> list[str]:
        return [
            "--runner=FlinkRunner",
            f"--flink_master={url_of(self._master)}",
            # The number of subtasks. With blocking exchanges there may be more of them than slots; each is begun as a
            # slot comes free, and only those that were lost are begun again.
            f"--parallelism={pieces}",
            "--execution_mode_for_batch=BATCH_FORCED",
            f"--sdk_worker_parallelism={slots.each}",  # of one TaskManager
        ]

    def _spark(self, workers: int, pieces: int) -> list[str]:
        settings = {
            "spark.cores.max": workers,
            # One SDK worker for each executor: several tasks in one would share its interpreter.
            "spark.executor.cores": 1,
            "spark.executor.memory": "512m",  # block numbers are all that it holds
            "spark.default.parallelism": pieces,  # handed out as executors come free
            # An executor whose SDK worker has died hands each task to the dead one: another executor takes its place.
            "spark.excludeOnFailure.enabled": "true",
            "spark.excludeOnFailure.killExcludedExecutors": "true",
            "spark.excludeOnFailure.stage.maxFailedTasksPerExecutor": 1,
            "spark.excludeOnFailure.application.maxFailedTasksPerExecutor": 1,
            "spark.excludeOnFailure.stage.maxFailedExecutorsPerNode": 1000,
            "spark.excludeOnFailure.application.maxFailedExecutorsPerNode": 1000,
        }
        return [
            "--runner=SparkRunner",
            f"--spark_master_url={self._master}",
            *(f"--job_server_jvm_properties=-D{name}={value}" for name, value in settings.items()),
        ]

    @property
    def _master(self) -> str:
        master = self.flink_master if self.runner == "flink" else self.spark_master
        assert master is not None  # checked
        return master


def job_name(workspace: object) -> str:
    """What a build's jobs are called on an engine, so that one that was left behind is found again."""
    return f"augmill-{hashlib.sha256(str(workspace).encode()).hexdigest()[:12]}"


def shared_text(workspace: Path | str) -> str:
    """What every machine of a cluster must have in common."""
    return f"note: each machine of the cluster must reach the source and {workspace} under these names"


def _pieces(blocks: int, slots: int) -> int:
    """How many pieces Flink's slots are to take the blocks in, one after the other."""
    return min(blocks, max(slots, min(blocks // _PIECE, _PIECES * slots)))


def _is_master(runner: str, master: str) -> bool:
    if runner == "flink":
        return bool(re.fullmatch(rf"(https?://)?{_HOST_PORT.pattern}/?", master))
    return bool(re.fullmatch(rf"spark://{_HOST_PORT.pattern}(,{_HOST_PORT.pattern})*", master))


def _names(options: Sequence[str]) -> set[str]:
    return {option.partition("=")[0] for option in options}
