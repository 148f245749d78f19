"""Every fast kernel against its reference: the same draws, nearly the same pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from augmill.transforms.base import MixTransform, Sample, TransformError
from augmill.transforms.catalog import OPS
from augmill.transforms.examples import example_of
from augmill.transforms.fast import FAST, fast_kernels, kernels_of, needs_tensorflow
from augmill.transforms.randomness import Draws
from augmill.transforms.rendering import carry_out, finished
from benchmarks.parity import BEGIN, END, PAGE, measure, ops_with_fast_kernels, photos

SIZES = [(1, 1), (1, 40), (40, 1), (2, 3), (120, 150)]


@pytest.mark.parametrize("name", ops_with_fast_kernels())
def test_a_fast_kernel_is_within_a_level_of_the_reference(name: str) -> None:
    found = measure(name, draws=2)

    assert found.mean <= 1.0, found
    assert found.high <= 40, found  # at edges, where one blends with the fill and the other does not


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ops_with_fast_kernels())
def test_whatever_the_size_a_fast_kernel_gives_what_the_reference_gives(name: str, channels: int) -> None:
    op = example_of(name)
    for height, width in SIZES:
        photo = np.ascontiguousarray(np.resize(photos()[0], (height, width, 3))[..., :channels])
        sample = Sample(photo)
        try:
            params = op.draw_for(Draws(seed=0, key="a", copy=1, at="0"), sample)
        except TransformError:  # no op for such an image
            continue
        fast, reference = (finished(carry_out(op, sample, params, kernels)).image for kernels in ("fast", "reference"))
        assert fast.dtype == np.uint8
        assert fast.shape == reference.shape, f"{height}x{width}"
        if min(height, width) >= 32:
            assert np.abs(fast.astype(int) - reference).mean() <= 1.5, f"{height}x{width}"


@pytest.mark.parametrize("name", ops_with_fast_kernels())
def test_a_fast_kernel_repeats_itself_and_leaves_the_given_image_alone(name: str) -> None:
    op, photo = example_of(name), photos()[0]
    before = photo.copy()
    params = op.draw_for(Draws(seed=0, key="a", copy=1, at="0"), Sample(photo))

    first, second = (finished(carry_out(op, Sample(photo), params, "fast")).image for _ in range(2))

    assert np.array_equal(first, second)
    assert np.array_equal(photo, before)


def test_the_ops_that_people_use_have_a_fast_kernel() -> None:
    slow = [name for name, op in OPS.items() if op not in FAST and not issubclass(op, MixTransform)]

    assert slow == ["keras.layers.MaxNumBoundingBoxes"]


def test_arguments_decide_whether_there_is_a_fast_kernel() -> None:
    resize = OPS["tf.image.resize"]

    assert fast_kernels(resize((20, 20))) is not None
    assert fast_kernels(resize((20, 20), method="lanczos3")) is None
    assert kernels_of(resize) == ("fast", "reference")


def test_tensorflow_is_needed_by_what_only_it_can_do() -> None:
    resize = OPS["tf.image.resize"]

    assert not needs_tensorflow(resize((20, 20)), "fast")
    assert needs_tensorflow(resize((20, 20)), "reference")
    assert needs_tensorflow(resize((20, 20), method="lanczos3"), "fast")
    assert not needs_tensorflow(OPS["mix_up"](), "fast")


def test_the_page_lists_every_op_with_a_fast_kernel() -> None:
    listed = Path(PAGE).read_text("utf-8").split(BEGIN)[1].split(END)[0]

    assert [line.split("`")[1] for line in listed.splitlines() if line.startswith("| `")] == ops_with_fast_kernels()
