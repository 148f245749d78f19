"""`augmill worker-pool`."""

from __future__ import annotations

import logging
import os
import signal
import threading

import click

from augmill.pipeline.estimate import default_workers


@click.command("worker-pool")
@click.option("--port", type=click.IntRange(0, 65535), required=True, help="Where to listen; 0 for a free port.")
@click.option(
    "--host",
    default="localhost",
    show_default=True,
    help="The address to listen at. Whoever reaches it can have code run here.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Processes at once, of one thread each.  [default: one a core]"
)
def command(port: int, host: str, workers: int | None) -> None:
    """Start workers for Flink or Spark when they ask, until interrupted.

    One belongs on each machine of the engine, beside its TaskManager or Spark worker.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what it cannot do is told below
    logging.disable(logging.WARNING)  # Beam warns at once of what it could do for Google's cloud
    from augmill.pipeline.worker_pool import serve

    logging.disable(logging.NOTSET)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    places = workers or default_workers()
    with serve(host, port, places) as bound:
        click.echo(f"listening at {host}:{bound} for up to {places} workers")
        ended.wait()
