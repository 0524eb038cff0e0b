"""The map of 10 by 10: cells by formula, a mirror that turns columns round and nothing else."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_agent.prompts.cognitive_map import cognitive_map, cognitive_map_picture, grid_of
from spatial_agent.tools.drawing.canvas import PALETTE
from spatial_agent.tools.errors import ViewpointError
from spatial_agent.tools.scene import OrientedBox, SceneMap
from tests.prompts.rooms import NO_UP, RELATIVE, ROOM, mirrored, thing

#: Of the room by hand: its 8 m span 10 cells of 0.8 m from -4.1 m on, see `tests.prompts.rooms`.
CELLS = {
    "sofa-1": (5, 5),
    "door-1": (5, 8),
    "lamp-1": (6, 6),
    "table-1": (3, 2),
    "vase-1": (3, 2),
    "shelf-1": (7, 3),
}


def listed(text: str) -> dict[str, str]:
    """Return the place of each object by its id."""
    rows = [line.split(" | ") for line in text.splitlines() if line.count(" | ") == 2]
    return {name.split('"')[1]: place for _, name, place in rows[1:]}


def test_every_object_is_in_the_cell_that_the_formula_says() -> None:
    assert listed(cognitive_map(ROOM, [])) == {name: str(cell) for name, cell in CELLS.items()}
    for name, cell in CELLS.items():
        x, y = ROOM.object(name).box.centre_m[:2]
        assert cell == (math.floor((x + 4.1) / 0.8), math.floor((y + 4.1) / 0.8))


def test_the_drawn_grid_has_the_same_places_by_the_numbers_of_the_marks() -> None:
    lines = cognitive_map(ROOM, []).splitlines()
    grid = {line[0]: line[2:].split() for line in lines if line[1:2] == ":"}

    assert grid["5"][5] == "0"  # the sofa, first of the scene
    assert grid["8"][5] == "1"
    assert grid["2"][3] == "*"  # table and vase
    assert grid["3"][7] == "5"
    assert sum(cell != "." for row in grid.values() for cell in row) == 5


def test_what_is_asked_about_comes_first_and_may_come_alone() -> None:
    assert list(listed(cognitive_map(ROOM, ["vase-1"])))[0] == "vase-1"
    assert listed(cognitive_map(ROOM, ["vase-1", "lamp-1"], only=True)).keys() == {"vase-1", "lamp-1"}


def test_an_observer_is_on_the_map() -> None:
    text = cognitive_map(ROOM, [], ("sofa-1", "door-1"))

    assert "observer | at (5, 5), looking towards (5, 8)" in text.splitlines()
    assert "with the back to (5, 8)" in cognitive_map(ROOM, [], ("sofa-1", "door-1"), away=True)


def test_a_partly_seen_object_says_so() -> None:
    assert '"shelf-1" (partly seen)' in cognitive_map(ROOM, [])


def test_cells_have_metres_only_where_the_scene_has() -> None:
    assert "A cell is about 0.80 m wide." in cognitive_map(ROOM, [])
    assert " m " not in cognitive_map(RELATIVE, [])
    assert listed(cognitive_map(RELATIVE, [])) == listed(cognitive_map(ROOM, []))


def test_without_up_there_is_no_map_from_above() -> None:
    assert cognitive_map(NO_UP, []) == ""
    assert cognitive_map(dataclasses.replace(ROOM, objects=()), []) == ""
    with pytest.raises(ViewpointError, match="a map from above"):
        cognitive_map_picture(NO_UP)


def test_a_scene_of_one_point_has_a_grid() -> None:
    point = dataclasses.replace(thing("sofa-1", 2, 3), box=OrientedBox.upright(np.ones(3), np.zeros(3)))

    assert listed(cognitive_map(SceneMap((point,)), [])) == {"sofa-1": "(5, 5)"}


PLACES = st.lists(st.tuples(st.integers(-40, 40), st.integers(-40, 40)), min_size=2, max_size=6, unique=True)


@settings(max_examples=40)
@given(PLACES)
def test_a_mirror_turns_columns_round_and_nothing_else(places: list[tuple[int, int]]) -> None:
    things = [thing(f"cup-{n}", x / 8, y / 8, size=0.05) for n, (x, y) in enumerate(places, start=1)]
    scene = SceneMap(tuple(things))
    grid, flipped = grid_of(scene), mirrored(scene)

    assert grid_of(flipped).cell_m == pytest.approx(grid.cell_m)
    for item in scene.objects:
        across = (item.box.centre_m[0] - grid.low_m[0]) / grid.cell_m
        along = (item.box.centre_m[1] - grid.low_m[1]) / grid.cell_m
        if min(abs(across - round(across)), abs(along - round(along))) < 1e-6:
            continue
        column, row = grid.cell(item.box.centre_m)
        assert grid_of(flipped).cell(flipped.object(item.id).box.centre_m) == (9 - column, row)


def test_the_picture_has_each_object_where_the_grid_says() -> None:
    picture = cognitive_map_picture(ROOM, ["lamp-1"], ("sofa-1", "door-1"), size_px=480)
    # Cells are 42.8 pixels wide inside a border of 26; the lamp, 0.4 m wide, has its middle at 6.25, 6.625.
    x, y = 26 + 6.25 * 42.8, 480 - 26 - 6.625 * 42.8
    found = np.argwhere((np.abs(picture.rgb.astype(int) - PALETTE[2]) < 8).all(axis=2))

    assert found.mean(axis=0) == pytest.approx((y, x), abs=3)
    assert "arrow" in picture.caption
    assert "arrow" not in cognitive_map_picture(ROOM).caption
