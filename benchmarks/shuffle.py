"""How well the loader mixes: its order beside a full shuffle, on a source sorted by class, which is the worst there is.

python -m benchmarks.shuffle prints the table that docs/loader.md shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from augmill.pipeline.order import Order

CLASSES, OF_A_CLASS = 1000, 1280  # as many as ImageNet has
SHARD = 1000
BATCHES = (64, 256, 1024)


class Mixing(NamedTuple):
    """What is measured of an order.

    Attributes:
      classes: different classes in a batch, mean over the epoch, by batch size.
      fewest: and in the batch that has the fewest.
      moved: how far a record moves from one epoch to the next, as a share of the epoch; a third is chance.
      together: of two records that share a batch of 256, how often they share one in the next epoch, in a million.
    """

    classes: dict[int, float]
    fewest: dict[int, int]
    moved: float
    together: float


def loader_epochs() -> Iterator[np.ndarray]:
    """The numbers of all records in the loader's order, an epoch after the other."""
    shards = CLASSES * OF_A_CLASS // SHARD
    for epoch in range(2):
        order = Order([SHARD] * shards, seed=1, epoch=epoch)
        windows = [order.window(number) for number in range(len(order.starts) - 1)]
        yield np.concatenate([shard * SHARD + record for shard, record in windows])


def full_epochs() -> Iterator[np.ndarray]:
    """The same in an order of which each is as likely."""
    for epoch in range(2):
        yield np.random.default_rng(epoch).permutation(CLASSES * OF_A_CLASS)


def buffer_epochs(size: int) -> Iterator[np.ndarray]:
    """The same by `Dataset.shuffle` with a buffer of `size` records, read as they are stored."""
    records = CLASSES * OF_A_CLASS
    for epoch in range(2):
        generator = np.random.default_rng(epoch)
        buffer, out = np.arange(size), np.empty(records, np.int64)
        for place, pick in enumerate(generator.integers(0, size, records - size).tolist()):
            out[place], buffer[pick] = buffer[pick], size + place
        out[records - size :] = generator.permutation(buffer)
        yield out


def measure(epochs: Iterator[np.ndarray]) -> Mixing:
    """Measure an order by two of its epochs."""
    first, second = epochs
    classes = {}
    for size in BATCHES:
        whole = first[: len(first) // size * size].reshape(-1, size) // OF_A_CLASS
        in_order = np.sort(whole, axis=1)
        classes[size] = 1 + np.count_nonzero(np.diff(in_order, axis=1), axis=1)
    place = np.empty_like(first)
    place[second] = np.arange(len(second))
    moved = np.abs(place[first] - np.arange(len(first))).mean() / len(first)
    batch = np.sort((place[first] // 256)[: len(first) // 256 * 256].reshape(-1, 256), axis=1)
    # Of n records of a batch that share one again, each of n (n - 1) / 2 pairs does.
    runs = [np.unique(row, return_counts=True)[1] for row in batch]
    pairs = sum(int((run * (run - 1) // 2).sum()) for run in runs)
    return Mixing(
        {size: float(counts.mean()) for size, counts in classes.items()},
        {size: int(counts.min()) for size, counts in classes.items()},
        float(moved),
        pairs / (len(batch) * 256 * 255 / 2) * 1e6,
    )


def table() -> str:
    """The figures as a Markdown table."""
    orders = {
        "the loader": loader_epochs(),
        "a full shuffle": full_epochs(),
        "`shuffle(4096)`": buffer_epochs(4096),
    }
    head = [*(f"classes in {size:,}" for size in BATCHES), "moved", "together again"]
    lines = ["| order | " + " | ".join(head) + " |", "|---|" + "--:|" * len(head)]
    for name, epochs in orders.items():
        found = measure(epochs)
        cells = [f"{found.classes[size]:.1f} ({found.fewest[size]})" for size in BATCHES]
        cells += [f"{found.moved:.3f}", f"{found.together:,.0f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
