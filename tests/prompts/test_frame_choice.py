"""Chosen frames are those that ray casting says to show what is asked about."""

import dataclasses
import time

import numpy as np
import pytest

from spatial_agent.prompts.frame_choice import choose_frames, shown_share
from spatial_agent.tools.scene import (
    CameraIntrinsics,
    CameraPose,
    OrientedBox,
    Provenance,
    SceneCamera,
    SceneMap,
    SceneObject,
)
from spatial_agent.tools.synthetic import SyntheticRoom, raycast

ROOM = SyntheticRoom.example()
#: An object is well shown where it covers this many of the 4800 pixels that frames are cast with here.
PLENTY_PX = 100


def seen_px(room: SyntheticRoom) -> np.ndarray:
    """Return how many pixels of each frame show each object, by ray casting, shape (frames, objects)."""
    small = room.resized(80, 60)
    views = [raycast.render(small.shell, small.objects, small.intrinsics, pose).ids for pose in small.cameras]
    return np.array([np.bincount(ids.ravel(), minlength=len(room.objects) + 1)[1:] for ids in views])


@pytest.mark.parametrize("seed", [2001, 2002])
def test_chosen_frames_show_what_is_asked_about(seed: int) -> None:
    """The first frame for each object by itself, and five frames for all of them together."""
    room = SyntheticRoom.random(seed)
    scene, pixels = room.scene_map(), seen_px(room)
    enough = np.minimum(0.4 * pixels.max(axis=0), PLENTY_PX)
    all_of_them = [view.index for view in choose_frames(scene, [], 5)]
    first = [choose_frames(scene, [item.id], 1)[0].index for item in scene.objects]

    assert (pixels[first, range(len(first))] >= enough).all()
    assert (pixels[all_of_them].max(axis=0) >= enough).all()


def test_a_further_frame_has_to_add_something() -> None:
    """One frame shows the sofa; a second one is only worth it for something else."""
    scene, pixels = ROOM.scene_map(), seen_px(ROOM)

    assert len(choose_frames(scene, ["sofa-1"], 1)) == 1
    assert len(choose_frames(scene, ["sofa-1"], 5)) <= 2
    both = [view.index for view in choose_frames(scene, ["sofa-1", "tv-1"], 5)]
    assert (pixels[both].max(axis=0)[[3, 4]] > PLENTY_PX).all()


def looking_north(index: int, y: float) -> SceneCamera:
    pose = np.array([[1.0, 0, 0, 0], [0, 0, 1, y], [0, -1, 0, 0.5], [0, 0, 0, 1]])
    return SceneCamera(index, CameraIntrinsics(300, 300, 159.5, 119.5, 320, 240), CameraPose(pose))


def cube(name: str, y: float, edge_m: float) -> SceneObject:
    return SceneObject(name, name, OrientedBox.upright(np.array([0, y, 0.5]), np.full(3, edge_m)))


def test_what_stands_behind_something_larger_is_not_shown() -> None:
    """A cupboard at y = 2 hides the cup at y = 4 from the camera before it, not from the one behind it."""
    cup, cupboard = cube("cup", 4, 0.2), cube("cupboard", 2, 1.0)
    scene = SceneMap((cup, cupboard), cameras=(looking_north(0, 0.0), looking_north(1, 3.0)))

    np.testing.assert_allclose(shown_share(scene, cup) > 0, [False, True])
    alone = dataclasses.replace(scene, objects=(cup,))
    assert (shown_share(alone, cup) > 0).all()


def test_frames_that_saw_an_object_come_before_others() -> None:
    """Nothing but the frame's own record tells that a door was closed between the two."""
    item = cube("cup", 4, 0.5)
    item = dataclasses.replace(item, provenance=Provenance((1,), 500, 90, 0.01, (1.0,) * 6))
    scene = SceneMap((item,), cameras=(looking_north(0, 3.0), looking_north(1, 1.5)))

    assert choose_frames(scene, ["cup"], 1)[0].index == 1


def test_scenes_with_nothing_to_see_give_what_there_is() -> None:
    scene = ROOM.scene_map()

    assert choose_frames(dataclasses.replace(scene, cameras=()), ["sofa-1"], 3) == ()
    assert choose_frames(dataclasses.replace(scene, objects=()), [], 3) == scene.cameras[:1]
    assert choose_frames(scene, ["sofa-1"], 0) == ()


def test_hundreds_of_frames_are_judged_within_a_second() -> None:
    cameras = tuple(
        dataclasses.replace(ROOM.scene_map().cameras[index % 16], index=index) for index in range(400)
    )
    scene = dataclasses.replace(ROOM.scene_map(), cameras=cameras)
    started = time.process_time()
    chosen = choose_frames(scene, ["sofa-1", "tv-1", "table-1"], 4)

    assert time.process_time() - started < 1.0
    assert chosen[0].index < 16
