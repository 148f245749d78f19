"""MixUp and CutMix of a batch: what is drawn, what is done with it, and that a resumed epoch meets the same mixes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from augmill.pipeline import BatchMix
from augmill.pipeline.batch_mix import BLEND, KEEP, PASTE, Mix, beta_quantile, mix_images, mix_labels

CLASSES, SIDE = 5, 64
Follows = Callable[..., bool]


@pytest.fixture(scope="module")
def batch(photos: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Twelve windows of photos, uint8 [12, 64, 64, 3], and their labels."""
    windows = [photos[name][i * 9 : i * 9 + SIDE, i * 7 : i * 7 + SIDE] for i in range(4) for name in photos]
    return np.stack(windows), np.arange(12, dtype=np.int64) % CLASSES


def numbers(mix: Mix) -> Mix:
    return Mix(*(part.numpy() for part in mix))


def draws(mixer: BatchMix, count: int = 1500, batch: int = 4, shape: tuple[int, int] = (200, 120)) -> list[Mix]:
    """What is drawn for the first steps of an epoch."""
    together = tf.function(lambda step: mixer.draw(step, batch, *shape))
    return [numbers(together(tf.constant(step, tf.int64))) for step in range(count)]


def by_numpy(images: np.ndarray, labels: np.ndarray, mix: Mix) -> tuple[np.ndarray, np.ndarray]:
    """The published formulas in float64."""
    mixed, weight = images.astype(np.float64), float(mix.weight)
    if mix.kind == BLEND:
        mixed = weight * mixed + (1 - weight) * images[mix.partner]
    if mix.kind == PASTE:
        top, left, bottom, right = mix.box
        mixed[:, top:bottom, left:right] = images[mix.partner][:, top:bottom, left:right]
        weight = 1 - (bottom - top) * (right - left) / (images.shape[1] * images.shape[2])
    if mix.kind == KEEP:
        weight = 1.0
    soft = np.eye(CLASSES)[labels]
    return mixed, weight * soft + (1 - weight) * soft[mix.partner]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_batches_are_mixed_by_the_published_formulas(batch: tuple[np.ndarray, np.ndarray], dtype: Any) -> None:
    images, labels = batch[0].astype(dtype), batch[1]
    mixer, kinds = BatchMix(CLASSES, seed=1, mixup_alpha=1.0, p=0.8), set()
    for step in range(24):
        mix = numbers(mixer.draw(step, 12, SIDE, SIDE))
        expected, soft = by_numpy(images, labels, mix)
        mixed, given = (part.numpy() for part in mixer(images, labels, step))
        assert mixed.dtype == dtype and given.dtype == np.float32
        assert np.abs(mixed - expected).max() <= (0.501 if dtype == np.uint8 else 1e-3)
        assert mix.kind == BLEND or np.array_equal(mixed, expected)
        np.testing.assert_allclose(given, soft, atol=1e-6)
        np.testing.assert_allclose(given.sum(axis=1), 1.0, atol=1e-6)
        kinds.add(int(mix.kind))
    assert kinds == {KEEP, BLEND, PASTE}


def test_soft_labels_are_mixed_too(batch: tuple[np.ndarray, np.ndarray]) -> None:
    labels = np.random.default_rng(0).dirichlet(np.ones(CLASSES), 12).astype(np.float32)
    mix = Mix(tf.roll(tf.range(12), 1, 0), tf.constant(BLEND), tf.constant(0.25), tf.zeros(4, tf.int32))

    mixed = mix_labels(labels, mix, CLASSES).numpy()

    np.testing.assert_allclose(mixed, 0.25 * labels + 0.75 * np.roll(labels, 1, axis=0), atol=1e-6)


def test_a_record_that_is_its_own_partner_stays_to_the_last_bit(batch: tuple[np.ndarray, np.ndarray]) -> None:
    floats = batch[0].astype(np.float32) / 255
    mix = Mix(tf.range(12), tf.constant(BLEND), tf.constant(0.3), tf.zeros(4, tf.int32))

    assert np.array_equal(mix_images(tf.constant(floats), mix).numpy(), floats)
    assert np.array_equal(mix_labels(batch[1], mix, CLASSES).numpy(), np.eye(CLASSES, dtype=np.float32)[batch[1]])


def test_invalid_records_are_mixed_with_none(batch: tuple[np.ndarray, np.ndarray]) -> None:
    valid = np.array([1, 1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0], bool)
    mixer, hard = BatchMix(CLASSES, seed=3, mixup_alpha=1.0), np.eye(CLASSES, dtype=np.float32)[batch[1]]
    moved = set()
    for step in range(12):
        partner = mixer.draw(step, 12, SIDE, SIDE, valid=valid).partner.numpy()
        assert partner[~valid].tolist() == np.flatnonzero(~valid).tolist()
        assert sorted(partner[valid]) == np.flatnonzero(valid).tolist()
        images, labels = mixer(*batch, step, valid=valid)
        assert np.array_equal(images[~valid], batch[0][~valid])
        assert np.array_equal(labels[~valid], hard[~valid])
        moved |= {int(i) for i in np.flatnonzero(partner != np.arange(12))}
    assert moved == set(np.flatnonzero(valid).tolist())


def test_a_batch_with_nothing_valid_stays(batch: tuple[np.ndarray, np.ndarray]) -> None:
    images, _ = BatchMix(CLASSES, cutmix_alpha=0.0)(*batch, 0, valid=np.zeros(12, bool))
    assert np.array_equal(images, batch[0])


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_the_weight_of_mix_up_follows_its_beta(alpha: float, follows: Follows) -> None:
    drawn = draws(BatchMix(CLASSES, seed=5, mixup_alpha=alpha, cutmix_alpha=0.0))

    assert {int(mix.kind) for mix in drawn} == {BLEND}
    assert follows([float(mix.weight) for mix in drawn], "beta", alpha, alpha)


def test_the_weight_is_the_quantile_of_its_draw() -> None:
    from scipy import stats

    for alpha in (0.2, 0.4, 1.0, 3.0):
        shares = np.linspace(0.0, 0.999, 40, dtype=np.float32)
        found = [float(beta_quantile(tf.constant(share), tf.constant(alpha))) for share in shares]
        np.testing.assert_allclose(found, stats.beta.ppf(shares, alpha, alpha), atol=2e-6)


def test_windows_of_cut_mix_follow_the_paper(follows: Follows) -> None:
    """With alpha 1 the area is uniform before the window is cut off: its height has the share sqrt(1 - uniform)."""
    drawn = draws(BatchMix(CLASSES, seed=6, mixup_alpha=0.0, cutmix_alpha=1.0))
    boxes = np.array([mix.box for mix in drawn])
    middle = boxes[(boxes[:, 0] > 0) & (boxes[:, 2] < 200) & (boxes[:, 1] > 0) & (boxes[:, 3] < 120)]

    height, width = middle[:, 2] - middle[:, 0], middle[:, 3] - middle[:, 1]
    np.testing.assert_allclose(height / 200, width / 120, atol=1 / 120)
    generator = np.random.default_rng(0)
    share = np.sqrt(1 - generator.uniform(size=200_000))
    centres = generator.integers([200, 120], size=(200_000, 2))
    sides = np.rint(share[:, None] * [200, 120]).astype(int)
    low = np.maximum(0, centres - sides // 2)
    high = np.minimum([200, 120], centres - sides // 2 + sides)
    for column, published in enumerate([low[:, 0], low[:, 1], high[:, 0], high[:, 1]]):
        assert same_distribution(boxes[:, column], published), column
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / (200 * 120)
    assert same_distribution(areas, np.prod(high - low, axis=1) / (200 * 120))
    np.testing.assert_allclose([mix.weight for mix in drawn], 1 - areas, atol=1e-6)


def same_distribution(ours: np.ndarray, published: np.ndarray) -> bool:
    from scipy import stats

    return bool(stats.ks_2samp(ours, published).pvalue > 1e-3)


def test_kinds_come_as_often_as_asked() -> None:
    kinds = np.array([mix.kind for mix in draws(BatchMix(CLASSES, seed=2, p=0.7, switch_p=0.25), 2000)])

    assert np.mean(kinds != KEEP) == pytest.approx(0.7, abs=0.03)
    assert np.mean(kinds[kinds != KEEP] == PASTE) == pytest.approx(0.25, abs=0.04)


def test_every_partner_is_equally_likely(equally_likely: Callable[..., bool]) -> None:
    orders = [tuple(mix.partner.tolist()) for mix in draws(BatchMix(CLASSES, seed=9), 1500, batch=3)]
    choices = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    assert equally_likely(orders, choices)


def test_draws_are_a_function_of_seed_epoch_rank_and_step_alone(batch: tuple[np.ndarray, np.ndarray]) -> None:
    mixer = BatchMix(CLASSES, seed=4, mixup_alpha=1.0)
    first = numbers(mixer.draw(7, 12, SIDE, SIDE, epoch=2))

    again = numbers(BatchMix(CLASSES, seed=4, mixup_alpha=1.0).draw(tf.constant(7), 12, SIDE, SIDE, epoch=2))
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    others = [
        mixer.draw(8, 12, SIDE, SIDE, epoch=2),
        mixer.draw(7, 12, SIDE, SIDE, epoch=3),
        BatchMix(CLASSES, seed=5, mixup_alpha=1.0).draw(7, 12, SIDE, SIDE, epoch=2),
        BatchMix(CLASSES, seed=4, mixup_alpha=1.0, rank=1).draw(7, 12, SIDE, SIDE, epoch=2),
    ]
    assert len({tuple(mix.partner.numpy()) for mix in others} | {tuple(first.partner)}) == 5


def test_the_draws_of_a_seed_never_change() -> None:
    """Philox is named, so that neither a device nor a release of TensorFlow has a say."""
    mix = numbers(BatchMix(CLASSES, seed=1, cutmix_alpha=0.0).draw(3, 8, SIDE, SIDE, epoch=2))
    assert mix.partner.tolist() == [6, 4, 2, 5, 3, 0, 7, 1]
    assert float(mix.weight) == pytest.approx(0.534609, abs=1e-6)


def test_an_epoch_taken_up_again_meets_the_same_mixes(batch: tuple[np.ndarray, np.ndarray]) -> None:
    stream = tf.data.Dataset.from_tensor_slices(batch).repeat(4).batch(6)
    mixer = BatchMix(CLASSES, seed=8)

    whole = list(mixer.batches(stream, epoch=3).as_numpy_iterator())
    rest = list(mixer.batches(stream.skip(5), epoch=3, start_step=5).as_numpy_iterator())

    assert len(whole) == int(mixer.batches(stream).cardinality()) == 8
    for one, other in zip(whole[5:], rest, strict=True):
        assert all(np.array_equal(*parts) for parts in zip(one, other, strict=True))
    for (one, _), (other, _) in zip(whole[5:], mixer.batches(stream.skip(5), epoch=3), strict=True):
        assert not np.array_equal(one, other)


def test_a_stream_of_dicts_or_with_weights_is_mixed_likewise(batch: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = batch
    valid = np.arange(12) % 6 < 4
    mixer = BatchMix(CLASSES, seed=8)
    key = [str(i) for i in range(12)]
    dicts = tf.data.Dataset.from_tensor_slices({"image": images, "label": labels, "key": key, "valid": valid}).batch(6)
    triples = tf.data.Dataset.from_tensor_slices((images, labels, valid.astype(np.float32))).batch(6)

    for number, (one, other) in enumerate(zip(mixer.batches(dicts), mixer.batches(triples), strict=True)):
        part = slice(6 * number, 6 * number + 6)
        mixed, soft = mixer(images[part], labels[part], number, valid=valid[part])
        for image, label in ((one["image"], one["soft_label"]), other[:2]):
            assert np.abs(image.numpy().astype(int) - mixed.numpy()).max() <= 1  # compiled, a sum may round otherwise
            np.testing.assert_allclose(label, soft, atol=1e-6)
        assert np.array_equal(one["label"], labels[part]) and one["key"][0] == key[6 * number].encode()
        assert np.array_equal(other[2], valid[part])
    spec = mixer.batches(triples).element_spec
    assert spec[0].shape.as_list() == [None, SIDE, SIDE, 3] and spec[1].shape.as_list() == [None, CLASSES]


def test_it_compiles_for_an_accelerator(batch: tuple[np.ndarray, np.ndarray]) -> None:
    mixer = BatchMix(CLASSES, seed=1, mixup_alpha=0.4)
    compiled = tf.function(lambda *parts: mixer(*parts, valid=tf.range(12) < 10), jit_compile=True)
    for step in range(6):
        images, labels = compiled(*batch, tf.constant(step))
        expected, soft = mixer(*batch, step, valid=np.arange(12) < 10)
        assert np.abs(images.numpy().astype(int) - expected.numpy()).max() <= 1
        np.testing.assert_allclose(labels, soft, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"classes": 0}, "classes must be a whole number of at least 1, got 0"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"mixup_alpha": -0.1}, "mixup_alpha must lie in 0 to 1000, got -0.1"),
        ({"p": 1.5}, "p must lie in 0 to 1, got 1.5"),
        ({"mixup_alpha": 0, "cutmix_alpha": 0}, "both 0, so that nothing would be mixed"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        BatchMix(**{"classes": CLASSES, **arguments})


def test_labels_of_another_shape_are_refused(batch: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(ValueError, match=r"floats \[batch, 5\], got float32 \[12, 4\]"):
        BatchMix(CLASSES)(batch[0], np.zeros((12, 4), np.float32), 0)


def test_it_mixes_in_a_model_that_is_compiled_for_an_accelerator(batch: tuple[np.ndarray, np.ndarray]) -> None:
    """With weights that stand still, each step's loss is that of the batch which the step's number names."""
    import keras

    from augmill.pipeline import Normalize

    mixer = BatchMix(CLASSES, seed=2, mixup_alpha=1.0)

    class MixedModel(keras.Model):
        def train_step(self, data: Any) -> Any:
            return super().train_step(mixer(*data, self.optimizer.iterations))

    keras.utils.set_random_seed(3)
    inputs = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    pooled = keras.layers.GlobalAveragePooling2D()(Normalize("imagenet")(inputs))
    model = MixedModel(inputs, keras.layers.Dense(CLASSES, activation="softmax")(pooled))
    model.compile(keras.optimizers.SGD(0.0), "categorical_crossentropy", jit_compile=True)

    for step in range(4):
        loss = model.fit(*batch, batch_size=12, shuffle=False, verbose=0).history["loss"][0]
        assert loss == pytest.approx(model.evaluate(*mixer(*batch, step), batch_size=12, verbose=0), abs=1e-4)
