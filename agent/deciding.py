"""What is asked and what to do next: the planner's part of the loop, with or without a model."""

import asyncio
from typing import Any

from spatial_agent.agent.executor import call_from_json, call_to_json, is_own
from spatial_agent.agent.kept import evidence_of, reading_of, turns_of, weak_of
from spatial_agent.agent.loading import question_of, scene_of
from spatial_agent.agent.looking import is_view, kept_pictures, looked_at
from spatial_agent.agent.models.chat import ChatModel
from spatial_agent.agent.plain import from_plain, to_plain
from spatial_agent.agent.planner.formalising import formalise
from spatial_agent.agent.planner.model_planner import ModelPlanner
from spatial_agent.agent.situation import Exchange, Left, Question, Situation, Step
from spatial_agent.agent.state import AgentState, RunContext, model_of
from spatial_agent.tools.errors import BudgetExceededError, ModelError, QuestionError
from spatial_agent.tools.scene import Picture, SceneMap

PLANNER = ModelPlanner()
#: Pictures of earlier turns that the model sees again.
LOOKED_AT_AGAIN = 2


async def read_question(state: AgentState, context: RunContext) -> dict[str, Any]:
    """Turn the question into a formal task.

    Raises:
        QuestionError: If it cannot be understood, and there is no model.
        ModelError: If it needed the model, which failed.
    """
    scene = await scene_of(state, context)
    labels = sorted({item.label for item in scene.objects}) if scene else []
    question = _question(state)
    model = model_of(state, context)
    try:
        return {"reading": to_plain(await formalise(question, model, labels)), "stopped": None}
    except QuestionError as error:
        if context.model is None:
            raise
        return {"reading": None, "stopped": str(error)}
    except (ModelError, BudgetExceededError) as error:
        try:
            reading = await formalise(question, None, labels)
        except QuestionError as unread:
            raise error from unread
        return {"reading": to_plain(reading), "stopped": None} | lost_model(error)


async def next_calls(state: AgentState, context: RunContext) -> dict[str, Any]:
    """Choose the next calls; none where enough is known or nothing more can be done."""
    scene = await scene_of(state, context)
    situation = _situation(state, context, scene)
    lost: dict[str, Any] = {}
    try:
        step = await _next_step(situation, context, model_of(state, context))
    except (ModelError, BudgetExceededError) as error:
        lost = lost_model(error)
        step = await _next_step(situation, context, None)
    if len(step.calls) > situation.left.calls:
        needs = f"the question needs {len(step.calls)} calls, the budget allows {situation.left.calls}"
        step = Step((), step.said, f"{needs}; ask for less at once")
    return {
        "calls": [call_to_json(call) for call in step.calls],
        "said": step.said,
        "stopped": step.stopped,
    } | lost


def may_go_on(state: AgentState) -> bool:
    """Return whether a model may want to measure further: the task is open, or its own calls failed."""
    if state.get("model_lost") or state["stopped"] or not state["verdict"]["has_model"]:
        return False
    is_open = state["reading"]["task"]["intent"] == "open"
    return is_open or any(is_own(failure["call_id"]) for failure in state["failures"])


async def _next_step(situation: Situation, context: RunContext, model: ChatModel | None) -> Step:
    async def look() -> tuple[Picture, ...]:
        limits = None if model is None else model.limits
        if limits is None or not limits.most_pictures:
            return ()
        return await asyncio.to_thread(_pictures, situation, context, limits.picture_side_px)

    return await PLANNER.next_step(situation, model, context.offers, context.interface, look)


def _pictures(situation: Situation, context: RunContext, side_px: int) -> tuple[Picture, ...]:
    """Return what there is to look at: frames, then what the tools have drawn lately."""
    drawn = [seen.picture for turn in situation.turns for seen in turn.seen if seen.picture]
    frames = context.frames.frames
    most = max(1, context.budget.pictures // 2)
    shown = (
        () if frames is None else looked_at(situation.scene, frames, (), situation.evidence, most, side_px)
    )
    return (*shown, *kept_pictures(context.runner, drawn[-LOOKED_AT_AGAIN:]))


def _question(state: AgentState) -> Question:
    dialogue = tuple(from_plain(Exchange, item) for item in state.get("dialogue", ()))
    return Question(question_of(state), tuple(state["options"]), dialogue)


def _situation(state: AgentState, context: RunContext, scene: SceneMap | None) -> Situation:
    turns = turns_of(state)
    wanted = (state.get("verdict") or {}).get("wanted", ())
    called = sum(len(turn.calls) for turn in turns)
    views = sum(is_view(call.tool) for turn in turns for call in turn.calls)
    budget = context.budget
    return Situation(
        question=_question(state),
        reading=reading_of(state),
        scene=scene,
        scene_reference=state["scene"]["reference"] or "",
        frames=state["scene"]["frames"],
        turns=turns,
        evidence=evidence_of(state),
        failures=tuple(state["failures"]),
        weak=weak_of(state),
        wanted=tuple(call_from_json(call) for call in wanted),
        left=Left(
            turns=budget.turns - len(turns),
            calls=budget.calls - called,
            pictures=budget.pictures,
            views=budget.views - views,
        ),
    )


def lost_model(error: Exception) -> dict[str, Any]:
    """Return what the state keeps of a model that failed."""
    return {"model_lost": f"the model took no further part: {error}"}
