"""Policies: what is applied, in which order, how often, and under which name it draws."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy import stats

from augmill.transforms.base import PixelTransform, Sample, Transform, TransformError
from augmill.transforms.color import RandomBrightness, RandomContrast, RandomHue
from augmill.transforms.composition import OneOf, SomeOf, Sometimes
from augmill.transforms.geometry import RandomCrop, RandomFlipLeftRight, RandomFlipUpDown
from augmill.transforms.grammar import parse_policy
from augmill.transforms.keras_affine import RandomZoom
from augmill.transforms.keras_color import RandomBrightness as KerasBrightness
from augmill.transforms.keras_color import RandomContrast as KerasContrast
from augmill.transforms.mix import CutMix, MixUp
from augmill.transforms.policy import Policy, Step
from augmill.transforms.randomness import Draws

MIXED = Policy(
    (
        RandomFlipLeftRight(),
        RandomBrightness(0.2),
        Sometimes(0.7, (RandomHue(0.1), OneOf((RandomContrast(0.5, 1.5), RandomFlipUpDown())))),
        OneOf((RandomZoom(0.2), SomeOf(1, 2, (RandomHue(0.2), RandomContrast(1, 2))))),
        RandomCrop((40, 50, 3)),
    )
)


@dataclass(frozen=True, repr=False)
class Mark(PixelTransform):
    """Count by `factor` and `term` in the first pixel, so that the order of two marks can be read off."""

    factor: int
    term: int

    name: ClassVar[str] = "mark"

    def draw(self, draws: Draws, shape: tuple[int, ...]) -> dict[str, Any]:
        return {}

    def apply(self, image: np.ndarray, params: dict[str, Any]) -> np.ndarray:
        marked = image.copy()
        marked[0, 0, 0] = marked[0, 0, 0] * self.factor + self.term
        return marked


@pytest.fixture(scope="module")
def sample(photo: np.ndarray) -> Sample:
    return Sample(np.ascontiguousarray(photo[60:120, 60:120]), label=3)


def run(policy: Policy, sample: Sample, i: int, *, copy: int = 1, seed: int = 0) -> tuple[Sample, list[Step]]:
    return policy.run(sample, seed=seed, key=f"rose/{i}.jpg", copy=copy)


def places(policy: Policy, sample: Sample, count: int) -> Counter[str]:
    """How often each combination of places was applied, over `count` keys."""
    tiny = Sample(sample.image[:2, :2])
    return Counter(" ".join(step.at for step in run(policy, tiny, i)[1]) for i in range(count))


def test_ops_are_applied_in_the_order_written(sample: Sample) -> None:
    dark = Sample(np.zeros_like(sample.image) + np.uint8(5))
    assert run(Policy((Mark(2, 0), Mark(1, 3))), dark, 0)[0].image[0, 0, 0] == 13
    assert run(Policy((Mark(1, 3), Mark(2, 0))), dark, 0)[0].image[0, 0, 0] == 16


def test_an_op_stands_at_the_place_that_its_parents_number() -> None:
    assert [(at, op.spec_name) for at, op in MIXED.leaves()] == [
        ("0", "tf.image.random_flip_left_right"),
        ("1", "tf.image.random_brightness"),
        ("2.0", "tf.image.random_hue"),
        ("2.1.0", "tf.image.random_contrast"),
        ("2.1.1", "tf.image.random_flip_up_down"),
        ("3.0", "keras.layers.RandomZoom"),
        ("3.1.0", "tf.image.random_hue"),
        ("3.1.1", "tf.image.random_contrast"),
        ("4", "tf.image.random_crop"),
    ]


def test_steps_name_places_of_the_policy(sample: Sample) -> None:
    names = dict(MIXED.leaves())
    for i in range(20):
        steps = run(MIXED, sample, i)[1]
        assert [step.op for step in steps] == [names[step.at].spec_name for step in steps]
        assert [step.at for step in steps] == sorted(step.at for step in steps)
        assert {"0", "1", "4"} <= {step.at for step in steps}


def test_an_op_draws_from_the_stream_of_its_place(sample: Sample) -> None:
    steps = run(Policy((RandomBrightness(0.2), Sometimes(1.0, (RandomBrightness(0.2),)))), sample, 8, seed=6, copy=2)[1]
    for step in steps:
        draws = Draws(seed=6, key="rose/8.jpg", copy=2, at=step.at)
        assert step.params == RandomBrightness(0.2).draw(draws, sample.image.shape)
    assert [step.at for step in steps] == ["0", "1.0"]


def test_one_of_applies_each_op_equally_often(sample: Sample) -> None:
    counts = places(Policy((OneOf((Mark(1, 1), Mark(1, 2), Mark(1, 3))),)), sample, 3000)
    assert set(counts) == {"0.0", "0.1", "0.2"}
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3


def test_some_of_draws_the_number_then_the_subset_and_keeps_the_order(sample: Sample) -> None:
    counts = places(Policy((SomeOf(1, 3, (Mark(1, 1), Mark(1, 2), Mark(1, 3))),)), sample, 3600)
    expected = {
        **dict.fromkeys(["0.0", "0.1", "0.2"], 400),
        **dict.fromkeys(["0.0 0.1", "0.0 0.2", "0.1 0.2"], 400),
        "0.0 0.1 0.2": 1200,
    }
    assert set(counts) == set(expected)
    assert stats.chisquare([counts[at] for at in expected], list(expected.values())).pvalue > 1e-3


def test_some_of_may_apply_none(sample: Sample) -> None:
    counts = places(Policy((SomeOf(0, 1, (Mark(1, 1), Mark(1, 2))),)), sample, 2000)
    assert set(counts) == {"", "0.0", "0.1"}
    assert stats.binomtest(counts[""], 2000, 0.5).pvalue > 1e-3


@pytest.mark.parametrize("p", [0.1, 0.6, 1.0])
def test_sometimes_applies_all_or_none_at_its_rate(sample: Sample, p: float) -> None:
    counts = places(Policy((Sometimes(p, (Mark(1, 1), Mark(1, 2))),)), sample, 2000)
    assert set(counts) <= {"", "0.0 0.1"}
    assert stats.binomtest(counts["0.0 0.1"], 2000, p).pvalue > 1e-3


def test_the_same_name_gives_the_same_bytes_and_steps(sample: Sample) -> None:
    for i in range(10):
        one, steps = run(MIXED, sample, i)
        run(MIXED, sample, i + 1)
        other, again = run(MIXED, sample, i)
        assert np.array_equal(one.image, other.image)
        assert steps == again


def test_seed_key_and_copy_each_change_the_rendition(sample: Sample) -> None:
    runs = [run(MIXED, sample, 0), run(MIXED, sample, 1), run(MIXED, sample, 0, copy=2), run(MIXED, sample, 0, seed=1)]
    assert len({rendition.image.tobytes() for rendition, _ in runs}) == 4


def test_two_identical_ops_do_not_share_a_draw(sample: Sample) -> None:
    policy = Policy((RandomBrightness(0.2), RandomBrightness(0.2), OneOf((RandomBrightness(0.2),) * 2)))
    tiny = Sample(sample.image[:4, :4])
    deltas = np.array([[step.params["delta"] for step in run(policy, tiny, i)[1]] for i in range(1000)])
    correlations = np.corrcoef(deltas.T)[np.triu_indices(3, k=1)]
    assert np.abs(correlations).max() < 0.1


def test_recorded_steps_give_the_same_bytes_again(sample: Sample) -> None:
    for i in range(20):
        rendition, steps = run(MIXED, sample, i)
        recorded = [Step(*step) for step in json.loads(json.dumps(steps))]
        replayed = MIXED.replay(sample, recorded)
        assert np.array_equal(replayed.image, rendition.image)
        assert replayed.label == rendition.label == 3
        assert not np.array_equal(rendition.image, sample.image)


def test_neighbouring_ops_in_floats_are_rounded_once(sample: Sample) -> None:
    """Brightness up by a third of a level, three times: rounded each time it would be nothing."""
    third = KerasBrightness((0.0013, 0.0013))  # of 255: 0.33 levels
    rendition, _ = run(Policy((third, third, third)), sample, 0)
    assert (rendition.image.astype(int) - sample.image == 1)[sample.image < 255].all()
    apart, _ = run(Policy((third, Mark(1, 0), third, Mark(1, 0), third)), sample, 0)
    assert np.array_equal(apart.image, sample.image)
    assert rendition.image.dtype == np.uint8


def test_a_run_of_keras_ops_is_what_the_layers_make_in_a_row(sample: Sample) -> None:
    import keras

    policy = Policy((KerasBrightness((0.2, 0.2)), KerasContrast((0.4, 0.4)), KerasBrightness((-0.1, -0.1))))
    rendition, steps = run(policy, sample, 0)
    factor = steps[1].params["factor"]
    layers = [
        keras.layers.RandomBrightness((0.2, 0.2)),
        lambda x: keras.ops.clip(
            (x - keras.ops.mean(x, axis=(0, 1))) * factor + keras.ops.mean(x, axis=(0, 1)), 0, 255
        ),
        keras.layers.RandomBrightness((-0.1, -0.1)),
    ]
    pixels = sample.image.astype(np.float32)
    for layer in layers:
        pixels = np.asarray(layer(pixels))
    assert np.array_equal(rendition.image, np.rint(pixels).astype(np.uint8))


def test_another_attempt_draws_anew(sample: Sample) -> None:
    policy = Policy((RandomBrightness(0.2),))
    drawn = [policy.run(sample, seed=0, key="a", copy=1, attempt=i)[1][0].params["delta"] for i in (0, 1, 2, 1)]
    assert len(set(drawn)) == 3
    assert drawn[1] == drawn[3]


class Gallery:
    """Peers by their keys; the next one is drawn."""

    def __init__(self, samples: list[Sample]) -> None:
        self.samples = samples

    def draw(self, draws: Draws, key: str, tried: Any = ()) -> tuple[str, Sample]:
        number = (int(key) + 1) % len(self.samples)
        return str(number), self.samples[number]

    def open(self, key: str) -> Sample:
        return self.samples[int(key)]


@pytest.fixture(scope="module")
def gallery(photos: dict[str, np.ndarray]) -> Gallery:
    return Gallery([Sample(photo[:60, :60], label=i) for i, photo in enumerate(photos.values())])


def test_a_partner_is_the_rendition_that_it_would_be_itself(gallery: Gallery) -> None:
    policy = Policy((RandomFlipLeftRight(), RandomBrightness(0.2), MixUp(1.0), RandomFlipUpDown()))
    for i in range(10):
        copy = i + 1
        _, steps = policy.run(gallery.open("0"), seed=5, key="0", copy=copy, peers=gallery)
        _, own = policy.run(gallery.open("1"), seed=5, key="1", copy=copy, peers=gallery)
        mixing = steps[2].params
        assert mixing["partner"] == "1"
        assert mixing["steps"] == [list(step) for step in own[:2]]


CROP = RandomCrop((30, 30, 3))
EITHER = OneOf((RandomFlipUpDown(), RandomBrightness(0.2)))


@pytest.mark.parametrize(
    ("policy", "through"),
    [
        (Policy((Sometimes(1.0, (CROP, CutMix())),)), ["0.0"]),
        (Policy((Sometimes(1.0, (Sometimes(1.0, (MixUp(),)), CROP)), CutMix())), ["0.1"]),
        (
            Policy(
                (OneOf((RandomFlipUpDown(), RandomBrightness(0.2))), Sometimes(1.0, (CROP, RandomHue(0.1), MixUp())))
            ),
            None,
        ),
    ],
)
def test_a_partner_goes_through_what_stands_before_the_mix_wherever_that_is(
    gallery: Gallery, policy: Policy, through: list[str] | None
) -> None:
    for copy in range(1, 6):
        rendition, steps = policy.run(gallery.open("0"), seed=2, key="0", copy=copy, peers=gallery)
        assert rendition.image.shape == (30, 30, 3)
        taken = [step[0] for step in steps[-1].params["steps"]]
        assert taken == through or (through is None and taken[1:] == ["1.0", "1.1"] and taken[0] in ("0.0", "0.1"))
        assert policy.replay(gallery.open("0"), steps, gallery).equals(rendition)


def test_a_partner_that_an_op_cannot_do_is_passed_over(gallery: Gallery) -> None:
    class Picky(Gallery):
        def draw(self, draws: Draws, key: str, tried: Any = ()) -> tuple[str, Sample]:
            return ("2", self.samples[2]) if "1" in tried else ("1", Sample(self.samples[1].image[:20], 1))

    policy = Policy((CROP, CutMix()))
    _, steps = policy.run(gallery.open("0"), seed=2, key="0", copy=1, peers=Picky(gallery.samples))
    assert steps[1].params["partner"] == "2"


def test_a_mixed_rendition_is_replayed_from_its_record(gallery: Gallery) -> None:
    policy = Policy(
        (RandomBrightness(0.2), OneOf((MixUp(0.4), CutMix())), KerasBrightness(0.1), Sometimes(0.5, (MixUp(),)))
    )
    for copy in range(1, 15):
        rendition, steps = policy.run(gallery.open("1"), seed=1, key="1", copy=copy, peers=gallery)
        recorded = [Step(*step) for step in json.loads(json.dumps(steps))]
        assert policy.replay(gallery.open("1"), recorded, gallery).equals(rendition)
        assert rendition.mixture is not None


def test_mixing_needs_others(sample: Sample, gallery: Gallery) -> None:
    with pytest.raises(TransformError, match=r"^mix_up mixes an example with another of its block, and there are none"):
        run(Policy((MixUp(),)), sample, 0)
    _, steps = Policy((MixUp(),)).run(sample, seed=0, key="0", copy=1, peers=gallery)
    with pytest.raises(TransformError, match=r"^mix_up needs its partner '1' to be replayed$"):
        Policy((MixUp(),)).replay(sample, steps)


def test_annotations_that_cannot_follow_are_refused(gallery: Gallery) -> None:
    masked = replace(gallery.open("0"), mask=np.zeros((60, 60), np.uint8))
    with pytest.raises(
        TransformError, match=r"^mix_up cannot be used with masks: .* boxes, keypoints along; take the op"
    ):
        Policy((MixUp(),)).run(masked, seed=0, key="0", copy=1, peers=gallery)


def test_the_sample_is_not_changed_in_place(sample: Sample) -> None:
    kept = sample.image.copy()
    for i in range(10):
        run(MIXED, sample, i)
    assert np.array_equal(sample.image, kept)


def test_a_policy_survives_being_written_out_and_read() -> None:
    entries = MIXED.entries()
    assert entries[:2] == ["tf.image.random_flip_left_right", {"tf.image.random_brightness": {"max_delta": 0.2}}]
    policy, problems = parse_policy(json.loads(json.dumps(entries)))
    assert problems == []
    assert policy.entries() == entries
    assert policy == MIXED


def test_an_empty_policy_leaves_the_sample(sample: Sample) -> None:
    rendition, steps = run(Policy(), sample, 0)
    assert rendition is sample
    assert steps == []


def test_every_op_is_observed_with_what_came_before_and_after(sample: Sample) -> None:
    seen: list[Any] = []
    policy = Policy((RandomBrightness(0.2), RandomCrop((40, 50, 3)), RandomFlipUpDown()))
    rendition, steps = policy.run(sample, seed=0, key="a", copy=1, observe=lambda *call: seen.append(call))
    assert [(at, op, params) for at, op, params, _, _ in seen] == [
        (step.at, op, step.params) for step, op in zip(steps, policy.ops, strict=True)
    ]
    befores, afters = [call[3] for call in seen], [call[4] for call in seen]
    assert befores == [sample, *afters[:-1]]
    assert afters[-1] is rendition


def test_an_op_that_fails_is_named(sample: Sample) -> None:
    class Broken(Mark):
        name: ClassVar[str] = "broken"

        def apply(self, image: np.ndarray, params: dict[str, Any]) -> np.ndarray:
            raise RuntimeError("a bad pixel\nand where it stood")

    with pytest.raises(TransformError, match=r"^broken failed with RuntimeError: a bad pixel$") as error:
        run(Policy((RandomFlipLeftRight(), Broken(1, 1))), sample, 0)
    assert isinstance(error.value.__cause__, RuntimeError)


def test_an_op_that_fails_with_a_reason_of_its_own_keeps_it(sample: Sample) -> None:
    with pytest.raises(TransformError, match=r"^tf\.image\.random_crop: size 70x50 is larger than the image, 60x60"):
        run(Policy((RandomCrop((70, 50, 3)),)), sample, 0)


@pytest.mark.parametrize("ops", [(), (Mark(1, 1),)])
def test_one_of_needs_a_choice(ops: tuple[Transform, ...]) -> None:
    with pytest.raises(TransformError, match=f"^one_of needs at least two ops to choose from, got {len(ops)}$"):
        OneOf(ops)


@pytest.mark.parametrize(
    ("least", "most", "got"), [(0, 0, "0"), (1, 3, "[1, 3]"), (-1, 1, "[-1, 1]"), (2, 1, "[2, 1]")]
)
def test_some_of_needs_a_number_that_its_ops_allow(least: int, most: int, got: str) -> None:
    with pytest.raises(TransformError, match=f"^some_of: n must be a number from 1 to 2, .*, got {re.escape(got)}$"):
        SomeOf(least, most, (Mark(1, 1), Mark(1, 2)))


@pytest.mark.parametrize("p", [0, -0.1, 1.1, "often", None])
def test_sometimes_needs_a_probability(p: Any) -> None:
    with pytest.raises(TransformError) as error:
        Sometimes(p, (Mark(1, 1),))
    assert str(error.value) == f"sometimes: p must be a number in (0, 1], got {p!r}"
    with pytest.raises(TransformError, match="at least one op under `do`, got none"):
        Sometimes(0.5, ())
