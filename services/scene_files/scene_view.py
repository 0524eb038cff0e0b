"""Scenes as documents on the wire."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spatial_agent.services.api.schemas import CameraView, ObjectView, Problem, SceneView
from spatial_agent.services.store.records import SceneRecord
from spatial_agent.tools.contract import Json


def scene_view(
    record: SceneRecord, scene: Mapping[str, Any] | None, artifacts: Mapping[str, str]
) -> SceneView:
    """Return what callers see of a scene.

    Args:
        record: The scene.
        scene: The content of its ``scene.json``, once it has been measured; None in lists.
        artifacts: Links by name.
    """
    facts = record.facts
    return SceneView(
        id=record.id,
        name=record.name,
        state=record.state,
        profile=record.profile,
        created=record.created,
        bytes=record.bytes,
        kind=_text(facts.get("kind")),
        frames=_count(facts.get("frames")),
        scale=_text(facts.get("scale")),
        up=facts["up"] if isinstance(facts.get("up"), bool) else None,
        notes=_notes(facts),
        objects=[] if scene is None else [_object(item) for item in scene["objects"]],
        cameras=[] if scene is None else [_camera(camera) for camera in scene["cameras"]],
        room=None if scene is None else _room(scene["room"], facts.get("floor_m2")),
        artifacts=dict(artifacts),
        problem=None if record.problem is None else Problem.model_validate(record.problem),
    )


def _room(room: Mapping[str, Any] | None, floor_m2: object) -> dict[str, Any] | None:
    """Return the room with the interval of its area that questions are answered with."""
    if room is None:
        return None
    if not isinstance(floor_m2, list):
        return dict(room)
    area_m2, low_m2, high_m2 = floor_m2
    return {**room, "area_m2": area_m2, "area_low_m2": low_m2, "area_high_m2": high_m2}


def read_scene_json(path: Path) -> Mapping[str, Any] | None:
    """Return what a ``scene.json`` of ours says; None where there is none (yet)."""
    try:
        content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return content


def _object(item: Mapping[str, Any]) -> ObjectView:
    box = item["box"]
    return ObjectView(
        id=item["id"],
        label=item["label"],
        centre_m=box["centre_m"],
        size_m=box["extent_m"],
        rotation=box["world_from_box"],
        quality=item["score"],
    )


def _camera(camera: Mapping[str, Any]) -> CameraView:
    return CameraView(
        index=camera["index"],
        scene_from_camera=camera["world_from_camera"],
        width_px=camera["width"],
        height_px=camera["height"],
        focal_px=(camera["fx"], camera["fy"]),
        centre_px=(camera["cx"], camera["cy"]),
        timestamp_s=camera["time_s"],
    )


def _notes(facts: Mapping[str, Json]) -> list[str]:
    told = facts.get("notes")
    notes = [str(note) for note in told] if isinstance(told, list) else []
    if count := _count(facts.get("left_out")):
        notes.append(f"{count} file(s) were left out: nothing here opens them.")
    return notes


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
