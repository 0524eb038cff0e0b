"""Numbers with honest margins: operators of this package applied to a scene, errors to `intervals`.

Objects that were given as boxes are exact, and their margins are zero. Measured ones get the bias of
mapping taken off and the 90 % interval of the error model round what is left.
"""

from collections.abc import Sequence
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.geometry import benchmark, intervals
from spatial_agent.tools.geometry.direction import camera_angle_deg, own_angle_deg, signed_angle_deg
from spatial_agent.tools.geometry.distance import (
    box_distance,
    centre_distance,
    nearest_in_box,
    nearest_points_of_boxes,
    quantile_surface_distance,
)
from spatial_agent.tools.geometry.intervals import SurfaceError, is_measured, margin_90, surface_error
from spatial_agent.tools.geometry.size import Dimension, size_of
from spatial_agent.tools.scene import CameraPose, Measurement, OrientedBox, SceneMap, SceneObject

Array = NDArray[np.float64]
Ends = tuple[SurfaceError, SurfaceError]
HeightOf = Literal["bottom", "centre", "top"]

#: Share of the smaller cloud passed over as possibly stray.
STRAY_SHARE = 0.01
#: Points this share of a distance apart change it by far less than its margin, and are enough.
THINNING = 0.01
#: Sides observed less than this say nothing about where the object ends.
BARELY_SEEN = 0.05
UP: Array = np.array([0.0, 0.0, 1.0])
#: Distances of a scene that are kept, the latest ones.
MOST_KEPT = 1024

Pair = tuple[SceneObject, SceneObject]
#: What was measured of each scene, which never changes and takes them along when it goes: skills, second
#: routes and prompts ask for the same distances.
_DISTANCES: "WeakKeyDictionary[SceneMap, dict[Pair, tuple[Measurement, Array]]]" = WeakKeyDictionary()


def measure_distance(scene: SceneMap, a: SceneObject, b: SceneObject) -> tuple[Measurement, Array]:
    """Measure the distance between the observed surfaces of two objects.

    Args:
        scene: The scene both belong to.
        a: One object.
        b: The other.

    Returns:
        Metres, and the two points it runs between, shape (2, 3). Two given boxes are measured exactly,
        box to box.

    Raises:
        ScaleError: If the scale of the scene is only relative.
    """
    scene.require_metric("a distance")
    kept = _DISTANCES.setdefault(scene, {})
    found = kept.get((a, b))
    if found is None:
        found = kept[a, b] = _surface_distance(scene, a, b)
        for pair in list(kept)[:-MOST_KEPT]:
            kept.pop(pair, None)
    measurement, points_m = found
    return measurement, points_m.copy()


def _surface_distance(scene: SceneMap, a: SceneObject, b: SceneObject) -> tuple[Measurement, Array]:
    if a.surface is None or b.surface is None or not len(a.surface) or not len(b.surface):
        points_m = np.stack(nearest_points_of_boxes(a.box, b.box))
        return _length(scene, a, b, points_m, box_distance(a.box, b.box), "between boxes"), points_m
    # A box ends at the middle of the noise of its faces, so points pressed into it are not pulled
    # nearer by noise; without this, distances came out 2.6 cm too short on synthetic scans, with it 0.2.
    spacing_m = THINNING * box_distance(a.box, b.box)
    a_xyz_m, b_xyz_m = (
        thinned(item.box, nearest_in_box(item.box, item.surface.xyz_m), spacing_m)
        for item in (a, b)
        if item.surface is not None
    )
    axes = a.box.world_from_box, b.box.world_from_box
    nearest = quantile_surface_distance(a_xyz_m, b_xyz_m, STRAY_SHARE, axes)
    points_m = np.stack([nearest.point_a_m, nearest.point_b_m])
    return _length(scene, a, b, points_m, nearest.distance_m, "between observed surfaces"), points_m


def measure_centre_distance(scene: SceneMap, a: SceneObject, b: SceneObject) -> Measurement:
    """Measure the distance between the centres of two boxes, metres.

    Raises:
        ScaleError: If the scale of the scene is only relative.
    """
    scene.require_metric("a distance")
    first, second = corrected_box(scene, a), corrected_box(scene, b)
    value_m = centre_distance(first, second)
    if not (is_measured(a) or is_measured(b)):
        return Measurement.given(value_m, "m", "between box centres")
    along = _unit(second.centre_m - first.centre_m)
    std_m = _centres_std(scene, ((a, first, -along), (b, second, along)))
    return margin_90(value_m, std_m, "m", "between box centres")


def measure_size(scene: SceneMap, item: SceneObject, dimension: Dimension) -> Measurement:
    """Measure one edge of an object's box, metres; "at least" where an end was never in view.

    Args:
        scene: The scene it belongs to.
        item: The object.
        dimension: Which edge, see `size_of`.

    Raises:
        InvalidValueError: If there is no such dimension.
        ScaleError: If the scale of the scene is only relative.
        ViewpointError: If up is unknown, or the box is tilted, and the dimension needs it.
    """
    scene.require_metric("a size")
    if dimension != "longest":
        scene.require_up(f"a {dimension}")
    box = corrected_box(scene, item)
    value_m = size_of(box, dimension)
    if not is_measured(item):
        return Measurement.given(value_m, "m", f"{dimension} of the box")
    axis = int(np.abs(box.extent_m - value_m).argmin())
    low_std_m, std_m = intervals.one_sided_std(scene, _ends(scene, item, box, axis))
    how = f"{dimension} of the box round observed points"
    at_least = _may_go_on(item, axis)
    return margin_90(value_m, std_m, "m", how, low_std=low_std_m, at_least=at_least)


def measure_room(scene: SceneMap, definition: Literal["plain", "vsi"] = "plain") -> Measurement:
    """Measure the floor area of the room, square metres.

    Args:
        scene: The scene.
        definition: ``"plain"`` is the area of the outline. So is ``"vsi"``: the benchmark's alpha shape
            of a whole scan comes to that, while the alpha shape of this scan would leave out whatever
            floor furniture hid. Only where no outline was found is it taken of the points, as "at least".

    Raises:
        InvalidValueError: If the scene has no floor plan.
        ScaleError: If the scale of the scene is only relative.
        ViewpointError: If up is unknown.
    """
    scene.require_metric("a room area")
    scene.require_up("a room area")
    room = scene.room
    if room is None and definition == "vsi" and scene.cloud is not None:
        seen_m2 = benchmark.vsi_room_area(scene.cloud.xyz_m)
        return Measurement(seen_m2, "m2", seen_m2, None, "alpha shape of all surface points")
    if room is None:
        raise InvalidValueError("room: this scene has no floor plan; it needs frames that show the floor")
    if room.exact or room.polygon_m is None:
        return Measurement.given(room.area_m2, "m2", "given with the scene")
    std_m2 = intervals.room_std(scene, room, room.polygon_m)
    how = "area of the floor outline"
    return margin_90(
        room.area_m2, std_m2, "m2", how, at_least=room.area_high_m2 is None, z90=intervals.NORMAL_Z90
    )


def measure_direction(
    scene: SceneMap, observer: SceneObject, facing: SceneObject, target: SceneObject
) -> Measurement:
    """Measure where a target is for someone at one object's centre who faces another's.

    Returns:
        Signed degrees, counter-clockwise seen from above, value in (-180, 180]; the ends of the interval
        may lie beyond.

    Raises:
        ViewpointError: If up is unknown or two of the centres are above each other.
    """
    scene.require_up("left and right")
    items = (observer, facing, target)
    boxes = [corrected_box(scene, item) for item in items]
    at, faced, sought = (box.centre_m[:2] for box in boxes)
    angle_deg = signed_angle_deg(at, faced, sought)
    per_target, per_faced = _turn_per_metre(sought - at), -_turn_per_metre(faced - at)
    pulls = (-per_target - per_faced, per_faced, per_target)
    return _bearing(scene, angle_deg, tuple(zip(items, boxes, pulls, strict=True)))


def measure_camera_bearing(scene: SceneMap, pose: CameraPose, item: SceneObject) -> Measurement:
    """Measure where an object is for someone holding a camera upright, signed degrees, left positive.

    In a scene of directions the camera is taken to be held so: left and right are those of the picture.

    Raises:
        ViewpointError: If up is unknown, or the camera looks straight up or down.
    """
    if not scene.has_places:
        return _picture_bearing(scene, item)
    scene.require_up("left and right")
    box = corrected_box(scene, item)
    angle_deg = camera_angle_deg(pose, box.centre_m)
    pull = _turn_per_metre(box.centre_m[:2] - pose.position_m[:2])
    return _bearing(scene, angle_deg, ((item, box, pull),))


def _picture_bearing(scene: SceneMap, item: SceneObject) -> Measurement:
    """Measure how far beside the optical axis an object is, its place given in camera axes."""
    box = corrected_box(scene, item)
    x, _, z = box.centre_m
    pull = np.array([-z, 0.0, x]) / float(x * x + z * z)
    return _bearing(scene, float(np.degrees(np.arctan2(-x, z))), ((item, box, pull),))


def measure_own_bearing(scene: SceneMap, owner: SceneObject, item: SceneObject) -> Measurement:
    """Measure where an object is from another one's own point of view, signed degrees, its left positive.

    Raises:
        ViewpointError: If up is unknown, or the other one has no known front.
    """
    scene.require_up("left and right")
    box, owner_box = corrected_box(scene, item), corrected_box(scene, owner)
    angle_deg = own_angle_deg(owner, box.centre_m)
    pull = _turn_per_metre(box.centre_m[:2] - owner_box.centre_m[:2])
    return _bearing(scene, angle_deg, ((item, box, pull), (owner, owner_box, -pull)), owner.facing_error_rad)


def _bearing(
    scene: SceneMap,
    angle_deg: float,
    pulls: Sequence[tuple[SceneObject, OrientedBox, Array]],
    ahead_error_rad: float = 0.0,
) -> Measurement:
    if not ahead_error_rad and not any(is_measured(item) for item, _, _ in pulls):
        return Measurement.given(angle_deg, "deg", "from box centres")
    std_deg = float(np.degrees(np.hypot(_centres_std(scene, tuple(pulls)), ahead_error_rad)))
    return margin_90(angle_deg, min(std_deg, 180.0), "deg", "from box centres")


def measure_vsi_distance(scene: SceneMap, a: SceneObject, b: SceneObject) -> tuple[Measurement, Array]:
    """Measure VSI-Bench's distance between two objects, metres, not rounded, and the points it runs between.

    Raises:
        ScaleError: If the scale of the scene is only relative.
    """
    scene.require_metric("a distance")
    boxes = corrected_box(scene, a), corrected_box(scene, b)
    points_m = np.stack(nearest_points_of_boxes(*boxes))
    value_m = benchmark.vsi_distance(boxes[:1], boxes[1:])
    how = "between box surfaces, as VSI-Bench does"
    return _length(scene, a, b, points_m, value_m, how, intervals.VSI_GRID_M), points_m


def measure_vsi_size(scene: SceneMap, item: SceneObject) -> Measurement:
    """Measure VSI-Bench's size of an object: its longest edge in whole centimetres.

    Raises:
        ScaleError: If the scale of the scene is only relative.
    """
    longest = measure_size(scene, item, "longest").to("cm")
    value_cm = float(benchmark.vsi_size_cm(corrected_box(scene, item)))
    how = "longest edge of the box, as VSI-Bench does"
    if longest.exact:
        return Measurement.given(value_cm, "cm", how)
    low_cm = None if longest.low is None else min(longest.low, value_cm)
    high_cm = None if longest.high is None else max(longest.high, value_cm)
    return Measurement(value_cm, "cm", low_cm, high_cm, how)


def measure_height_above_floor(scene: SceneMap, item: SceneObject, of: HeightOf = "bottom") -> Measurement:
    """Measure how high an object is above the floor, metres.

    Args:
        scene: The scene; its floor is z = 0.
        item: The object.
        of: Whether its lowest point, its centre or its highest point is meant.

    Raises:
        ScaleError: If the scale of the scene is only relative.
        ViewpointError: If up is unknown.
    """
    scene.require_metric("a height")
    scene.require_up("a height above the floor")
    heights_m = corrected_box(scene, item).corners_m[:, 2]
    value_m = {"bottom": heights_m.min(), "centre": heights_m.mean(), "top": heights_m.max()}[of]
    how = f"{of} above the floor"
    if not is_measured(item):
        return Measurement.given(float(value_m), "m", how)
    std_m = intervals.height_std(scene, item, float(value_m), UP if of == "top" else -UP)
    return Measurement(float(value_m), "m", *_around(float(value_m), std_m), how)


def corrected_box(scene: SceneMap, item: SceneObject) -> OrientedBox:
    """Return the box of an object without the bias of mapping; a given box as it is."""
    if not is_measured(item):
        return item.box
    box, beyond_m = item.box, intervals.beyond_m(scene, item)
    centre_m = box.centre_m + box.world_from_box @ (beyond_m[:, 1] - beyond_m[:, 0]) / 2
    extent_m = np.maximum(box.extent_m + beyond_m.sum(axis=1), 0.0)
    return OrientedBox(centre_m, extent_m, box.world_from_box)


def thinned(box: OrientedBox, xyz_m: Array, spacing_m: float) -> Array:
    """Return one point of each cell of a grid along the axes of a box: that nearest to the cell's middle.

    The grid turns, moves and mirrors with the box, so the same points are kept whatever the scene's axes.

    Args:
        box: The box.
        xyz_m: Shape (N, 3), metres.
        spacing_m: Edge of a cell; 0 keeps all points.
    """
    if spacing_m <= 0.0:
        return xyz_m
    # One row for each axis: numpy goes along long rows many times faster than down three columns.
    local_m = np.ascontiguousarray(box.local(xyz_m).T)
    cells = np.rint(local_m / spacing_m)
    off_middle_m2 = np.square(local_m - cells * spacing_m).sum(axis=0)
    span = int(np.abs(cells).max()) * 2 + 1
    x, y, z = cells.astype(np.int64)
    keys = (x * span + y) * span + z
    # As `np.lexsort((off_middle_m2, keys))` would have it, without sorting within the cells.
    order = np.argsort(keys)
    first = np.flatnonzero(np.diff(keys[order], prepend=keys[order[0]] - 1))
    least_m2 = np.minimum.reduceat(off_middle_m2[order], first)
    is_least = off_middle_m2[order] == np.repeat(least_m2, np.diff(first, append=len(order)))
    kept: Array = xyz_m[np.minimum.reduceat(np.where(is_least, order, len(order)), first)]
    return kept


def _length(
    scene: SceneMap,
    a: SceneObject,
    b: SceneObject,
    points_m: Array,
    value_m: float,
    how: str,
    grid_m: float = 0.0,
) -> Measurement:
    if not (is_measured(a) or is_measured(b)):
        return Measurement.given(value_m, "m", how)
    along = _unit(points_m[1] - points_m[0], b.box.centre_m - a.box.centre_m)
    errors = (surface_error(scene, a, points_m[0], along), surface_error(scene, b, points_m[1], -along))
    std_m, low_std_m = (float(np.hypot(std, grid_m)) for std in intervals.one_sided_std(scene, errors))
    return margin_90(value_m, std_m, "m", how, low_std=low_std_m)


def _ends(scene: SceneMap, item: SceneObject, box: OrientedBox, axis: int) -> Ends:
    """Return the errors of both ends of one edge."""
    direction = box.world_from_box[:, axis]
    half_m = direction * box.extent_m[axis] / 2
    return (
        surface_error(scene, item, box.centre_m - half_m, -direction),
        surface_error(scene, item, box.centre_m + half_m, direction),
    )


def _centres_std(scene: SceneMap, pulls: Sequence[tuple[SceneObject, OrientedBox, Array]]) -> float:
    """Return the standard deviation of a sum over box centres, each times a gradient, shape (2,) or (3,)."""
    errors: list[SurfaceError] = []
    weights: list[float] = []
    for item, box, gradient in pulls:
        along = box.world_from_box[: len(gradient)].T @ gradient
        for axis, pull in enumerate(along):
            # A centre is the mean of both ends; the near one is measured along the negative axis.
            errors += _ends(scene, item, box, axis)
            weights += [-pull / 2, pull / 2]
    return intervals.combined_std(scene, errors, weights)


def _turn_per_metre(way_m: Array) -> Array:
    """Return the gradient of a bearing with respect to its end, radians per metre, shape (2,)."""
    return np.array([-way_m[1], way_m[0]]) / float(way_m @ way_m)


def _may_go_on(item: SceneObject, axis: int) -> bool:
    """Return whether the object may be longer along an axis than was seen."""
    if item.provenance is None:
        return False
    return item.provenance.cut_off and min(item.provenance.face_coverage[2 * axis :][:2]) < BARELY_SEEN


def _around(value: float, std: float) -> tuple[float, float]:
    return value - intervals.Z90 * std, value + intervals.Z90 * std


def _unit(vector: Array, otherwise: Array = UP) -> Array:
    for candidate in (vector, otherwise):
        length = float(np.linalg.norm(candidate))
        if length > 1e-9:
            unit: Array = candidate / length
            return unit
    return UP
