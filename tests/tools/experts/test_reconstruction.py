"""Meshes of ray-cast rooms: on the true surface, coloured, in the scan's own world."""

import dataclasses

import numpy as np
import pytest

from spatial_agent.tools.errors import SourceError, ToolArgumentError
from spatial_agent.tools.experts.reconstruction import mesh
from spatial_agent.tools.scene import TriangleMesh
from spatial_agent.tools.synthetic import SyntheticRoom

ROOM = SyntheticRoom(5.0, 4.0, 2.6, (), SyntheticRoom.example().cameras).resized(320, 240)


@pytest.fixture(scope="module")
def empty_room() -> TriangleMesh:
    return mesh(ROOM.frames(), voxel_m=0.04)


def wall_distance_m(xyz_m: np.ndarray) -> np.ndarray:
    """Return the distance of points to the nearest of the six planes of a 5 x 4 x 2.6 m room."""
    return np.asarray(np.min(np.abs(np.concatenate([xyz_m, xyz_m - (5.0, 4.0, 2.6)], axis=1)), axis=1))


def test_vertices_lie_on_the_walls_and_cover_them(empty_room: TriangleMesh) -> None:
    assert np.quantile(wall_distance_m(empty_room.vertices_m), 0.95) < 0.01
    corners = empty_room.vertices_m[empty_room.faces]
    area_m2 = (
        np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum()
        / 2
    )

    # Floor and walls are 66.8 m2 and the ceiling 20 m2; only what three of the frames saw becomes surface.
    assert 0.6 * 66.8 < area_m2 < 1.02 * (66.8 + 20)


def test_colour_is_that_of_the_frames(empty_room: TriangleMesh) -> None:
    assert empty_room.rgb is not None
    seen = ROOM.frames().load(0).rgb
    assert seen is not None
    np.testing.assert_allclose(empty_room.rgb.mean(axis=0), seen.reshape(-1, 3).mean(axis=0), atol=40)


def test_a_mesh_needs_poses() -> None:
    frames = ROOM.frames()
    headers = tuple(dataclasses.replace(header, pose=None) for header in frames.headers)

    with pytest.raises(SourceError, match="needs frames with depth, poses"):
        mesh(dataclasses.replace(frames, headers=headers))


def test_nothing_within_reach_is_an_error_and_not_an_empty_mesh() -> None:
    with pytest.raises(SourceError, match=r"no surface within 0\.05 m"):
        mesh(ROOM.frames(), max_depth_m=0.05)


def test_the_same_scan_gives_the_same_mesh_to_the_last_bit(empty_room: TriangleMesh) -> None:
    """Open3D's threads give vertices and triangles in another order each time."""
    again = mesh(ROOM.frames(), voxel_m=0.04)

    assert empty_room.rgb is not None
    assert again.rgb is not None
    np.testing.assert_array_equal(again.vertices_m, empty_room.vertices_m)
    np.testing.assert_array_equal(again.faces, empty_room.faces)
    np.testing.assert_array_equal(again.rgb, empty_room.rgb)


def test_triangles_face_the_cameras(empty_room: TriangleMesh) -> None:
    """The middle of the room is in front of every one of its surfaces."""
    corners = empty_room.vertices_m[empty_room.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facing = (normals * ((2.5, 2.0, 1.3) - corners.mean(axis=1))).sum(axis=1) > 0

    assert facing.mean() > 0.99


@pytest.mark.parametrize("length_m", [0.0, -0.02, 5e-324, 1e308, float("nan"), float("inf")])
def test_lengths_that_cannot_be_are_refused(length_m: float) -> None:
    with pytest.raises(ToolArgumentError, match="voxel_m from 0.001 to 1 m"):
        mesh(ROOM.frames(), voxel_m=length_m)
    with pytest.raises(ToolArgumentError, match="max_depth_m from 0.01 to 1000 m"):
        mesh(ROOM.frames(), max_depth_m=length_m)
