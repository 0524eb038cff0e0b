"""Which masks remain, whose pixels are whose, and where the boxes of masks lie."""

import numpy as np
import pytest

from spatial_agent.tools.errors import ShapeError
from spatial_agent.tools.experts.masks import mask_boxes, separated, separated_detections
from spatial_agent.tools.scene import Detections

SHAPE = (40, 60)


def box(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[top:bottom, left:right] = True
    return mask


def test_a_thing_found_twice_is_kept_once_with_the_better_score() -> None:
    masks = np.stack([box(0, 0, 20, 30), box(1, 1, 21, 30), box(40, 0, 50, 10)])
    kept = separated(masks, np.array([0.5, 0.7, 0.6]), ["chair", "chair", "chair"])
    assert [mask.score for mask in kept] == [0.7, 0.6]


def test_neighbours_of_one_label_are_both_kept() -> None:
    masks = np.stack([box(0, 0, 20, 30), box(16, 0, 36, 30)])
    assert len(separated(masks, np.array([0.5, 0.7]), ["chair", "chair"])) == 2


def test_a_contested_pixel_goes_to_the_smaller_mask_and_to_nobody_else() -> None:
    table, cup = box(0, 10, 60, 40), box(10, 5, 20, 20)
    kept = {
        mask.label: mask.pixels
        for mask in separated(np.stack([table, cup]), np.array([0.9, 0.4]), ["table", "cup"])
    }
    np.testing.assert_array_equal(kept["cup"], cup)
    np.testing.assert_array_equal(kept["table"], table & ~cup)


def test_the_order_of_detections_does_not_matter() -> None:
    masks = np.stack([box(0, 0, 20, 30), box(2, 2, 20, 30), box(15, 0, 40, 12), box(30, 20, 60, 40)])
    scores, labels = np.array([0.5, 0.5, 0.8, 0.6]), ["chair", "chair", "couch", "bed"]
    first = separated(masks, scores, labels)
    turned = separated(masks[::-1], scores[::-1], labels[::-1])
    assert {(m.label, m.score, m.pixels.tobytes()) for m in first} == {
        (m.label, m.score, m.pixels.tobytes()) for m in turned
    }


def test_empty_masks_and_no_detections_are_nothing() -> None:
    assert separated(np.zeros((1, *SHAPE), bool), np.array([0.9]), ["chair"]) == ()
    assert separated(np.zeros((0, *SHAPE), bool), np.empty(0), []) == ()


def test_detections_keep_the_box_that_belongs_to_each_mask() -> None:
    masks = np.stack([box(0, 0, 20, 30), box(1, 1, 21, 30), box(40, 0, 50, 10)])
    boxes = np.array([[-0.5, -0.5, 19.5, 29.5], [0.5, 0.5, 20.5, 29.5], [39.5, -0.5, 49.5, 9.5]])
    given = Detections(boxes, np.array([0.5, 0.7, 0.6]), ("chair", "chair", "cup"), masks)

    kept = separated_detections(given)

    assert kept.labels == ("chair", "cup")
    np.testing.assert_array_equal(kept.xyxy_px, boxes[[1, 2]])
    np.testing.assert_array_equal(kept.scores, [0.7, 0.6])
    assert kept.masks is not None
    np.testing.assert_array_equal(kept.masks, masks[[1, 2]])


def test_no_detections_keep_the_size_of_their_image() -> None:
    nothing = Detections(np.empty((0, 4)), np.empty(0), (), np.zeros((0, *SHAPE), bool))
    kept = separated_detections(nothing)
    assert len(kept) == 0
    assert kept.masks is not None
    assert kept.masks.shape == (0, *SHAPE)


def test_boxes_without_masks_cannot_be_separated() -> None:
    with pytest.raises(ShapeError, match="segment them first"):
        separated_detections(Detections(np.array([[0.0, 0, 1, 1]]), np.array([0.5]), ("cup",)))


def test_a_mask_that_covers_the_image_has_the_box_of_the_image() -> None:
    np.testing.assert_array_equal(
        mask_boxes(np.stack([np.ones(SHAPE, bool), box(7, 3, 8, 5)])),
        [[-0.5, -0.5, 59.5, 39.5], [6.5, 2.5, 7.5, 4.5]],
    )


def test_an_empty_mask_has_no_box() -> None:
    with pytest.raises(ShapeError, match="at least one pixel"):
        mask_boxes(np.zeros((1, *SHAPE), bool))
