"""What a model is told of a tool's result: a few words with units, never raw numbers by the thousand.

A value stays with the runner; the model gets its reference and a short description. Names that others gave
(labels, captions, messages) are data: harmless as `prompts.untrusted` makes them, and short.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatial_agent.prompts.untrusted import quoted
from spatial_agent.tools.call_json import plain_json
from spatial_agent.tools.contract import Evidence, ToolResult
from spatial_agent.tools.scene import (
    CameraIntrinsics,
    CameraPose,
    DepthMap,
    Detections,
    Frame,
    FrameSet,
    InstanceMask,
    Measurement,
    OrientedBox,
    Picture,
    PointCloud,
    SceneMap,
    SceneObject,
    SemanticMap,
    Tracks,
    TriangleMesh,
)

#: Longest hint, sentence of others and value of plain JSON, characters.
MOST, MOST_SENTENCE, MOST_JSON = 1600, 600, 800
#: How many things a list names.
MOST_LISTED = 12
#: Half-width of a 90 % interval in standard deviations.
Z90 = 1.645


@dataclass(frozen=True)
class Hint:
    """What a model is told of one call's result.

    Attributes:
        text: What came of it, at most `MOST` characters.
        picture: Reference of a `Picture` to look at, or None.
    """

    text: str
    picture: str | None = None


def hint(value: object, reference: str | None, result: ToolResult) -> Hint:
    """Return what a model is told of a result.

    Args:
        value: What the runner keeps; None where the result is evidence or an error.
        reference: Where it keeps it, such as ``"$depth/1"``.
        result: The result itself.
    """
    if result.error is not None:
        return Hint(f"failed ({type(result.error).__name__}): {_sentence(str(result.error))}")
    if result.evidence:
        return Hint(_bounded("\n".join(map(_claim, result.evidence))))
    if reference is None:
        return Hint("done; nothing came back")
    words = _bounded(f"{reference}: {describe(value)}")
    return Hint(words, reference if isinstance(value, Picture) else None)


def describe(value: object) -> str:
    """Return any value in a few words."""
    for kind, words in _WORDS.items():
        if isinstance(value, kind):
            return words(value)
    return _plain(value)


def _claim(evidence: Evidence) -> str:
    finding = evidence.finding
    weak = f" Weak evidence: {_sentence(finding.why_weak or 'said to be weak')}."
    close = f" Borderline: {_sentence(finding.borderline or '')}."
    return (
        f"{evidence.id}: {_sentence(finding.claim)}."
        f"{weak if finding.quality == 'weak' else ''}{close if finding.borderline else ''}"
    )


def _depth_map(depth: DepthMap) -> str:
    known = depth.z_m[depth.valid]
    size = _size(depth.z_m)
    if not known.size:
        return f"depth map of {size}, in which no pixel is known"
    near, middle, far = np.quantile(known, (0.02, 0.5, 0.98))
    unit = "m" if depth.scale == "metric" else "units without scale"
    share = Z90 * float(np.hypot(depth.scale_error, depth.shape_error))
    return (
        f"depth map of {size}: nearest {near:.2f}, middle {middle:.2f}, farthest {far:.2f} {unit} "
        f"(± {share:.1%}); {np.mean(depth.valid):.0%} of the pixels known"
    )


def _detections(found: Detections) -> str:
    if not len(found):
        return "nothing found"
    best = np.argsort(-found.scores, kind="stable")[:MOST_LISTED]
    boxes = [
        f"{quoted(found.labels[k])} {found.scores[k]:.2f} at {_box_px(found.xyxy_px[k])}"
        for k in best.tolist()
    ]
    masks = "" if found.masks is None else ", each with a mask"
    return (
        f"{len(found)} found{masks} (left, top, right, bottom in px): {'; '.join(boxes)}{_more(found.labels)}"
    )


def _instance_mask(mask: InstanceMask) -> str:
    return f"mask of {quoted(mask.label)}: {mask.pixels.sum()} of {_size(mask.pixels)}"


def _tracks(tracks: Tracks) -> str:
    things = [
        f"{number} = {quoted(next(iter(masks.values())).label)} in {len(masks)} frames from {min(masks)} "
        f"to {max(masks)}"
        for number, masks in ((number, tracks.of(number)) for number in tracks.ids[:MOST_LISTED])
    ]
    return (
        f"{len(tracks.ids)} things followed through {len(tracks.frames)} frames: "
        f"{'; '.join(things) or 'none'}{_more(tracks.ids)}"
    )


def _scene_map(scene: SceneMap) -> str:
    # What a tool adds comes last, so that the end is listed.
    last = scene.objects[-MOST_LISTED:]
    names = ", ".join(_bare(item.id) for item in last) or "none"
    before = "" if len(last) == len(scene.objects) else f"{len(scene.objects) - len(last)} others, "
    room = "" if scene.room is None else f", floor of {scene.room.area_m2:.1f} m²"
    return (
        f"scene of {scale_words(scene)}, {len(scene.cameras)} cameras{room}; "
        f"{len(scene.objects)} objects, the newest last: {before}{names}"
    )


def scale_words(scene: SceneMap) -> str:
    """Return in words what lengths of a scene mean."""
    known = {"metric": "metric scale", "relative": "unknown scale", "directions": "directions only"}
    return known[scene.scale] + ("" if scene.up is not None else ", up unknown")


def _scene_object(item: SceneObject) -> str:
    return f"object {_bare(item.id)}, {_box(item.box)}"


def _box(box: OrientedBox) -> str:
    return f"box of {_metres(box.extent_m, ' x ')} m about ({_metres(box.centre_m)}) m"


def _cloud(cloud: PointCloud) -> str:
    if not len(cloud):
        return "point cloud without points"
    return f"point cloud of {len(cloud)} points{_bounds(cloud.xyz_m)}"


def _mesh(mesh: TriangleMesh) -> str:
    if not len(mesh.faces):
        return "mesh without triangles"
    return f"mesh of {len(mesh.faces)} triangles{_bounds(mesh.vertices_m)}"


def _semantic(shown: SemanticMap) -> str:
    shares = [f"{quoted(name)} {share:.0%}" for name, share in shown.shares.items()]
    return f"classes of {_size(shown.labels)}: {', '.join(shares[:MOST_LISTED])}{_more(shares)}"


def _frame(frame: Frame) -> str:
    parts = [
        *([f"picture of {_size(frame.rgb)}"] if frame.rgb is not None else []),
        *(["depth"] if frame.depth is not None else []),
        *(["pose"] if frame.header.pose is not None else []),
        *(["recorded instances"] if frame.instance_ids is not None else []),
    ]
    return f"frame {quoted(frame.header.name)} with {', '.join(parts) or 'nothing decoded'}"


def _film(frames: FrameSet) -> str:
    parts = [("depth", frames.has_depth), ("poses", frames.has_poses), ("instances", frames.has_instances)]
    having = ", ".join(name for name, there in parts if there) or "pictures alone"
    return f"{len(frames)} frames of {quoted(frames.name)} with {having}"


def _pose(pose: CameraPose) -> str:
    return f"camera at ({_metres(pose.position_m)}) m looking along ({_metres(pose.forward)})"


def _lens(lens: CameraIntrinsics) -> str:
    across_deg = 2 * np.degrees(np.arctan(lens.width / 2 / lens.fx))
    return f"pinhole of {lens.width}x{lens.height} px, {across_deg:.0f}° across"


def _measurement(number: Measurement) -> str:
    ends = ["open" if end is None else f"{end:.4g}" for end in (number.low, number.high)]
    return f"{number.value:.4g} {number.unit} (90 %: {ends[0]} to {ends[1]} {number.unit})"


def _picture(picture: Picture) -> str:
    return f"picture of {_size(picture.rgb)}: {_sentence(picture.caption)}"


def _array(array: NDArray[Any]) -> str:
    return f"array of shape {array.shape}, {array.dtype}"


def _several(values: Sequence[object]) -> str:
    if (text := _json(values)) is not None:
        return text
    said = [f"{number}: {describe(item)}" for number, item in enumerate(values[:MOST_LISTED])]
    return f"{len(values)} values: {'; '.join(said)}{_more(values)}"


def _plain(value: object) -> str:
    text = _json(value)
    return f"a value of type {type(value).__name__}" if text is None else text


def _json(value: object) -> str | None:
    """Return the JSON of a plain value, cut and harmless; None for any other value."""
    try:
        text = json.dumps(plain_json(value), ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return None
    return quoted(text, MOST_JSON)[1:-1]


#: How values of each class are put into words; text comes first because it is a sequence, too.
_WORDS: Mapping[type[Any], Callable[[Any], str]] = {
    str: lambda text: quoted(text, MOST_JSON),
    DepthMap: _depth_map,
    Detections: _detections,
    InstanceMask: _instance_mask,
    Picture: _picture,
    Tracks: _tracks,
    SceneMap: _scene_map,
    SceneObject: _scene_object,
    OrientedBox: _box,
    PointCloud: _cloud,
    TriangleMesh: _mesh,
    SemanticMap: _semantic,
    Frame: _frame,
    FrameSet: _film,
    CameraPose: _pose,
    CameraIntrinsics: _lens,
    Measurement: _measurement,
    np.ndarray: _array,
    list: _several,
    tuple: _several,
}


def _size(array: NDArray[Any]) -> str:
    return f"{array.shape[1]}x{array.shape[0]} px"


def _box_px(xyxy_px: NDArray[np.float64]) -> str:
    return ", ".join(str(round(float(edge))) for edge in xyxy_px)


def _metres(numbers: NDArray[np.float64], gap: str = ", ") -> str:
    return gap.join(f"{number:.2f}" for number in numbers)


def _bounds(xyz_m: NDArray[np.float64]) -> str:
    return f" between ({_metres(xyz_m.min(axis=0))}) and ({_metres(xyz_m.max(axis=0))}) m"


def _more(things: Sequence[object]) -> str:
    return f"; {len(things) - MOST_LISTED} more" if len(things) > MOST_LISTED else ""


def _bare(name: str) -> str:
    """Return a name as it is to be used in calls, harmless."""
    return quoted(name)[1:-1]


def _sentence(text: str) -> str:
    return quoted(text, MOST_SENTENCE)[1:-1].rstrip(".") if text else ""


def _bounded(text: str) -> str:
    return _cut(text, MOST)


def _cut(text: str, most: int) -> str:
    """Return a text of at most so many characters that says where it was cut."""
    ending = " … (cut)"
    return text if len(text) <= most else text[: most - len(ending)] + ending
