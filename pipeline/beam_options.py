"""Beam's own flags, which follow `--` on the command line: refused where Beam would ignore them in silence."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Collection, Iterator, Sequence

from augmill.pipeline.errors import OptionError


def check_beam_options(options: Sequence[str], also: Collection[str] = ()) -> None:
    """Refuse Beam flags that Beam does not know.

    Args:
      options: the flags.
      also: names of flags that Beam's Python does not know, and the engine's job server does.

    Raises:
      OptionError: naming them.
    """
    if not options:
        return
    names = {option.partition("=")[0] for option in options}
    if names & {"--help", "-h", "--runner"}:
        raise OptionError(f"{min(names & {'--help', '-h', '--runner'})} is not for Beam here; give it before --")
    with _warnings_disabled(), contextlib.redirect_stderr(io.StringIO()) as complaint:
        from apache_beam.options.pipeline_options import PipelineOptions

        try:
            known = PipelineOptions(list(options)).get_all_options()
            everything = PipelineOptions(list(options)).get_all_options(retain_unknown_options=True)
        except SystemExit:  # argparse, of a value that does not fit
            reason = complaint.getvalue().strip().rpartition("error: ")[2] or "they cannot be read"
            raise OptionError(f"Beam refuses its options: {reason}") from None
    unknown = sorted(set(everything) - set(known) - set(also))
    stray = [option for option in options if not option.startswith("-") and option not in map(str, everything.values())]
    if unknown or stray:
        listed = ", ".join([f"--{name}" for name in unknown] + stray)
        raise OptionError(f"Beam has no option {listed}; what follows -- must be Beam's own")


@contextlib.contextmanager
def _warnings_disabled() -> Iterator[None]:
    """Beam warns of what is told in an error here."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
