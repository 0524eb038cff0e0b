"""Recorded depth held against depth that a network estimated from the picture of the same frame."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.contract import Finding, Json, Resources
from spatial_agent.tools.errors import ToolArgumentError, ToolFailedError
from spatial_agent.tools.geometry.projection import unproject
from spatial_agent.tools.geometry.transforms import invert_rigid
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import DepthMap, Frame, SceneMap, SceneObject
from spatial_agent.tools.skills.references import resolve_one
from spatial_agent.tools.skills.wording import the

Array = NDArray[np.float64]
Pixels = NDArray[np.bool_]

#: Half-width of a 90 % interval, and of the one beyond which estimates contradict, in standard deviations.
Z90, ALARM = 1.645, 2.8
#: Pixels within this of an object's box are the object's, metres.
MARGIN_M = 0.03
#: Fewer pixels of an object say nothing.
LEAST_PIXELS = 30
#: What a depth of unknown quality is good for: estimates that say nothing about their shape.
LEAST_SHAPE = 0.03


class Ratio(NamedTuple):
    """Estimated over recorded depth, as a logarithm, of some pixels."""

    log: float
    pixels: int


@expert("depth_agreement", resources=Resources(in_caller=True))
def depth_agreement(scene: SceneMap, frame: Frame, estimated: DepthMap, of: list[str]) -> Finding:
    """Say whether the depth a network estimated bears out the recorded depth of objects in one frame.

    Two things are compared: how far away the objects are (only where the estimate is in metres), and how
    far away each is in proportion to all else in the picture, where one wrong factor common to the whole
    estimate does not matter. By itself it decides nothing: it checks what was measured from recorded depth.

    Args:
        scene: The scene the frame belongs to.
        frame: A frame with recorded depth.
        estimated: Depth estimated from the picture of that frame.
        of: The objects, by their names or ids.

    Raises:
        ToolArgumentError: If no object is named.
        ToolFailedError: If the frame has no depth, or shows too little of the objects.
    """
    if not of:
        raise ToolArgumentError("depth_agreement: expected at least one object in `of`, got none")
    items = tuple({item.id: item for item in (resolve_one(scene, phrase) for phrase in of)}.values())
    logs, own = _logs(frame, estimated), _own_pixels(scene, frame, items)
    known = np.isfinite(logs)
    single = {
        item.id: Ratio(float(np.median(logs[pixels & known])), int((pixels & known).sum()))
        for item, pixels in zip(items, own, strict=True)
        if (pixels & known).sum() >= LEAST_PIXELS
    }
    if not single:
        names = " and ".join(the(scene, item) for item in items)
        raise ToolFailedError(f"frame {frame.header.index} shows too little of {names} to compare its depth")
    rest = known & ~np.any(own, axis=0)
    around = float(np.median(logs[rest])) if rest.sum() >= LEAST_PIXELS else None
    return _finding(scene, frame, estimated, single, around)


def _logs(frame: Frame, estimated: DepthMap) -> Array:
    """Return the logarithm of estimated over recorded depth, shape (H, W); NaN where either is unknown."""
    if frame.depth is None or frame.depth.scale != "metric":
        raise ToolFailedError(f"frame {frame.header.name} was recorded without metric depth to compare with")
    recorded_m = frame.depth.z_m.astype(np.float64)
    rows, columns = (
        ((np.arange(size) + 0.5) * of / size).astype(int)
        for size, of in zip(recorded_m.shape, estimated.z_m.shape, strict=True)
    )
    there = estimated.z_m[rows[:, None], columns].astype(np.float64)
    known = (recorded_m > 0) & (there > 0)
    logs = np.full(recorded_m.shape, np.nan)
    logs[known] = np.log(there[known] / recorded_m[known])
    return logs


def _own_pixels(scene: SceneMap, frame: Frame, items: Sequence[SceneObject]) -> list[Pixels]:
    """Return which pixels see each object: those whose recorded depth ends inside its box."""
    header, depth = frame.header, frame.depth
    if depth is None or header.pose is None or header.intrinsics is None:
        raise ToolFailedError(f"frame {header.name}: objects are found in it by depth, pose and intrinsics")
    scan_from_scene = np.eye(4) if scene.scan_from_scene is None else scene.scan_from_scene
    pose = header.pose.moved(invert_rigid(scan_from_scene))
    camera_m = unproject(header.intrinsics, depth.z_m).reshape(-1, 3)
    xyz_m = camera_m @ pose.rotation.T + pose.position_m
    shape = depth.z_m.shape
    return [item.box.contains(xyz_m, MARGIN_M).reshape(shape) & depth.valid for item in items]


def _finding(
    scene: SceneMap, frame: Frame, estimated: DepthMap, single: dict[str, Ratio], around: float | None
) -> Finding:
    recorded_error = 0.01 if frame.depth is None else frame.depth.scale_error
    shape = max(estimated.shape_error, LEAST_SHAPE)
    scale = float(np.linalg.norm([estimated.scale_error, shape, recorded_error]))
    is_metric = estimated.scale == "metric"
    mean = float(np.mean([ratio.log for ratio in single.values()]))
    why = _contradiction(scene, single, mean if is_metric else None, scale, around, shape)
    names = " and ".join(the(scene, scene.object(name)) for name in single)
    margin = Z90 * (scale if is_metric else shape * np.sqrt(2.0))
    value = mean if is_metric or around is None else mean - around
    low, middle, high = (float(np.exp(value + end)) for end in (-margin, 0.0, margin))
    compared = "as far away" if is_metric else "as far away, in proportion to the rest of the picture,"
    details: dict[str, Json] = {
        "frame": frame.header.index,
        "ratios": {name: float(np.exp(ratio.log)) for name, ratio in single.items()},
        "pixels": {name: ratio.pixels for name, ratio in single.items()},
        "ratio_of_the_rest": None if around is None else float(np.exp(around)),
        "scale": estimated.scale,
        "margin": high / middle - 1.0,
        "telling": is_metric or around is not None,
        "contradicted": why,
    }
    return Finding(
        claim=f"In frame {frame.header.index} a network sees {names} {middle:.2f} times {compared} as "
        f"recorded depth does ({low:.2f} to {high:.2f}){'; ' + why if why else ''}.",
        value="contradicts" if why else "agrees",
        definition="depth_agreement",
        quality="weak",
        why_weak="estimated depth checks recorded depth roughly, and decides nothing by itself",
        objects=tuple(single),
        details=details,
    )


def _contradiction(
    scene: SceneMap,
    single: dict[str, Ratio],
    mean: float | None,
    scale: float,
    around: float | None,
    shape: float,
) -> str | None:
    """Return what of the estimate contradicts recorded depth, if anything.

    Args:
        scene: The scene.
        single: Ratios by object.
        mean: Mean of them; None where the estimate has no scale.
        scale: Relative standard deviation of a ratio.
        around: Ratio of the rest of the picture; None where there is too little of it.
        shape: Relative standard deviation of single depths after the best scale.
    """
    if mean is not None and abs(mean) > ALARM * scale:
        return f"estimated depth is {np.exp(mean):.2f} times the recorded one, {_usual(ALARM * scale)}"
    limit = ALARM * shape * float(np.sqrt(2.0))
    for name, ratio in single.items():
        if around is not None and abs(ratio.log - around) > limit:
            return (
                f"{the(scene, scene.object(name))} is {np.exp(ratio.log - around):.2f} times as far away in "
                f"the estimate, in proportion to the rest of the picture, {_usual(limit)}"
            )
    return None


def _usual(limit: float) -> str:
    return f"where {np.exp(-limit):.2f} to {np.exp(limit):.2f} times would be usual"
