"""The scene of a run, and its frames: loaded once, and again by a process that takes the run up."""

from typing import Any

from spatial_agent.agent.plain import from_plain
from spatial_agent.agent.regions import Region, add_regions, with_names
from spatial_agent.agent.state import AgentState, RunContext
from spatial_agent.tools.errors import SourceError, UnmeasurableError
from spatial_agent.tools.scene import SceneMap

SCENE = "scene"


async def load_scene(state: AgentState, context: RunContext) -> dict[str, Any]:
    """Return the facts about the scene of a run, and have the runner keep it as ``$scene``.

    Raises:
        SourceError: If the source cannot be read; also if it can only be looked at, and there is no model
            to look at it.
        ToolError: If it could not be measured, or a region lies on nothing that can be.
    """
    try:
        loaded = await context.scenes.get(context.runner, state["source"])
    except UnmeasurableError as error:
        return await _only_looked_at(state, context, error)
    context.frames.frames = loaded.frames
    reference = context.runner.keep(SCENE, loaded.scene)
    names = await _marked(state, context, reference)
    return {
        "id": loaded.scene.scene_id,
        "reference": reference,
        "cached": loaded.cached,
        "objects": [item.id for item in loaded.scene.objects],
        "regions": list(names),
        "notes": list(loaded.scene.notes),
        "degraded": list(loaded.degraded),
        "frames": 0 if loaded.frames is None else len(loaded.frames),
    }


async def scene_of(state: AgentState, context: RunContext) -> SceneMap | None:
    """Return the scene of a run, loading it where this process has not; None where nothing is measured."""
    if state["scene"]["reference"] is None:
        if context.frames.frames is None:
            context.frames.frames = await context.scenes.frames(state["source"])
        return None
    if not context.is_loaded:
        loaded = await context.scenes.get(context.runner, state["source"])
        context.frames.frames = loaded.frames
        await _marked(state, context, context.runner.keep(SCENE, loaded.scene))
    scene = context.runner.value(state["scene"]["reference"])
    if not isinstance(scene, SceneMap):
        raise TypeError(f"expected a scene map under ${SCENE}, got {type(scene).__name__}")
    return scene


def question_of(state: AgentState) -> str:
    """Return the question with the ids of its regions in their places."""
    return with_names(state["question"], tuple(state["scene"].get("regions", ())))


async def _marked(state: AgentState, context: RunContext, reference: str) -> tuple[str, ...]:
    """Add what was marked on frames to the scene that is kept; return the ids."""
    context.is_loaded = True
    regions = tuple(from_plain(Region, region) for region in state.get("regions", ()))
    if not regions:
        return ()
    marked, names = await add_regions(context.runner, reference, regions)
    context.runner.keep(SCENE, context.runner.value(marked))
    return names


async def _only_looked_at(state: AgentState, context: RunContext, error: UnmeasurableError) -> dict[str, Any]:
    if context.model is None:
        raise error
    if state.get("regions"):
        raise SourceError(f"regions belong to what can be measured, and this cannot: {error}") from error
    frames = await context.scenes.frames(state["source"])
    context.frames.frames = frames
    context.is_loaded = True
    return {
        "id": frames.content_hash,
        "reference": None,
        "unmeasured": str(error),
        "cached": False,
        "objects": [],
        "regions": [],
        "notes": [],
        "degraded": [],
        "frames": len(frames),
    }
