"""The error model: how self-consistency of a scan becomes the margin of a number, in one place.

A measured length is wrong for two kinds of reasons. Depth that is too long by one factor for a whole
scan moves every surface away from the cameras that saw it: ends that face each other drift apart, ends
seen from opposite sides come closer, by what `SurfaceError.per_scale_m` says. Everything else (drift of
the poses, bleeding masks, pixels as wide as centimetres, sides never seen) is taken as independent
between the ends.

The constants below were fitted on scans of `SyntheticRoom.random(seed)` with seeds below 1000, and are
judged by ``benchmarks/coverage.py`` on others. Nothing here knows the noise those scans were made with:
the inputs are what the mapping stage observes, `Provenance` and `SceneQuality`, and the cameras.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import hypot
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.scene import Measurement, Room, SceneCamera, SceneMap, SceneObject

Array = NDArray[np.float64]

#: Half-width of a 90 % interval in standard deviations. Errors of mapped objects have heavier tails than
#: a normal distribution (a mask takes in a neighbour, a box is turned): Student's t with 4 degrees.
Z90 = 2.13
#: The same for what is normal: the depth scale, which decides the area of a room.
NORMAL_Z90 = 1.645
#: Consumer depth cameras are off by about 1 % even after calibration, which no scan shows by itself.
SCALE_PRIOR = 0.01
#: An end is off by this many times the disagreement between frames: neighbours in time drift together.
DRIFT = 2.5
#: An end is found to about this share of the footprint of a pixel: masks bleed, borders are cut off.
PIXEL = 0.4
#: No end is better known than this, metres: voxel size, box fitting.
LEAST_M = 0.004
#: Heights are better known than sides by this factor: many cameras see tops, and the floor levels all.
UPRIGHT = 0.3
#: Where no frame saw past an end, the object goes on by about this, metres, give or take the second.
UNSEEN_BIAS_M, UNSEEN_M = 0.03, 0.10
#: Sides are found this share of a pixel's footprint too far out: masks bleed more often than not.
BLEED_PIXEL = 0.65
#: An end below which no frame saw is taken for the floor's side: it may reach down to the floor.
BOTTOM_SEEN = 0.8
#: VSI-Bench crops its 5 cm grids to the box; rounding decides whether that takes the outermost layer.
VSI_GRID_M = 0.03
#: Share of the outline's own interval that counts.
OUTLINE = 1.0
#: A camera looks at a wall within 60 degrees of square.
LOOKING = 0.5
#: Share of the error of estimated depth that does not move the ends of one thing alike.
SHAPE = 0.75
#: What the border of the image cut in every frame goes on by about this share of what was seen of it.
CUT_SHARE = 0.5
#: How far the part of the floor that decides its level is from an object, metres.
TILT_ARM_M = 1.5
#: Viewing distance assumed where a scene does not keep its cameras, metres.
USUAL_RANGE_M = 2.5
USUAL_PIXEL_M = 0.01


@dataclass(frozen=True, eq=False)
class Views:
    """Cameras as arrays, since the error of every end of every box is asked of all of them.

    Attributes:
        cameras: The cameras.
    """

    cameras: tuple[SceneCamera, ...]

    @cached_property
    def position_m(self) -> Array:
        """Where they stood, shape (C, 3), metres."""
        return np.array([camera.pose.position_m for camera in self.cameras]).reshape(-1, 3)

    @cached_property
    def forward(self) -> Array:
        """Which way they looked, unit directions, shape (C, 3)."""
        return np.array([camera.pose.forward for camera in self.cameras]).reshape(-1, 3)

    @cached_property
    def focal_px(self) -> Array:
        """Their focal lengths, shape (C,), pixels."""
        return np.array([camera.intrinsics.fx for camera in self.cameras])


#: The views of a scene by the frames they are of; a scene never changes, and takes them along when it goes.
_VIEWS: "WeakKeyDictionary[SceneMap, dict[tuple[int, ...], Views]]" = WeakKeyDictionary()


@dataclass(frozen=True)
class SurfaceError:
    """How wrong the position of a piece of surface may be along one direction.

    Attributes:
        per_scale_m: How far it moves along the direction where depth is too long by a factor of 2;
            for small errors in proportion.
        std_m: Standard deviation of everything else.
        unseen_m: Standard deviation of how far the object goes on unseen; outward only.
        per_focal_m: How far it moves back along the direction where the focal length is taken too long by a
            factor of 2; for small errors in proportion.
    """

    per_scale_m: float
    std_m: float
    unseen_m: float = 0.0
    per_focal_m: float = 0.0


def is_measured(item: SceneObject) -> bool:
    """Return whether an object was observed, rather than given as a box."""
    return item.surface is not None or item.provenance is not None


def surface_error(scene: SceneMap, item: SceneObject, xyz_m: Array, outward: Array) -> SurfaceError:
    """Return how wrong a point of an object's surface may be along its outward direction.

    Args:
        scene: The scene, for its cameras and quality.
        item: The object; a given one is exact.
        xyz_m: The point, shape (3,).
        outward: Unit direction out of the object, shape (3,).
    """
    if not is_measured(item):
        return SurfaceError(0.0, 0.0)
    views = _views_of(scene, item)
    away_m = _mean_view_m(views, xyz_m, outward)
    along_m = float(away_m @ outward)
    own_m = hypot(DRIFT * _drift_m(scene), PIXEL * pixel_m(views, xyz_m), LEAST_M)
    own_m *= UPRIGHT if abs(outward[2]) > 0.9 else 1.0
    own_m = hypot(own_m, SHAPE * shape_std(scene) * along_m)
    unseen_m = _unseen_m(scene, item, xyz_m, outward)
    aside_m = float(_mean_aside_m(views, xyz_m) @ outward) if focal_std(scene) else 0.0
    return SurfaceError(along_m, own_m, unseen_m, aside_m)


def _unseen_m(scene: SceneMap, item: SceneObject, xyz_m: Array, outward: Array) -> float:
    seen = seen_share(item, outward)
    to_floor_m = 0.0
    if scene.up is not None and outward[2] < -0.9 and seen < BOTTOM_SEEN:
        to_floor_m = max(0.0, float(xyz_m[2])) / Z90
    beyond_image_m = 0.0
    if item.provenance is not None and item.provenance.cut_off:
        beyond_image_m = CUT_SHARE * float(np.abs(outward @ item.box.world_from_box) @ item.box.extent_m)
    return max(max(UNSEEN_M, beyond_image_m) * (1.0 - seen), to_floor_m)


def scale_std(scene: SceneMap) -> float:
    """Return the relative standard deviation of the depth scale."""
    return max(SCALE_PRIOR, scene.quality.scale_error if scene.quality else 0.0)


def shape_std(scene: SceneMap) -> float:
    """Return the relative standard deviation of single depths besides their scale."""
    return scene.quality.shape_error if scene.quality else 0.0


def focal_std(scene: SceneMap) -> float:
    """Return the relative standard deviation of the focal length."""
    return scene.quality.focal_error if scene.quality else 0.0


def combined_std(
    scene: SceneMap, errors: Sequence[SurfaceError], weights: Sequence[float] | None = None
) -> float:
    """Return the standard deviation of a sum of surface positions, unseen sides included.

    Args:
        scene: The scene the errors belong to.
        errors: One per position.
        weights: Factor of each position in the sum; 1 where None.
    """
    # Plain numbers: the sums are short, and an array of each would cost more than what is in it.
    weighed = list(zip(errors, [1.0] * len(errors) if weights is None else weights, strict=True))
    common = scale_std(scene) * sum(factor * error.per_scale_m for error, factor in weighed)
    aside = focal_std(scene) * sum(factor * error.per_focal_m for error, factor in weighed)
    own = (factor * hypot(error.std_m, error.unseen_m) for error, factor in weighed)
    return hypot(common, aside, *own)


def one_sided_std(scene: SceneMap, errors: Sequence[SurfaceError]) -> tuple[float, float]:
    """Return the standard deviation of a sum of positions: of what was seen, and with what was not.

    What was not seen of an object makes it longer, and brings it nearer to others, never the reverse.
    """
    seen = [replace(error, unseen_m=0.0) for error in errors]
    return combined_std(scene, seen), combined_std(scene, errors)


def beyond_m(scene: SceneMap, item: SceneObject) -> Array:
    """Return how far an object usually goes on beyond each end of its box, shape (3, 2), metres.

    Negative where masks bled. Ends are in the order of `Provenance.face_coverage`; top and bottom are
    where mapping says.
    """
    if item.provenance is None:
        return np.zeros((3, 2))
    unseen = 1.0 - np.reshape(item.provenance.face_coverage, (3, 2))
    bled_m = BLEED_PIXEL * pixel_m(_views_of(scene, item), item.box.centre_m)
    ends_m: Array = UNSEEN_BIAS_M * np.square(unseen) - bled_m
    ends_m[np.abs(item.box.world_from_box[2]) > 0.9] = 0.0
    return ends_m


def height_std(scene: SceneMap, item: SceneObject, height_m: float, outward: Array) -> float:
    """Return the standard deviation of a height above the floor, which the same depth error has moved."""
    point_m = np.array([*item.box.centre_m[:2], height_m])
    error = surface_error(scene, item, point_m, outward)
    tilt_m = scene.quality.up_error_rad * TILT_ARM_M if scene.quality else 0.0
    common = float(np.hypot(scale_std(scene), focal_std(scene)))
    return float(np.linalg.norm([common * height_m, error.std_m, error.unseen_m, tilt_m]))


def room_std(scene: SceneMap, room: Room, polygon_m: Array) -> float:
    """Return the standard deviation of the area inside an outline, square metres.

    Args:
        scene: The scene, for its cameras and quality.
        room: The floor plan, with the interval of its outline as mapping found it.
        polygon_m: Its outline, counter-clockwise, shape (N, 2).
    """
    ends_m = np.roll(polygon_m, -1, axis=0)
    outward_m = (ends_m - polygon_m)[:, ::-1] * (1, -1)
    per_scale_m2 = [
        float(np.linalg.norm(side_m)) * _wall_per_scale_m(scene, middle_m, side_m)
        for middle_m, side_m in zip((polygon_m + ends_m) / 2, outward_m, strict=True)
        if side_m.any()
    ]
    common = float(np.hypot(scale_std(scene), focal_std(scene))) * sum(per_scale_m2)
    each = SHAPE * shape_std(scene) * float(np.linalg.norm(per_scale_m2))
    ends_m2 = [end for end in (room.area_low_m2, room.area_high_m2) if end is not None]
    half_m2 = max((abs(end - room.area_m2) for end in ends_m2), default=0.0)
    return float(np.linalg.norm([common, each, OUTLINE * half_m2 / NORMAL_Z90]))


def _wall_per_scale_m(scene: SceneMap, middle_m: Array, outward: Array) -> float:
    """Return how far depth that is twice too long pushes a wall out, as cameras that look at it see it."""
    normal = outward / np.linalg.norm(outward)
    views_m = [
        float((middle_m - camera.pose.position_m[:2]) @ normal)
        for camera in scene.cameras
        if camera.pose.forward[:2] @ normal > LOOKING
    ]
    return float(np.mean(views_m)) if views_m else USUAL_RANGE_M


def pixel_m(views: Views, xyz_m: Array) -> float:
    """Return how wide a pixel is at a point, shape (3,), metres: the median over cameras."""
    count = len(views.cameras)
    if not count:
        return USUAL_PIXEL_M
    way_m = xyz_m - views.position_m
    widths_m = np.sort(np.sqrt(np.einsum("ij,ij->i", way_m, way_m)) / views.focal_px)
    return float(widths_m[(count - 1) // 2] + widths_m[count // 2]) / 2


def seen_share(item: SceneObject, direction: Array) -> float:
    """Return the observed share of the side of an object that faces a direction, 0 to 1."""
    if item.provenance is None:
        return 1.0
    along = direction @ item.box.world_from_box
    coverage = item.provenance.face_coverage
    share = sum(
        float(part) ** 2 * coverage[2 * axis + (1 if part > 0 else 0)] for axis, part in enumerate(along)
    )
    return min(max(share, 0.0), 1.0)


def margin_90(
    value: float,
    std: float,
    unit: str,
    how: str,
    *,
    low_std: float | None = None,
    at_least: bool = False,
    z90: float = Z90,
) -> Measurement:
    """Return a measurement with its 90 % interval.

    Args:
        value: The best estimate.
        std: Its standard deviation, in `unit`.
        unit: Unit of the value.
        how: How it was obtained.
        low_std: Standard deviation downwards, where that differs.
        at_least: Whether the true value may be any amount larger.
        z90: Half-width of the interval in standard deviations.
    """
    low = value - z90 * (std if low_std is None else low_std)
    if unit != "deg":
        low = max(0.0, low)
    return Measurement(value, unit, low, None if at_least else value + z90 * std, how)


def _drift_m(scene: SceneMap) -> float:
    return scene.quality.pose_drift_m if scene.quality else 0.0


def _views_of(scene: SceneMap, item: SceneObject) -> Views:
    """Return the cameras that saw an object; all where none is known to have."""
    frames = item.provenance.frames if item.provenance else ()
    known = _VIEWS.setdefault(scene, {})
    if frames not in known:
        saw = set(frames)
        cameras = tuple(camera for camera in scene.cameras if camera.index in saw)
        known[frames] = Views(cameras or scene.cameras)
    return known[frames]


def _mean_view_m(views: Views, xyz_m: Array, outward: Array) -> Array:
    """Return the mean way from the cameras to a point; those on its outer side count where there are any."""
    if not views.cameras:
        return -USUAL_RANGE_M * outward
    views_m = xyz_m - views.position_m
    facing = views_m @ outward < 0
    if facing.any():
        views_m = views_m[facing]
    # Mapping trusts a view by its precision, and depth noise grows with the square of the range.
    weights = np.einsum("ij,ij->i", views_m, views_m) ** -2.0
    mean: Array = weights @ views_m / weights.sum()
    return mean


def _mean_aside_m(views: Views, xyz_m: Array) -> Array:
    """Return the mean way to a point from the point at its depth on the cameras' axes, shape (3,)."""
    if not views.cameras:
        return np.zeros(3)
    views_m = xyz_m - views.position_m
    aside_m = views_m - np.sum(views_m * views.forward, axis=1, keepdims=True) * views.forward
    mean: Array = aside_m.mean(axis=0)
    return mean
