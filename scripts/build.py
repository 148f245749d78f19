"""`augmill build`."""

from __future__ import annotations

import click

from augmill.pipeline.builder import build
from augmill.pipeline.engines import RUNNERS, Engine
from augmill.pipeline.spec import Spec
from augmill.pipeline.stall import STALL_TIMEOUT
from augmill.pipeline.units import size_text, time_text
from augmill.pipeline.version import Version
from augmill.scripts.table import echo, echo_effects, echo_json, reused_text, user_code_option


@click.command("build")
@click.argument("spec", type=click.Path(dir_okay=False))
@click.option(
    "--output",
    required=True,
    type=click.Path(file_okay=False),
    help="ROOT, a folder or a URL; the version goes to ROOT/name/version.",
)
@click.option("--runner", type=click.Choice(RUNNERS), default="local", show_default=True, help="Where the job runs.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: one a core, or one a slot of Flink]")
@click.option("--flink-master", metavar="HOST:PORT", help="Flink's JobManager, by its REST interface.")
@click.option("--spark-master", metavar="spark://HOST:PORT", help="Spark's master.")
@click.option(
    "--worker-pool", metavar="HOST:PORT", help="`augmill worker-pool`, as Flink's or Spark's workers reach it."
)
@click.option("--job-server-jar", metavar="JAR", help="Beam's job server for the engine.  [default: Beam fetches it]")
@click.option(
    "--stall-timeout",
    type=click.FloatRange(min=0),
    default=STALL_TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="End the build where a block has got no further for so long; 0 waits for ever.",
)
@click.option("--from", "parent", metavar="V", help="Reuse records of this version.  [default: the latest that fits]")
@click.option("--no-reuse", is_flag=True, help="Make every record, whatever an earlier version holds already.")
@click.option("--retry-failed", is_flag=True, help="Build a patch with what failed and can be used now.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@user_code_option
@click.argument("beam_options", nargs=-1, type=click.UNPROCESSED)
def command(
    spec: str,
    output: str,
    runner: str,
    workers: int | None,
    flink_master: str | None,
    spark_master: str | None,
    worker_pool: str | None,
    job_server_jar: str | None,
    stall_timeout: float,
    parent: str | None,
    no_reuse: bool,
    retry_failed: bool,
    as_json: bool,
    user_code: bool,
    beam_options: tuple[str, ...],
) -> None:
    """Build the version that SPEC describes and publish it whole.

    An interrupted build goes on when the same command is run again. A version that is published is never changed. What
    an earlier version of the same name holds already is taken from there; the result is the same.
    BEAM_OPTIONS after -- are Beam's own.
    """
    say = (lambda line: None) if as_json else echo
    if (parent is not None) + no_reuse + retry_failed > 1:
        raise click.UsageError("give one of --from, --no-reuse and --retry-failed")
    reuse = False if no_reuse else True if parent is None else parent
    version = build(
        Spec.from_yaml(spec, user_code=user_code),
        output,
        engine=Engine(runner, flink_master, spark_master, worker_pool, job_server_jar),
        workers=workers,
        beam_options=beam_options,
        stall_timeout=stall_timeout,
        reuse=reuse,
        retry_failed=retry_failed,
        say=say,
    )
    if as_json:
        echo_json({"path": version.location, "digest": version.manifest.digest, "records": version.records})
    else:
        _tell(version)


def _tell(version: Version) -> None:
    made = version.manifest.build
    echo(
        f"{version.location}: {version.records:,} records, {size_text(version.bytes)}, in {time_text(made['seconds'])}"
    )
    text = reused_text(version)
    if text:
        echo(text)
    if version.manifest.effects:
        echo_effects(version.manifest.effects)
    failed = version.manifest.source["failed"]
    if failed:
        echo(f"{failed} examples could not be used; {version.location}/failures.jsonl names them")
