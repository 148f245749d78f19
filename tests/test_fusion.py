"""Kernels in a row: what is joined, what is not, and that joined ones do what single ones do."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from augmill.transforms.base import Sample
from augmill.transforms.copying import Mirror, Window
from augmill.transforms.fusion import Fused, append, run
from augmill.transforms.kernels import AnyKernel, Counts, Hsv, Pixels, Tone, Warp, tone
from augmill.transforms.motion import about_centre, rotation, scaling, translation
from augmill.transforms.window import Frame

SHAPE = (224, 224, 3)
ACROSS, DOWN = Mirror(across=True), Mirror(down=True)
BLUR = Pixels(lambda image: cv2.blur(image, (3, 3)))


def darker(levels: np.ndarray, counts: Counts) -> np.ndarray:
    return levels * np.float32(0.5)


def around_the_mean(levels: np.ndarray, counts: Counts) -> np.ndarray:
    """Half as much contrast: it looks at the whole image."""
    counted = counts()
    mean = (counted * levels).sum(axis=1, keepdims=True) / counted.sum(axis=1, keepdims=True)
    return mean + (levels - mean) / 2


DARKER, FLATTER = tone(darker, whole=False), tone(around_the_mean, whole=False)


def turned(degrees: float, **how: object) -> Warp:
    return Warp(about_centre(rotation(np.radians(degrees)), SHAPE), beyond="reflect", **how)  # type: ignore[arg-type]


def row_of(*kernels: AnyKernel) -> list[Fused]:
    row: list[Fused] = []
    for at, kernel in enumerate(kernels):
        append(row, kernel, str(at), SHAPE)
    return row


def one_by_one(image: np.ndarray, *kernels: AnyKernel) -> np.ndarray:
    for kernel in kernels:
        image = run([Fused(kernel, ("0",))], Sample(image))
    return image


def kinds(row: list[Fused]) -> list[str]:
    return [type(fused.kernel).__name__ for fused in row]


def test_tables_become_one_table_that_rounds_once(photo: np.ndarray) -> None:
    row = row_of(DARKER, FLATTER)
    exact = photo.astype(np.float64) / 2
    exact = exact.mean(axis=(0, 1)) + (exact - exact.mean(axis=(0, 1))) / 2

    assert kinds(row) == ["Tone"] and row[0].places == ("0", "1")
    assert np.abs(run(row, Sample(photo)) - exact).max() <= 0.5 + 1e-3


def test_a_whole_curve_is_given_whole_levels_even_after_one_that_left_fractions(photo: np.ndarray) -> None:
    def doubled(levels: np.ndarray, counts: Counts) -> np.ndarray:
        return levels * 2

    row = row_of(tone(darker, whole=False), tone(doubled, whole=True))

    assert np.array_equal(run(row, Sample(photo)), np.clip(np.rint(photo / 2) * 2, 0, 255))


def test_results_are_saturated_after_each_curve(photo: np.ndarray) -> None:
    def brighter(levels: np.ndarray, counts: Counts) -> np.ndarray:
        return levels + 200

    def back(levels: np.ndarray, counts: Counts) -> np.ndarray:
        return levels - 200

    row = row_of(tone(brighter, whole=True), tone(back, whole=True))

    assert np.array_equal(run(row, Sample(photo)), np.minimum(photo, 55))


def test_motions_become_one_motion(photo: np.ndarray) -> None:
    there, back = turned(20), turned(-20)
    joined, apart = run(row_of(there, back), Sample(photo)), one_by_one(photo, there, back)

    assert kinds(row_of(there, back)) == ["Warp"]
    assert np.abs(joined.astype(int) - photo).max() <= 1  # the image itself, as sharp as it was
    assert np.abs(apart.astype(int) - photo).mean() > 2


def test_mirrors_join_motions_on_both_sides(photo: np.ndarray) -> None:
    for kernels in ((ACROSS, turned(20)), (turned(20), ACROSS), (ACROSS, turned(20), DOWN)):
        row = row_of(*kernels)

        assert kinds(row) == ["Warp"]
        assert np.abs(run(row, Sample(photo)).astype(int) - one_by_one(photo, *kernels)).max() <= 1


def test_two_mirrors_are_one_or_none(photo: np.ndarray) -> None:
    assert row_of(ACROSS, DOWN)[0].kernel == Mirror(across=True, down=True)
    assert run(row_of(ACROSS, ACROSS), Sample(photo)) is photo


def test_work_on_single_pixels_goes_before_a_mirror_that_then_meets_the_motion(photo: np.ndarray) -> None:
    kernels = (DARKER, ACROSS, FLATTER, turned(20))
    row = row_of(*kernels)

    assert kinds(row) == ["Tone", "Warp"]
    assert row[0].places == ("0", "2") and row[1].places == ("1", "3")
    assert np.abs(run(row, Sample(photo)).astype(int) - one_by_one(photo, *kernels)).mean() < 1


@pytest.mark.parametrize(
    "between", [BLUR, Window(Frame(0, 0, 224, 224)), DARKER, Hsv(turn=0.1)], ids=["blur", "window", "table", "hsv"]
)
def test_motions_on_both_sides_of_other_work_stay_apart(between: AnyKernel) -> None:
    assert kinds(row_of(turned(20), between, turned(-20))) == ["Warp", type(between).__name__, "Warp"]


def test_a_constant_fill_stays_where_the_next_motion_shows_it(photo: np.ndarray) -> None:
    constant = {"beyond": "constant", "fill": 9.0}
    away, back = (Warp(translation(x, 0), **constant) for x in (100, -100))  # type: ignore[arg-type]
    closer = Warp(about_centre(scaling(2, 2), SHAPE), **constant)  # type: ignore[arg-type]

    assert kinds(row_of(away, back)) == ["Warp", "Warp"]
    assert (run(row_of(away, back), Sample(photo))[:, 124:] == 9).all()
    assert kinds(row_of(away, closer)) == ["Warp"]
    joined, apart = run(row_of(away, closer), Sample(photo)), one_by_one(photo, away, closer)
    assert np.abs(joined.astype(int) - apart).mean() < 1


def test_motions_that_read_pixels_otherwise_stay_apart() -> None:
    assert kinds(row_of(turned(20), turned(20, interpolation="nearest"))) == ["Warp", "Warp"]


def test_changes_of_hue_and_saturation_become_one(photo: np.ndarray) -> None:
    kernels = (Hsv(turn=0.1), Hsv(factors=(1.5,)), Hsv(turn=0.05, factors=(0.5,)))
    row = row_of(*kernels)

    assert kinds(row) == ["Hsv"]
    assert np.abs(run(row, Sample(photo)).astype(int) - one_by_one(photo, *kernels)).mean() < 2


def test_counts_are_those_of_the_image_that_the_table_meets(photo: np.ndarray) -> None:
    smaller = Window(Frame(0, 0, 100, 100))
    row = row_of(smaller, FLATTER)

    assert np.array_equal(run(row, Sample(photo)), one_by_one(photo[:100, :100], FLATTER))


def test_the_sample_s_own_levels_are_counted_once(photo: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []
    monkeypatch.setattr("augmill.transforms.base.histogram", lambda image: counted.append(1) or np.ones((3, 256)))
    opened = Sample(photo)

    for _ in range(3):
        run(row_of(FLATTER), opened)

    assert len(counted) == 1


def test_the_given_image_is_never_changed(photo: np.ndarray) -> None:
    before = photo.copy()

    run(row_of(ACROSS, DARKER, BLUR, turned(20), Hsv(turn=0.1), Window(Frame(-5, -5, 300, 300))), Sample(photo))

    assert np.array_equal(photo, before)


def test_scaling_and_turning_about_the_centre_is_one_matrix(photo: np.ndarray) -> None:
    smaller = Warp(about_centre(scaling(0.8, 0.8), SHAPE), beyond="reflect")
    row = row_of(turned(90), smaller)

    assert np.allclose(row[0].kernel.matrix, smaller.matrix @ turned(90).matrix)  # type: ignore[union-attr]
    assert isinstance(row[0].kernel, Warp) and not isinstance(row[0].kernel, Tone)


@pytest.mark.parametrize("first", [Frame(-8, -8, 240, 240), Frame(10, 20, 150, 120), Frame(-30, 100, 90, 300)])
@pytest.mark.parametrize("second", [Frame(0, 0, 80, 90), Frame(3, 14, 60, 70), Frame(8, 8, 82, 112)])
@pytest.mark.parametrize("size", [None, (40, 50)])
def test_a_window_on_a_window_is_one_window(
    first: Frame, second: Frame, size: tuple[int, int] | None, photo: np.ndarray
) -> None:
    kernels = (Window(first), Window(second, size))
    row = row_of(*kernels)

    assert kinds(row) == ["Window"] and row[0].places == ("0", "1")
    assert np.array_equal(run(row, Sample(photo)), one_by_one(photo, *kernels))
    apart = kernels[1].motion((first.height, first.width, 3)).matrix @ kernels[0].motion(SHAPE).matrix
    motion = row[0].kernel.motion(SHAPE)
    assert motion is not None and np.array_equal(motion.matrix, apart) and motion.shape == (size or second[2:])


@pytest.mark.parametrize("second", [Frame(-1, 0, 50, 50), Frame(0, 90, 50, 60), Frame(0, 0, 101, 50)])
def test_a_window_that_reaches_beyond_the_one_before_stays_another(second: Frame, photo: np.ndarray) -> None:
    """What the first cuts off must not come back."""
    kernels = (Window(Frame(20, 20, 100, 140)), Window(second))
    row = row_of(*kernels)

    assert kinds(row) == ["Window", "Window"]
    assert np.array_equal(run(row, Sample(photo)), one_by_one(photo, *kernels))


def test_a_window_on_what_was_resized_stays_another(photo: np.ndarray) -> None:
    assert kinds(row_of(Window(Frame(0, 0, 224, 224), (60, 60)), Window(Frame(5, 5, 40, 40)))) == ["Window", "Window"]
    assert kinds(row_of(Window(Frame(9, 9, 60, 60), (60, 60)), Window(Frame(5, 5, 40, 40)))) == ["Window"]
