"""The Beam graph: linear, small whatever the source, and it carries ids alone."""

from __future__ import annotations

from itertools import pairwise

import apache_beam as beam
import pytest
from apache_beam.portability import common_urns

from augmill.pipeline import materialize
from augmill.pipeline.job import MaterializeBlock, build_graph


@pytest.fixture
def no_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let blocks pretend to be written: the graph is looked at here, not the work."""

    class Pretend:
        def __init__(self, workspace: materialize.Workspace) -> None:
            self._name = workspace.path.name

        def begin(self, block: int) -> int:
            assert self._name == "somewhere"
            return 10 * block

        def wait(self) -> None:
            pass

    monkeypatch.setattr(materialize, "Materializer", Pretend)


def test_every_block_is_materialized_once(no_pixels: None) -> None:
    from apache_beam.testing.util import assert_that, equal_to

    with beam.Pipeline(runner="apache_beam.runners.portability.fn_api_runner.FnApiRunner") as pipeline:
        rows = build_graph(pipeline, "somewhere", [0, 1, 2, 5])
        assert_that(rows, equal_to([(0, 0), (1, 10), (2, 20), (5, 50)]))


def test_a_bundle_is_not_done_before_its_last_block_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a thread does after `process` has returned must still be able to fail the bundle."""

    class Failing:
        def __init__(self, workspace: materialize.Workspace) -> None:
            pass

        def begin(self, block: int) -> int:
            return 1

        def wait(self) -> None:
            raise materialize.BlockError("block 0 cannot be written: No space left on device")

    monkeypatch.setattr(materialize, "Materializer", Failing)
    with (
        pytest.raises(Exception, match="block 0 cannot be written"),
        beam.Pipeline(runner="apache_beam.runners.portability.fn_api_runner.FnApiRunner") as pipeline,
    ):
        build_graph(pipeline, "somewhere", [0])


def test_the_graph_is_one_chain_with_named_stages() -> None:
    pipeline = beam.Pipeline()
    build_graph(pipeline, "somewhere", range(4))
    proto = pipeline.to_runner_api()

    top = proto.components.transforms[proto.root_transform_ids[0]]
    stages = [proto.components.transforms[name] for name in top.subtransforms]
    assert [stage.unique_name for stage in stages] == ["BlockIds", "Spread", "Materialize"]
    for before, after in pairwise(stages):
        assert list(after.inputs.values()) == list(before.outputs.values())
    urns = {transform.spec.urn for transform in proto.components.transforms.values()}
    assert common_urns.primitives.GROUP_BY_KEY.urn in urns  # one, inside the reshuffle, for ids


def test_a_worker_is_sent_a_path_and_nothing_else() -> None:
    from apache_beam.internal import pickler

    assert len(pickler.dumps(MaterializeBlock("/a/path"))) < 300
