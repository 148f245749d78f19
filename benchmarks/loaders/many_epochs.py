"""augmill's loader through many epochs, and the memory that the process holds after each."""

from __future__ import annotations

from functools import partial

import psutil

from benchmarks.loaders.augmill_load import epoch
from benchmarks.loaders.task import parse_task, read, tell


def main() -> None:
    """Read the epochs that the option `epochs` asks for, and print the resident bytes after each as JSON."""
    task, process = parse_task(), psutil.Process()
    records, held = [], []
    for number in range(int(task.option("epochs"))):
        records.append(read(partial(epoch, task, number)).records)
        held.append(process.memory_info().rss)
    if len(set(records)) != 1:
        raise SystemExit(f"the epochs are not equally long: {records}")
    tell(records=records[0], held=held)


if __name__ == "__main__":
    main()
