"""The loop on one screen: load, formalise, plan, execute, verify, compose, answer."""

from collections.abc import Awaitable, Callable, Hashable
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from spatial_agent.agent import answering, composing, deciding
from spatial_agent.agent.executor import call_from_json, run_calls
from spatial_agent.agent.frame_routes import Means
from spatial_agent.agent.kept import evidence_of, reading_of
from spatial_agent.agent.loading import load_scene, scene_of
from spatial_agent.agent.state import AgentState, JsonObject, RunContext
from spatial_agent.agent.verifier import verify_evidence
from spatial_agent.tools.errors import BudgetExceededError

Node = Callable[[AgentState, RunContext], Awaitable[JsonObject]]


async def load(state: AgentState, context: RunContext) -> JsonObject:
    """Make the scene known: measured now, or found in the cache; where it cannot be, its frames."""
    return {"scene": await load_scene(state, context)}


async def formalise(state: AgentState, context: RunContext) -> JsonObject:
    """Turn the question into a formal task."""
    return await deciding.read_question(state, context)


async def plan(state: AgentState, context: RunContext) -> JsonObject:
    """Choose the next calls, or find that enough is known."""
    return await deciding.next_calls(state, context)


async def execute(state: AgentState, context: RunContext) -> JsonObject:
    """Run the calls side by side; failures are facts, not exceptions."""
    await scene_of(state, context)
    calls = [call_from_json(call) for call in state["calls"]]
    first = len(state["evidence"]) + 1
    try:
        came = await run_calls(context.runner, calls, first_id=first, limit_s=context.budget.call_seconds)
    except BudgetExceededError as error:
        return {"stopped": str(error)}
    turn = {"said": state["said"], "calls": state["calls"], "seen": came.pop("seen")}
    return came | {"turns": [turn]}


async def verify(state: AgentState, context: RunContext) -> JsonObject:
    """Hold the evidence against itself; ask for a second route where one exists."""
    reading, evidence = reading_of(state), evidence_of(state)
    if state["stopped"]:
        return {"verdict": (state.get("verdict") or {"weak": {}, "checks": []}) | {"wanted": []}}
    thorough = context.model is not None or reading.disagreement is not None
    scene = await scene_of(state, context) if thorough else None
    tools = frozenset(offer.name for offer in context.offers)
    means = None if scene is None else Means(scene, context.frames.frames, tools, state["turns"])
    verdict = verify_evidence(
        reading.task,
        evidence,
        len(state["turns"]),
        state["scene"]["reference"],
        thorough=thorough,
        failures=state["failures"],
        means=means,
    )
    done = len(state["evidence"]) + len(state["failures"])
    if len(state["turns"]) >= context.budget.turns or done + len(verdict["wanted"]) > context.budget.calls:
        verdict = verdict | {"wanted": []}
    return {"verdict": verdict | {"has_model": context.model is not None}}


async def compose(state: AgentState, context: RunContext) -> JsonObject:
    """Put what is known into words and pictures."""
    prompt = await composing.spatial_prompt(state, context)
    return {"prompt": prompt.text, "left_out": list(prompt.left_out)}


async def answer(state: AgentState, context: RunContext) -> JsonObject:
    """Conclude in the form asked for."""
    return await answering.conclude(state, context)


async def understood(state: AgentState) -> Hashable:
    """Plan what could be read; refuse what could not."""
    return "plan" if state["reading"] else "answer"


async def enough_known(state: AgentState) -> Hashable:
    """Execute while there is something to call."""
    return "execute" if state["calls"] else "compose"


async def more_wanted(state: AgentState) -> Hashable:
    """Go on while the verifier wants something, or the model may."""
    return "plan" if state["verdict"]["wanted"] or deciding.may_go_on(state) else "compose"


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
    graph.add_conditional_edges("formalise", understood, ["plan", "answer"])
    graph.add_conditional_edges("plan", enough_known, ["execute", "compose"])
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
