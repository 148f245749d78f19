"""Random crop, centre crop and resizing: the window that is shown, its pixels, and what follows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy import ndimage, stats

from augmill.transforms.backend import in_graph
from augmill.transforms.base import GeometricTransform, Params, Sample, TransformError
from augmill.transforms.keras_crop import OPS, CenterCrop, RandomCrop, Resizing
from augmill.transforms.objects import Objects
from augmill.transforms.rendering import carry_out, finished


def transformed(op: GeometricTransform, image: np.ndarray, params: Params | None = None) -> np.ndarray:
    return finished(carry_out(op, Sample(image), params or {})).image


def enlarged(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """An image resized bilinearly, edges repeated, by SciPy."""
    rows = (np.arange(height) + 0.5) * image.shape[0] / height - 0.5
    columns = (np.arange(width) + 0.5) * image.shape[1] / width - 0.5
    places = np.meshgrid(rows, columns, indexing="ij")
    channels = [ndimage.map_coordinates(image[..., c].astype(float), places, order=1, mode="nearest") for c in range(3)]
    return np.stack(channels, axis=-1)


class TestRandomCrop:
    @pytest.mark.parametrize(("top", "left"), [(0, 0), (24, 94), (7, 31)])
    def test_it_is_a_window_of_the_photo(self, photo: np.ndarray, top: int, left: int) -> None:
        window = transformed(RandomCrop(200, 130), photo, {"top": top, "left": left})
        assert np.array_equal(window, photo[top : top + 200, left : left + 130])

    def test_every_place_is_equally_likely(self, drawn: Any) -> None:
        counts = np.zeros((5, 7), int)
        for params in drawn(RandomCrop(20, 30), (24, 36, 3), 7000):
            counts[params["top"], params["left"]] += 1
        assert stats.chisquare(counts.ravel()).pvalue > 1e-3

    def test_an_image_as_high_as_the_window_is_cropped_at_random_too(
        self, photo: np.ndarray, drawn: Any, equally_likely: Any
    ) -> None:
        params = drawn(RandomCrop(24, 30), (24, 36, 3))
        assert {drawing["top"] for drawing in params} == {0}
        assert equally_likely([drawing["left"] for drawing in params], list(range(7)))
        layer = keras.layers.RandomCrop(24, 30, seed=1)
        theirs = {int(layer.get_random_transformation(np.zeros((1, 24, 36, 3)))[1]) for _ in range(30)}
        assert theirs == {3}  # in Keras 3.15: always the middle

    @pytest.mark.parametrize(
        ("size", "window"),
        [
            ((150, 75), np.s_[0:100, 25:75]),  # of 100 x 100
            ((300, 400), np.s_[12:87, 0:100]),
            ((90, 180), np.s_[25:75, 0:100]),  # high enough, and not wide enough
            ((101, 101), np.s_[0:100, 0:100]),
        ],
    )
    def test_a_small_image_shows_its_largest_window_of_the_same_proportions(
        self, photo: np.ndarray, drawn: Any, size: tuple[int, int], window: Any
    ) -> None:
        image = photo[60:160, 60:160]
        op = RandomCrop(*size)
        (params,) = drawn(op, image.shape, 1)
        assert params == {"top": window[0].start, "left": window[1].start}
        shown = transformed(op, image, params)
        assert np.abs(shown - enlarged(image[window], *size)).max() <= 0.51
        assert np.array_equal(shown, transformed(CenterCrop(*size), image))

    def test_a_small_image_keeps_its_proportions_where_keras_stretches_it(self, photo: np.ndarray) -> None:
        image = photo[60:160, 60:160]
        layer = keras.layers.RandomCrop(150, 75)
        theirs = np.asarray(layer(image[None].astype("float32"), training=True))[0]
        assert np.abs(theirs - enlarged(image[:, 25:100], 150, 75)).max() < 1  # 100 x 75, in Keras 3.15
        assert np.abs(theirs - enlarged(image[:, 25:75], 150, 75)).max() > 50  # the window of 2 to 1 in its middle

    @pytest.mark.parametrize("box", [(30, 40, 90, 100), (70, 20, 160, 90)])
    def test_boxes_and_masks_follow(self, overlaps: Any, drawn: Any, box: Any) -> None:
        for op in (RandomCrop(90, 120), RandomCrop(200, 240), RandomCrop(160, 60), RandomCrop(170, 100)):
            for params in drawn(op, (160, 200, 3), 8):
                box_iou, mask_iou = overlaps(op, params, box)
                assert box_iou > 0.95, (op, params)
                assert mask_iou > 0.98, (op, params)

    def test_boxes_are_right_where_keras_ones_are_not(self, photo: np.ndarray) -> None:
        """Keras issue 23518: columns are shifted by rows, and rows by columns."""
        objects = Objects.from_boxes(np.array([[60, 50, 100, 90]]), np.array([1]))
        moved = carry_out(RandomCrop(100, 120), Sample(photo, objects=objects), {"top": 40, "left": 10}).objects
        assert moved is not None
        assert moved.boxes.tolist() == [[50, 10, 90, 50]]
        layer = keras.layers.RandomCrop(100, 120, bounding_box_format="xyxy")
        boxes = {"boxes": tf.constant([[[60.0, 50, 100, 90]]]), "labels": tf.constant([[1]])}
        assert layer.transform_bounding_boxes(boxes, (40, 10))["boxes"].numpy().tolist() != [[[50, 10, 90, 50]]]


class TestCenterCrop:
    @pytest.mark.parametrize("size", [(100, 120), (223, 224), (99, 51), (300, 200), (30, 400), (224, 224)])
    @pytest.mark.parametrize("shape", [(224, 224), (181, 200)])
    def test_it_is_the_layer(self, photo: np.ndarray, size: tuple[int, int], shape: tuple[int, int]) -> None:
        image = photo[: shape[0], : shape[1]]
        expected = np.asarray(keras.layers.CenterCrop(*size)(image[None].astype("float32")))[0]
        assert np.array_equal(CenterCrop(*size).apply(image.astype(np.float32), {}), expected)

    def test_the_odd_pixel_goes_at_the_end(self, photo: np.ndarray) -> None:
        assert np.array_equal(transformed(CenterCrop(101, 101), photo), photo[61:162, 61:162])

    @pytest.mark.parametrize("size", [(90, 120), (91, 61), (200, 240), (100, 300)])
    @pytest.mark.parametrize("box", [(70, 40, 120, 100), (60, 60, 160, 110)])
    def test_boxes_and_masks_follow(self, overlaps: Any, size: tuple[int, int], box: Any) -> None:
        box_iou, mask_iou = overlaps(CenterCrop(*size), {}, box)
        assert box_iou > 0.97
        assert mask_iou > 0.98


class TestResizing:
    @pytest.mark.parametrize("interpolation", ["bilinear", "nearest", "bicubic", "lanczos3", "lanczos5"])
    @pytest.mark.parametrize("antialias", [False, True])
    @pytest.mark.parametrize(
        "fit", [{}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True, "fill_value": 90.0}]
    )
    def test_it_is_the_layer(self, photo: np.ndarray, interpolation: str, antialias: bool, fit: dict[str, Any]) -> None:
        image = photo[:180, :140]
        settings = {"height": 60, "width": 95, "interpolation": interpolation, "antialias": antialias, **fit}
        expected = np.asarray(keras.layers.Resizing(**settings)(image.astype("float32")))
        assert np.array_equal(Resizing(**settings).apply(image.astype(np.float32), {}), expected)

    @pytest.mark.parametrize(
        ("interpolation", "pillow"),
        [("bilinear", Image.Resampling.BILINEAR), ("lanczos3", Image.Resampling.LANCZOS)],
    )
    def test_with_antialias_it_is_pillows(self, photo: np.ndarray, interpolation: str, pillow: Any) -> None:
        resized = transformed(Resizing(90, 60, interpolation, antialias=True), photo).astype(int)
        expected = np.asarray(Image.fromarray(photo).resize((60, 90), pillow)).astype(int)
        assert (np.abs(resized - expected) <= 1).mean() > 0.999

    def test_stretched_it_is_scipys(self, photo: np.ndarray) -> None:
        assert np.abs(transformed(Resizing(300, 260), photo) - enlarged(photo, 300, 260)).max() <= 0.51

    def test_margins_have_the_fill_and_the_rest_its_proportions(self, photo: np.ndarray) -> None:
        padded = transformed(Resizing(100, 200, pad_to_aspect_ratio=True, fill_value=90), photo)
        assert set(np.unique(padded[:, :49])) == set(np.unique(padded[:, 151:])) == {90}
        assert np.abs(padded[:, 51:149] - enlarged(photo, 100, 100)[:, 1:99]).max() <= 0.51

    @pytest.mark.parametrize("size", [(100, 90), (240, 400), (61, 160), (163, 47)])
    @pytest.mark.parametrize("fit", [{}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True}])
    @pytest.mark.parametrize("box", [(70, 40, 130, 120), (20, 30, 180, 130)])
    def test_boxes_and_masks_follow(
        self, overlaps: Any, size: tuple[int, int], fit: dict[str, bool], box: tuple[int, int, int, int]
    ) -> None:
        for interpolation in ("bilinear", "nearest"):
            box_iou, mask_iou = overlaps(Resizing(*size, interpolation, **fit), {}, box)
            assert box_iou > 0.9
            assert mask_iou > 0.93

    @pytest.mark.parametrize("fit", [{}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True}])
    def test_the_nearest_ids_are_where_the_nearest_pixels_are(self, photo: np.ndarray, fit: dict[str, bool]) -> None:
        image = photo[:181, :140, :1]
        after = finished(carry_out(Resizing(67, 110, "nearest", **fit), Sample(image, mask=image[..., 0]), {}))
        assert after.mask is not None
        assert (after.image[..., 0] == after.mask).mean() > 0.999


ALL: list[tuple[GeometricTransform, Params]] = [
    (RandomCrop(40, 50), {"top": 3, "left": 8}),
    (RandomCrop(100, 130), {"top": 0, "left": 0}),
    (CenterCrop(40, 50), {}),
    (CenterCrop(100, 130), {}),
    (Resizing(40, 50), {}),
    (Resizing(40, 50, crop_to_aspect_ratio=True), {}),
    (Resizing(40, 51, pad_to_aspect_ratio=True), {}),
]


@pytest.mark.parametrize(("op", "params"), ALL)
def test_a_graph_gives_the_same_bytes_and_a_new_op_too(photo: np.ndarray, op: Any, params: Params) -> None:
    again = type(op)(**op.arguments())
    assert again == op
    assert set(op.takes) == set(op.arguments())
    assert {type(op) for op, _ in ALL} == set(OPS)
    image = photo[:81, :90]
    assert np.array_equal(in_graph(again, params)(tf.constant(image)).numpy(), transformed(op, image, params))


@pytest.mark.parametrize("shape", [(1, 40, 3), (40, 1, 3), (1, 1, 1), (32, 32, 1), (375, 500, 3)])
def test_images_of_every_size_go_through(drawn: Any, shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for op, _ in ALL:
        for params in drawn(op, shape, 3):
            shown = transformed(op, image, params)
            assert (shown.shape, shown.dtype) == ((op.height, op.width, shape[2]), np.uint8)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomCrop(0, 3), "height must be a whole number of at least 1, got 0"),
        (lambda: RandomCrop(3, 2.5), "width must be a whole number of at least 1, got 2.5"),
        (lambda: CenterCrop("3", 3), "height must be a whole number of at least 1, got '3'"),
        (lambda: Resizing(3, -3), "width must be a whole number of at least 1, got -3"),
        (
            lambda: Resizing(3, 3, "area"),
            "interpolation must be one of bilinear, nearest, bicubic, lanczos3, lanczos5, got 'area'",
        ),
        (
            lambda: Resizing(3, 3, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True),
            "crop_to_aspect_ratio and pad_to_aspect_ratio can't both be true; choose one",
        ),
        (lambda: Resizing(3, 3, antialias=1), "antialias must be one of True, False, got 1"),
        (lambda: Resizing(3, 3, fill_mode="reflect"), "fill_mode must be one of constant, got 'reflect'"),
        (lambda: Resizing(3, 3, fill_value=300), "fill_value must be a number in [0, 255], got 300"),
    ],
)
def test_an_error_says_what_is_wrong(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(TransformError) as error:
        make()
    assert str(error.value) == message
