"""Camera motion against walks whose every step is known."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from spatial_agent.tools.errors import ScaleError, ToolArgumentError, ToolFailedError
from spatial_agent.tools.experts.camera_motion import camera_motion, motion_between
from spatial_agent.tools.geometry.transforms import mirror
from spatial_agent.tools.scene import CameraIntrinsics, CameraPose, SceneCamera, SceneMap, SceneQuality
from spatial_agent.tools.synthetic import SensorNoise, SyntheticRoom

LENS = CameraIntrinsics(100, 100, 59.5, 39.5, 120, 80)


def pose(x: float, y: float, z: float, yaw_deg: float, pitch_deg: float = 0.0) -> CameraPose:
    """Return a camera looking along its yaw, by Euler angles: OpenCV axes turned to look along +x."""
    level = np.column_stack([(0, -1, 0), (0, 0, -1), (1, 0, 0)])
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("ZY", [yaw_deg, -pitch_deg], degrees=True).as_matrix() @ level
    matrix[:3, 3] = (x, y, z)
    return CameraPose(matrix)


def walk(*poses: CameraPose, **more: object) -> SceneMap:
    cameras = tuple(SceneCamera(index, LENS, each, 0.5 * index) for index, each in enumerate(poses))
    return dataclasses.replace(SceneMap(()), cameras=cameras, **more)  # type: ignore[arg-type]


@given(
    yaw=st.floats(-179, 179),
    turn=st.floats(-179, 179),
    pitch=st.floats(-60, 60),
    steps=st.tuples(*[st.floats(-2, 2)] * 3),
)
def test_steps_and_turns_are_those_that_were_made(
    yaw: float, turn: float, pitch: float, steps: tuple[float, float, float]
) -> None:
    cos, sin = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
    forward, left, up = steps
    first = pose(1, 2, 1.5, yaw, pitch)
    second = pose(1 + forward * cos - left * sin, 2 + forward * sin + left * cos, 1.5 + up, yaw + turn)
    motion = motion_between(first, second)

    np.testing.assert_allclose(motion.moved_m, steps, atol=1e-9)
    assert motion.distance_m == pytest.approx(np.linalg.norm(steps))
    assert motion.turn_deg == pytest.approx(turn, abs=1e-6)
    assert motion.tilt_deg == pytest.approx(-pitch, abs=1e-6)


def test_words_say_the_main_direction_first_and_the_turn() -> None:
    scene = walk(pose(0, 0, 1.5, 0), pose(1.2, -0.3, 1.5, -30))
    found = camera_motion(scene)

    assert found.claim == (
        "From frame 0 to frame 1 the camera moved 1.20 m forward and 0.30 m right, turned right 30°."
    )
    assert found.value == "moved 1.20 m forward and 0.30 m right, turned right 30°"


def test_a_mirror_changes_left_and_right_and_nothing_else() -> None:
    scene = walk(pose(0, 0, 1.5, 10), pose(1.2, 0.7, 1.9, 55, 12))
    plain, mirrored = camera_motion(scene), camera_motion(mirror(scene))

    assert str(plain.value).replace("left", "right") == mirrored.value
    assert "left" in str(plain.value)


def test_a_camera_that_stays_says_so() -> None:
    assert camera_motion(walk(pose(0, 0, 1, 0), pose(0.001, 0, 1, 0.1))).value == "stayed where it was"


def test_looking_straight_down_forward_is_the_top_of_the_picture() -> None:
    motion = motion_between(pose(0, 0, 2, 90, -90), pose(0, 1, 2, 90, -90))
    np.testing.assert_allclose(motion.moved_m, (1, 0, 0), atol=1e-9)


def test_without_gravity_axes_are_the_cameras_own() -> None:
    motion = motion_between(pose(0, 0, 2, 0, -90), pose(0, 0, 1, 0, -90), level=False)
    np.testing.assert_allclose(motion.moved_m, (1, 0, 0), atol=1e-9)


def test_frames_are_found_by_number_from_the_end_and_by_time() -> None:
    scene = walk(*(pose(step, 0, 1, 0) for step in range(5)))

    assert camera_motion(scene, 1, -2, asked="distance").value == pytest.approx(2.0)
    assert camera_motion(scene, start_s=0.4, end_s=1.6, asked="distance").value == pytest.approx(2.0)
    with pytest.raises(ToolArgumentError, match="no frame 9; frames are 0 to 4"):
        camera_motion(scene, 9)
    with pytest.raises(ToolArgumentError, match="not both"):
        camera_motion(scene, 1, start_s=0.5)
    with pytest.raises(ToolFailedError, match="two frames"):
        camera_motion(walk(pose(0, 0, 1, 0)))


def test_distance_needs_metres_and_a_turn_does_not() -> None:
    scene = walk(pose(0, 0, 1, 0), pose(1, 0, 1, 20), scale="relative")

    assert camera_motion(scene, asked="turn").value == pytest.approx(20.0)
    assert camera_motion(scene).value == "moved forward, turned left 20°"
    with pytest.raises(ScaleError):
        camera_motion(scene, asked="distance")


def test_intervals_hold_the_truth_about_nine_times_in_ten_on_drifting_walks() -> None:
    """Drift of the tracking as `SensorNoise` has it; its size as the fusion reports it, 3 to 5 mm."""
    room = SyntheticRoom.example()
    quality = SceneQuality(0.004, 0.004, 0.002, 0.01)
    within = []
    for seed in range(25):
        tracked = walk(*SensorNoise().tracked_poses(room.cameras, seed), quality=quality)
        for start in range(0, 16, 3):
            for end in range(start + 1, 16, 4):
                true = motion_between(room.cameras[start], room.cameras[end])
                far = camera_motion(tracked, start, end, asked="distance")
                turn = camera_motion(tracked, start, end, asked="turn")
                assert far.low is not None
                assert far.high is not None
                assert turn.low is not None
                assert turn.high is not None
                within.append(
                    (far.low <= true.distance_m <= far.high, turn.low <= true.turn_deg <= turn.high)
                )
    distance, turned = np.mean(within, axis=0)

    assert len(within) > 300
    assert distance > 0.85
    assert turned > 0.85
