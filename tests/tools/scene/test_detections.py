import numpy as np
import pytest

from spatial_agent.tools.errors import ShapeError
from spatial_agent.tools.scene import Detections, InstanceMask

BOXES = np.array([[0.0, 0.0, 2.0, 1.0], [1.0, 0.0, 4.0, 3.0]])
SCORES = np.array([0.9, 0.4])
LABELS = ("chair", "table")


def test_each_box_with_a_mask_becomes_one_instance() -> None:
    masks = np.zeros((2, 3, 4), bool)
    masks[1, 2, 3] = True
    chair, table = Detections(BOXES, SCORES, LABELS, masks).instance_masks()
    assert (chair.label, chair.score, chair.pixels.sum()) == ("chair", 0.9, 0)
    assert (table.label, table.score, np.argwhere(table.pixels).tolist()) == ("table", 0.4, [[2, 3]])


def test_boxes_without_masks_give_no_instances() -> None:
    detections = Detections(BOXES, SCORES, LABELS)
    assert len(detections) == 2
    assert detections.instance_masks() == ()


def test_an_image_of_nothing_is_allowed() -> None:
    assert len(Detections(np.zeros((0, 4)), np.zeros(0), ())) == 0


@pytest.mark.parametrize(
    ("boxes", "scores", "masks", "message"),
    [
        (BOXES[:1], SCORES, None, r"xyxy_px: expected shape \(2, 4\), got \(1, 4\)"),
        (BOXES, SCORES[:1], None, r"scores: expected shape \(2\), got \(1,\)"),
        (BOXES, SCORES + 1, None, "scores: expected a confidence from 0 to 1, got 1.9"),
        (BOXES, SCORES, np.zeros((1, 3, 4), bool), r"masks: expected shape \(2, H, W\), got \(1, 3, 4\)"),
        (BOXES, SCORES, np.zeros((2, 3, 4)), "masks: expected boolean numbers"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(
    boxes: np.ndarray, scores: np.ndarray, masks: np.ndarray | None, message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        Detections(boxes, scores, LABELS, masks)


@pytest.mark.parametrize(
    ("label", "score", "message"),
    [
        ("", 1.0, "label: expected a class name, got an empty string"),
        ("chair", 1.5, "score: expected a confidence from 0 to 1, got 1.5"),
    ],
)
def test_an_instance_has_a_name_and_a_confidence(label: str, score: float, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        InstanceMask(np.zeros((2, 2), bool), label, score)
