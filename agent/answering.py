"""The last node: an answer from the evidence, from the model's view of it, or the refusal that says why."""

import asyncio
from dataclasses import replace
from typing import Any

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.answerer import abstain
from spatial_agent.agent.composing import spatial_prompt
from spatial_agent.agent.deciding import lost_model
from spatial_agent.agent.kept import answer_of_evidence, evidence_of, reading_of, weak_of
from spatial_agent.agent.loading import scene_of
from spatial_agent.agent.looking import looked_at
from spatial_agent.agent.model_answer import answer_with_model
from spatial_agent.agent.models.chat import ChatModel
from spatial_agent.agent.state import AgentState, RunContext, model_of
from spatial_agent.tools.errors import BudgetExceededError, ModelError
from spatial_agent.tools.scene import Picture

#: Longest answer of a model, tokens.
MOST_TOKENS = 700


async def conclude(state: AgentState, context: RunContext) -> dict[str, Any]:
    """Return the answer, in the form asked for."""
    if not state["reading"]:
        return {"answer": abstain(state["stopped"] or "the question could not be understood").to_json()}
    model, lost = model_of(state, context), {}
    if model is None:
        answer = answer_of_evidence(state)
    else:
        try:
            answer = await _with_model(state, context, model)
        except (ModelError, BudgetExceededError) as error:
            answer, lost = answer_of_evidence(state), lost_model(error)
    return {"answer": _with_limits(answer, state).to_json()} | lost


async def _with_model(state: AgentState, context: RunContext, model: ChatModel) -> Answer:
    reading, evidence = reading_of(state), evidence_of(state)
    scene = await scene_of(state, context)

    async def marked() -> Picture | None:
        frames = context.frames.frames
        if scene is None or frames is None or not model.limits.most_pictures:
            return None
        ids = [name for item in evidence for name in item.finding.objects]
        side_px = model.limits.picture_side_px
        drawn = await asyncio.to_thread(looked_at, scene, frames, ids, evidence, 1, side_px)
        return drawn[0] if drawn else None

    return await answer_with_model(
        reading.task,
        evidence,
        state["failures"],
        weak_of(state),
        await spatial_prompt(state, context),
        model,
        MOST_TOKENS,
        marked,
        other=reading.other,
        disagreement=reading.disagreement,
        measurable=scene is not None and scene.has_places,
        disputed=_disputed(state),
    )


def _disputed(state: AgentState) -> list[str]:
    """Return the ids of the evidence that another measurement contradicts."""
    checks = (state.get("verdict") or {}).get("checks", ())
    apart = [check["evidence"] for check in checks if not check["agree"] and len(check["evidence"]) > 1]
    return [name for evidence in apart for name in evidence]


def _with_limits(answer: Answer, state: AgentState) -> Answer:
    """Return the answer with why measuring ended early, where it did."""
    stopped = state["stopped"]
    if not stopped:
        return answer
    if answer.abstained and not state["failures"] and not answer.evidence:
        return abstain(stopped)
    return replace(answer, degraded=(*answer.degraded, stopped))
