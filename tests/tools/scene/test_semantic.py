"""A class for every pixel."""

import numpy as np
import pytest

from spatial_agent.tools.errors import ShapeError
from spatial_agent.tools.scene import SemanticMap

LABELS = np.array([[0, 1, 1], [2, 1, 1]], np.uint16)
NAMES = ("wall", "floor", "door", "window")


def test_masks_are_where_the_class_is() -> None:
    shown = SemanticMap(LABELS, NAMES)
    assert shown.mask("floor").tolist() == [[False, True, True], [False, True, True]]
    assert shown.mask("wall", "door").tolist() == [[True, False, False], [True, False, False]]
    assert not shown.mask("sofa", "window").any()


def test_shares_add_up_and_leave_out_what_is_not_there() -> None:
    assert SemanticMap(LABELS, NAMES).shares == pytest.approx({"floor": 4 / 6, "wall": 1 / 6, "door": 1 / 6})


def test_another_number_of_pixels_shows_the_same_view() -> None:
    score = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]], np.float32)
    larger = SemanticMap(LABELS, NAMES, score).resized(4, 9)
    np.testing.assert_array_equal(larger.labels, LABELS.repeat(2, axis=0).repeat(3, axis=1))
    np.testing.assert_array_equal(larger.score, score.repeat(2, axis=0).repeat(3, axis=1))
    np.testing.assert_array_equal(larger.resized(2, 3).labels, LABELS)


def test_it_cannot_be_written_to_and_small_numbers_are_widened() -> None:
    shown = SemanticMap(LABELS.astype(np.uint8), NAMES, np.full((2, 3), 0.5, np.float32))
    assert shown.labels.dtype == np.uint16
    with pytest.raises(ValueError, match="read-only"):
        shown.labels[0, 0] = 1


@pytest.mark.parametrize(
    ("labels", "names", "score", "message"),
    [
        (LABELS, ("wall", "floor"), None, "expected numbers below 2"),
        (LABELS, ("wall", "", "door"), None, "got an empty string"),
        (LABELS[0], NAMES, None, r"expected shape \(H, W\)"),
        (LABELS, NAMES, np.ones((3, 2), np.float32), r"score: expected shape \(2, 3\)"),
        (LABELS, NAMES, np.full((2, 3), 1.5, np.float32), "expected 0 to 1"),
    ],
)
def test_what_cannot_be_is_refused(
    labels: np.ndarray, names: tuple[str, ...], score: np.ndarray | None, message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        SemanticMap(labels, names, score)
