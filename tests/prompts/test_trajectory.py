"""Camera path and order of first sight, from poses and numbers written down by hand."""

import dataclasses

from spatial_agent.prompts.trajectory import trajectory
from tests.prompts.rooms import MEASURED, RELATIVE, ROOM, camera


def test_the_path_is_told_leg_by_leg() -> None:
    lines = trajectory(ROOM, []).splitlines()

    assert lines[1] == "3 frames with a known camera, frame 0 to frame 9."
    # From (0, -2) to (0, -1), looking along +y, then 1 m to the right.
    assert lines[2] == "From frame 0 to frame 4 the camera moved 1.00 m forward."
    assert lines[3] == "From frame 4 to frame 9 the camera moved 1.00 m right."


def test_objects_come_in_the_order_in_which_they_were_first_seen() -> None:
    lines = trajectory(ROOM, ["lamp-1"]).splitlines()[4:]

    assert lines == [
        '1. "lamp-1", "sofa-1": first seen in frame 0',
        '2. "door-1": first seen in frame 4',
        '3. "table-1", "vase-1": first seen in frame 9',
        'First sight not known: "shelf-1"',
    ]


def test_times_are_told_where_every_object_has_one() -> None:
    when = {"sofa-1": 3.0, "door-1": 0.5, "lamp-1": 1.25}
    objects = tuple(dataclasses.replace(ROOM.object(name), first_seen_s=s) for name, s in when.items())
    timed = dataclasses.replace(ROOM, objects=objects)
    some = dataclasses.replace(ROOM, objects=(*objects, ROOM.object("table-1")))

    assert '1. "door-1": first seen at 0.5 s' in trajectory(timed, []).splitlines()
    assert '1. "sofa-1", "lamp-1": first seen in frame 0' in trajectory(some, []).splitlines()


def test_only_those_asked_about_may_be_told() -> None:
    text = trajectory(ROOM, ["door-1", "sofa-1"], only=True)

    assert text.splitlines()[1:] == [
        '1. "sofa-1": first seen in frame 0',
        '2. "door-1": first seen in frame 4',
    ]


def test_measured_legs_have_margins_and_relative_ones_no_metres() -> None:
    assert "1.00 m forward (± 0.0" in trajectory(MEASURED, [])
    assert "the camera moved forward." in trajectory(RELATIVE, [])
    assert " m " not in trajectory(RELATIVE, [])


def test_a_long_recording_has_a_few_legs() -> None:
    long = dataclasses.replace(ROOM, cameras=tuple(camera(index, 0.1 * index, 0) for index in range(500)))
    legs = [line for line in trajectory(long, []).splitlines() if line.startswith("From frame")]

    assert len(legs) == 6
    assert legs[0].startswith("From frame 0 to frame 83 ")
    assert "to frame 499 " in legs[-1]


def test_with_no_path_and_no_first_sight_there_is_nothing_to_tell() -> None:
    objects = (ROOM.object("shelf-1"),)

    assert trajectory(dataclasses.replace(ROOM, objects=objects, cameras=ROOM.cameras[:1]), []) == ""
