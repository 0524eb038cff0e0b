"""Visible shares against ray casting with and without the other things, from frames and from anywhere."""

import dataclasses

import numpy as np
import pytest

from spatial_agent.tools.errors import ToolArgumentError, ToolFailedError
from spatial_agent.tools.experts.occlusion import occlusion
from spatial_agent.tools.scene import CameraIntrinsics, CameraPose, SceneMap
from spatial_agent.tools.synthetic import SyntheticObject, SyntheticRoom, raycast
from spatial_agent.tools.synthetic.layout import look_at
from spatial_agent.tools.synthetic.perfect_scan import perfect_scan

WIDE = CameraIntrinsics(80.0, 80.0, 79.5, 79.5, 160, 160)
PLACE = SyntheticObject.placed
#: From (0.5, 2, 1), a cabinet at x = 2 hides the lower part of a refrigerator at x = 4; a lamp is beside.
ROOM = SyntheticRoom(
    5.0,
    4.0,
    2.6,
    (
        PLACE("refrigerator", (4.2, 2.0), np.pi),
        PLACE("cabinet", (2.0, 2.0), np.pi),
        PLACE("lamp", (3.0, 0.5)),
    ),
)
EYE = [0.5, 2.0, 1.0]


@pytest.fixture(scope="module")
def scene() -> SceneMap:
    return perfect_scan(ROOM)


def true_share(room: SyntheticRoom, number: int, pose: CameraPose, lens: CameraIntrinsics = WIDE) -> float:
    """Return which share of what an object alone would cover it covers among the others."""
    wide = look_at(pose.position_m, room.objects[number].box.centre_m)
    alone = raycast.render(room.shell, (room.objects[number],), WIDE, wide).ids > 0
    pose = wide if lens is WIDE else pose
    seen = raycast.render(room.shell, room.objects, lens, pose).ids == number + 1
    # Pixels of different cameras are compared by the solid angle they cover.
    return float((solid_angles(lens) * seen).sum() / (solid_angles(WIDE) * alone).sum())


def solid_angles(lens: CameraIntrinsics) -> np.ndarray:
    rows, columns = np.indices((lens.height, lens.width))
    off = ((columns - lens.cx) / lens.fx) ** 2 + ((rows - lens.cy) / lens.fy) ** 2
    return np.asarray((1 + off) ** -1.5 / (lens.fx * lens.fy))


def test_what_stands_in_front_hides_as_much_as_it_does(scene: SceneMap) -> None:
    truth = true_share(ROOM, 0, look_at(np.array(EYE), ROOM.objects[0].box.centre_m))
    found = occlusion(scene, "refrigerator", position_m=EYE)

    assert 0.3 < truth < 0.7
    assert found.value == pytest.approx(truth, abs=0.05)
    assert found.unit == "share"
    assert found.low is not None
    assert found.high is not None
    assert found.low <= truth <= found.high
    assert "hidden by the cabinet" in found.claim
    hiding = occlusion(scene, "refrigerator", position_m=EYE, asked="hidden_by")
    assert (hiding.value, hiding.unit) == (["cabinet-1"], None)


def test_what_is_behind_is_named_and_what_is_beside_is_not(scene: SceneMap) -> None:
    behind = occlusion(scene, "cabinet", position_m=EYE, asked="behind")

    assert behind.value == ["refrigerator-1"]
    assert occlusion(scene, "cabinet", position_m=EYE).value == pytest.approx(1.0, abs=0.03)
    assert occlusion(scene, "lamp", position_m=EYE, asked="hidden_by").value == []


def test_a_wall_without_a_name_hides_too(scene: SceneMap) -> None:
    """From outside the room, all that is seen is the wall."""
    found = occlusion(scene, "lamp", position_m=[7.0, 0.5, 1.0])

    assert found.value == pytest.approx(0.0, abs=0.05)
    assert "something unnamed" in found.claim


def test_what_is_out_of_the_picture_is_said_apart() -> None:
    """The camera looks left of the refrigerator, so that its picture ends in the middle of it."""
    lens = CameraIntrinsics(80.0, 80.0, 59.5, 39.5, 120, 80)
    ahead = look_at(np.array([1.0, 0.5, 1.3]), np.array([2.41, 3.15, 1.0]))
    room = dataclasses.replace(ROOM, cameras=(ahead, *ROOM.cameras), intrinsics=lens)
    scene = perfect_scan(dataclasses.replace(room, objects=ROOM.objects[:1]))
    truth = true_share(dataclasses.replace(room, objects=ROOM.objects[:1]), 0, ahead, lens)
    found = occlusion(scene, "refrigerator", frame=0)

    assert 0.1 < truth < 0.9
    assert found.value == pytest.approx(truth, abs=0.08)
    assert found.details["out_of_view"] == pytest.approx(1 - truth, abs=0.08)
    assert "out of the picture" in found.claim


def test_boxes_alone_give_a_weak_answer() -> None:
    found = occlusion(ROOM.scene_map(), "refrigerator", position_m=EYE)
    truth = true_share(ROOM, 0, look_at(np.array(EYE), ROOM.objects[0].box.centre_m))

    assert found.quality == "weak"
    assert found.value == pytest.approx(truth, abs=0.06)


def test_impossible_viewpoints_are_named(scene: SceneMap) -> None:
    with pytest.raises(ToolArgumentError, match="either a frame or position_m"):
        occlusion(scene, "lamp")
    with pytest.raises(ToolArgumentError, match="no frame 99; frames are 0 to 15"):
        occlusion(scene, "lamp", frame=99)
    with pytest.raises(ToolArgumentError, match="x, y, z"):
        occlusion(scene, "lamp", position_m=[1.0, 2.0])
    with pytest.raises(ToolFailedError, match="inside the object"):
        occlusion(scene, "refrigerator", position_m=[4.2, 2.0, 0.9])


@pytest.mark.slow
def test_nine_shares_in_ten_are_within_their_margin_in_random_rooms() -> None:
    within, errors = [], []
    for seed in range(100, 106):
        room = SyntheticRoom.random(seed)
        scene, rng = perfect_scan(room), np.random.default_rng(seed)
        eye_m = rng.uniform((0.3, 0.3, 0.9), (room.width_m - 0.3, room.depth_m - 0.3, 1.8))
        if any(item.box.contains(eye_m[None], 0.3)[0] for item in room.objects):
            continue
        for number, item in enumerate(scene.objects):
            if item.surface is None:
                continue
            truth = true_share(room, number, look_at(eye_m, item.box.centre_m))
            found = occlusion(scene, item.id, position_m=eye_m.tolist())
            errors.append(abs(found.value - truth))
            within.append(errors[-1] <= found.details["margin"])

    assert len(within) >= 30
    assert np.mean(within) >= 0.85
    assert np.median(errors) < 0.03
