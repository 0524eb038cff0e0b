"""Two frames agree on what a noisy sensor saw, and show a wrong pose and a wrong depth of either."""

from dataclasses import replace

import numpy as np
import pytest

from spatial_agent.tools.contract import Finding
from spatial_agent.tools.errors import ScaleError, ToolArgumentError, ToolFailedError
from spatial_agent.tools.experts.two_frames import Measure, two_frames
from spatial_agent.tools.geometry.transforms import rigid, yaw_rotation
from spatial_agent.tools.scene import FrameSet
from tests.agent.routes.filming import ROOM, filmed, scene, with_wrong_depth, with_wrong_pose

#: Frames that show the sofa, the table and the bookshelf.
SOFA, TABLE, SHELF = (7, 1), (3, 5), (0, 6)
PLACES = {label: number for number, label in reversed(list(enumerate(ROOM.ids)))}


def compared(
    frames: FrameSet, numbers: tuple[int, ...], of: str, to: str | None = None, measure: Measure = "distance"
) -> Finding:
    return two_frames(scene(), tuple(map(frames.load, numbers)), of, to, measure)


def true_top_m(name: str) -> float:
    box = ROOM.objects[PLACES[name]].box
    return float(box.centre_m[2] + box.extent_m[2] / 2)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("of", "numbers"), [("sofa-1", SOFA), ("table-1", TABLE), ("bookshelf-1", SHELF)])
def test_sound_frames_agree_on_a_height_and_have_the_true_one(
    seed: int, of: str, numbers: tuple[int, int]
) -> None:
    found = compared(filmed(seed), numbers, of, measure="height")

    assert found.details["contradicted"] is None
    assert found.details["noticed_m"] < 0.13
    assert [value - true_top_m(of) for value in found.details["values_m"]] == pytest.approx([0, 0], abs=0.05)
    assert (found.quality, found.unit, found.objects) == ("weak", "m", (of,))


def test_single_frames_have_the_true_distance_and_rise() -> None:
    sofa, table = (ROOM.objects[PLACES[name]].box for name in ("sofa-1", "table-1"))
    frames = filmed()
    distance = compared(frames, SOFA, "sofa-1", to="table-1")
    rise = compared(frames, SOFA, "table-1", to="sofa-1", measure="rise")

    assert distance.low is not None
    assert distance.high is not None
    assert distance.low <= ROOM.distance_m(PLACES["sofa-1"], PLACES["table-1"]) <= distance.high
    assert rise.value == pytest.approx(table.centre_m[2] - sofa.centre_m[2], abs=0.05)
    assert distance.details["contradicted"] is None
    assert rise.details["contradicted"] is None


@pytest.mark.parametrize("numbers", [SOFA, SOFA[::-1]])
def test_a_camera_believed_too_high_shows_by_as_much_as_it_is(numbers: tuple[int, int]) -> None:
    found = compared(with_wrong_pose(filmed(), numbers[0]), numbers, "sofa-1", measure="height")
    wrong_m, right_m = found.details["values_m"]

    assert wrong_m - right_m == pytest.approx(0.15, abs=0.03)
    assert "m apart, which noise explains up to" in found.details["contradicted"]
    assert "sofa" in found.claim


def test_a_camera_believed_aside_shows_though_the_distance_within_its_frame_is_right() -> None:
    shift_m = tuple(0.2 * np.array(scene().cameras[SOFA[0]].pose.forward))
    found = compared(with_wrong_pose(filmed(), SOFA[0], shift_m), SOFA, "sofa-1", to="table-1")

    assert found.details["contradicted"]


@pytest.mark.parametrize("factor", [0.88, 1.12])
def test_depth_too_long_in_one_frame_shows(factor: float) -> None:
    found = compared(with_wrong_depth(filmed(), SOFA[1], factor), SOFA, "sofa-1", to="table-1")

    assert f"frames {SOFA[0]} and {SOFA[1]}" in found.details["contradicted"]


def test_what_is_hidden_is_not_compared() -> None:
    frames = filmed()
    index = SOFA[0]
    blocked = frames.load(index)
    assert blocked.depth is not None
    blocked = replace(blocked, depth=replace(blocked.depth, z_m=np.full_like(blocked.depth.z_m, 0.4)))

    with pytest.raises(ToolFailedError, match="1 of the frames"):
        two_frames(scene(), (blocked, frames.load(SOFA[1])), "sofa-1", measure="height")


def test_it_works_in_whatever_axes_the_recording_has() -> None:
    turned = rigid(yaw_rotation(0.7), np.array([1.0, -2.0, 0.4]))
    frames = ROOM.frames(scan_from_room=turned)
    moved = replace(scene(), scan_from_scene=turned)
    pair = tuple(map(frames.load, SOFA))
    plain = compared(ROOM.frames(), SOFA, "sofa-1", measure="height")

    found = two_frames(moved, pair, "sofa-1", measure="height")

    assert found.value == pytest.approx(plain.value, abs=1e-3)
    assert found.details["contradicted"] is None


def test_it_says_what_it_needs() -> None:
    frames = filmed()
    one = frames.load(SOFA[0])
    with pytest.raises(ToolArgumentError, match="2 to 8 different frames, got 1"):
        two_frames(scene(), (one, one), "sofa-1", measure="height")
    with pytest.raises(ToolArgumentError, match="needs `of` and `to`"):
        compared(frames, SOFA, "sofa-1")
    with pytest.raises(ToolArgumentError, match="both sofa-1"):
        compared(frames, SOFA, "sofa", to="sofa-1")
    with pytest.raises(ToolFailedError, match="only the box"):
        two_frames(ROOM.scene_map(), tuple(map(frames.load, SOFA)), "sofa", measure="height")
    with pytest.raises(ScaleError):
        two_frames(
            replace(scene(), scale="relative"), tuple(map(frames.load, SOFA)), "sofa", measure="height"
        )
