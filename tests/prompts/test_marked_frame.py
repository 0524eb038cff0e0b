"""Marked frames: things are where geometry says, and what is behind the camera is not drawn."""

import dataclasses

import numpy as np

from spatial_agent.prompts.marked_frame import best_camera, draw_marked_frame
from spatial_agent.tools.drawing.canvas import PALETTE
from spatial_agent.tools.scene import (
    CameraIntrinsics,
    CameraPose,
    OrientedBox,
    SceneCamera,
    SceneMap,
    SceneObject,
)


def box_at(name: str, x: float, y: float) -> SceneObject:
    return SceneObject(name, name, OrientedBox.upright(np.array([x, y, 0.5]), np.array([0.5, 0.5, 1.0])))


SCENE = SceneMap((box_at("west", -2, 0), box_at("east", 2, 0), box_at("north", 0, 2), box_at("south", 0, -2)))


def camera(index: int, x: float) -> SceneCamera:
    """Return a camera at (x, -6), 1 m high, looking north."""
    pose = np.array([[1.0, 0, 0, x], [0, 0, 1, -6], [0, -1, 0, 1], [0, 0, 0, 1]])
    return SceneCamera(index, CameraIntrinsics(300, 300, 159.5, 119.5, 320, 240), CameraPose(pose))


def test_an_outline_in_a_frame_surrounds_the_projection_of_its_object() -> None:
    view = camera(0, 0.0)
    picture = draw_marked_frame(SCENE, view, np.zeros((240, 320, 3), np.uint8), ["east"])
    pixels = np.asarray(picture).astype(int)
    found = np.argwhere((np.abs(pixels - PALETTE[1]) < 6).all(axis=2))

    # Its centre is 6 m ahead, 2 m to the right and 0.5 m below the camera.
    assert found[:, 1].min() < 159.5 + 300 * 2 / 6 < found[:, 1].max()
    assert found[:, 0].min() < 119.5 + 300 * 0.5 / 6 < found[:, 0].max()


def test_what_is_behind_the_camera_is_not_drawn() -> None:
    behind = dataclasses.replace(SCENE, objects=(box_at("back", 0, -9),))
    picture = draw_marked_frame(behind, camera(0, 0.0), np.zeros((240, 320, 3), np.uint8), [])

    assert not np.asarray(picture).any()


def test_the_best_camera_shows_what_was_measured() -> None:
    scene = dataclasses.replace(SCENE, cameras=(camera(0, -30.0), camera(1, 0.0), camera(2, 40.0)))
    chosen = best_camera(scene, ["east", "west"])

    assert chosen is not None
    assert chosen.index == 1
