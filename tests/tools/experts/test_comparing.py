"""Frames next to each other: every pixel and every mark in the panel and at the place where it belongs."""

import dataclasses

import numpy as np
import pytest

from spatial_agent.tools.conformance import check_expert, failures
from spatial_agent.tools.drawing.canvas import PALETTE
from spatial_agent.tools.errors import ToolArgumentError, ToolFailedError
from spatial_agent.tools.experts.comparing import GAP_PX, side_by_side
from spatial_agent.tools.scene import Frame, FrameHeader
from spatial_agent.tools.synthetic import SyntheticRoom

RED = [255, 0, 0]
ROOM = SyntheticRoom.example()


def plain(index: int, grey: int, width: int = 200, height: int = 100) -> Frame:
    return Frame(FrameHeader(index, f"{index:06d}"), np.full((height, width, 3), grey, np.uint8))


def test_frames_stand_in_order_with_white_between() -> None:
    picture = side_by_side((plain(4, 40), plain(2, 120), plain(9, 200, 100)), 100)
    starts = [0, 200 + GAP_PX, 400 + 2 * GAP_PX]

    assert picture.rgb.shape == (100, 500 + 2 * GAP_PX, 3)
    # The names stand in the upper left corners.
    for start, width, grey in zip(starts, (200, 200, 100), (40, 120, 200), strict=True):
        assert (picture.rgb[30:, start : start + width] == grey).all()
    assert (picture.rgb[:, 200:208] > 245).all()
    assert picture.caption == (
        "Left to right: A = frame 000004; B = frame 000002; C = frame 000009. Scaled 1 times."
    )


def test_marks_are_scaled_with_their_frame() -> None:
    """Pixel (150, 80) of a frame shown at half its size is at (75, 40) of its panel."""
    mark = {"kind": "point", "at_px": [150.5, 80.5], "colour": RED}
    picture = side_by_side((plain(0, 0, 400, 200), plain(1, 0, 400, 200)), 100, [[], [mark]])
    rows, columns = np.nonzero((picture.rgb == RED).all(axis=2))

    assert columns.mean() == pytest.approx(200 + GAP_PX + 75, abs=0.6)
    assert rows.mean() == pytest.approx(40, abs=0.6)
    assert picture.caption.endswith("Scaled 0.5 times.")


def test_objects_are_marked_alike_in_all_frames_that_show_them() -> None:
    """Frames of a walk round the room: the sixteenth faces the sofa, the tenth the tv."""
    scene, film = ROOM.scene_map(), ROOM.frames()
    frames = (film.load(9), film.load(15))
    picture = side_by_side(frames, 240, scene=scene, objects=["tv-1", "sofa-1"])
    left, right = picture.rgb[:, :320], picture.rgb[:, 320 + GAP_PX :]

    def drawn(panel: np.ndarray, number: int) -> bool:
        return bool((panel == PALETTE[number]).all(axis=2).any())

    assert [drawn(left, 4), drawn(left, 3)] == [True, False]
    assert [drawn(right, 4), drawn(right, 3)] == [False, True]
    assert "A = frame 000009 showing 4 tv-1; B = frame 000015 showing 3 sofa-1." in picture.caption


def test_many_wide_frames_are_shown_smaller() -> None:
    picture = side_by_side(tuple(plain(index, 90, 1200, 300) for index in range(6)), 300)

    assert picture.rgb.shape[1] <= 4096
    assert picture.rgb.shape[0] == 169


def test_what_cannot_be_compared_is_named() -> None:
    pair = (plain(0, 0), plain(1, 0))
    with pytest.raises(ToolArgumentError, match="expected 2 to 6 frames, got 1"):
        side_by_side(pair[:1])
    with pytest.raises(ToolArgumentError, match="one list for each of the 2 frames, got 1"):
        side_by_side(pair, marks=[[]])
    with pytest.raises(ToolArgumentError, match="marks.0: expected a kind of box"):
        side_by_side(pair, marks=[[], [{"kind": "cross"}]])
    with pytest.raises(ToolArgumentError, match="64 to 4096 pixels, got 3"):
        side_by_side(pair, 3)
    with pytest.raises(ToolArgumentError, match="give the scene"):
        side_by_side(pair, objects=["sofa-1"])
    with pytest.raises(ToolArgumentError, match="no object sofa-9; ids are table-1"):
        side_by_side(pair, scene=ROOM.scene_map(), objects=["sofa-9"])
    with pytest.raises(ToolFailedError, match="does not know where it was taken from"):
        side_by_side((plain(0, 0), plain(99, 0)), scene=ROOM.scene_map(), objects=["sofa-1"])
    with pytest.raises(ToolFailedError, match="no picture"):
        side_by_side((plain(0, 0), Frame(FrameHeader(1, "b"))))


def test_it_does_what_every_expert_must() -> None:
    room = dataclasses.replace(ROOM, cameras=ROOM.cameras[:3])

    assert failures(check_expert(side_by_side, room=room)) == {}
