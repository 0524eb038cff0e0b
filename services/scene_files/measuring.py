"""Measuring a scene that was uploaded: once, by a job, before the first question."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.agent.state import LoadedScene
from spatial_agent.services.api.problems import problem_of
from spatial_agent.services.pictures import write_scene_folder
from spatial_agent.services.scene_files.artifacts import keep_only_with_files
from spatial_agent.services.scene_files.folder import MOST_NOTES, SceneFiles
from spatial_agent.services.store.records import NewJob, SceneRecord
from spatial_agent.services.work.redaction import without_folders
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import InvalidValueError, SourceError, UnmeasurableError
from spatial_agent.tools.geometry.measuring import measure_room
from spatial_agent.tools.scene import SceneMap


def measuring_job(record: SceneRecord, *, key: str | None = None, request_id: str = "") -> NewJob:
    """Return the job that measures a scene; its tenant hands it in under `measuring_key`.

    Args:
        record: The scene.
        key: Id of the API key that it came with.
        request_id: Of the request that it came with.
    """
    return NewJob(
        tenant=record.tenant,
        kind="scene",
        request={"scene": record.id},
        scene=record.id,
        key=key,
        request_id=request_id,
    )


def measuring_key(record: SceneRecord) -> str:
    """Return the idempotency key of that job: a scene is measured once, whoever asks how often."""
    return f"measure {record.id}"


async def measure(
    agent: SpatialAgent, record: SceneRecord, files: SceneFiles, folders: Sequence[Path] = ()
) -> Mapping[str, Json]:
    """Measure a scene, write what others look at, and remember what it is.

    A source in which nothing can be measured is ready all the same: models can look at its frames.

    Args:
        agent: Measures it.
        record: The scene.
        files: Knows where its files are.
        folders: Folders of this server besides, which nothing that is remembered may name.

    Returns:
        Its facts: ``kind``, ``frames``, ``measurable``, and for what could be measured ``objects``,
        ``cameras`` (their numbers), ``scale``, ``up``; ``notes`` and ``artifacts``.

    Raises:
        SourceError: If its files cannot be read, or are gone.
        ToolError: If it cannot be measured.
    """
    source = files.source(record)
    unnamed = (source, files.root, *folders)
    await _change(files, record, state="measuring")
    try:
        found = await _measured(agent, source, files.artifacts_folder(record))
    except Exception as error:
        problem = without_folders(problem_of(error), unnamed)
        await _change(files, record, state="failed", problem=problem)
        raise
    facts = {**record.facts, **without_folders(found, unnamed)}
    await _change(files, record, state="ready", facts=facts, problem=None)
    return facts


async def _measured(agent: SpatialAgent, source: Path, artifacts: Path) -> dict[str, Any]:
    try:
        loaded = await agent.ascene(source)
    except UnmeasurableError as error:
        frames = await asyncio.to_thread(agent.frames, source)
        notes = [*frames.notes, str(error)]
        return {"measurable": False, "frames": len(frames), "notes": notes[:MOST_NOTES], "artifacts": []}
    written = await asyncio.to_thread(_written, loaded, artifacts)
    return _facts(loaded) | {"measurable": True, "artifacts": sorted(path.name for path in written)}


def _written(loaded: LoadedScene, artifacts: Path) -> Sequence[Path]:
    # In one thread: it goes on where the job is cancelled because the scene is deleted.
    written = write_scene_folder(loaded, artifacts)
    if not keep_only_with_files(artifacts):
        raise SourceError("the scene was deleted while it was measured; upload it again")
    return written


def _facts(loaded: LoadedScene) -> dict[str, Any]:
    scene = loaded.scene
    return {
        "frames": 0 if loaded.frames is None else len(loaded.frames),
        "objects": len(scene.objects),
        "cameras": len(scene.cameras),
        "scale": scene.scale,
        "up": scene.up is not None,
        "floor_m2": _floor_m2(scene),
        "notes": [*scene.notes, *loaded.degraded][:MOST_NOTES],
    }


def _floor_m2(scene: SceneMap) -> list[float | None] | None:
    """Return the area of the floor and both ends of its interval, as a question about it is answered."""
    try:
        area = measure_room(scene)
    except InvalidValueError:
        return None
    return [area.value, area.low, area.high]


async def _change(files: SceneFiles, record: SceneRecord, **changes: Any) -> None:  # noqa: ANN401 - of the record
    await asyncio.to_thread(lambda: files.store.scenes.update(record.tenant, record.id, **changes))
