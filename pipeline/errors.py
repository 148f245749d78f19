"""The errors a reader meets, each with the exit code that the command ends with."""

from __future__ import annotations

from collections.abc import Sequence


class AugmillError(Exception):
    """Something the reader can act on; the message says what. Shown without a traceback."""

    exit_code = 2


class SpecError(AugmillError):
    """The spec breaks rules; all of them are told at once."""

    def __init__(self, problems: Sequence[str], origin: str = "the spec") -> None:
        self.problems = list(problems)
        if len(self.problems) == 1:
            super().__init__(f"{origin}: {self.problems[0]}")
        else:
            lines = "\n".join(f"  {problem}" for problem in self.problems)
            super().__init__(f"{origin} has {len(self.problems)} problems:\n{lines}")


class SourceError(AugmillError):
    """The source is missing, empty or not what the spec says it is."""


class OptionError(AugmillError):
    """An option of the command is wrong."""


class VersionError(AugmillError):
    """A version directory is missing, not a version, or stands in the way."""


class DamagedManifestError(VersionError):
    """A version's manifest is there, and is none that this augmill can read."""


class StateError(AugmillError):
    """A saved position of a loader does not belong to this one."""


class MissingFileError(VersionError):
    """Remote storage has no file of this name."""


class FileStandsError(VersionError):
    """Remote storage has a file of this name already, and it was to be a new one."""


class CacheError(AugmillError):
    """The cache of remote files cannot be used, or what is asked of it does not fit into it."""


class DownloadError(AugmillError):
    """Remote storage did not answer, or not to the end; it may when it is asked again."""

    exit_code = 3


class CheckError(AugmillError):
    """An op, a function or a version failed a check."""

    exit_code = 1


class BuildError(AugmillError):
    """The job failed; the same command goes on from where it stopped."""

    exit_code = 3
