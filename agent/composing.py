"""What the model reads before it answers: everything known of the task, as one structured prompt."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from spatial_agent.agent.executor import is_own, is_second_route
from spatial_agent.agent.kept import answer_of_evidence, evidence_of, reading_of, turns_of, weak_of
from spatial_agent.agent.loading import scene_of
from spatial_agent.agent.looking import is_view, kept_pictures, looked_at
from spatial_agent.agent.planner.conversation import card_of
from spatial_agent.agent.state import AgentState, RunContext, model_of
from spatial_agent.agent.task import Reference, SpatialTask, Viewpoint
from spatial_agent.prompts.cognitive_map import cognitive_map_picture
from spatial_agent.prompts.spatial import ALL, Known, PartName, SpatialPrompt, compose
from spatial_agent.tools.contract import Evidence
from spatial_agent.tools.errors import SpatialAgentError
from spatial_agent.tools.scene import Picture, SceneMap
from spatial_agent.tools.skills.references import resolve

#: What a run without a model puts down: for people who read its trace.
WITHOUT_MODEL: tuple[PartName, ...] = ("measurements", "unknown", "conclusion")


async def spatial_prompt(state: AgentState, context: RunContext) -> SpatialPrompt:
    """Return the prompt of a run, made once in a process."""
    if context.prompt is None:
        context.prompt = await _made(state, context)
    return context.prompt


async def _made(state: AgentState, context: RunContext) -> SpatialPrompt:
    scene = await scene_of(state, context)
    known = _known(state, scene)
    model = model_of(state, context)
    if model is None:
        # A few rows of words take less than handing them to a thread and back.
        return compose(known, parts=WITHOUT_MODEL, most_tokens=context.budget.prompt_tokens)
    parts = ALL if context.parts is None else [name for name in ALL if name in context.parts]
    most = min(context.budget.pictures, model.limits.most_pictures)
    if most:
        side_px = model.limits.picture_side_px
        pictures = await asyncio.to_thread(_pictures, known, context, state, parts, most, side_px)
        known = replace(known, pictures=pictures)
    return await asyncio.to_thread(compose, known, parts=parts, most_tokens=context.budget.prompt_tokens)


def _known(state: AgentState, scene: SceneMap | None) -> Known:
    reading, evidence = reading_of(state), evidence_of(state)
    task = reading.task
    # That a second route failed says nothing of what was asked.
    failures = [item for item in state["failures"] if not is_second_route(item["call_id"])]
    if unmeasured := state["scene"].get("unmeasured"):
        failures.append({"call_id": "", "tool": "scene", "message": unmeasured})
    view = task.viewpoint
    return Known(
        task_card=card_of(reading, state["question"]),
        scene=scene,
        evidence=evidence,
        weak=weak_of(state),
        failures=tuple(failures),
        conclusion=_conclusion(state, evidence),
        entities=_entities(scene, task, evidence),
        observer=_observer(scene, view),
        facing_away=view is not None and view.facing_away,
        camera=view.frame if view and view.kind == "camera" else None,
        owner=_owner(scene, view),
    )


def _conclusion(state: AgentState, evidence: Sequence[Evidence]) -> str | None:
    if not any(is_own(item.call_id) for item in evidence):
        return None
    concluded = answer_of_evidence(state)
    return None if concluded.abstained else concluded.text


def _entities(scene: SceneMap | None, task: SpatialTask, evidence: Sequence[Evidence]) -> tuple[str, ...]:
    """Return the ids of what the question is about: as measured, else as named."""
    measured = [name for item in evidence if is_own(item.call_id) for name in item.finding.objects]
    view = task.viewpoint
    named = [*task.entities, *(leg.to for leg in task.legs)]
    named += [reference for reference in (view and view.at, view and view.facing) if reference]
    return tuple(dict.fromkeys([*measured, *_ids(scene, named)]))


def _observer(scene: SceneMap | None, view: Viewpoint | None) -> tuple[str, str] | None:
    if view is None or view.at is None or view.facing is None:
        return None
    found = [next(iter(_ids(scene, [reference])), None) for reference in (view.at, view.facing)]
    at, facing = found
    return None if at is None or facing is None else (at, facing)


def _owner(scene: SceneMap | None, view: Viewpoint | None) -> str | None:
    if view is None or view.kind != "object_axes" or view.at is None:
        return None
    return next(iter(_ids(scene, [view.at])), None)


def _ids(scene: SceneMap | None, references: Sequence[Reference]) -> list[str]:
    """Return the ids of everything that may be meant."""
    found: list[str] = []
    for reference in references if scene is not None else ():
        try:
            found += [item.id for item in resolve(scene, reference.phrase)]  # type: ignore[arg-type]
        except SpatialAgentError:
            continue
    return found


def _pictures(
    known: Known,
    context: RunContext,
    state: AgentState,
    parts: Sequence[PartName],
    most: int,
    side_px: int,
) -> dict[PartName, tuple[Picture, ...]]:
    """Return the pictures for the parts in use: frames first, then imagined views, then the map."""
    pictures: dict[PartName, tuple[Picture, ...]] = {}
    views = _drawn(state, context)[: most - 1] if "novel_view" in parts else ()
    if views:
        pictures["novel_view"] = views
    has_map = "cognitive_map" in parts and known.scene is not None and known.scene.up is not None
    frames = context.frames.frames
    room = most - len(views) - has_map
    if frames is not None and "marked_frames" in parts and room > 0:
        pictures["marked_frames"] = looked_at(
            known.scene, frames, known.entities, known.evidence, room, side_px
        )
    if has_map and known.scene is not None:
        pictures["cognitive_map"] = (
            cognitive_map_picture(known.scene, known.entities, known.observer, away=known.facing_away),
        )
    return pictures


def _drawn(state: AgentState, context: RunContext) -> tuple[Picture, ...]:
    """Return the imagined views of the run."""
    references = [
        seen.picture
        for turn in turns_of(state)
        for seen in turn.seen
        if seen.picture is not None and is_view(seen.tool)
    ]
    return tuple(kept_pictures(context.runner, references))
