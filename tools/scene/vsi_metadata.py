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
    order of the file. The file's world is metric with +Z up; its floor need not be at z = 0. What the
    file says of counts and bounds that its boxes do not bear out is written in the notes.

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
    labels = entry.get("object_bbox") if isinstance(entry, dict) else None
    if not isinstance(labels, dict) or not all(isinstance(boxes, list) for boxes in labels.values()):
        raise SourceError(f"{name}: expected 'object_bbox' with a list of boxes for every label")
    objects = tuple(
        _object(f"{label}-{number}", label, box, name)
        for label, boxes in labels.items()
        for number, box in enumerate(boxes, start=1)
    )
    given = [box for boxes in labels.values() for box in boxes]
    notes = (
        "Boxes and room size as given by VSI-Bench's metadata.",
        *_count_notes(entry.get("object_counts") or {}, labels),
        *_bounds_notes(objects, given),
    )
    return SceneMap(objects, room=_room(name, entry.get("room_size")), scene_id=name, notes=notes)


def _object(object_id: str, label: str, entry: Mapping[str, Any], scene: str) -> SceneObject:
    try:
        return SceneObject(object_id, label, _box(entry))
    except (InvalidValueError, KeyError, TypeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise SourceError(f"{scene}, {object_id}: not a box: {reason}") from error


def _box(entry: Mapping[str, Any]) -> OrientedBox:
    centre_m, extent_m, rows = (
        np.array(entry[key], dtype=np.float64) for key in ("centroid", "axesLengths", "normalizedAxes")
    )
    axes = rows.reshape(3, 3).T
    if np.linalg.det(axes) < 0:
        axes = axes * (1.0, 1.0, -1.0)
    return OrientedBox(centre_m, extent_m, axes)


def _room(scene: str, area_m2: float | None) -> Room | None:
    try:
        return Room(float(area_m2)) if area_m2 else None
    except (TypeError, ValueError) as error:
        raise SourceError(f"{scene}: 'room_size' is no area in square metres: {area_m2!r}") from error


def _count_notes(counts: Mapping[str, int], labels: Mapping[str, list[Any]]) -> list[str]:
    return [
        f"The file counts {counts.get(label, 0)} of {label!r}, but gives {len(labels.get(label, []))} boxes."
        for label in sorted({*counts, *labels})
        if counts and counts.get(label, 0) != len(labels.get(label, []))
    ]


def _bounds_notes(objects: tuple[SceneObject, ...], given: list[Mapping[str, Any]]) -> list[str]:
    """Say where the stated bounds are not those of the box; the benchmark itself goes by the box."""
    return [
        f"The corners of {item.id} do not end at its stated bounds; its axes were taken as given."
        for item, entry in zip(objects, given, strict=True)
        if "min" in entry and "max" in entry and not _within_bounds(item.box, entry)
    ]


def _within_bounds(box: OrientedBox, entry: Mapping[str, Any]) -> bool:
    ends_m = np.array([box.corners_m.min(axis=0), box.corners_m.max(axis=0)])
    stated_m = np.array([entry["min"], entry["max"]], dtype=np.float64)
    return stated_m.shape == ends_m.shape and float(np.abs(ends_m - stated_m).max()) <= BOUNDS_TOLERANCE_M
