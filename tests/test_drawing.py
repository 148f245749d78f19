"""Pictures: annotations drawn where they are."""

from __future__ import annotations

import numpy as np

from augmill.pipeline.drawing import CELL, GAP, captions, new_sheet, picture, row_height
from augmill.transforms.base import Sample
from augmill.transforms.objects import Objects
from augmill.transforms.policy import Step

ORANGE, BLUE = (230, 159, 0), (86, 180, 233)


def drawn(sample: Sample) -> np.ndarray:
    return np.asarray(picture(sample))


def test_an_image_is_shown_whole_in_its_proportions(photo: np.ndarray) -> None:
    cell = drawn(Sample(photo[:112]))
    assert cell.shape == (CELL, CELL, 3)
    assert (cell[: CELL // 4] == 0).all() and (cell[-CELL // 4 :] == 0).all()
    assert cell[CELL // 4 : -CELL // 4].std() > 20


def test_a_box_is_drawn_where_the_object_is_in_the_colour_of_its_class() -> None:
    image = np.zeros((80, 80, 3), np.uint8)
    objects = Objects.from_boxes(np.array([[20, 30, 60, 50], [0, 0, 10, 10]]), np.array([0, 1]))
    cell = drawn(Sample(image, objects=objects))
    for colour, box in ((ORANGE, (40, 60, 120, 100)), (BLUE, (0, 0, 20, 20))):
        rows, columns = np.nonzero((cell == colour).all(axis=2))
        found = np.array([columns.min(), rows.min(), columns.max(), rows.max()])
        assert np.abs(found - box).max() <= 2


def test_a_mask_is_laid_over_but_for_id_0(photo: np.ndarray) -> None:
    mask = np.zeros(photo.shape[:2], np.uint8)
    mask[:, 112:] = 2
    plain, cell = drawn(Sample(photo)), drawn(Sample(photo, mask=mask))
    assert np.array_equal(plain[:, : CELL // 2 - 1], cell[:, : CELL // 2 - 1])
    assert (plain[:, CELL // 2 + 1 :] != cell[:, CELL // 2 + 1 :]).any(axis=2).mean() > 0.9


def test_keypoints_are_drawn_unless_hidden() -> None:
    image = np.full((80, 80, 3), 100, np.uint8)
    boxes, points = np.array([[0, 0, 80, 80]]), np.array([[[20.0, 40.0, 2.0], [60.0, 40.0, 0.0]]])
    cell = drawn(Sample(image, objects=Objects.from_boxes(boxes, np.array([0]), keypoints=points)))
    assert (cell[80, 40] == 255).all()
    assert (cell[80, 120] == 100).all()


def test_grey_images_are_shown_grey(photo: np.ndarray) -> None:
    cell = drawn(Sample(photo[..., :1]))
    assert (cell == cell[..., :1]).all() and cell.std() > 20


def test_captions_say_the_first_thing_drawn() -> None:
    steps = [
        Step("0", "tf.image.random_brightness", {"delta": 0.123456}),
        Step("1", "keras.layers.RandomElasticTransform", {"noise_seed": 5, "warp": True}),
        Step("2", "rand_augment", {"ops": [["rotate", 3]]}),
        Step("3", "my_module:shade", {"seed": [1, 2]}),
    ]
    assert captions(steps) == ["brightness delta 0.1235", "ElasticTransform warp", "rand_augment rotate 3", "shade"]


def test_a_sheet_has_room_for_its_cells_and_words() -> None:
    sheet, _ = new_sheet(3, 2, 4)
    assert sheet.size == (3 * (CELL + GAP) + GAP, 2 * row_height(4) + GAP)
