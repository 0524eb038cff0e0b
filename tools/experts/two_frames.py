"""The same quantity from single frames: where two of them disagree, a pose or a depth is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.contract import Finding, Json, Resources
from spatial_agent.tools.errors import ToolArgumentError, ToolFailedError
from spatial_agent.tools.geometry.intervals import DRIFT, Z90, scale_std, shape_std
from spatial_agent.tools.geometry.measuring import corrected_box, measure_height_above_floor
from spatial_agent.tools.geometry.single_frame import Patches, Shift, flat_patches, shift_in_frame
from spatial_agent.tools.geometry.transforms import invert_rigid
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import CameraPose, Frame, SceneMap, SceneObject
from spatial_agent.tools.skills.distance import Between, measure_between
from spatial_agent.tools.skills.references import resolve_one
from spatial_agent.tools.skills.wording import the

Array = NDArray[np.float64]
Measure = Literal["distance", "height", "rise"]

#: Frames that can be given at once.
MOST_FRAMES = 8
#: Places further apart than this many standard deviations of their difference contradict each other.
ALARM = 4.0
#: A comparison that would not show a fault of this, metres, in any direction shows nothing.
TELLING_M = 0.2
UP: Array = np.array([0.0, 0.0, 1.0])
WORDS: dict[Measure, str] = {
    "distance": "distance between {} and {}",
    "height": "height of the top of {} above the floor",
    "rise": "height of the centre of {} above that of {}",
}


@dataclass(frozen=True, eq=False)
class Part:
    """An object that a quantity depends on.

    Attributes:
        item: The object.
        pull: How the quantity changes where the object moves, per metre, scene axes, shape (3,).
        patches: Its surface.
    """

    item: SceneObject
    pull: Array
    patches: Patches


@dataclass(frozen=True, eq=False)
class Place:
    """Where one frame puts one object, against its place in the scene.

    Attributes:
        pull: How the quantity changes with it, see `Part`.
        shift_m: How far from its place, shape (3,).
        covariance_m2: Covariance of that without the error of the depth's scale, shape (3, 3).
        view_m: Way from the camera to the object, shape (3,).
        usual_m: The same, as the mean of the frames that the scene was measured from.
    """

    pull: Array
    shift_m: Array
    covariance_m2: Array
    view_m: Array
    usual_m: Array

    @property
    def change_m(self) -> float:
        """How much the shift changes the quantity."""
        return float(self.shift_m @ self.pull)

    @property
    def var_m2(self) -> float:
        """Variance of that change."""
        return float(self.pull @ self.covariance_m2 @ self.pull)


@dataclass(frozen=True, eq=False)
class Single:
    """A quantity from one frame alone, against that of the scene."""

    frame: int
    places: tuple[Place, ...]

    @property
    def change_m(self) -> float:
        """How much more than in the scene it is."""
        return sum(place.change_m for place in self.places)

    def std_m(self, scale: float) -> float:
        """Return the standard deviation against the scene, given that of the depth's scale."""
        per_scale_m = sum(float((place.view_m - place.usual_m) @ place.pull) for place in self.places)
        return float(np.sqrt(sum(place.var_m2 for place in self.places) + (scale * per_scale_m) ** 2))


@expert("two_frames", resources=Resources(in_caller=True))
def two_frames(
    scene: SceneMap,
    frames: tuple[Frame, ...],
    of: str,
    to: str | None = None,
    measure: Measure = "distance",
    between: Between = "surfaces",
) -> Finding:
    """Measure the same from the depth of two single frames, and say whether they agree.

    The surfaces of the objects are looked up in the depth of each frame, so what a wrong pose or a wrong
    depth of one frame did to the scene shows as a difference. Hidden surfaces are not used. By itself it
    decides nothing: it checks what was measured from all frames.

    Args:
        scene: The scene the frames belong to.
        frames: Two frames with depth that show the objects, or more, of which the two best are compared.
        of: The object.
        to: The other object, for a distance or a rise.
        measure: "distance" between the objects, "height" of the top above the floor, or "rise" of the
            centre of one above that of the other.
        between: Which distance: "surfaces", "centres" or "vsi".

    Raises:
        ToolArgumentError: If there are fewer than two frames, or an object is missing.
        ToolFailedError: If fewer than two frames show the objects well enough, or their surfaces are unknown.
        ScaleError: If the scale of the scene is only relative.
        ViewpointError: If a height is asked for, and up is unknown.
    """
    scene.require_metric("a comparison of two frames")
    chosen = {frame.header.index: frame for frame in frames}
    if not 2 <= len(chosen) <= MOST_FRAMES:
        raise ToolArgumentError(
            f"two_frames: expected 2 to {MOST_FRAMES} different frames, got {len(chosen)}"
        )
    if (to is None) != (measure == "height"):
        raise ToolArgumentError("two_frames: a distance or a rise needs `of` and `to`, a height only `of`")
    value_m, parts = _quantity(scene, of, to, measure, between)
    seen = [single for frame in chosen.values() if (single := _single(scene, frame, parts)) is not None]
    if len(seen) < 2:
        names = " and ".join(the(scene, part.item) for part in parts)
        raise ToolFailedError(
            f"{len(seen)} of the frames {', '.join(map(str, chosen))} show enough of {names} to measure from "
            "one frame alone; two are needed: choose frames that are nearer and unobstructed"
        )
    pairs = sorted(
        combinations(seen, 2), key=lambda pair: sum(one.std_m(scale_std(scene)) ** 2 for one in pair)
    )
    verdicts = [(pair, *_contradiction(scene, parts, value_m, pair)) for pair in pairs]
    # Any two of the frames may contradict each other; else the two that know the quantity best speak.
    pair, noticed_m, why = next((verdict for verdict in verdicts if verdict[2]), verdicts[0])
    finding = _finding(scene, parts, value_m, pair, measure)
    return replace(
        finding,
        claim=f"{finding.claim} {why[0].upper()}{why[1:]}." if why else finding.claim,
        definition=f"two_frames.{_definition(measure, between)}",
        details={**finding.details, "noticed_m": noticed_m, "contradicted": why},
    )


def _definition(measure: Measure, between: Between) -> str:
    return f"distance.{between}" if measure == "distance" else measure


def _quantity(
    scene: SceneMap, of: str, to: str | None, measure: Measure, between: Between
) -> tuple[float, tuple[Part, ...]]:
    """Return the quantity as the scene has it, and what it depends on."""
    item = resolve_one(scene, of)
    if to is None:
        return measure_height_above_floor(scene, item, "top").value, (_part(scene, item, UP),)
    other = resolve_one(scene, to)
    if item.id == other.id:
        raise ToolArgumentError(f"two_frames: {of!r} and {to!r} are both {item.id}; name two objects")
    if measure == "rise":
        scene.require_up("a height")
        rise_m = corrected_box(scene, item).centre_m[2] - corrected_box(scene, other).centre_m[2]
        return float(rise_m), (_part(scene, item, UP), _part(scene, other, -UP))
    measurement, points_m = measure_between(scene, item, other, between)
    way_m = points_m[1] - points_m[0]
    if not way_m.any():
        raise ToolFailedError(f"{the(scene, item)} and {the(scene, other)} touch: there is no way to compare")
    along = way_m / np.linalg.norm(way_m)
    return measurement.value, (_part(scene, item, -along), _part(scene, other, along))


def _part(scene: SceneMap, item: SceneObject, pull: Array) -> Part:
    if item.surface is None or not len(item.surface):
        raise ToolFailedError(
            f"only the box of {the(scene, item)} is known, so it cannot be found again in a frame"
        )
    return Part(item, pull, flat_patches(item.surface.xyz_m))


def _single(scene: SceneMap, frame: Frame, parts: Sequence[Part]) -> Single | None:
    header = frame.header
    if frame.depth is None or header.pose is None or header.intrinsics is None:
        return None
    if frame.depth.scale != "metric":
        return None
    scan_from_scene = np.eye(4) if scene.scan_from_scene is None else scene.scan_from_scene
    pose = header.pose.moved(invert_rigid(scan_from_scene))
    places = []
    for part in parts:
        shift = shift_in_frame(part.patches, frame.depth, header.intrinsics, pose)
        if shift is None:
            return None
        places.append(_place(scene, part, shift, pose))
    return Single(header.index, tuple(places))


def _place(scene: SceneMap, part: Part, shift: Shift, pose: CameraPose) -> Place:
    centre_m = part.item.box.centre_m
    usual = set(part.item.provenance.frames) if part.item.provenance else set()
    eyes_m = [camera.pose.position_m for camera in scene.cameras if camera.index in usual]
    view_m = centre_m - pose.position_m
    usual_m = centre_m - np.mean(eyes_m, axis=0) if eyes_m else view_m
    drift_m = DRIFT * scene.quality.pose_drift_m if scene.quality else 0.0
    bent_m = shape_std(scene) * view_m
    covariance_m2 = shift.covariance_m2 + drift_m**2 * np.eye(3) + np.outer(bent_m, bent_m)
    return Place(part.pull, shift.by_m, covariance_m2, view_m, usual_m)


def _finding(
    scene: SceneMap, parts: Sequence[Part], value_m: float, pair: tuple[Single, Single], measure: Measure
) -> Finding:
    """Return the quantity as two frames have it."""
    stds_m = [single.std_m(scale_std(scene)) for single in pair]
    values_m = [value_m + single.change_m for single in pair]
    # The error of the scale is common to both, so two are no better than the better one.
    mean_m, margin_m = _mean_m(values_m, stds_m), Z90 * min(stds_m)
    numbers = " and ".join(
        f"{value:.2f} m ± {Z90 * std:.2f} m in frame {single.frame} alone"
        for value, std, single in zip(values_m, stds_m, pair, strict=True)
    )
    details: dict[str, Json] = {
        "frames": [single.frame for single in pair],
        "values_m": values_m,
        "margins_m": [Z90 * std for std in stds_m],
        "scene_m": value_m,
    }
    return Finding(
        claim=f"The {WORDS[measure].format(*(the(scene, part.item) for part in parts))} is {numbers}.",
        value=mean_m,
        unit="m",
        low=mean_m - margin_m,
        high=mean_m + margin_m,
        quality="weak",
        why_weak="single frames check what was measured from all of them, and decide nothing by themselves",
        objects=tuple(part.item.id for part in parts),
        details=details,
    )


def _mean_m(values_m: Sequence[float], stds_m: Sequence[float]) -> float:
    return float(np.average(values_m, weights=np.asarray(stds_m) ** -2.0))


def _contradiction(
    scene: SceneMap, parts: Sequence[Part], value_m: float, pair: tuple[Single, Single]
) -> tuple[float, str | None]:
    """Return the smallest fault that would show, metres, and what contradicts, if anything."""
    scale = scale_std(scene)
    first, second = pair
    noticed_m = np.inf
    for part, one, other in zip(parts, first.places, second.places, strict=True):
        apart_m, limit_m, least_m = _apart(one, other, scale)
        noticed_m = min(noticed_m, least_m)
        if apart_m > limit_m:
            return noticed_m, (
                f"frames {first.frame} and {second.frame} put {the(scene, part.item)} {apart_m:.2f} m apart, "
                f"which noise explains up to {limit_m:.2f} m"
            )
    stds_m = [single.std_m(scale) for single in pair]
    change_m = _mean_m([single.change_m for single in pair], stds_m)
    if abs(change_m) > ALARM * max(stds_m):
        both = f"frames {first.frame} and {second.frame} say {value_m + change_m:.2f} m"
        return noticed_m, f"{both}, all frames together {value_m:.2f} m"
    return noticed_m, None


def _apart(one: Place, other: Place, scale: float) -> tuple[float, float, float]:
    """Return how far apart two frames put an object where that means most, and how far noise explains.

    Returns:
        Both in metres, and how far noise explains along the direction that is known best.
    """
    shift_m, view_m = one.shift_m - other.shift_m, scale * (one.view_m - other.view_m)
    covariance_m2 = one.covariance_m2 + other.covariance_m2 + np.outer(view_m, view_m)
    least_m = ALARM * float(np.sqrt(np.linalg.eigvalsh(covariance_m2)[0]))
    along = np.linalg.solve(covariance_m2, shift_m)
    length = float(np.linalg.norm(along))
    if not length:
        return 0.0, least_m, least_m
    along /= length
    return float(shift_m @ along), ALARM * float(np.sqrt(along @ covariance_m2 @ along)), least_m
