"""What an observer is told: places worked out by hand, and a mirror that flips left and right and no more."""

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_agent.prompts.egocentric import Stand, camera_of, egocentric, observer_at, occupant_of
from spatial_agent.tools.scene import SceneMap
from tests.prompts.rooms import MEASURED, NO_UP, RELATIVE, ROOM, mirrored, thing

SIDES = {"left": "right", "right": "left"}
PLACES = st.tuples(st.floats(-5, 5), st.floats(-5, 5))


def rows(scene: SceneMap, stand: Stand | None, *entities: str, only: bool = False) -> dict[str, str]:
    """Return the row of each object by its id."""
    assert stand is not None
    lines = egocentric(scene, stand, entities, only=only).splitlines()[2:]
    return {line.split('"')[1]: line.partition(" | ")[2] for line in lines}


def test_an_observer_reads_where_things_are() -> None:
    told = rows(ROOM, observer_at(ROOM, "sofa-1", "door-1"))

    assert told["lamp-1"] == "front-right | 36.9° right | 1.20 m forward | 0.90 m right"
    assert told["table-1"] == "back-left | 143.1° left | 2.00 m back | 1.50 m left"
    assert told["door-1"] == "straight ahead | 3.00 m forward"
    assert "sofa-1" not in told


def test_the_heading_says_whose_left_it_is_and_those_asked_about_come_first() -> None:
    stand = observer_at(ROOM, "sofa-1", "door-1")
    assert stand is not None
    text = egocentric(ROOM, stand, ["vase-1"])

    assert 'Standing at "sofa-1", facing "door-1"' in text
    assert text.splitlines()[2].startswith('"vase-1"')
    assert list(rows(ROOM, stand, "vase-1", only=True)) == ["vase-1"]


def test_with_the_back_to_it_everything_is_the_other_way_round() -> None:
    told = rows(ROOM, observer_at(ROOM, "sofa-1", "door-1", away=True))

    assert told["lamp-1"] == "back-left | 143.1° left | 1.20 m back | 0.90 m left"
    assert told["door-1"] == "straight behind | 3.00 m back"


def test_a_camera_has_its_own_left() -> None:
    told = rows(ROOM, camera_of(ROOM, 9))

    # The camera of frame 9 stands at (1, -1) and looks along +y.
    assert told["table-1"] == "back-left | 111.8° left | 1.00 m back | 2.50 m left"
    assert told["sofa-1"] == "front-left | 45.0° left | 1.00 m forward | 1.00 m left"
    assert camera_of(ROOM, 5) is None


def test_an_occupant_s_left_is_the_object_s_own() -> None:
    seat = dataclasses.replace(ROOM.object("sofa-1"), facing=np.array([1.0, 0.0, 0.0]))
    scene = dataclasses.replace(ROOM, objects=(seat, *ROOM.objects[1:]))

    # Facing +x, +y is to the left.
    assert rows(scene, occupant_of(scene, "sofa-1"))["lamp-1"] == (
        "front-left | 53.1° left | 0.90 m forward | 1.20 m left"
    )
    assert occupant_of(ROOM, "sofa-1") is None


def test_what_is_measured_has_a_margin_and_what_is_partly_seen_says_so() -> None:
    text = egocentric(MEASURED, observer_at(MEASURED, "sofa-1", "door-1"), ["shelf-1"], only=True)  # type: ignore[arg-type]
    row = text.splitlines()[2]

    assert row.startswith('"shelf-1" (partly seen) | back-right')
    assert len(re.findall(r"\(± [0-9.]+ ?(?:m|°)\)", row)) == 3


def test_without_metres_there_are_angles_and_no_lengths() -> None:
    text = egocentric(RELATIVE, observer_at(RELATIVE, "sofa-1", "door-1"), [])  # type: ignore[arg-type]

    assert '"lamp-1" | front-right | 36.9° right' in text.splitlines()
    assert not re.search(r"[0-9] m\b", text)


def test_without_up_or_a_direction_to_face_there_is_no_viewpoint() -> None:
    assert observer_at(NO_UP, "sofa-1", "door-1") is None
    assert observer_at(ROOM, "table-1", "vase-1") is None


def test_what_is_right_above_has_no_direction() -> None:
    told = rows(ROOM, observer_at(ROOM, "table-1", "door-1"))

    assert told["vase-1"] == "no direction: right above or below"


def test_far_objects_of_a_crowded_scene_are_counted_instead_of_listed() -> None:
    crowd = tuple(thing(f"cup-{number}", 0.1 * number, 1.0) for number in range(1, 41))
    scene = dataclasses.replace(ROOM, objects=(*ROOM.objects[:2], *crowd))
    text = egocentric(scene, observer_at(scene, "sofa-1", "door-1"), ["cup-40"])  # type: ignore[arg-type]

    # 39 other cups and the door, of which 24 are listed.
    assert text.endswith("(16 objects farther away are not listed)")
    assert text.splitlines()[2].startswith('"cup-40"')


@settings(max_examples=30)
@given(st.lists(PLACES, min_size=1, max_size=4), PLACES)
def test_a_mirror_flips_left_and_right_and_nothing_else(
    places: list[tuple[float, float]], ahead: tuple[float, float]
) -> None:
    if ahead[0] ** 2 + ahead[1] ** 2 < 0.01:
        return
    things = [thing(f"cup-{number}", x, y) for number, (x, y) in enumerate(places, start=1)]
    scene = SceneMap((thing("sofa-1", 0, 0), thing("door-1", *ahead), *things))
    told, flipped = (rows(one, observer_at(one, "sofa-1", "door-1")) for one in (scene, mirrored(scene)))

    for name, row in told.items():
        on_a_border = re.search(r"\| (0\.0|90\.0|180\.0)°|straight ahead|no direction| 0\.00 m", row)
        if not on_a_border:
            assert flipped[name] == re.sub("left|right", lambda side: SIDES[side[0]], row)


@pytest.mark.parametrize("turn", ["left", "right"])
def test_the_example_of_the_manual_holds_on_either_side(turn: str) -> None:
    scene = mirrored(ROOM) if turn == "left" else ROOM
    told = rows(scene, observer_at(scene, "sofa-1", "door-1"))

    assert told["lamp-1"] == f"front-{turn} | 36.9° {turn} | 1.20 m forward | 0.90 m {turn}"
