"""Reads VSI-Bench's released scene metadata (``*_meta_info_val.json``): boxes, counts and room size."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError, SourceError
from spatial_agent.tools.scene.box import OrientedBox
from spatial_agent.tools.scene.map import Room, SceneMap, SceneObject

Array = NDArray[np.float64]

#: How far the stated bounds of a box may be from those of its corners, metres.
BOUNDS_TOLERANCE_M = 0.01


def read_vsi_metadata(path: Path | str) -> dict[str, SceneMap]:
    """Read every scene of a metadata file.

    Boxes keep the rotation they were given, tilted or not; a mirrored one is made proper by turning
    its last axis round, which leaves the box what it was. Ids are ``label-1``, ``label-2`` in the
    order of the file. The file's world is metric with +Z up; its floor need not be at z = 0.

    Args:
        path: JSON: scene name to ``object_bbox`` (label to boxes of ``centroid``, ``axesLengths``,
            ``normalizedAxes`` whose *rows* are the axes, and optional ``min`` and ``max``),
            ``object_counts`` and ``room_size`` in square metres.

    Returns:
        Scene maps by scene name.

    Raises:
        SourceError: If the file cannot be read, or is not of that form; it names scene and object.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise SourceError(f"{path}: expected an object of scenes, got {type(content).__name__}")
    return {name: _scene(name, entry) for name, entry in content.items()}


def _scene(name: str, entry: Any) -> SceneMap:  # noqa: ANN401 (JSON)
    boxes = entry.get("object_bbox") if isinstance(entry, dict) else None
    if not isinstance(boxes, dict):
        raise SourceError(f"{name}: expected 'object_bbox' with a list of boxes for every label")
    objects = tuple(
        _object(f"{label}-{number}", label, box, name)
        for label, instances in boxes.items()
        for number, box in enumerate(instances, start=1)
    )
    return SceneMap(
        objects, room=_room(name, entry.get("room_size")), scene_id=name, notes=_notes(entry, boxes)
    )


def _object(object_id: str, label: str, box: Mapping[str, Any], scene: str) -> SceneObject:
    try:
        return SceneObject(object_id, label, _box(box))
    except (InvalidValueError, KeyError, TypeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise SourceError(f"{scene}, {object_id}: not a box: {reason}") from error


def _box(entry: Mapping[str, Any]) -> OrientedBox:
    axes = np.array(entry["normalizedAxes"], dtype=np.float64).reshape(3, 3).T
    if np.linalg.det(axes) < 0:
        axes = axes * (1.0, 1.0, -1.0)
    box = OrientedBox(
        np.array(entry["centroid"], dtype=np.float64), np.array(entry["axesLengths"], dtype=np.float64), axes
    )
    for bound, corner_m in (("min", box.corners_m.min(axis=0)), ("max", box.corners_m.max(axis=0))):
        stated_m = np.array(entry.get(bound, corner_m), dtype=np.float64)
        if np.abs(stated_m - corner_m).max() > BOUNDS_TOLERANCE_M:
            raise InvalidValueError(
                f"its corners end at {corner_m.round(3).tolist()}, but {bound!r} says "
                f"{stated_m.round(3).tolist()}; expected the rows of 'normalizedAxes' to be the box axes"
            )
    return box


def _room(scene: str, area_m2: float | None) -> Room | None:
    try:
        return None if area_m2 is None else Room(float(area_m2))
    except (TypeError, ValueError) as error:
        raise SourceError(f"{scene}: 'room_size' is no area in square metres: {area_m2!r}") from error


def _notes(entry: Mapping[str, Any], boxes: Mapping[str, list[Any]]) -> tuple[str, ...]:
    counts: Mapping[str, int] = entry.get("object_counts") or {}
    differing = (
        f"The file counts {counts.get(label, 0)} of {label!r}, but gives {len(boxes.get(label, []))} boxes."
        for label in sorted({*counts, *boxes})
        if counts and counts.get(label, 0) != len(boxes.get(label, []))
    )
    return ("Boxes and room size as given by VSI-Bench's metadata.", *differing)
