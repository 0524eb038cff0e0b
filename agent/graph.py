"""The loop on one screen: load, formalise, plan, execute, verify, compose, answer."""

from collections.abc import Awaitable, Callable, Hashable
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from spatial_agent.agent.answerer import answer_task
from spatial_agent.agent.evidence import from_json
from spatial_agent.agent.executor import call_from_json, call_to_json, run_calls
from spatial_agent.agent.state import AgentState, JsonObject, RunContext
from spatial_agent.agent.task import SpatialTask
from spatial_agent.agent.verifier import verify_evidence
from spatial_agent.prompts.describe import describe_evidence
from spatial_agent.tools.errors import BudgetExceededError

Node = Callable[[AgentState, RunContext], Awaitable[JsonObject]]


async def load(state: AgentState, context: RunContext) -> JsonObject:
    """Make the scene known: measured now, or found in the cache."""
    loaded = await context.scenes.get(context.runner, state["source"])
    return {
        "scene": {
            "id": loaded.scene.scene_id,
            "reference": context.runner.keep("scene", loaded.scene),
            "cached": loaded.cached,
            "objects": [item.id for item in loaded.scene.objects],
            "notes": list(loaded.scene.notes),
            "degraded": list(loaded.degraded),
        }
    }


async def formalise(state: AgentState, context: RunContext) -> JsonObject:
    """Turn the question into a formal task."""
    return {"task": context.planner.formalise(state["question"], state["options"]).to_json()}


async def plan(state: AgentState, context: RunContext) -> JsonObject:
    """Choose the next calls: the task's own, then what the verifier still wants."""
    rounds = state.get("rounds", 0)
    if rounds:
        return {"calls": state["verdict"]["wanted"], "rounds": rounds + 1}
    task = SpatialTask.from_json(state["task"])
    calls = context.planner.plan(task, state["scene"]["reference"])
    if len(calls) > context.budget.calls:
        raise BudgetExceededError(
            f"the question needs {len(calls)} calls, the budget allows {context.budget.calls}; "
            "ask for less at once"
        )
    return {"calls": [call_to_json(call) for call in calls], "rounds": 1}


async def execute(state: AgentState, context: RunContext) -> JsonObject:
    """Run the calls side by side; failures are facts, not exceptions."""
    loaded = await context.scenes.get(context.runner, state["source"])
    context.runner.keep("scene", loaded.scene)
    calls = [call_from_json(call) for call in state["calls"]]
    first = len(state.get("evidence", [])) + 1
    return await run_calls(context.runner, calls, first_id=first, limit_s=context.budget.call_seconds)


async def verify(state: AgentState, context: RunContext) -> JsonObject:
    """Hold the evidence against itself; ask for a second route where one exists."""
    task = SpatialTask.from_json(state["task"])
    evidence = [from_json(item) for item in state["evidence"]]
    verdict = verify_evidence(task, evidence, state["rounds"], state["scene"]["reference"])
    done = len(state["evidence"]) + len(state["failures"])
    if state["rounds"] >= context.budget.rounds or done + len(verdict["wanted"]) > context.budget.calls:
        verdict = verdict | {"wanted": []}
    return {"verdict": verdict}


async def compose(state: AgentState, context: RunContext) -> JsonObject:
    """Put the evidence into words."""
    evidence = [from_json(item) for item in state["evidence"]]
    return {"prompt": describe_evidence(evidence, state["verdict"]["weak"], state["failures"])}


async def answer(state: AgentState, context: RunContext) -> JsonObject:
    """Conclude from the evidence, in the form asked for."""
    task = SpatialTask.from_json(state["task"])
    evidence = [from_json(item) for item in state["evidence"]]
    concluded = answer_task(task, evidence, state["failures"], state["verdict"]["weak"])
    return {"answer": concluded.to_json()}


def more_wanted(state: AgentState) -> Hashable:
    """Go on measuring while the verifier wants something."""
    return "plan" if state["verdict"]["wanted"] else "compose"


def build_graph(checkpointer: Any = None) -> CompiledStateGraph[Any, Any, Any, Any]:  # noqa: ANN401
    """Return the compiled loop.

    Args:
        checkpointer: A LangGraph checkpointer; None keeps nothing.
    """
    graph = StateGraph(AgentState, context_schema=RunContext)
    for node in (load, formalise, plan, execute, verify, compose, answer):
        graph.add_node(node.__name__, _traced(node))
    graph.add_edge(START, "load")
    graph.add_edge("load", "formalise")
    graph.add_edge("formalise", "plan")
    graph.add_edge("plan", "execute")
    graph.add_edge("execute", "verify")
    graph.add_conditional_edges("verify", more_wanted, ["plan", "compose"])
    graph.add_edge("compose", "answer")
    graph.add_edge("answer", END)
    return graph.compile(checkpointer=checkpointer)


def _traced(node: Node) -> Any:  # noqa: ANN401 - langgraph takes many kinds of callables
    async def run(state: AgentState, runtime: Runtime[RunContext]) -> JsonObject:
        update = await node(state, runtime.context)
        runtime.context.trace.record(node.__name__, update)
        return update

    return run
