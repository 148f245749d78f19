"""Perspective and elastic distortion: pixels against Keras, OpenCV and SciPy, draws, and what follows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from augmill.transforms.backend import in_graph
from augmill.transforms.base import GeometricTransform, Params, Sample, TransformError
from augmill.transforms.keras_warp import OPS, RandomElasticTransform, RandomPerspective
from augmill.transforms.motion import BEYOND
from augmill.transforms.objects import Objects
from augmill.transforms.randomness import normal_noise
from augmill.transforms.rendering import carry_out, finished

CORNERS = ("top_left", "top_right", "bottom_left", "bottom_right")
TILT: Params = {
    "warp": True,
    "top_left": [0.11, -0.04],
    "top_right": [-0.07, 0.13],
    "bottom_left": [-0.09, 0.05],
    "bottom_right": [0.03, -0.12],
}
BEND: Params = {"warp": True, "scale": 0.6, "noise_seed": 17}
IN_SCIPY = {"constant": "grid-constant", "nearest": "nearest", "reflect": "reflect", "wrap": "grid-wrap"}


def transformed(op: GeometricTransform, image: np.ndarray, params: Params) -> np.ndarray:
    return finished(carry_out(op, Sample(image), params)).image


def corners_of(shape: tuple[int, ...]) -> np.ndarray:
    """An image's corners in continuous pixels, in the order of CORNERS."""
    return np.array([[0, 0], [shape[1], 0], [0, shape[0]], [shape[1], shape[0]]], np.float64)


def scipy_field(params: Params, height: int, width: int) -> list[np.ndarray]:
    """The rows and columns that an elastic distortion shows, by its documentation and SciPy."""
    sigma = min(height, width) * 0.05 * params["scale"]
    alpha = max(height, width) * 0.1 * params["scale"]
    radius = int(np.ceil(3 * sigma))
    noise = sigma * normal_noise(params["noise_seed"], (2, height, width))
    right, down = (ndimage.gaussian_filter(part, sigma, mode="constant", radius=radius) for part in noise)
    rows, columns = np.mgrid[0:height, 0:width]
    return [rows + alpha * down, columns + alpha * right]


class TestPerspective:
    def test_each_corner_goes_where_it_is_drawn(self, photo: np.ndarray) -> None:
        shape = (90, 140, 3)
        motion = RandomPerspective().motion(TILT, shape)
        shifts = np.array([TILT[corner] for corner in CORNERS])
        assert np.allclose(motion.move_points(corners_of(shape)), corners_of(shape) + shifts * [140, 90])

    @pytest.mark.parametrize(("interpolation", "order"), [("bilinear", 1), ("nearest", 0)])
    def test_pixels_are_those_of_scipy(self, photo: np.ndarray, interpolation: str, order: int) -> None:
        image = photo[:90, :140]
        moved = transformed(RandomPerspective(interpolation=interpolation, fill_value=40), image, TILT)
        shifts = np.array([TILT[corner] for corner in CORNERS]) * [140, 90]
        ends, starts = (corners_of(image.shape) + shifts - 0.5, corners_of(image.shape) - 0.5)
        back = cv2.getPerspectiveTransform(ends.astype(np.float32), starts.astype(np.float32))
        rows, columns = np.mgrid[0:90, 0:140]
        x, y, depth = np.einsum("ij,jhw->ihw", back, np.stack([columns, rows, np.ones_like(rows)]))
        for channel in range(3):
            source = image[..., channel].astype(float)
            expected = ndimage.map_coordinates(
                source, [y / depth, x / depth], order=order, mode="grid-constant", cval=40
            )
            assert (np.abs(moved[..., channel] - np.rint(expected)) <= 1).mean() > 0.999
        assert (np.abs(moved - image.astype(int)) > 20).mean() > 0.2

    def test_pixels_are_the_layers(self, photo: np.ndarray) -> None:
        # The layer's own draws: it maps the corner pixels' centres, which our corners lie half a pixel around.
        layer = keras.layers.RandomPerspective(factor=(1.0, 1.0), scale=0.4, seed=5)
        batch = photo[None, :90, :140].astype("float32")
        for _ in range(3):
            theirs = layer.get_random_transformation(batch, training=True)
            start, end = (np.asarray(theirs[f"{which}_points"])[0] for which in ("start", "end"))
            over_indices = cv2.getPerspectiveTransform(start, end)
            moved = cv2.perspectiveTransform(corners_of((90, 140))[:, None] - 0.5, over_indices)[:, 0] + 0.5
            shifts = (moved - corners_of((90, 140))) / [140, 90]
            params = {"warp": True, **dict(zip(CORNERS, shifts.tolist(), strict=True))}
            expected = np.asarray(layer.transform_images(batch, theirs))[0]
            assert np.abs(RandomPerspective().apply(batch[0], params) - expected).max() < 0.05

    def test_the_layer_is_handed_what_it_would_have_drawn(self, photo: np.ndarray) -> None:
        theirs = keras.layers.RandomPerspective().get_random_transformation(photo[None].astype("float32"))
        ours = RandomPerspective().transformation(TILT, photo.shape)
        assert list(ours) == list(theirs)
        for name, value in theirs.items():
            assert np.shape(ours[name]) == np.shape(value), name

    def test_every_corner_moves_where_keras_holds_one_still(self, drawn: Any) -> None:
        shifts = np.array([[params[corner] for corner in CORNERS] for params in drawn(RandomPerspective(), count=100)])
        assert (np.abs(shifts).max(axis=0) > 0.2).all()
        layer = keras.layers.RandomPerspective(factor=(1.0, 1.0), seed=1)
        theirs = layer.get_random_transformation(np.zeros((100, 30, 40, 3), "float32"), training=True)
        moved = np.abs(np.asarray(theirs["end_points"]) - np.asarray(theirs["start_points"])).max(axis=0) > 0
        # Of the first corner nothing, of the second x, of the third y: in Keras 3.15.
        assert moved.tolist() == [[False, False], [True, False], [False, True], [True, True]]

    @pytest.mark.parametrize("scale", [0.1, 0.4])
    def test_draws_are_as_documented(self, drawn: Any, follows: Callable[..., bool], scale: float) -> None:
        params = drawn(RandomPerspective(scale=scale))
        assert set(params[0]) == set(RandomPerspective.draws)
        for corner in CORNERS:
            for axis in (0, 1):
                assert follows([drawing[corner][axis] for drawing in params], "uniform", -scale / 2, scale)

    def test_the_shape_is_one_that_a_plane_has(self, drawn: Any) -> None:
        for params in drawn(RandomPerspective(), count=500):
            quad = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
            quad += np.array([params[CORNERS[i]] for i in (0, 1, 3, 2)])
            assert cv2.isContourConvex(quad.astype(np.float32)[:, None])
            assert np.abs(quad - [[0, 0], [1, 0], [1, 1], [0, 1]]).max() < 0.5

    @pytest.mark.parametrize("box", [(50, 40, 120, 100), (70, 60, 140, 120)])
    @pytest.mark.parametrize(("scale", "least"), [(0.3, 0.94), (0.6, 0.92)])
    def test_boxes_and_masks_follow(self, overlaps: Any, drawn: Any, box: Any, scale: float, least: float) -> None:
        op = RandomPerspective(scale=scale)
        for params in drawn(op, (160, 200, 3), 20):
            box_iou, mask_iou = overlaps(op, params, box)
            assert box_iou > least, params
            assert mask_iou > 0.99, params

    def test_they_follow_where_a_part_leaves_the_image(self, overlaps: Any) -> None:
        out = {**TILT, "top_left": [-0.3, -0.3], "bottom_right": [0.3, 0.2]}
        for box in ((0, 0, 80, 70), (100, 80, 200, 160), (5, 100, 195, 150)):
            box_iou, mask_iou = overlaps(RandomPerspective(), out, box)
            assert box_iou > 0.95
            assert mask_iou > 0.99


class TestElastic:
    @pytest.mark.parametrize("fill_mode", BEYOND)
    @pytest.mark.parametrize(("interpolation", "order"), [("bilinear", 1), ("nearest", 0)])
    def test_pixels_are_those_of_scipy(self, photo: np.ndarray, fill_mode: str, interpolation: str, order: int) -> None:
        image = photo[:100, :150]
        op = RandomElasticTransform(fill_mode=fill_mode, interpolation=interpolation, fill_value=40)
        moved = transformed(op, image, BEND)
        places = scipy_field(BEND, 100, 150)
        for channel in range(3):
            source = image[..., channel].astype(float)
            expected = ndimage.map_coordinates(source, places, order=order, mode=IN_SCIPY[fill_mode], cval=40)
            assert (np.abs(moved[..., channel] - np.rint(expected)) <= 1).mean() > 0.999
        assert (np.abs(moved - image.astype(int)) > 10).mean() > 0.2

    def test_the_two_directions_are_bent_apart_which_keras_does_not(self, photo: np.ndarray) -> None:
        bent = RandomElasticTransform().motion({**BEND, "scale": 1.0}, (200, 200, 3)).sources()
        right, down = np.moveaxis(bent - np.stack(np.meshgrid(*2 * [np.arange(200) + 0.5]), axis=-1), -1, 0)
        assert abs(np.corrcoef(right.ravel(), down.ravel())[0, 1]) < 0.2
        # In Keras a picture that is the same along its diagonals stays the same along them: both shifts are one.
        ramp = np.subtract.outer(np.arange(64.0), np.arange(64.0))[None, :, :, None] + 128
        layer = keras.layers.RandomElasticTransform(factor=(1.0, 1.0), scale=(0.5, 0.5), seed=1)
        theirs = np.asarray(layer(ramp.astype("float32"), training=True)) - ramp
        assert np.abs(theirs[0, 16:48, 16:48]).max() < 0.01
        ours = RandomElasticTransform().apply(ramp[0].astype(np.float32), BEND) - ramp[0]
        assert np.abs(ours[16:48, 16:48]).max() > 1

    @pytest.mark.parametrize("scale", [0.2, 0.6, 1.0])
    def test_shifts_are_as_large_as_the_documentation_says(self, scale: float) -> None:
        op, shifts = RandomElasticTransform(), []
        for seed in range(4):
            places = op.motion({"warp": True, "scale": scale, "noise_seed": seed}, (224, 224, 3)).sources()
            shifts.append((places - np.stack(np.meshgrid(*2 * [np.arange(224) + 0.5]), axis=-1))[40:-40, 40:-40])
        # Noise of deviation s, smoothed by a Gaussian of s pixels, has a deviation of 1 / (2 sqrt(pi)).
        assert np.std(shifts) == pytest.approx(22.4 * scale / (2 * np.sqrt(np.pi)), rel=0.1)
        assert abs(np.mean(shifts)) < 0.1 * np.std(shifts)

    def test_another_seed_bends_another_way(self, photo: np.ndarray) -> None:
        one, same, other = (
            transformed(RandomElasticTransform(), photo, {**BEND, "noise_seed": seed}) for seed in (1, 1, 2)
        )
        assert np.array_equal(one, same)
        assert not np.array_equal(one, other)

    @pytest.mark.parametrize(
        ("scale", "low", "high"),
        [(1.0, 0, 1), (0.3, 0, 0.3), ((0.2, 0.5), 0.2, 0.5)],
        ids=["default", "scalar", "pair"],
    )
    def test_draws_are_as_documented(
        self, drawn: Any, follows: Callable[..., bool], scale: Any, low: float, high: float
    ) -> None:
        params = drawn(RandomElasticTransform(scale=scale))
        assert set(params[0]) == set(RandomElasticTransform.draws)
        assert follows([drawing["scale"] for drawing in params], "uniform", low, high - low)
        assert follows([drawing["noise_seed"] / 2**63 for drawing in params], "uniform", 0, 1)

    @pytest.mark.parametrize("scale", [0.1, 0.5, 1.0])
    @pytest.mark.parametrize("box", [(60, 50, 110, 100), (70, 60, 150, 120)])
    @pytest.mark.parametrize("shape", [(160, 200), (200, 200)])
    def test_boxes_and_masks_follow(
        self, overlaps: Any, box: Any, scale: float, shape: tuple[int, int], drawn: Any
    ) -> None:
        op = RandomElasticTransform(scale=(scale, scale))
        for params in drawn(op, (*shape, 3), 6):
            box_iou, mask_iou = overlaps(op, params, box, shape)
            assert box_iou > 0.96, params
            assert mask_iou > 0.99, params

    def test_they_follow_where_a_part_leaves_the_image(self, overlaps: Any, drawn: Any) -> None:
        op = RandomElasticTransform(scale=(0.8, 0.8), fill_mode="constant")
        for params in drawn(op, (160, 200, 3), 8):
            for box in ((0, 0, 60, 50), (150, 0, 200, 160)):
                box_iou, mask_iou = overlaps(op, params, box)
                assert box_iou > 0.96, params
                assert mask_iou > 0.99, params

    @pytest.mark.parametrize("fill_mode", BEYOND)
    def test_a_mask_is_filled_as_the_image_is(self, photo: np.ndarray, fill_mode: str) -> None:
        image = photo[:90, :140, :1]
        op = RandomElasticTransform(interpolation="nearest", fill_mode=fill_mode)
        after = finished(carry_out(op, Sample(image, mask=image[..., 0]), BEND))
        assert np.array_equal(after.image[..., 0], after.mask)  # type: ignore[arg-type]

    def test_keypoints_go_to_where_they_are_shown(self) -> None:
        centres = np.array([[[60.5, 50.5, 2], [100.5, 90.5, 2]]])
        image = np.zeros((160, 200, 3), np.uint8)
        for x, y, _ in centres[0]:
            image[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4] = 255
        objects = Objects.from_boxes(np.array([[40, 40, 120, 110]]), np.array([1]), keypoints=centres)
        after = carry_out(RandomElasticTransform(), Sample(image, objects=objects), {**BEND, "noise_seed": 3})
        assert after.objects is not None
        assert after.objects.keypoints is not None
        for x, y, visibility in after.objects.keypoints[0]:
            assert visibility == 2
            assert after.image[int(y), int(x), 0] > 127


BOTH = pytest.mark.parametrize(("op", "params"), [(RandomPerspective, TILT), (RandomElasticTransform, BEND)])


@BOTH
def test_the_probability_is_the_number_given(drawn: Any, op: type[Any], params: Params) -> None:
    assert set(OPS) == {RandomPerspective, RandomElasticTransform}
    for factor, expected in ((1.0, 1.0), (0.3, 0.3), ((0.2, 0.8), 0.5), ((1, 1), 1.0)):
        warps = [drawing["warp"] for drawing in drawn(op(factor), count=1500)]
        assert {type(warp) for warp in warps} == {bool}
        assert np.mean(warps) == pytest.approx(expected, abs=0.04 * (expected < 1))


@BOTH
def test_an_image_that_is_not_warped_stays_as_it_is(photo: np.ndarray, op: type[Any], params: Params) -> None:
    objects = Objects.from_boxes(np.array([[10.25, 20, 50, 60]]), np.array([1]))
    sample = Sample(photo, objects=objects, mask=photo[..., 0])
    assert finished(carry_out(op(), sample, {**params, "warp": False})).equals(sample)
    assert not finished(carry_out(op(), sample, params)).equals(sample)


@BOTH
def test_a_graph_gives_the_same_bytes(photo: np.ndarray, op: type[Any], params: Params) -> None:
    image = photo[:80, :90]
    assert np.array_equal(in_graph(op(), params)(tf.constant(image)).numpy(), transformed(op(), image, params))


@BOTH
@pytest.mark.parametrize("shape", [(1, 40, 3), (40, 1, 3), (1, 1, 3), (32, 32, 1), (33, 47, 3)])
def test_small_images_go_through(drawn: Any, op: type[Any], params: Params, shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for drawing in drawn(op(), shape, 5):
        moved = transformed(op(), image, drawing)
        assert (moved.shape, moved.dtype) == (shape, np.uint8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomPerspective(0), "factor must be a probability above 0, or nothing ever changes, got 0"),
        (lambda: RandomPerspective(1.5), "factor must be a number in [0, 1], got 1.5; or [lowest, highest] within it"),
        (lambda: RandomPerspective(scale=0), "scale must be a number in (0, 1], got 0"),
        (lambda: RandomPerspective(scale=1.1), "scale must be a number in (0, 1], got 1.1"),
        (
            lambda: RandomPerspective(interpolation="cubic"),
            "interpolation must be one of bilinear, nearest, got 'cubic'",
        ),
        (lambda: RandomPerspective(fill_value=-1), "fill_value must be a number in [0, 255], got -1"),
        (
            lambda: RandomElasticTransform((0, 0)),
            "factor must be a probability above 0, or nothing ever changes, got (0, 0)",
        ),
        (lambda: RandomElasticTransform(scale=0), "scale must reach above 0, or nothing ever changes, got 0"),
        (
            lambda: RandomElasticTransform(fill_mode="mirror"),
            "fill_mode must be one of constant, nearest, reflect, wrap, got 'mirror'",
        ),
        (
            lambda: RandomElasticTransform(value_range=(0, 1)),
            "value_range must be [0, 255], what images are here, got (0, 1)",
        ),
    ],
)
def test_an_error_says_what_is_wrong(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(TransformError) as error:
        make()
    assert str(error.value) == message


@pytest.mark.parametrize(
    "op",
    [
        RandomPerspective(),
        RandomPerspective([0, 1], 1, "nearest", 7),  # type: ignore[arg-type]
        RandomElasticTransform(),
        RandomElasticTransform(1, [0, 1], "nearest", "wrap", 7, [0, 255]),  # type: ignore[arg-type]
    ],
)
def test_an_op_comes_back_from_its_spec(op: Any) -> None:
    again = type(op)(**op.arguments())
    assert again == op
    assert again.arguments() == op.arguments()
    assert set(op.takes) == set(op.arguments())
