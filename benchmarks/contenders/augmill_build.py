"""augmill itself: the `augmill build` command as a user runs it, with every check, digest and index that it makes."""

from __future__ import annotations

import subprocess
import sys

import yaml

from augmill.pipeline.version import Version
from benchmarks.contenders.task import Part, Task, main


def build(task: Task) -> Part:
    """Build a version; at work is the job alone where the manifest tells its time, else the whole build.

    The option `kernels` is the spec's; `more` is an op, by its name alone, that comes after the recipe's.
    """
    more = tuple(task.options[name] for name in ("more",) if name in task.options)
    spec = task.output / "spec.yaml"
    spec.write_text(yaml.safe_dump(task.recipe.spec(task.source.resolve(), kernels=task.options["kernels"], more=more)))
    command = [sys.executable, "-m", "augmill.scripts.cli", "build", str(spec)]
    options = ["--output", str(task.output), "--workers", str(task.workers), "--json"]
    subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)
    version = Version(task.output / "benchmark/1.0.0")
    made = version.manifest.build
    return Part(version.records, 0.0, made.get("job_seconds", made["seconds"]))


if __name__ == "__main__":
    main(build)
