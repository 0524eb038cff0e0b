"""Do depth and poses agree? Points of one frame are looked up in another.

A scan whose poses are inverted or whose depth unit is wrong opens without complaint and measures
nonsense. Seen from two places, the same surface gives it away: where one frame's depth predicts the
other's under the poses as given, all is well; where it does so only under inverted poses or
another depth unit, that is what is wrong.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.scene import CameraIntrinsics, CameraPose, FrameHeader, FrameSet

Array = NDArray[np.float64]
#: Factors by which depth units are commonly off, besides 1: powers of ten, and mm, 1/5000, 1/6553.5.
SCALE_FACTORS = np.array((1e-3, 1e-2, 0.1, 1000 / 6553.5, 0.2, 1.0, 5.0, 6.5535, 10.0, 1e2, 1e3))
ANCHORS = 4
#: A second view is wanted this far from the first: near for overlap, farther for parallax.
BASELINES_M = (0.1, 0.4)
#: Frames turned less than this see common surface whichever way round the poses are.
MAX_TURN_RAD = np.radians(30.0)
#: About how many points of a frame are looked up in the other.
POINTS = 1500
#: A predicted depth this far off, relative to the depth, counts as no agreement at all.
TOLERANCE = 0.05
#: Share of the points that must meet a measured depth for the agreement to mean something.
MIN_MET = 0.05
#: How much better another reading must fit to be believed, and the least any must reach.
BETTER, POOR = 0.15, 0.25


@dataclass(frozen=True)
class Reading:
    """One way of reading the files.

    Attributes:
        inverted: Whether the poses are taken as camera from world.
        factor: What the depth is multiplied by.
    """

    inverted: bool
    factor: float


AS_GIVEN = Reading(inverted=False, factor=1.0)


@dataclass(frozen=True, eq=False)
class View:
    """One frame as the check needs it.

    Attributes:
        z_m: Depth, shape (H, W), metres as given.
        points_m: Sampled points in camera axes, shape (3, N), metres as given.
        camera: The pinhole.
        pose: The pose as given.
    """

    z_m: NDArray[np.float32]
    points_m: Array
    camera: CameraIntrinsics
    pose: CameraPose


def check_geometry(frames: FrameSet) -> tuple[str, ...]:
    """Look points of a few frames up in others and say what does not fit; nothing if all fits.

    At most a dozen depth maps are decoded, no colour.

    Args:
        frames: A source with depth, poses and intrinsics; any other gives nothing.

    Returns:
        Notes for the user, each with what was seen and what to do.
    """
    if not (frames.has_depth and frames.has_poses) or len(frames) < 2:
        return ()
    scores = agreements(frames)
    if not scores:
        return (
            "Depth and poses could not be checked against each other: no two frames see the same surface.",
        )
    return _verdict(scores, scores.get(AS_GIVEN, 0.0))


def _verdict(scores: dict[Reading, float], given: float) -> tuple[str, ...]:
    best = max(scores, key=scores.__getitem__)
    if scores[best] >= max(given + BETTER, POOR):
        return (_suspicion(best, scores[best], given),)
    if given < POOR:
        return (
            f"Depth and poses do not fit: {given:.0%} agreement between frames. "
            "Check the intrinsics, the depth unit and the poses.",
        )
    return ()


def _suspicion(best: Reading, score: float, given: float) -> str:
    """Say which other reading fits better."""
    what = []
    if best.inverted:
        what.append(
            "the poses look inverted (camera from world where world from camera is expected): invert them"
        )
    if best.factor != 1:
        what.append(
            f"the depth scale looks off: {best.factor:.4g} times the depth fits; change depth_scale_m"
        )
    seen = f"{score:.0%} agreement between frames instead of {given:.0%}"
    return f"Depth and poses do not fit as given; {' and '.join(what)} ({seen})."


def agreements(frames: FrameSet) -> dict[Reading, float]:
    """Return how well frames predict each other's depth, 0 to 1, for each reading of the files.

    Readings under which too few points meet a measured depth are left out.
    """
    pairs = choose_pairs(frames.headers)
    views = {index: _view(frames, index) for index in {index for pair in pairs for index in pair}}
    looked_up = sum(views[first].points_m.shape[1] for first, _ in pairs)
    scores: dict[Reading, float] = {}
    for inverted in (False, True):
        found = np.zeros((2, len(SCALE_FACTORS)))
        for first, second in pairs:
            found += _agreement(views[first], views[second], inverted)
        for factor, agreeing, met in zip(SCALE_FACTORS, *found, strict=True):
            if met > MIN_MET * looked_up:
                scores[Reading(inverted, float(factor))] = float(agreeing / met)
    return scores


def choose_pairs(headers: tuple[FrameHeader, ...]) -> list[tuple[int, int]]:
    """Pair a few frames with later ones that look a similar way from another place."""
    anchors = np.unique(np.linspace(0, len(headers) - 2, ANCHORS).round().astype(int))
    pairs: dict[tuple[int, int], None] = {}
    for anchor in anchors.tolist():
        later = [anchor + 2**power for power in range(20) if anchor + 2**power < len(headers)]
        near = [(_baseline_m(headers, anchor, other), other) for other in later]
        near = [item for item in near if _turn_rad(headers, anchor, item[1]) < MAX_TURN_RAD]
        for wanted_m in BASELINES_M if near else ():
            far_enough = [item for item in near if item[0] >= wanted_m]
            pairs[anchor, min(far_enough)[1] if far_enough else max(near)[1]] = None
    return list(pairs)


def _baseline_m(headers: tuple[FrameHeader, ...], first: int, second: int) -> float:
    return float(np.linalg.norm(_pose(headers[first]).position_m - _pose(headers[second]).position_m))


def _turn_rad(headers: tuple[FrameHeader, ...], first: int, second: int) -> float:
    cosine = (np.sum(_pose(headers[first]).rotation * _pose(headers[second]).rotation) - 1) / 2
    return float(np.arccos(np.clip(cosine, -1, 1)))


def _pose(header: FrameHeader) -> CameraPose:
    if header.pose is None:
        raise ValueError(f"{header.name}: expected a pose; check `FrameSet.has_poses` first")
    return header.pose


def _view(frames: FrameSet, index: int) -> View:
    header = frames.headers[index]
    depth = frames.load(index, rgb=False, instances=False).depth
    camera = header.intrinsics
    if depth is None or camera is None:
        raise ValueError(f"{header.name}: expected depth and intrinsics; check `FrameSet` first")
    step = max(1, int(np.sqrt(depth.z_m.size / POINTS)))
    v, u = np.mgrid[step // 2 : camera.height : step, step // 2 : camera.width : step]
    z = depth.z_m[v, u].astype(np.float64)
    u, v, z = u[z > 0], v[z > 0], z[z > 0]
    points_m = np.stack(((u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z))
    return View(depth.z_m, points_m, camera, _pose(header))


def _agreement(first: View, second: View, inverted: bool) -> Array:
    """Look points of one view up in another, for every scale factor at once.

    Returns:
        Shape (2, factors): summed agreement, and how many points met a measured depth.
    """
    if inverted:
        second_from_first = second.pose.world_from_camera @ first.pose.camera_from_world
    else:
        second_from_first = second.pose.camera_from_world @ first.pose.world_from_camera
    turned = second_from_first[:3, :3] @ first.points_m
    x, y, z = turned[:, None] * SCALE_FACTORS[:, None] + second_from_first[:3, 3, None, None]
    ahead = np.where(z > 0, z, np.inf)
    camera = second.camera
    u = np.rint(camera.fx * x / ahead + camera.cx)
    v = np.rint(camera.fy * y / ahead + camera.cy)
    seen = (z > 0) & (u >= 0) & (v >= 0) & (u < camera.width) & (v < camera.height)
    row, column = np.where(seen, v, 0).astype(int), np.where(seen, u, 0).astype(int)
    measured = second.z_m[row, column] * SCALE_FACTORS[:, None]
    met = seen & (measured > 0)
    error = np.abs(z - measured) / np.where(met, measured, 1)
    agreeing = np.where(met, np.clip(1 - error / TOLERANCE, 0, 1), 0)
    return np.stack((agreeing.sum(axis=1), met.sum(axis=1)))
