"""Marks, crops and enlargements are where their pixels say, in pictures that are not square."""

import numpy as np
import pytest

from spatial_agent.tools.drawing.canvas import PALETTE
from spatial_agent.tools.errors import ToolArgumentError, ToolFailedError, ViewpointError
from spatial_agent.tools.experts.drawing import crop, draw, top_down, zoom
from spatial_agent.tools.scene import Frame, FrameHeader, SceneMap
from spatial_agent.tools.synthetic import SyntheticRoom

HEADER = FrameHeader(3, "000003")
RED = [255, 0, 0]


def black(width: int = 90, height: int = 60) -> Frame:
    return Frame(HEADER, np.zeros((height, width, 3), np.uint8))


def numbered(width: int = 90, height: int = 60) -> Frame:
    """Return a frame whose red is the column and whose green is the row."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[..., 0], rgb[..., 1] = np.meshgrid(np.arange(width), np.arange(height))
    return Frame(HEADER, rgb)


def red_pixels(rgb: np.ndarray) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the first and last column, and the first and last row, that hold red."""
    rows, columns = np.nonzero((rgb == RED).all(axis=2))
    return (int(columns.min()), int(columns.max())), (int(rows.min()), int(rows.max()))


def test_a_box_is_drawn_inside_its_edges() -> None:
    picture = draw(black(), [{"kind": "box", "xyxy_px": [19.5, 9.5, 70.5, 30.5], "colour": RED}])
    columns, rows = red_pixels(picture.rgb)

    # Lines are two pixels thick, so one may lie a pixel beyond the edge.
    assert columns == pytest.approx((20, 70), abs=1)
    assert rows == pytest.approx((10, 30), abs=1)
    assert not picture.rgb[20, 45].any()


def test_a_point_is_drawn_about_its_pixel() -> None:
    columns, rows = red_pixels(draw(black(), [{"kind": "point", "at_px": [71, 22], "colour": RED}]).rgb)

    assert sum(columns) / 2 == pytest.approx(71, abs=0.5)
    assert sum(rows) / 2 == pytest.approx(22, abs=0.5)


def test_a_polyline_is_closed_only_when_asked() -> None:
    mark = {"kind": "polyline", "points_px": [[10, 10], [80, 10], [80, 50]], "colour": RED}
    opened = draw(black(), [mark]).rgb
    closed = draw(black(), [mark | {"closed": True}]).rgb

    middle = (slice(28, 33), slice(43, 48))
    assert not opened[middle].any()
    assert closed[middle].any()
    assert (opened[10, 12:78] == RED).all()


def test_a_line_runs_from_its_start_to_its_end() -> None:
    columns, rows = red_pixels(
        draw(black(), [{"kind": "line", "points_px": [[12, 40], [75, 40]], "colour": RED}]).rgb
    )

    assert columns == pytest.approx((12, 75), abs=1)
    assert rows == pytest.approx((40, 40), abs=1)


def test_an_arrow_points_at_its_end() -> None:
    """Its head is the widest part, and lies within 14 pixels of the end."""
    rgb = draw(black(), [{"kind": "arrow", "points_px": [[10, 30], [80, 30]], "colour": RED}]).rgb
    widths = (rgb == RED).all(axis=2).sum(axis=0)
    columns, rows = red_pixels(rgb)

    assert columns == pytest.approx((10, 80), abs=1)
    assert sum(rows) / 2 == pytest.approx(30, abs=0.5)
    assert 65 <= int(np.argmax(widths)) <= 72
    assert widths.max() >= 10
    assert widths[15:60].max() <= 4


def test_labels_stand_where_they_are_told_and_in_the_caption() -> None:
    picture = draw(black(200, 100), [{"kind": "label", "at_px": [150, 70], "label": "cup", "colour": RED}])
    columns, rows = red_pixels(picture.rgb)

    assert sum(columns) / 2 == pytest.approx(150, abs=4)
    assert sum(rows) / 2 == pytest.approx(70, abs=4)
    assert picture.caption == "Frame 000003 with 1 mark: cup."


def test_marks_without_a_colour_are_told_apart_and_the_frame_stays_as_it_was() -> None:
    frame = black()
    rgb = draw(frame, [{"kind": "point", "at_px": [20, 20]}, {"kind": "point", "at_px": [60, 20]}]).rgb

    assert tuple(rgb[20, 20]) == PALETTE[0]
    assert tuple(rgb[20, 60]) == PALETTE[1]
    assert frame.rgb is not None
    assert not frame.rgb.any()


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ({"kind": "cross", "at_px": [1, 2]}, "expected a kind of box"),
        ({"kind": "box", "xyxy_px": [1, 2, 3]}, "left, top, right, bottom"),
        ({"kind": "box", "at_px": [1, 2]}, "a box has no at_px"),
        ({"kind": "point", "at_px": [1, float("nan")]}, "expected at_px"),
        ({"kind": "point", "at_px": ["a", "b"]}, "expected at_px"),
        ({"kind": "polyline", "points_px": []}, "a list of x, y"),
        ({"kind": "point", "at_px": [1, 2], "colour": [1, 2, 300]}, "0 to 255"),
        ({"kind": "arrow", "points_px": [[1, 2], [3, 4], [5, 6]]}, "start and end, each x, y"),
        ({"kind": "line", "points_px": [1, 2]}, "start and end, each x, y"),
        ({"kind": "arrow", "points_px": [[1, 2], [3, 4]], "closed": True}, "no closed"),
        ({"kind": "line", "points_px": [[1, 2], [1e300, 4]]}, "start and end"),
    ],
)
def test_a_mark_of_another_form_is_named(mark: dict[str, object], words: str) -> None:
    with pytest.raises(ToolArgumentError, match=f"marks.1: .*{words}"):
        draw(black(), [{"kind": "point", "at_px": [1, 2]}, mark])


def test_objects_are_marked_where_the_recorded_instances_are() -> None:
    """Number 3 of the scene is number 4 of the instance image, which drawing does not look at."""
    room = SyntheticRoom.example()
    frame = room.frames().load(15)
    picture = draw(frame, scene=room.scene_map(), objects=["sofa-1", "tv-1"])
    drawn = np.argwhere((picture.rgb == PALETTE[3]).all(axis=2))
    assert frame.instance_ids is not None
    there = np.argwhere(frame.instance_ids == 4)

    assert picture.caption == "Frame 000015 with 0 marks showing 3 sofa-1."
    # The outline of its box is at least as large as what is seen of it.
    assert (drawn.min(axis=0) <= there.min(axis=0) + 2).all()
    assert (drawn.max(axis=0) >= there.max(axis=0) - 2).all()
    assert (np.abs(np.median(drawn, axis=0) - np.median(there, axis=0)) < 20).all()


def test_objects_need_their_scene_and_a_frame_of_it() -> None:
    scene = SyntheticRoom.example().scene_map()
    with pytest.raises(ToolArgumentError, match="give the scene"):
        draw(black(), objects=["sofa-1"])
    with pytest.raises(ToolArgumentError, match="no object sofa-9; ids are table-1"):
        draw(black(), scene=scene, objects=["sofa-9"])
    with pytest.raises(ToolFailedError, match="does not know where it was taken from"):
        draw(Frame(FrameHeader(99, "99"), black().rgb), scene=scene, objects=["sofa-1"])


def test_a_crop_keeps_the_pixels_whose_centres_are_inside() -> None:
    part = crop(numbered(), [10.5, 20.0, 14.5, 23.4])

    assert part.rgb[0, 0].tolist() == [11, 20, 0]
    assert part.rgb[-1, -1].tolist() == [14, 23, 0]
    assert part.caption == "columns 11 to 14, rows 20 to 23 of frame 000003 (90x60)."


def test_a_crop_of_the_whole_picture_is_the_picture() -> None:
    frame = numbered()
    np.testing.assert_array_equal(crop(frame, [-0.5, -0.5, 89.5, 59.5]).rgb, frame.rgb)
    np.testing.assert_array_equal(crop(frame, [-50, -50, 500, 500]).rgb, frame.rgb)


def test_an_enlargement_keeps_places_to_a_fraction_of_a_pixel() -> None:
    picture = zoom(numbered(), [19.5, 9.5, 39.5, 19.5], 5.0)
    # Pixel i of the result lies at (i + 0.5) / 5 pixels from the left edge of the part.
    across = 19.5 + (np.arange(100) + 0.5) / 5
    down = 9.5 + (np.arange(50) + 0.5) / 5

    assert picture.rgb.shape == (50, 100, 3)
    np.testing.assert_allclose(picture.rgb[20, 5:-5, 0], across[5:-5], atol=0.6)
    np.testing.assert_allclose(picture.rgb[5:-5, 20, 1], down[5:-5], atol=0.6)
    assert abs(float((picture.rgb[20, :, 0] - across)[10:-10].mean())) < 0.1


def test_parts_outside_the_picture_are_refused() -> None:
    with pytest.raises(ToolArgumentError, match="nothing in common with the 90x60 picture"):
        crop(numbered(), [100, 0, 120, 20])
    with pytest.raises(ToolArgumentError, match="no pixel centre"):
        crop(numbered(), [10.1, 10.1, 10.9, 10.9])
    with pytest.raises(ToolArgumentError, match="left, top, right and bottom"):
        zoom(numbered(), [1.0, 2.0, 3.0])
    with pytest.raises(ToolArgumentError, match="expected 1 to 4096 pixels"):
        zoom(numbered(), [0, 0, 80, 50], 100.0)
    with pytest.raises(ToolFailedError, match="no picture"):
        crop(Frame(HEADER), [0, 0, 1, 1])


@pytest.mark.parametrize("factor", [float("nan"), float("inf"), -float("inf"), 1e308, 0.0, -2.0, 1e-9])
def test_an_enlargement_that_cannot_be_is_refused(factor: float) -> None:
    with pytest.raises(ToolArgumentError, match="expected 1 to 4096 pixels"):
        zoom(numbered(), [0, 0, 8, 5], factor)


def test_the_scene_from_above_highlights_what_it_is_told() -> None:
    scene = SyntheticRoom.example().scene_map()
    picture = top_down(scene, ["sofa-1"], 300)
    others = top_down(scene, size_px=300)

    assert picture.rgb.shape == (300, 300, 3)
    # The sofa is at x = 0.6 m of the 5 m wide room, the tv at 4.7 m: only one keeps its colour.
    assert np.ptp(picture.rgb[120, 40].astype(int)) > 20
    assert np.ptp(picture.rgb[130, 262].astype(int)) < 10
    assert np.ptp(others.rgb[130, 262].astype(int)) > 20


def test_the_scene_from_above_refuses_what_it_cannot_draw() -> None:
    scene = SyntheticRoom.example().scene_map()
    with pytest.raises(ToolArgumentError, match="no object sofa-9; ids are bookshelf-1"):
        top_down(scene, ["sofa-9"])
    with pytest.raises(ToolArgumentError, match="64 to 4096"):
        top_down(scene, size_px=3)
    with pytest.raises(ViewpointError):
        top_down(SceneMap(objects=scene.objects, up=None))
