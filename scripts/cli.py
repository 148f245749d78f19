"""The entry point of the `augmill` command."""

from __future__ import annotations

import importlib
import os
import sys
from importlib import metadata

import click

from augmill.pipeline.errors import AugmillError
from augmill.pipeline.units import printable

# Subcommand -> what it does; the command itself is `command` in the module augmill.scripts.<name>, with _ for -.
COMMANDS = {
    "build": "Build a version from a spec.",
    "worker-pool": "Start workers for Flink or Spark when they ask.",
    "plan": "Say what a build would make, need and take.",
    "check": "Prove on real samples that every op does its work.",
    "ops": "List the ops that a spec knows, or explain one.",
    "adopt": "Take the augmentation out of a Keras model, as a spec.",
    "preview": "Draw what a spec makes of a few images.",
    "versions": "List the published versions of a dataset.",
    "show": "Show what is in a version.",
    "replay": "Make one record again from the source and compare bytes.",
    "reproduce": "Make some blocks again from the source and compare bytes.",
    "verify": "Check every byte of a version.",
    "diff": "Say in what two versions differ.",
    "gc": "Remove old versions and what dead builds left.",
    "doctor": "Say what holds a training on a version up, and what to change.",
}


class _Commands(click.Group):
    """Imports a subcommand when it is asked for: `augmill --help` must not wait for TensorFlow."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"augmill.scripts.{name.replace('-', '_')}").command
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(metadata.version("augmill"), prog_name="augmill")
def cli() -> None:
    """Augment an image dataset once, offline, and stream it into training.

    Exit codes: 0 done; 1 a check found something; 2 the command or the spec is wrong; 3 the job failed and the same
    command goes on from where it stopped.
    """


def main() -> None:
    """Run the command; what the reader can act on is told in words, without a traceback."""
    if sys.argv[1:2] != ["doctor"]:  # which measures the way to it
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # the GPU belongs to training
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    stdout = sys.stdout
    try:
        cli.main(prog_name="augmill", standalone_mode=False)
    except AugmillError as error:
        _end(f"augmill: {error}", error.exit_code)
    except click.exceptions.Abort:
        _end("augmill: interrupted; a build goes on when the same command is run again", 130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        _end("", 141)
    except OSError as error:
        _end(f"augmill: {error.filename or 'the system'}: {error.strerror or error}", 3)
    except SystemExit as end:
        if sys.stdout is not stdout:  # click puts another in its place where the reader of a pipe has gone
            _end("", 141)
        # The user's code, or a library.
        _end(f"augmill: something ended the command early, with code {end.code}", 3)
    except Exception as error:
        if os.environ.get("AUGMILL_DEBUG"):
            raise
        told = " ".join(f"{type(error).__name__}: {error}".split())
        _end(f"augmill: a fault of augmill's own: {told}; AUGMILL_DEBUG=1 shows where, please report it", 3)


def _end(message: str, code: int) -> None:
    if message:
        click.echo(printable(message, lines=True), err=True)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that Python's own flush says nothing
    sys.exit(code)


if __name__ == "__main__":
    main()
