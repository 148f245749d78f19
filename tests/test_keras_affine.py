"""Flip, rotation, translation, zoom and shear: pixels against Keras, Pillow and SciPy, draws, and what follows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy import ndimage

from augmill.transforms.backend import in_graph
from augmill.transforms.base import GeometricTransform, Params, Sample, TransformError
from augmill.transforms.keras_affine import (
    OPS,
    RandomFlip,
    RandomRotation,
    RandomShear,
    RandomTranslation,
    RandomZoom,
)
from augmill.transforms.motion import BEYOND
from augmill.transforms.objects import Objects
from augmill.transforms.rendering import carry_out, finished

SAMPLED: list[tuple[type[Any], dict[str, Any], Params]] = [
    (RandomRotation, {"factor": 0.5}, {"degrees": 33.7}),
    (RandomTranslation, {"height_factor": 1, "width_factor": 1}, {"down": 0.613, "right": -0.287}),
    (RandomZoom, {"height_factor": 0.9, "width_factor": (-0.5, 1.0)}, {"height": 0.847, "width": -0.317}),
    (RandomShear, {"x_factor": 0.5, "y_factor": 0.5}, {"x": 0.413, "y": 0.237, "inverted": False}),
    (RandomShear, {"x_factor": 0.5, "y_factor": 0.5}, {"x": 0.413, "y": 0.237, "inverted": True}),
]
each_sampled = pytest.mark.parametrize(("op", "arguments", "params"), SAMPLED)
IN_SCIPY = {"constant": "grid-constant", "nearest": "nearest", "reflect": "reflect", "wrap": "grid-wrap"}


def transformed(op: GeometricTransform, image: np.ndarray, params: Params) -> np.ndarray:
    return finished(carry_out(op, Sample(image), params)).image


def by_scipy(op: type[Any], params: Params, image: np.ndarray, *, order: int, mode: str, fill: float) -> np.ndarray:
    """What the documentation says that the op does, by SciPy: float64 [height, width, 3]."""
    height, width = image.shape[:2]
    middle = np.array([(height - 1) / 2, (width - 1) / 2])
    linear, centre, offset = np.eye(2), middle, np.zeros(2)
    if op is RandomRotation:
        cosine, sine = np.cos(np.radians(params["degrees"])), np.sin(np.radians(params["degrees"]))
        linear = np.array([[cosine, sine], [-sine, cosine]])
    elif op is RandomTranslation:
        offset = -np.array([params["down"] * height, params["right"] * width])
    elif op is RandomZoom:
        linear = np.diag([1 + params["height"], 1 + params["width"]])
    else:
        sign = -1 if params["inverted"] else 1
        linear, centre = np.array([[1, sign * params["y"]], [sign * params["x"], 1]]), np.zeros(2)
    shift = centre - linear @ centre + offset
    channels = [
        ndimage.affine_transform(
            image[..., c].astype(float), linear, shift, order=order, mode=IN_SCIPY[mode], cval=fill
        )
        for c in range(3)
    ]
    return np.stack(channels, axis=-1)


class TestFlip:
    @pytest.mark.parametrize("horizontal", [False, True])
    @pytest.mark.parametrize("vertical", [False, True])
    def test_each_axis_is_mirrored_or_not(self, photo: np.ndarray, horizontal: bool, vertical: bool) -> None:
        params = {"horizontal": horizontal, "vertical": vertical}
        expected = photo[:: -1 if vertical else 1, :: -1 if horizontal else 1]
        assert np.array_equal(transformed(RandomFlip(), photo, params), expected)

    def test_one_mode_is_the_layers_flip(self, photo: np.ndarray) -> None:
        for mode in ("horizontal", "vertical"):
            layer = keras.layers.RandomFlip(mode)
            always = {"flips": tf.constant([[[[True]]]]), "input_shape": (1, *photo.shape)}
            expected = layer.transform_images(photo[None].astype("float32"), always)[0]
            assert np.array_equal(transformed(RandomFlip(mode), photo, {mode: True}), expected)

    @pytest.mark.parametrize("mode", ["horizontal", "vertical"])
    def test_half_of_the_images_are_flipped(self, drawn: Any, equally_likely: Any, mode: str) -> None:
        params = drawn(RandomFlip(mode))
        assert {tuple(drawing) for drawing in params} == {(mode,)}
        assert equally_likely([drawing[mode] for drawing in params], [False, True])

    def test_the_axes_are_drawn_apart_which_keras_does_not(self, drawn: Any, equally_likely: Any) -> None:
        params = [(drawing["horizontal"], drawing["vertical"]) for drawing in drawn(RandomFlip())]
        assert equally_likely(params, [(False, False), (False, True), (True, False), (True, True)])
        corner = np.zeros((1, 2, 2, 1), "float32")
        corner[0, 0, 0] = 1
        layer = keras.layers.RandomFlip(seed=1)
        seen = {tuple(np.ravel(layer(corner, training=True))) for _ in range(60)}
        assert seen == {(1, 0, 0, 0), (0, 0, 0, 1)}  # the image itself and its half turn

    @pytest.mark.parametrize(
        "params", [{"horizontal": True}, {"vertical": True}, {"horizontal": True, "vertical": True}]
    )
    def test_annotations_follow(self, overlaps: Any, params: Params) -> None:
        assert overlaps(RandomFlip(), params, (20, 30, 90, 55)) == (1, 1)

    def test_left_and_right_eye_change_names_in_one_mirror_but_not_in_two(self) -> None:
        eyes = np.array([[[10, 5, 2], [20, 6, 2]]], float)
        objects = Objects.from_boxes(np.array([[5, 0, 25, 10]]), np.array([1]), keypoints=eyes, pairs=((0, 1),))
        sample = Sample(np.zeros((20, 40, 3), np.uint8), objects=objects)
        once = carry_out(RandomFlip(), sample, {"horizontal": True, "vertical": False}).objects
        twice = carry_out(RandomFlip(), sample, {"horizontal": True, "vertical": True}).objects
        assert once is not None
        assert twice is not None
        assert once.keypoints.tolist() == [[[20, 6, 2], [30, 5, 2]]]  # type: ignore[union-attr]
        assert twice.keypoints.tolist() == [[[30, 15, 2], [20, 14, 2]]]  # type: ignore[union-attr]


class TestPixels:
    @pytest.mark.parametrize("degrees", [7.3, -30, 90, 123.4])
    def test_a_rotation_is_pillows(self, photo: np.ndarray, degrees: float) -> None:
        turned = transformed(RandomRotation(0.5), photo, {"degrees": degrees}).astype(int)
        expected = np.asarray(Image.fromarray(photo).rotate(degrees, Image.Resampling.BILINEAR)).astype(int)
        rows, columns = np.mgrid[0:224, 0:224] - 111.5
        interior = np.hypot(rows, columns) < 110
        assert (np.abs(turned - expected)[interior] <= 1).mean() > 0.999

    @each_sampled
    @pytest.mark.parametrize("fill_mode", BEYOND)
    @pytest.mark.parametrize(("interpolation", "order"), [("bilinear", 1), ("nearest", 0)])
    def test_pixels_are_those_of_scipy(
        self,
        photo: np.ndarray,
        op: type[Any],
        arguments: dict[str, Any],
        params: Params,
        fill_mode: str,
        interpolation: str,
        order: int,
    ) -> None:
        image = photo[:100, :150]
        made = op(**arguments, fill_mode=fill_mode, interpolation=interpolation, fill_value=40)
        moved = transformed(made, image, params)
        expected = np.rint(by_scipy(op, params, image, order=order, mode=fill_mode, fill=40))
        assert (np.abs(moved - expected) <= 1).mean() > 0.999
        assert (np.abs(moved - image.astype(int)) > 20).mean() > 0.2  # it is another image

    @each_sampled
    @pytest.mark.parametrize("fill_mode", ["reflect", "constant", "nearest"])
    def test_pixels_are_the_layers(
        self, photo: np.ndarray, op: type[Any], arguments: dict[str, Any], params: Params, fill_mode: str
    ) -> None:
        # Each of the layer's own draws, handed to the op in its own terms.
        layer = getattr(keras.layers, op.layer)(**arguments, fill_mode=fill_mode, fill_value=40, seed=3)
        made = op(**arguments, fill_mode=fill_mode, fill_value=40)
        batch = photo[None, :90, :140].astype("float32")
        for _ in range(3):
            transformation = layer.get_random_transformation(batch, training=True)
            found = {key: np.asarray(value, float).ravel() for key, value in transformation.items()}
            if op is RandomRotation:
                theirs: Params = {"degrees": found["angle"][0]}
            elif op is RandomTranslation:
                theirs = {"down": found["translations"][1] / 90, "right": found["translations"][0] / 140}
            elif op is RandomZoom:
                theirs = {"height": found["height_zoom"][0] - 1, "width": found["width_zoom"][0] - 1}
            else:
                theirs = {"x": found["shear_factor"][0], "y": found["shear_factor"][1], "inverted": False}
            expected = np.asarray(layer.transform_images(batch, transformation))[0]
            assert np.abs(made.apply(batch[0], theirs) - expected).max() < 0.05

    @each_sampled
    def test_the_layer_is_handed_what_it_would_have_drawn(
        self, photo: np.ndarray, op: type[Any], arguments: dict[str, Any], params: Params
    ) -> None:
        layer = getattr(keras.layers, op.layer)(**arguments)
        theirs = layer.get_random_transformation(photo[None].astype("float32"), training=True)
        ours = op(**arguments).transformation(params, photo.shape)
        assert list(ours) == list(theirs)
        for name, value in theirs.items():
            assert np.shape(ours[name]) == np.shape(value), name
            if tf.is_tensor(value):
                assert ours[name].dtype == value.dtype

    def test_wrap_repeats_the_image_where_keras_does_not(self, photo: np.ndarray) -> None:
        image = photo[:60, :60]
        rolled = np.roll(image, (48, -48), axis=(0, 1))
        params = {"down": 0.8, "right": -0.8}
        assert np.array_equal(transformed(RandomTranslation(1, 1, "wrap"), image, params), rolled)
        # Zoomed out three times, every third pixel of 3 x 3 images is seen.
        tiled = np.tile(image[1::3, 1::3], (3, 3, 1))
        zoom = RandomZoom((0, 1), fill_mode="wrap", interpolation="nearest")
        assert np.array_equal(transformed(zoom, image, {"height": 2.0, "width": 2.0}), tiled)
        layer = keras.layers.RandomZoom(0.5, fill_mode="wrap", interpolation="nearest")
        shown = {"height_zoom": tf.constant([[3.0]]), "width_zoom": tf.constant([[3.0]]), "input_shape": (1, 60, 60, 3)}
        theirs = np.asarray(layer.transform_images(image[None].astype("float32"), shown))[0]
        assert (np.abs(theirs - tiled).max(axis=-1) > 0).mean() > 0.02  # in Keras 3.15

    @each_sampled
    @pytest.mark.parametrize("fill_mode", BEYOND)
    def test_a_graph_gives_the_same_bytes(
        self, photo: np.ndarray, op: type[Any], arguments: dict[str, Any], params: Params, fill_mode: str
    ) -> None:
        made = op(**arguments, fill_mode=fill_mode)
        image = photo[:80, :90]
        assert np.array_equal(in_graph(made, params)(tf.constant(image)).numpy(), transformed(made, image, params))


class TestAnnotations:
    # Drawn parameters under which the rectangles stay away from the edges, which `reflect` repeats.
    INSIDE: tuple[tuple[GeometricTransform, Params], ...] = (
        *((RandomRotation(1), {"degrees": degrees}) for degrees in (-150, -45, -8, 17, 90, 171)),
        *((RandomTranslation(1, 1), {"down": down, "right": right}) for down, right in ((0.1, -0.13), (-0.11, 0.18))),
        *((RandomZoom(0.9), {"height": h, "width": w}) for h, w in ((-0.3, -0.3), (-0.2, 0.15), (0.1, 0.3))),
        *((RandomShear(1, 1), {"x": x, "y": y, "inverted": i}) for x, y, i in ((0.3, 0.1, True), (0.25, 0.2, False))),
    )

    @pytest.mark.parametrize(("op", "params"), INSIDE)
    @pytest.mark.parametrize("box", [(60, 50, 140, 110), (80, 60, 130, 120)])
    @pytest.mark.parametrize("shape", [(160, 200), (190, 190)])
    def test_boxes_and_masks_follow(
        self, overlaps: Any, op: GeometricTransform, params: Params, box: Any, shape: tuple[int, int]
    ) -> None:
        box_iou, mask_iou = overlaps(type(op)(**{**op.arguments(), "fill_mode": "constant"}), params, box, shape)
        assert box_iou > 0.9
        assert mask_iou > 0.98

    @pytest.mark.parametrize("scale", [1, 1.5])
    def test_they_follow_what_is_drawn_and_where_a_part_leaves_the_image(
        self, overlaps: Any, drawn: Any, scale: float
    ) -> None:
        box = (20, 10, 120, 130)  # near two edges
        for op in (
            RandomRotation(0.5, "constant"),
            RandomTranslation(0.5, 0.5, "constant"),
            RandomZoom(0.5, 0.5, "constant"),
            RandomShear(0.5, 0.5, fill_mode="constant"),
        ):
            shape = (int(160 * scale), int(200 * scale))
            for params in drawn(op, (*shape, 3), 12):
                box_iou, mask_iou = overlaps(op, params, box, shape)
                assert box_iou > 0.9, (op, params)
                assert mask_iou > 0.98, (op, params)

    @each_sampled
    @pytest.mark.parametrize("fill_mode", BEYOND)
    def test_a_mask_is_filled_as_the_image_is(
        self, photo: np.ndarray, op: type[Any], arguments: dict[str, Any], params: Params, fill_mode: str
    ) -> None:
        made = op(**arguments, fill_mode=fill_mode, interpolation="nearest")
        image = photo[:90, :140, :1]
        after = finished(carry_out(made, Sample(image, mask=image[..., 0]), params))
        assert after.mask is not None
        assert (after.image[..., 0] == after.mask).mean() > 0.9995  # a place on the line between pixels is either's

    def test_boxes_fit_under_a_shear_where_keras_ones_do_not(self, overlaps: Any) -> None:
        params, box = {"x": 0.4, "y": 0.3, "inverted": True}, [30, 20, 80, 70]
        assert overlaps(RandomShear(1, 1, fill_mode="constant"), params, box)[0] > 0.97
        layer = keras.layers.RandomShear(0.5, 0.5, bounding_box_format="xyxy")
        boxes = {"boxes": tf.constant([[box]], tf.float32), "labels": tf.constant([[7]])}
        shear = {"shear_factor": tf.constant([[-0.4, -0.3]]), "input_shape": (1, 160, 200, 3)}
        theirs = layer.transform_bounding_boxes(boxes, shear)["boxes"][0, 0].numpy()
        sample = Sample(np.zeros((160, 200, 3), np.uint8), objects=Objects.from_boxes(np.array([box]), np.array([7])))
        objects = carry_out(RandomShear(1, 1), sample, params).objects
        assert objects is not None
        ours = objects.boxes[0]
        sides = np.minimum(ours[2:], theirs[2:]) - np.maximum(ours[:2], theirs[:2])
        both = np.prod(sides)
        assert both / (objects.areas[0] + np.prod(theirs[2:] - theirs[:2]) - both) < 0.8


class TestDraws:
    @pytest.mark.parametrize(
        ("op", "uniform"),
        [
            (RandomRotation(0.1), {"degrees": (-36, 36)}),
            (RandomRotation(-0.1), {"degrees": (-36, 36)}),
            (RandomRotation((-0.2, 0.3)), {"degrees": (-72, 108)}),
            (RandomRotation((0.25, 0.5)), {"degrees": (90, 180)}),
            (RandomTranslation(0.2, 0.3), {"down": (-0.2, 0.2), "right": (-0.3, 0.3)}),
            (RandomTranslation((-0.2, 0.3), (0.1, 0.4)), {"down": (-0.2, 0.3), "right": (0.1, 0.4)}),
            (RandomZoom(0.4), {"height": (-0.4, 0.4), "width": (-0.4, 0.4)}),
            (RandomZoom((0.2, 0.3)), {"height": (0.2, 0.3), "width": (0.2, 0.3)}),
            (RandomZoom((-0.3, -0.2), 0.5), {"height": (-0.3, -0.2), "width": (-0.5, 0.5)}),
            (RandomShear(0.3), {"x": (0, 0.3)}),
            (RandomShear((0.1, 0.2), 0.5), {"x": (0.1, 0.2), "y": (0, 0.5)}),
        ],
    )
    def test_draws_are_as_documented(
        self, drawn: Any, follows: Callable[..., bool], op: GeometricTransform, uniform: dict[str, tuple[float, float]]
    ) -> None:
        params = drawn(op)
        assert set(params[0]) == set(op.draws)
        for name, (low, high) in uniform.items():
            assert follows([drawing[name] for drawing in params], "uniform", low, high - low), name

    def test_what_is_not_drawn_stays_put(self, drawn: Any) -> None:
        assert {drawing["y"] for drawing in drawn(RandomShear(0.3), count=50)} == {0}
        assert {drawing["down"] for drawing in drawn(RandomTranslation(0, 0.1), count=50)} == {0}
        assert {drawing["degrees"] for drawing in drawn(RandomRotation((0.125, 0.125)), count=50)} == {45}

    def test_a_zoom_by_one_factor_keeps_the_aspect_ratio(self, drawn: Any) -> None:
        assert all(drawing["height"] == drawing["width"] for drawing in drawn(RandomZoom(0.4), count=50))
        apart = [(drawing["height"], drawing["width"]) for drawing in drawn(RandomZoom(0.4, 0.4))]
        assert abs(np.corrcoef(np.array(apart).T)[0, 1]) < 0.06

    def test_half_of_the_shears_go_the_other_way(self, drawn: Any, equally_likely: Any) -> None:
        assert equally_likely([drawing["inverted"] for drawing in drawn(RandomShear(0.3))], [False, True])


class TestArguments:
    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (
                lambda: RandomFlip("both"),
                "mode must be one of horizontal, vertical, horizontal_and_vertical, got 'both'",
            ),
            (lambda: RandomRotation(0), "factor 0 leaves every image as it is; give a number or a range"),
            (lambda: RandomRotation((0, 0.0)), "factor 0 leaves every image as it is; give a number or a range"),
            (lambda: RandomRotation(45), "factor must be a number in [-1, 1], got 45; or [lowest, highest] within it"),
            (lambda: RandomRotation((0.2, -0.2)), "factor must be [lowest, highest], got [0.2, -0.2]"),
            (
                lambda: RandomRotation(0.1, "mirror"),
                "fill_mode must be one of constant, nearest, reflect, wrap, got 'mirror'",
            ),
            (
                lambda: RandomRotation(0.1, interpolation="cubic"),
                "interpolation must be one of bilinear, nearest, got 'cubic'",
            ),
            (lambda: RandomRotation(0.1, fill_value=256), "fill_value must be a number in [0, 255], got 256"),
            (
                lambda: RandomTranslation(0, (0, 0)),
                "height_factor and width_factor 0 leaves every image as it is; give a number or a range",
            ),
            (
                lambda: RandomTranslation(0.1, 1.5),
                "width_factor must be a number in [-1, 1], got 1.5; or [lowest, highest] within it",
            ),
            (
                lambda: RandomZoom((-1, 0.5)),
                "height_factor must stay above -1, where nothing is shown, got (-1.0, 0.5)",
            ),
            (lambda: RandomZoom(0.5, 1.0), "width_factor must stay above -1, where nothing is shown, got 1.0"),
            (
                lambda: RandomShear(),
                "x_factor and y_factor 0 leaves every image as it is; give a number or a range",
            ),
            (
                lambda: RandomShear(-0.1),
                "x_factor must be a number in [0, 1], got -0.1; or [lowest, highest] within it",
            ),
            (
                lambda: RandomShear((1, 1), [1, 1]),  # type: ignore[arg-type]
                "x_factor and y_factor [1, 1] together leave a line of the image; lower one of them",
            ),
        ],
    )
    def test_an_error_says_what_is_wrong(self, make: Callable[[], Any], message: str) -> None:
        with pytest.raises(TransformError) as error:
            make()
        assert str(error.value) == message

    @pytest.mark.parametrize(
        "op",
        [
            RandomFlip(),
            RandomFlip("vertical"),
            RandomRotation(1),
            RandomRotation([-0.5, 1], "wrap", "nearest", 3),  # type: ignore[arg-type]
            RandomTranslation(0.1, (0, 1)),
            RandomZoom(0.5),
            RandomZoom(0.5, (0, 1)),
            RandomShear(0.1),
        ],
    )
    def test_an_op_comes_back_from_its_spec(self, op: Any) -> None:
        again = type(op)(**op.arguments())
        assert again == op
        assert again.arguments() == op.arguments()
        assert set(op.takes) == set(op.arguments())

    def test_whole_numbers_and_lists_are_numbers_and_pairs_too(self) -> None:
        assert repr(RandomRotation(1)) == repr(RandomRotation(1.0))
        assert repr(RandomZoom([0, 1])) == repr(RandomZoom((0.0, 1.0)))  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(1, 40, 3), (40, 1, 3), (1, 1, 3), (32, 32, 1)])
@pytest.mark.parametrize("fill_mode", BEYOND)
def test_small_images_go_through(drawn: Any, shape: tuple[int, int, int], fill_mode: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert len(OPS) == 5
    for op in (
        RandomFlip(),
        RandomRotation(0.5, fill_mode),
        RandomTranslation(0.5, 0.5, fill_mode),
        RandomZoom(0.5, 0.5, fill_mode),
        RandomShear(0.5, 0.5, fill_mode=fill_mode),
    ):
        for params in drawn(op, shape, 3):
            moved = transformed(op, image, params)
            assert (moved.shape, moved.dtype) == (shape, np.uint8)
            if fill_mode != "constant":
                assert image.min() <= moved.min()
                assert moved.max() <= image.max()
