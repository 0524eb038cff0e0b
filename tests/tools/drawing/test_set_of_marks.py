"""Marks are where pinhole geometry by hand puts them, and mean the same object in every picture."""

import dataclasses

import numpy as np
import pytest

from spatial_agent.tools.drawing.canvas import MEASURED, PALETTE, Canvas
from spatial_agent.tools.drawing.set_of_marks import (
    PictureView,
    draw_evidence,
    draw_objects,
    draw_plate,
    mark_name,
    mark_number,
)
from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.scene import CameraIntrinsics, CameraPose, OrientedBox, SceneMap, SceneObject

#: At (0, -6, 1), looking north: x of the scene to the right, z up.
NORTH = CameraPose(np.array([[1.0, 0, 0, 0], [0, 0, 1, -6], [0, -1, 0, 1], [0, 0, 0, 1]]))
LENS = CameraIntrinsics(300, 300, 159.5, 119.5, 320, 240)


def box_at(name: str, x: float, y: float) -> SceneObject:
    return SceneObject(name, name, OrientedBox.upright(np.array([x, y, 1.0]), np.array([0.6, 0.6, 0.6])))


SCENE = SceneMap((box_at("west", -1.5, 0), box_at("east", 1.5, 0), box_at("far", 0, 3)))


def view() -> PictureView:
    return PictureView(LENS, NORTH)


def coloured(canvas: Canvas, colour: tuple[int, int, int]) -> np.ndarray:
    return np.argwhere((np.asarray(canvas.image) == colour).all(axis=2))


def test_numbers_are_positions_in_the_scene_whatever_is_marked() -> None:
    assert [mark_number(SCENE, name) for name in ("west", "east", "far")] == [0, 1, 2]
    assert mark_name(SCENE, "far") == "2 far"
    with pytest.raises(InvalidValueError, match="no object 'north'"):
        mark_number(SCENE, "north")


def test_one_object_alone_has_the_colour_that_it_has_among_all() -> None:
    alone, among = Canvas.blank(320, 240), Canvas.blank(320, 240)
    draw_objects(alone, SCENE, view(), ["far"])
    draw_objects(among, SCENE, view())

    assert len(coloured(alone, PALETTE[2])) > 50
    assert len(coloured(among, PALETTE[2])) > 50
    assert not len(coloured(alone, PALETTE[0]))


@pytest.mark.parametrize("zoom", [4, 5])
def test_an_outline_spans_the_projection_of_its_box_in_a_picture_of_any_size(zoom: int) -> None:
    """`east` is 5.7 to 6.3 m ahead, 1.2 to 1.8 m to the right, and 0.3 m up and down."""
    canvas = Canvas.blank(320 * zoom, 240 * zoom)
    draw_objects(canvas, SCENE, PictureView(LENS.resized(320 * zoom, 240 * zoom), NORTH), ["east"])
    rows, columns = coloured(canvas, PALETTE[1]).T

    # From the left edge of the first pixel, the middle of the picture is at 160 of its own pixels.
    assert (columns.max() + 0.5) / zoom == pytest.approx(160 + 300 * 1.8 / 5.7, abs=0.5)
    assert (columns.min() + 0.5) / zoom == pytest.approx(160 + 300 * 1.2 / 6.3, abs=0.5)
    assert (rows.min() + 0.5) / zoom == pytest.approx(120 - 300 * 0.3 / 5.7, abs=0.5)
    assert (rows.max() + 0.5) / zoom == pytest.approx(120 + 300 * 0.3 / 5.7, abs=0.5)


def test_depth_tells_what_is_hidden() -> None:
    """Everything at 4 m hides what is 6 m away; everything at 20 m hides nothing."""
    hidden, seen, outside = (Canvas.blank(1280, 960) for _ in range(3))
    near, far = (
        PictureView(LENS.resized(1280, 960), NORTH, np.full((240, 320), depth_m)) for depth_m in (4.0, 20.0)
    )

    assert draw_objects(hidden, SCENE, near, ["east"]) == {"east": "hidden"}
    assert draw_objects(seen, SCENE, far, ["east"]) == {"east": "seen"}
    # Dashes leave out about half of every line.
    assert len(coloured(hidden, PALETTE[1])) < 0.75 * len(coloured(seen, PALETTE[1]))
    beyond = dataclasses.replace(SCENE, objects=(box_at("beyond", 30, 0), box_at("back", 0, -9)))
    assert set(draw_objects(outside, beyond, view()).values()) == {"outside"}
    assert not (np.asarray(outside.image) != np.asarray(Canvas.blank(1280, 960).image)).any()


def test_depth_maps_of_another_size_are_looked_up_at_the_right_place() -> None:
    """The left half of a small depth map is near: only what stands there is hidden."""
    small = np.full((24, 32), 20.0)
    small[:, :16] = 2.0
    shown = draw_objects(Canvas.blank(320, 240), SCENE, PictureView(LENS, NORTH, small), ["west", "east"])

    assert shown == {"west": "hidden", "east": "seen"}


def test_a_line_that_passes_the_camera_is_drawn_where_it_is_in_front() -> None:
    """From 3 m behind the camera to 3 m ahead of it, always 1 m to the left: it leaves at the left border."""
    canvas = Canvas.blank(320, 240)
    mark = {"kind": "segment", "from_m": [-1, -9, 0.5], "to_m": [-1, -3, 0.5], "label": ""}

    assert draw_evidence(canvas, view(), [mark]) == 1
    rows, columns = coloured(canvas, MEASURED).T
    assert columns.min() == 0
    assert columns.max() == pytest.approx(159.5 - 300 * 1 / 3, abs=3)
    assert rows[columns == columns.max()].mean() == pytest.approx(119.5 + 300 * 0.5 / 3, abs=3)


@pytest.mark.parametrize(
    "mark",
    [
        {"kind": "segment", "from_m": [-1, -9, 1], "to_m": [1, -7, 1], "label": "behind"},
        {"kind": "segment", "from_m": [40, 0, 1], "to_m": [50, 0, 1], "label": "aside"},
        {"kind": "point", "at_m": [0, -9, 1], "label": "behind"},
        {"kind": "path", "points_m": [[40, 0], [50, 0]], "towards_m": [0, 0], "label": "aside"},
        {"kind": "compass", "at_m": [0, 0, 1]},
    ],
)
def test_what_is_not_in_the_picture_is_not_drawn_nor_counted(mark: dict[str, object]) -> None:
    canvas = Canvas.blank(320, 240)

    assert draw_evidence(canvas, view(), [mark]) == 0
    assert not len(coloured(canvas, MEASURED))


def test_observers_paths_and_outlines_are_drawn() -> None:
    """Plans have no height: they lie on the floor, 1 m below the camera."""
    marks: list[dict[str, object]] = [
        {
            "kind": "observer",
            "at_m": [0, 0, 1],
            "towards_m": [1, 1, 1],
            "target_m": [-1, 1, 1],
            "label": "left",
        },
        {"kind": "path", "points_m": [[-1, 0], [1, 0]], "towards_m": [0, 0], "label": ""},
        {"kind": "polygon", "points_m": [[-1, -1], [1, -1], [1, 1], [-1, 1]], "label": "4 m²"},
    ]
    for mark in marks:
        canvas = Canvas.blank(320, 240)
        assert draw_evidence(canvas, view(), [mark]) == 1
        assert len(coloured(canvas, MEASURED)) > 60
    # The near side of the outline is 5 m ahead.
    assert coloured(canvas, MEASURED)[:, 0].max() == pytest.approx(119.5 + 300 * 1 / 5, abs=2)


def test_plates_cover_neither_each_other_nor_the_border() -> None:
    canvas = Canvas.blank(320, 240)
    for number in range(6):
        draw_plate(canvas, (316.0, 4.0), f"{number} chair-{number}", PALETTE[number])
    plates = canvas.taken

    assert len(plates) == 6
    for index, (left, top, right, bottom) in enumerate(plates):
        assert 0 <= left < right < 320
        assert 0 <= top < bottom < 240
        assert not any(left < o[2] and o[0] < right and top < o[3] and o[1] < bottom for o in plates[:index])
