"""The Beam job: one linear graph from block ids to finished rows. It wires, and holds no logic."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam

from augmill.pipeline.target import open_workspace


class MaterializeBlock(beam.DoFn):
    """Writes the shards of each block id it is given. The workspace's address is all that is pickled."""

    def __init__(self, workspace: Any) -> None:
        self._workspace = workspace

    def setup(self) -> None:
        # Imported here: the policy and its libraries are a worker's business, not the graph's.
        from augmill.pipeline.materialize import Materializer

        self._materialize = Materializer(open_workspace(self._workspace))
        gc.freeze()  # what has been imported stays: it need not be looked through again and again

    def process(self, block: int) -> Iterator[tuple[int, int]]:
        yield block, self._materialize.begin(block)

    def finish_bundle(self) -> None:
        self._materialize.wait()


def build_graph(root: Any, workspace: Any, blocks: Sequence[int]) -> Any:
    """Attach the graph to a pipeline.

    Rows go to the workspace, not to a sink: a resume, a progress bar and the publication all read them there, on every
    runner alike.
    """
    return (
        root
        | "BlockIds" >> beam.Create(list(blocks), reshuffle=False)  # (block id)
        | "Spread" >> beam.Reshuffle()  # (block id)
        | "Materialize" >> beam.ParDo(MaterializeBlock(workspace))  # (block id, images written)
    )
