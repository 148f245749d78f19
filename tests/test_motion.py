"""Motions: points, outlines, keypoints and masks go where the pixels go, by OpenCV's and SciPy's account."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from augmill.transforms.motion import (
    BEYOND,
    Motion,
    about_centre,
    on_pixel_indices,
    rotation,
    scaling,
    still,
    translation,
)
from augmill.transforms.objects import HIDDEN, OCCLUDED, VISIBLE, Objects
from augmill.transforms.polygon import polygon_area

SHAPE = (40, 60)
# What SciPy calls the ways to go on beyond the edges.
IN_SCIPY = {"constant": "grid-constant", "nearest": "nearest", "reflect": "reflect", "wrap": "grid-wrap"}
TURNED = about_centre(rotation(0.37), SHAPE) @ scaling(1.13, 0.91)
FAR = translation(97.3, -71.7) @ rotation(0.61)  # three images away
TILTED = np.array([[0.9, 0.1, 4.0], [0.05, 1.1, -3.0], [0.004, -0.002, 1.0]])


def ids(shape: tuple[int, int] = SHAPE, dtype: str = "uint8") -> np.ndarray:
    """A mask in which most pixels have an id of their own."""
    return np.random.default_rng(3).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def wave(strength: float, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """A field that shifts by up to `strength` pixels, to and fro over the image."""
    ys, xs = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    return np.stack([xs + strength * np.sin(ys / 7), ys + strength * np.cos(xs / 9)], axis=-1)


def one_object(outline: np.ndarray, keypoints: np.ndarray | None = None, **changes: object) -> Objects:
    return Objects((np.asarray(outline, float),), np.array([7]), np.ones(1), np.arange(1), keypoints, **changes)  # type: ignore[arg-type]


BOX = np.array([[10.0, 5], [30, 5], [30, 25], [10, 25]])


class TestMatrices:
    def test_a_matrix_takes_a_point_of_the_source_to_its_place(self) -> None:
        assert Motion(SHAPE, translation(3, -2)).move_points(np.array([[1.0, 5]])).tolist() == [[4, 3]]
        assert Motion(SHAPE, scaling(2, 0.5)).move_points(np.array([[1.0, 5]])).tolist() == [[2, 2.5]]
        assert still((*SHAPE, 3)).move_points(np.array([[1.0, 5]])).tolist() == [[1, 5]]

    def test_a_turn_is_counter_clockwise_to_the_viewer(self) -> None:
        right_of_the_centre = np.array([[50.0, 20]])
        above = Motion(SHAPE, about_centre(rotation(np.pi / 2), SHAPE)).move_points(right_of_the_centre)
        assert above[0] == pytest.approx([30, 0])

    def test_a_pixels_centre_is_half_a_pixel_from_its_index(self) -> None:
        doubled = on_pixel_indices(scaling(2, 2))
        assert Motion(SHAPE, doubled).move_points(np.array([[3.5, 4.5]])).tolist() == [[6.5, 8.5]]

    def test_a_homography_is_opencvs(self) -> None:
        points = np.random.default_rng(0).uniform(0, 40, (50, 2))
        expected = cv2.perspectiveTransform(points[:, None], TILTED)[:, 0]
        assert np.allclose(Motion(SHAPE, TILTED).move_points(points), expected)

    @pytest.mark.parametrize("matrix", [TURNED, FAR, TILTED, translation(3, 4)])
    def test_the_centre_of_a_pixel_shows_the_point_that_moves_there(self, matrix: np.ndarray) -> None:
        motion = Motion(SHAPE, matrix)
        places = motion.move_points(motion.sources().reshape(-1, 2)).reshape(*SHAPE, 2)
        assert np.allclose(places, np.stack(np.meshgrid(np.arange(60) + 0.5, np.arange(40) + 0.5), axis=-1))

    @given(st.floats(-3, 3), st.floats(-50, 50), st.floats(0.2, 4))
    @settings(max_examples=30, deadline=None)
    def test_a_turn_and_its_inverse_leave_points_alone(self, angle: float, shift: float, scale: float) -> None:
        there = translation(shift, -shift) @ rotation(angle) @ scaling(scale, scale)
        points = BOX + shift
        moved = Motion(SHAPE, there).move_points(points)
        assert np.allclose(Motion(SHAPE, np.linalg.inv(there)).move_points(moved), points, atol=1e-6)


class TestMasks:
    @pytest.mark.parametrize("beyond", BEYOND)
    @pytest.mark.parametrize("matrix", [TURNED, FAR])
    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32"])
    def test_ids_are_the_nearest_ones_of_scipy(self, beyond: str, matrix: np.ndarray, dtype: str) -> None:
        mask = ids(dtype=dtype)
        back = np.linalg.inv(translation(-0.5, -0.5) @ matrix @ translation(0.5, 0.5))[:2]
        # SciPy has (row, column).
        linear, offset = back[::-1, 1::-1], back[::-1, 2]
        expected = ndimage.affine_transform(mask, linear, offset, order=0, mode=IN_SCIPY[beyond], cval=9)
        moved = Motion(SHAPE, matrix, beyond=beyond).move_mask(mask, 9)
        assert moved.dtype == mask.dtype
        assert (moved == expected).mean() > 0.999  # a place on the line between two pixels is either's

    @pytest.mark.parametrize("matrix", [TURNED, TILTED])
    def test_opencv_shows_the_same_regions(self, matrix: np.ndarray) -> None:
        mask = np.kron(ids((5, 6)), np.ones((8, 10), np.uint8))
        over_indices = translation(-0.5, -0.5) @ matrix @ translation(0.5, 0.5)
        expected = cv2.warpPerspective(mask, over_indices, (60, 40), flags=cv2.INTER_NEAREST)
        assert (Motion(SHAPE, matrix).move_mask(mask) == expected).mean() > 0.99  # OpenCV rounds to 1/32 of a pixel

    def test_exact_matrices_give_exact_masks(self) -> None:
        mask = ids()
        mirror = Motion(SHAPE, about_centre(scaling(-1, 1), SHAPE))
        assert np.array_equal(mirror.move_mask(mask), mask[:, ::-1])
        half_turn = Motion(SHAPE, about_centre(rotation(np.pi), SHAPE))
        assert np.array_equal(half_turn.move_mask(mask), mask[::-1, ::-1])
        quarter = Motion((60, 40), translation(0, 60) @ rotation(np.pi / 2))
        assert np.array_equal(quarter.move_mask(mask), np.rot90(mask))
        window = Motion((10, 20), translation(-7, -4))
        assert np.array_equal(window.move_mask(mask), mask[4:14, 7:27])
        doubled = Motion((80, 120), scaling(2, 2))
        assert np.array_equal(doubled.move_mask(mask), mask.repeat(2, axis=0).repeat(2, axis=1))

    @pytest.mark.parametrize(
        ("beyond", "expected"),
        [
            ("constant", [9, 9, 9, 9, 9, 1, 2, 3, 9, 9, 9, 9, 9]),
            ("nearest", [1, 1, 1, 1, 1, 1, 2, 3, 3, 3, 3, 3, 3]),
            ("reflect", [2, 3, 3, 2, 1, 1, 2, 3, 3, 2, 1, 1, 2]),
            ("wrap", [2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2]),
        ],
    )
    def test_each_way_to_go_on_beyond_the_edges(self, beyond: str, expected: list[int]) -> None:
        row = np.array([[1, 2, 3]])
        assert Motion((1, 13), translation(5, 0), beyond=beyond).move_mask(row, 9).tolist() == [expected]
        assert Motion((13, 1), translation(0, 5), beyond=beyond).move_mask(row.T, 9).T.tolist() == [expected]

    @pytest.mark.parametrize("beyond", BEYOND)
    def test_a_single_pixel_goes_on_for_ever(self, beyond: str) -> None:
        moved = Motion((1, 5), translation(2, 0), beyond=beyond).move_mask(np.array([[4]]), 9)
        assert moved.tolist() == ([[9, 9, 4, 9, 9]] if beyond == "constant" else [[4] * 5])

    def test_a_field_takes_each_id_from_where_it_points(self) -> None:
        field = wave(5.3)
        expected = ndimage.map_coordinates(ids(), [field[..., 1] - 0.5, field[..., 0] - 0.5], order=0, mode="reflect")
        moved = Motion(SHAPE, field=field, beyond="reflect").move_mask(ids())
        assert (moved == expected).mean() > 0.999


class TestPixels:
    @pytest.mark.parametrize("beyond", BEYOND)
    @pytest.mark.parametrize(("interpolation", "order"), [("bilinear", 1), ("nearest", 0)])
    @pytest.mark.parametrize("motion", ["turned", "far", "wave"])
    def test_pixels_are_those_of_scipy(
        self, photo: np.ndarray, beyond: str, interpolation: str, order: int, motion: str
    ) -> None:
        image = photo[:40, :60].astype(np.float32)
        matrices = {"turned": TURNED, "far": FAR}
        moving = Motion(SHAPE, matrices.get(motion), wave(6.1) if motion == "wave" else None, beyond)
        places = np.moveaxis(moving.sources()[..., ::-1] - 0.5, -1, 0)
        moved = moving.move_pixels(image, interpolation=interpolation, fill=33)
        for channel in range(3):
            source = image[..., channel].astype(np.float64)
            expected = ndimage.map_coordinates(source, places, order=order, mode=IN_SCIPY[beyond], cval=33)
            assert np.quantile(np.abs(moved[..., channel] - expected), 0.999) < 1e-3
        assert moved.dtype == np.float32

    @pytest.mark.parametrize("beyond", BEYOND)
    def test_a_mask_is_filled_as_the_image_is(self, beyond: str) -> None:
        mask = ids()
        motion = Motion(SHAPE, FAR, beyond=beyond)
        image = motion.move_pixels(mask[..., None].astype(np.float32), interpolation="nearest", fill=9)
        assert np.array_equal(image[..., 0].astype(np.uint8), motion.move_mask(mask, 9))

    def test_levels_between_two_pixels_are_blends_of_them(self) -> None:
        row = np.array([[[10.0], [20], [40]]], np.float32)
        moved = Motion((1, 3), translation(0.25, 0), beyond="nearest").move_pixels(row)
        assert moved[0, :, 0].tolist() == [10, 17.5, 35]


class TestHorizon:
    # Depth is 1 - x / 40: what is right of x = 40 is behind the viewer.
    behind = np.array([[1.0, 0, 0], [0, 1, 0], [-1 / 40, 0, 1]])

    def test_nothing_is_seen_from_beyond_it(self) -> None:
        motion = Motion((40, 400), self.behind)
        assert (motion.sources()[..., 0] < 40).all()  # x' = x / (1 - x / 40) covers the whole axis from the left
        mirrored = Motion(SHAPE, translation(100, 0) @ self.behind)
        assert np.isnan(mirrored.sources()[:, :59]).all()

    def test_masks_and_images_are_filled_there(self) -> None:
        motion = Motion(SHAPE, translation(100, 0) @ self.behind)
        mask = np.full((40, 500), 3, np.uint8)
        assert set(np.unique(motion.move_mask(mask, 9)[:, :59])) == {9}
        moved = motion.move_pixels(mask[..., None].astype(np.float32), fill=9)
        assert set(np.unique(moved[:, :59])) == {9}

    def test_an_outline_is_cut_at_it(self) -> None:
        across = one_object([[20, 5], [60, 5], [60, 15], [20, 15]])
        moved = Motion((400, 400), self.behind).move_objects(across)
        assert moved.boxes[0, 0] == pytest.approx(40)  # 20 / (1 - 20 / 40), and from there on to the right
        assert moved.boxes[0, 2] == 400
        beyond = one_object([[50, 5], [60, 5], [60, 15], [50, 15]])
        assert len(Motion((400, 400), self.behind).move_objects(beyond)) == 0

    def test_a_keypoint_beyond_it_is_hidden(self) -> None:
        # Without its depth the second would come back at (-100, -25) + (150, 50).
        keypoints = np.array([[[20, 5, VISIBLE], [66.7, 16.7, VISIBLE]]], float)
        moved = Motion((400, 400), translation(150, 50) @ self.behind).move_objects(one_object(BOX, keypoints))
        assert moved.keypoints is not None
        assert moved.keypoints[0, 0] == pytest.approx([190, 60, VISIBLE])
        assert moved.keypoints[0, 1].tolist() == [0, 0, HIDDEN]


class TestOutlines:
    @pytest.mark.parametrize("matrix", [TURNED, TILTED, translation(25.5, -12.25)])
    def test_the_visible_share_is_that_of_the_area(self, matrix: np.ndarray) -> None:
        motion = Motion(SHAPE, matrix)
        moved = motion.move_objects(one_object(BOX))
        whole = polygon_area(motion.move_points(BOX))
        assert moved.visible[0] == pytest.approx(polygon_area(moved.outlines[0]) / whole)
        low, high = moved.boxes[0, :2], moved.boxes[0, 2:]
        assert (low >= 0).all()
        assert (high <= (60, 40)).all()

    def test_shares_multiply(self) -> None:
        half = Motion(SHAPE, translation(-20, 0))
        again = Motion(SHAPE, translation(0, -15))
        moved = again.move_objects(half.move_objects(one_object(BOX)))
        assert moved.visible.tolist() == [0.25]
        assert moved.boxes.tolist() == [[0, 0, 10, 10]]

    def test_what_leaves_the_image_is_left_out_and_the_rest_keeps_its_rows(self) -> None:
        keypoints = np.tile([[5.0, 5, VISIBLE]], (3, 1, 1)) + np.arange(3)[:, None, None] * [20, 0, 0]
        three = Objects.from_boxes(
            np.array([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]]), np.array([4, 5, 6]), keypoints=keypoints
        )
        moved = Motion(SHAPE, translation(-20, 0)).move_objects(three)
        assert moved.labels.tolist() == [5, 6]
        assert moved.numbers.tolist() == [1, 2]
        assert moved.boxes.tolist() == [[0, 0, 10, 10], [20, 0, 30, 10]]
        assert moved.keypoints is not None
        assert moved.keypoints[:, 0, 0].tolist() == [5, 25]

    @pytest.mark.parametrize(("left", "count"), [(1e-6, 1), (1e-8, 0)])
    def test_a_sliver_is_nothing(self, left: float, count: int) -> None:
        assert len(Motion(SHAPE, translation(left - 30, 0)).move_objects(one_object(BOX))) == count
        thin = one_object([[10, 5], [10 + left, 5], [10 + left, 15], [10, 15]])
        assert len(Motion(SHAPE, rotation(0.0)).move_objects(thin)) == count

    def test_there_and_back_an_outline_is_what_it_was(self) -> None:
        turn = about_centre(rotation(0.4), SHAPE)
        inner = one_object([[20, 12], [40, 12], [40, 28], [20, 28]])
        back = Motion(SHAPE, np.linalg.inv(turn)).move_objects(Motion(SHAPE, turn).move_objects(inner))
        assert np.allclose(back.outlines[0], inner.outlines[0])
        assert back.visible.tolist() == [1]

    def test_no_objects_stay_none(self) -> None:
        none = Objects.from_boxes(np.zeros((0, 4)), np.zeros(0), keypoints=np.zeros((0, 2, 3)))
        assert len(Motion(SHAPE, TURNED).move_objects(none)) == 0
        assert len(Motion(SHAPE, field=wave(2)).move_objects(none)) == 0


class TestKeypoints:
    points = np.array([[[5, 6, VISIBLE], [70, 6, VISIBLE], [20, 30, OCCLUDED], [8, 8, HIDDEN]]], float)

    def moved(self, motion: Motion, pairs: tuple[tuple[int, int], ...] = ()) -> np.ndarray:
        everywhere = one_object([[-500, -500], [500, -500], [500, 500], [-500, 500]], self.points, pairs=pairs)
        keypoints = motion.move_objects(everywhere).keypoints
        assert keypoints is not None
        return keypoints[0]

    def test_they_move_with_the_image_and_keep_their_flag(self) -> None:
        moved = self.moved(Motion(SHAPE, translation(3, 2)))
        assert moved.tolist() == [[8, 8, VISIBLE], [0, 0, HIDDEN], [23, 32, OCCLUDED], [0, 0, HIDDEN]]

    @pytest.mark.parametrize("x", [-0.001, 60.0])
    def test_one_that_leaves_the_image_is_hidden(self, x: float) -> None:
        moved = self.moved(Motion(SHAPE, translation(x - 5, 0)))
        assert moved[0].tolist() == [0, 0, HIDDEN]

    @pytest.mark.parametrize(
        ("matrix", "mirrored"),
        [
            (about_centre(scaling(-1, 1), SHAPE), True),
            (about_centre(scaling(1, -1), SHAPE), True),
            (about_centre(scaling(-1, -1), SHAPE), False),
            (about_centre(rotation(2.5), SHAPE), False),
            (np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]]), True),
            (TILTED, False),
            (TILTED @ about_centre(scaling(-1, 1), SHAPE), True),
            # Seen from so near that the upper left 2 x 2 alone has another sign than the whole.
            (np.array([[1.0, 0, 30], [0, 1, 20], [0.05, 0.05, 1]]), True),
        ],
    )
    def test_left_and_right_change_names_in_a_mirror(self, matrix: np.ndarray, mirrored: bool) -> None:
        motion = Motion(SHAPE, matrix)
        corner = motion.move_points(np.array([[20.0, 20], [20.1, 20], [20, 20.1]]))
        assert bool(np.linalg.det(corner[1:] - corner[0]) < 0) is mirrored
        assert motion.mirrors is mirrored
        plain, named = self.moved(motion), self.moved(motion, pairs=((0, 2),))
        assert np.array_equal(named, plain[[2, 1, 0, 3]] if mirrored else plain)


class TestFields:
    @pytest.mark.parametrize("strength", [0.7, 3.0, 5.5])
    def test_points_go_to_where_the_field_shows_them(self, strength: float) -> None:
        field = wave(strength)
        points = np.random.default_rng(1).uniform((12, 12), (48, 28), (200, 2))
        places = Motion(SHAPE, field=field).move_points(points)
        rows, columns = places[:, 1] - 0.5, places[:, 0] - 0.5
        shown = [ndimage.map_coordinates(field[..., axis], [rows, columns], order=1) for axis in (0, 1)]
        assert np.allclose(np.stack(shown, axis=1), points, atol=0.01)

    def test_a_steep_field_is_inverted_too(self) -> None:
        # Neighbours come 1.6 times as far apart: whole steps of a fixed-point search would run to and fro for ever.
        ys, xs = np.mgrid[0:40, 0:60] + 0.5
        field = np.stack([20 + (xs - 20) * 2.6, ys], axis=-1)
        places = Motion(SHAPE, field=field).move_points(np.array([[46.0, 10]]))
        assert places[0] == pytest.approx([30, 10], abs=0.01)

    def test_a_field_moves_as_the_matrix_that_it_is_made_of(self) -> None:
        matrix = Motion(SHAPE, TURNED)
        field = Motion(SHAPE, field=matrix.sources())
        inner = one_object([[20, 12], [40, 12], [40, 28], [20, 28]], np.array([[[30, 20, VISIBLE]]], float))
        by_matrix, by_field = matrix.move_objects(inner), field.move_objects(inner)
        assert np.allclose(by_field.boxes, by_matrix.boxes, atol=1)
        assert by_field.visible == pytest.approx(by_matrix.visible, abs=0.02)
        assert by_matrix.keypoints is not None
        assert by_field.keypoints == pytest.approx(by_matrix.keypoints, abs=0.01)
        assert np.array_equal(field.move_mask(ids()), matrix.move_mask(ids()))

    def test_the_box_holds_every_part_that_a_folded_field_shows(self) -> None:
        ys, xs = np.mgrid[0:40, 0:60] + 0.5
        folded = np.stack([np.abs(xs - 30) + 5, ys], axis=-1)  # columns 0 to 29 show what 30 to 59 do, mirrored
        moved = Motion(SHAPE, field=folded).move_objects(one_object([[10, 5], [15, 5], [15, 25], [10, 25]]))
        assert moved.boxes.tolist() == [[20, 5, 40, 25]]
        assert polygon_area(moved.outlines[0]) == 200
        assert moved.visible.tolist() == [1]

    def test_edges_bend_between_corners(self) -> None:
        ys, xs = np.mgrid[0:40, 0:60] + 0.5
        arch = 10 * np.sin(np.pi * ys / 40)  # what is half way down goes 10 pixels to the left
        moved = Motion(SHAPE, field=np.stack([xs + arch, ys], axis=-1)).move_objects(
            one_object([[5, 0], [15, 0], [15, 40], [5, 40]])
        )
        shift = 10 * np.sin(np.pi * (np.arange(4000) + 0.5) / 4000)
        seen = np.mean((15 - shift).clip(0) - (5 - shift).clip(0)) / 10
        assert seen < 0.8
        assert moved.visible == pytest.approx([seen], abs=0.01)
        assert moved.boxes.tolist() == [[0, 0, 15, 40]]

    def test_an_object_too_small_for_a_pixel_is_not_lost(self) -> None:
        small = one_object([[20.6, 12.6], [20.9, 12.6], [20.9, 12.9], [20.6, 12.9]])
        moved = Motion(SHAPE, field=wave(0.0)).move_objects(small)
        assert moved.boxes[0] == pytest.approx([21.6 - 1, 12.6, 20.9, 12.9], abs=1.01)
        assert moved.visible == pytest.approx([1])

    def test_beyond_its_edges_a_field_goes_on_as_it_ends(self) -> None:
        ys, xs = np.mgrid[0:40, 0:60] + 0.5
        shifted = Motion(SHAPE, field=np.stack([xs + 4, ys - 3], axis=-1))
        assert shifted.move_points(np.array([[2.0, 1], [80, 90]])) == pytest.approx(
            np.array([[-2.0, 4], [76, 93]]), abs=0.01
        )
        half_out = shifted.move_objects(one_object([[0, 10], [8, 10], [8, 20], [0, 20]]))
        assert half_out.visible == pytest.approx([0.5], abs=0.01)
        assert half_out.boxes.tolist() == [[0, 13, 4, 23]]


def test_a_motion_is_a_matrix_or_a_field() -> None:
    for wrong in (lambda: Motion(SHAPE), lambda: Motion(SHAPE, np.eye(3), wave(1))):
        with pytest.raises(AssertionError, match="a matrix or a field"):
            wrong()
    with pytest.raises(AssertionError, match="mirror"):
        Motion(SHAPE, np.eye(3), beyond="mirror")
