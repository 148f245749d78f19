"""Any policy on any image: never a crash, never out of range, never a lost label, always the same again."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from augmill.transforms.base import KINDS, REFUSED, MixTransform, Sample, TransformError
from augmill.transforms.catalog import OPS
from augmill.transforms.examples import example_of
from augmill.transforms.grammar import parse_policy
from augmill.transforms.objects import Objects
from augmill.transforms.policy import Policy, Step

SLOW = {
    "keras.layers.ContrastLimitedAdaptiveHistogramEqualization",
    "keras.layers.AugMix",
    "aug_mix",
}
ENTRIES: list[Any] = [
    {name: example_of(name).arguments()} if example_of(name).arguments() else name
    for name, op in OPS.items()
    if not issubclass(op, MixTransform) and name not in SLOW
]
FOLLOWING: list[Any] = [
    entry
    for entry in ENTRIES
    if all(example_of(entry if isinstance(entry, str) else next(iter(entry))).treatment(k) != REFUSED for k in KINDS)
]


def policies(entries: list[Any]) -> st.SearchStrategy[list[Any]]:
    op = st.sampled_from(entries)
    node = st.one_of(
        op,
        st.lists(op, min_size=2, max_size=3).map(lambda ops: {"one_of": ops}),
        st.tuples(st.floats(0.1, 1.0), st.lists(op, min_size=1, max_size=2)).map(
            lambda drawn: {"sometimes": {"p": drawn[0], "do": drawn[1]}}
        ),
        st.lists(op, min_size=2, max_size=3).map(lambda ops: {"some_of": {"n": [0, 2], "do": ops}}),
    )
    return st.lists(node, min_size=1, max_size=4)


@st.composite
def samples(draw: st.DrawFn, photo: np.ndarray, *, annotated: bool) -> Sample:
    height, width = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    top, left = draw(st.integers(0, 160)), draw(st.integers(0, 160))
    image = np.ascontiguousarray(photo[top : top + height, left : left + width])
    if draw(st.booleans()):
        image = np.ascontiguousarray(image[..., :1])
    if not annotated:
        return Sample(image, label=2)
    boxes = []
    for _ in range(draw(st.integers(0, 4))):
        x, y = sorted(draw(st.floats(0, width)) for _ in "12"), sorted(draw(st.floats(0, height)) for _ in "12")
        if x[1] - x[0] > 0.01 and y[1] - y[0] > 0.01:
            boxes.append([x[0], y[0], x[1], y[1]])
    objects = Objects.from_boxes(
        np.array(boxes).reshape(-1, 4), np.arange(10, 10 + len(boxes)), keypoints=np.full((len(boxes), 1, 3), 1.0)
    )
    mask = np.where(np.indices(image.shape[:2]).sum(axis=0) % 2, 7, 200).astype(np.uint8)
    return Sample(image, 2, objects=objects, mask=mask)


def check(sample: Sample, entries: list[Any], seed: int, kernels: str) -> bool:
    """Check what must hold; True if the policy ran, False if an op said that it can't take the image."""
    parsed, problems = parse_policy(json.loads(json.dumps(entries)))
    assert problems == []
    assert parse_policy(parsed.entries())[0] == parsed
    policy = Policy(parsed.ops, kernels)
    kept = sample.image.copy()
    try:
        made, steps = policy.run(sample, seed=seed, key="a/b.jpg", copy=1)
    except TransformError as error:
        assert "failed with" not in str(error), "what an op can't take it says itself"
        return False
    assert np.array_equal(sample.image, kept)
    assert made.image.dtype == np.uint8 and made.image.shape[2] == sample.image.shape[2] and made.image.size
    assert made.label == 2
    again, _ = Policy(parsed.ops, kernels).run(sample, seed=seed, key="a/b.jpg", copy=1)
    assert again.equals(made)
    recorded = [Step(*step) for step in json.loads(json.dumps(steps))]
    assert policy.replay(sample, recorded).equals(made)
    if sample.objects is not None and sample.mask is not None:
        assert made.objects is not None and made.mask is not None
        assert (made.objects.labels == sample.objects.labels[made.objects.numbers]).all()
        assert made.objects.keypoints is not None and len(made.objects.keypoints) == len(made.objects)
        assert set(np.unique(made.mask)) <= {0, 7, 200}, "no id is made up"
        assert made.mask.shape == made.image.shape[:2]
        limit = np.array(made.image.shape[1::-1] * 2)
        assert ((made.objects.boxes >= 0) & (made.objects.boxes <= limit + 1e-6)).all()
        assert ((made.objects.visible > 0) & (made.objects.visible <= 1)).all()
    return True


@pytest.mark.parametrize("annotated", [False, True])
def test_any_policy_on_any_image(photo: np.ndarray, annotated: bool) -> None:
    ran = []

    @settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(
        samples(photo, annotated=annotated),
        policies(FOLLOWING if annotated else ENTRIES),
        st.integers(0, 2**63 - 1),
        st.sampled_from(["fast", "reference"]),
    )
    def holds(sample: Sample, entries: list[Any], seed: int, kernels: str) -> None:
        ran.append(check(sample, entries, seed, kernels))

    holds()
    assert sum(ran) >= 80, f"{sum(ran)} of {len(ran)} examples ran: the others were refused"
