"""Which frames to show: few, that together show what a question is about well.

How well a camera shows an object is a share from 0 to 1: how much of its box is in the picture and not
behind the box of another object, less where it is small, off the middle, or was not seen by that frame
when the scene was measured.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.scene import OrientedBox, SceneCamera, SceneMap, SceneObject

Array = NDArray[np.float64]

#: Nothing nearer than this can be projected sensibly, metres.
NEAREST_M = 0.1
#: Points of a box that are looked at, along each of its axes.
STEPS: Array = np.array([-0.45, 0.0, 0.45])
#: Boxes hide what is behind this share of their edges: their corners are mostly air.
SOLID = 0.8
#: An object of this share of the picture's width is large enough.
LARGE_SHARE = 0.4
#: How much an object in the middle of the picture is better shown than one at its border.
MIDDLE_SHARE = 0.3
#: What showing is worth in a frame that did not see the object when the scene was measured.
NOT_SEEN_SHARE = 0.25
#: A further frame has to show the objects this much better than the frames before, in all.
LEAST_GAIN = 0.08


def choose_frames(scene: SceneMap, entities: Sequence[str], most: int) -> tuple[SceneCamera, ...]:
    """Return the cameras of the frames to show, the best first.

    The first shows the objects best taken together; each further one adds most to how well single objects
    are shown. There are fewer than `most` where more would add nothing.

    Args:
        scene: The scene.
        entities: Ids of the objects the question is about; all where empty.
        most: How many at most.
    """
    wanted = [item for item in scene.objects if not entities or item.id in entities]
    if not scene.cameras or most < 1:
        return ()
    if not wanted:
        return scene.cameras[:1]
    shown = np.column_stack([shown_share(scene, item) for item in wanted])
    chosen = [int(np.argmax(shown.sum(axis=1)))]
    while len(chosen) < most:
        gain = np.maximum(shown - shown[chosen].max(axis=0), 0.0).sum(axis=1)
        best = int(np.argmax(gain))
        if gain[best] < LEAST_GAIN:
            break
        chosen.append(best)
    return tuple(scene.cameras[index] for index in chosen)


def shown_share(scene: SceneMap, item: SceneObject) -> Array:
    """Return how well each camera of a scene shows an object, shape (number of cameras,), 0 to 1."""
    cameras = scene.cameras
    grid = np.stack(np.meshgrid(STEPS, STEPS, STEPS), axis=-1).reshape(-1, 3)
    points_m = item.box.centre_m + (grid * item.box.extent_m) @ item.box.world_from_box.T
    inside, off_centre, spread = _in_pictures(cameras, points_m)
    clear = inside & ~_hidden(scene, item, points_m, inside)
    share: Array = clear.mean(axis=1) * np.clip(spread / LARGE_SHARE, 0.1, 1.0)
    share *= 1.0 - MIDDLE_SHARE * np.clip(2.0 * off_centre, 0.0, 1.0)
    if item.provenance is not None:
        seen = np.isin([camera.index for camera in cameras], item.provenance.frames)
        share = np.where(seen, share, NOT_SEEN_SHARE * share)
    return share


def _in_pictures(cameras: Sequence[SceneCamera], points_m: Array) -> tuple[NDArray[np.bool_], Array, Array]:
    """Return which points each camera has in its picture, how far off its middle and how spread they are.

    Args:
        cameras: C cameras.
        points_m: Shape (N, 3).

    Returns:
        Shape (C, N) bool; shape (C,): distance of their mean from the middle, as a share of the picture;
        shape (C,): the larger of their width and height, likewise.
    """
    poses = np.array([camera.pose.camera_from_world for camera in cameras])
    lenses = [camera.intrinsics for camera in cameras]
    local_m = np.einsum("cij,nj->cni", poses[:, :3, :3], points_m) + poses[:, None, :3, 3]
    focal_px = np.array([(lens.fx, lens.fy) for lens in lenses])[:, None]
    middle_px = np.array([(lens.cx, lens.cy) for lens in lenses])[:, None]
    size_px = np.array([(lens.width, lens.height) for lens in lenses])[:, None]
    front = local_m[..., 2] > NEAREST_M
    depth_m = np.where(front, local_m[..., 2], 1.0)[..., None]
    # As shares of the picture, 0 and 1 at its borders.
    at = (local_m[..., :2] / depth_m * focal_px + middle_px + 0.5) / size_px
    inside = front & ((at >= 0.0) & (at < 1.0)).all(axis=2)
    kept = inside[..., None]
    count = np.maximum(inside.sum(axis=1), 1)[:, None]
    off_centre = np.abs((at * kept).sum(axis=1) / count - 0.5).max(axis=1)
    highest, lowest = (at.max(axis=1, initial=0.0, where=kept), at.min(axis=1, initial=1.0, where=kept))
    return inside, off_centre, np.maximum(highest - lowest, 0.0).max(axis=1)


def _hidden(
    scene: SceneMap, item: SceneObject, points_m: Array, inside: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return which points lie behind the box of another object, shape (C, N)."""
    hidden = np.zeros(inside.shape, bool)
    if not scene.has_places:
        return hidden
    eyes_m = np.array([camera.pose.position_m for camera in scene.cameras])
    for other in scene.objects:
        if other.id != item.id:
            hidden |= _crosses(other.box, eyes_m, points_m)
    return hidden


def _crosses(box: OrientedBox, eyes_m: Array, points_m: Array) -> NDArray[np.bool_]:
    """Return which lines from eyes, shape (C, 3), to points, shape (N, 3), go through a box."""
    start = ((eyes_m - box.centre_m) @ box.world_from_box)[:, None]
    end = ((points_m - box.centre_m) @ box.world_from_box)[None]
    half = SOLID * box.extent_m / 2
    way = np.where(np.abs(end - start) < 1e-12, 1e-12, end - start)
    near, far = (-half - start) / way, (half - start) / way
    enters = np.minimum(near, far).max(axis=2)
    leaves = np.maximum(near, far).min(axis=2)
    crosses: NDArray[np.bool_] = (enters < leaves) & (leaves > 0.0) & (enters > 0.0) & (enters < 1.0)
    return crosses
