"""Where one frame alone puts an object: its observed surface, laid onto the depth of that frame.

The surface of an object, as all frames together gave it, is looked up in the depth of one frame, point to
plane, and moved until it fits there. Noise averages out over the surface; what is left is where this frame
differs from the others: its pose, or its depth. Along directions that no visible face of the object bounds
nothing is learnt, and the covariance says so.

Source: Chen and Medioni, Object modelling by registration of multiple range images, 1992 (point to plane).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.geometry.projection import in_view, project, unproject_pixels
from spatial_agent.tools.scene import CameraIntrinsics, CameraPose, DepthMap

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: Places of a surface that are looked up, and how far round them it is taken for flat, metres; and the points
#: of a surface that are looked at, evenly drawn.
PLACES, PATCH_M, MOST_POINTS = 400, 0.09, 5000
#: Points that a patch needs for a normal, and how thin it must be: share of its middle spread.
LEAST_IN_PATCH, THIN_SHARE = 8, 0.35
#: A patch seen flatter than this (cosine) says nothing; nearer to the camera nothing is looked up, metres.
LEAST_COSINE, NEAREST_M = 0.3, 0.1
#: Of the points of one cell of the picture, pixels, those this far behind the nearest are its far side.
CELL_PX, THICK_M = 4, 0.05
#: Unless this share of an object's places is found at its place, it is looked for so far from there, metres,
#: across the picture and along the optical axis, in such steps. That share must be found there, and this much
#: more than at its place.
ACROSS_M, ALONG_M, STEP_M = 0.2, 0.4, 0.1
ELSEWHERE_SHARE, MORE_SHARE = 0.55, 0.3
#: Depths this near to what is expected belong to the object, metres and share of the depth: while it is
#: looked for and first fitted, and then.
NEAR_M, SAME_M, SAME_SHARE = 0.06, 0.04, 0.01
#: Places that must be found again, and share of those in view: else something hides the object.
LEAST_FOUND, LEAST_SHARE = 12, 0.4
#: Before anything is measured, an object may be this far from its place, metres, one standard deviation.
PRIOR_M = 0.3
#: Errors of neighbouring places are alike (a bent face, a bled border): all places together count for this
#: many independent ones, and none is better than this, metres and share of a pixel.
INDEPENDENT, FACE_M, FACE_PIXEL = 4.0, 0.004, 0.3
#: Where a face has fewer places than this along a direction, they may all be strays.
FEW = 6.0
ROUNDS = 5
#: From the median absolute deviation to the standard deviation of a normal distribution.
MAD = 1.4826


@dataclass(frozen=True, eq=False)
class Patches:
    """Flat places of a surface.

    Attributes:
        xyz_m: Shape (N, 3), metres.
        normals: Unit normals of either sign, shape (N, 3).
    """

    xyz_m: Array
    normals: Array


@dataclass(frozen=True, eq=False)
class Shift:
    """How far from its place in the scene a frame puts an object.

    Attributes:
        by_m: Shape (3,), metres, scene axes.
        covariance_m2: Shape (3, 3); large along directions that the frame does not show.
        found: Places of its surface that were found again.
    """

    by_m: Array
    covariance_m2: Array
    found: int

    def along(self, direction: Array) -> tuple[float, float]:
        """Return how far it is along a direction, shape (3,), and the standard deviation of that."""
        return float(self.by_m @ direction), float(np.sqrt(direction @ self.covariance_m2 @ direction))


def flat_patches(xyz_m: Array) -> Patches:
    """Return up to `PLACES` evenly drawn places of a surface, shape (N, 3), that are flat."""
    from scipy.spatial import cKDTree

    xyz_m = xyz_m[:: max(1, len(xyz_m) // MOST_POINTS)]
    places_m = xyz_m[:: max(1, len(xyz_m) // PLACES)]
    if not len(xyz_m):
        return Patches(np.empty((0, 3)), np.empty((0, 3)))
    middles, normals = [], []
    for members in np.atleast_1d(cKDTree(xyz_m).query_ball_point(places_m, PATCH_M)):
        if len(members) < LEAST_IN_PATCH:
            continue
        patch_m = xyz_m[members]
        middle_m = patch_m.mean(axis=0)
        spread, axes = np.linalg.eigh((patch_m - middle_m).T @ (patch_m - middle_m))
        if spread[0] <= THIN_SHARE**2 * spread[1]:
            middles.append(middle_m)
            normals.append(axes[:, 0])
    return Patches(np.array(middles).reshape(-1, 3), np.array(normals).reshape(-1, 3))


def shift_in_frame(
    patches: Patches, depth: DepthMap, intrinsics: CameraIntrinsics, pose: CameraPose
) -> Shift | None:
    """Return how far from its place a frame puts an object; None where it does not show it well enough.

    Args:
        patches: Its surface in the scene, see `flat_patches`.
        depth: Depth of the frame.
        intrinsics: Its pinhole, of the size of the depth.
        pose: Where it was taken from, in the scene.
    """
    facing = _facing(patches, intrinsics, pose)
    if len(facing.xyz_m) < LEAST_FOUND:
        return None
    view = _View(depth, intrinsics, pose)
    start_m = _start(facing.xyz_m, view)
    by_m, precision, found = start_m, np.eye(3), 0
    for near_m in (NEAR_M,) * (ROUNDS - 2) + (SAME_M,) * 2:
        seen_m, here = view.looked_up(facing.xyz_m + by_m, near_m)
        found = int(here.sum())
        if found < max(LEAST_FOUND, LEAST_SHARE * len(facing.xyz_m)):
            return None
        normals = facing.normals[here]
        apart_m = ((seen_m - facing.xyz_m[here] - start_m) * normals).sum(axis=1)
        pixel_m = float(np.median(np.linalg.norm(seen_m - pose.position_m, axis=1))) / intrinsics.fx
        face_m = float(np.hypot(FACE_M, FACE_PIXEL * pixel_m))
        # Where no face tells, it stays where the search began.
        moved_m, precision = _fitted(normals, apart_m, by_m - start_m, face_m)
        by_m = start_m + moved_m
    return Shift(by_m, np.asarray(np.linalg.inv(precision), np.float64), found)


@dataclass(frozen=True, eq=False)
class _View:
    """The depth of a frame, to look places up in."""

    depth: DepthMap
    intrinsics: CameraIntrinsics
    pose: CameraPose

    def looked_up(self, xyz_m: Array, near_m: float) -> tuple[Array, Flags]:
        """Return what was seen at places, shape (N, 3): the points of those found, and which they are."""
        uv_px, z_m = project(self.intrinsics, (xyz_m - self.pose.position_m) @ self.pose.rotation)
        here = in_view(self.intrinsics, uv_px, z_m)
        at = np.rint(np.where(here[:, None], uv_px, 0.0)).astype(int)
        seen_z_m = self.depth.z_m[at[:, 1], at[:, 0]].astype(np.float64)
        here &= (seen_z_m > 0) & (np.abs(seen_z_m - z_m) <= near_m + SAME_SHARE * z_m)
        camera_m = unproject_pixels(self.intrinsics, at[here].astype(np.float64), seen_z_m[here])
        return camera_m @ self.pose.rotation.T + self.pose.position_m, here


def _start(xyz_m: Array, view: _View) -> Array:
    """Return where to begin: at its place, or else at the shift that finds most places, shape (3,)."""
    if view.looked_up(xyz_m, NEAR_M)[1].mean() >= ELSEWHERE_SHARE:
        return np.zeros(3)
    across, along = (np.arange(-reach, reach + STEP_M / 2, STEP_M) for reach in (ACROSS_M, ALONG_M))
    shifts_m = np.stack(np.meshgrid(across, across, along), axis=-1).reshape(-1, 3)
    shifts_m = shifts_m[np.argsort(np.linalg.norm(shifts_m, axis=1), kind="stable")] @ view.pose.rotation.T
    here = view.looked_up((xyz_m + shifts_m[:, None]).reshape(-1, 3), NEAR_M)[1]
    found = here.reshape(len(shifts_m), -1).mean(axis=1)
    best = int(found.argmax())
    is_elsewhere = found[best] >= max(ELSEWHERE_SHARE, found[0] + MORE_SHARE)
    start_m: Array = shifts_m[best] if is_elsewhere else np.zeros(3)
    return start_m


def _facing(patches: Patches, intrinsics: CameraIntrinsics, pose: CameraPose) -> Patches:
    """Return the patches in the picture that nothing of the object itself hides, seen not too flatly."""
    camera_m = (patches.xyz_m - pose.position_m) @ pose.rotation
    uv_px, z_m = project(intrinsics, camera_m)
    with np.errstate(invalid="ignore"):
        shown = in_view(intrinsics, uv_px, z_m) & (z_m > NEAREST_M)
    away = patches.xyz_m - pose.position_m
    cosine = np.abs((away * patches.normals).sum(axis=1)) / np.linalg.norm(away, axis=1).clip(NEAREST_M)
    shown &= cosine > LEAST_COSINE
    cell = np.full((len(z_m), 2), -1)
    cell[shown] = np.rint(uv_px[shown]).astype(int) // CELL_PX
    nearest: dict[tuple[int, int], float] = {}
    for (column, row), z in zip(cell[shown].tolist(), z_m[shown].tolist(), strict=True):
        nearest[column, row] = min(z, nearest.get((column, row), np.inf))
    front_m = np.array([nearest.get((column, row), np.inf) for column, row in cell.tolist()])
    shown &= z_m <= front_m + THICK_M
    return Patches(patches.xyz_m[shown], patches.normals[shown])


def _fitted(normals: Array, apart_m: Array, start_m: Array, face_m: float) -> tuple[Array, Array]:
    """Return the shift that brings planes onto points, shape (3,), and its precision, shape (3, 3), 1/m2.

    Args:
        normals: Shape (N, 3).
        apart_m: How far along its normal each plane is from its point, shape (N,).
        start_m: The shift so far, for the scatter about it.
        face_m: How well a face is known at best.
    """
    left_m = apart_m - normals @ start_m
    scatter_m = MAD * float(np.median(np.abs(left_m - np.median(left_m))))
    off = np.abs(left_m - np.median(left_m)) / max(2.0 * scatter_m, face_m)
    weights = 1.0 / np.maximum(off, 1.0)
    var_m2 = scatter_m**2 + face_m**2
    share = INDEPENDENT / weights.sum() / var_m2
    places, axes = np.linalg.eigh((normals * weights[:, None]).T @ normals)
    told = np.maximum(places - FEW, 0.0) / places.clip(1e-9)
    along_m = axes.T @ ((normals * weights[:, None]).T @ apart_m)
    precision = share * told * places + 1.0 / PRIOR_M**2
    by_m: Array = axes @ (share * told * along_m / precision)
    return by_m, (axes * precision) @ axes.T
