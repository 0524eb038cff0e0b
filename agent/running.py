"""Runs: one question each, checkpointed step by step and traced line by line."""

import asyncio
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.background import NewLoop
from spatial_agent.agent.events import Answered, Listener, Started, Wrote, event_of
from spatial_agent.agent.models.bounded import Bounded
from spatial_agent.agent.models.chat import ChatModel, ToolOffer, Usage
from spatial_agent.agent.models.metered import Metered, TokenBudget
from spatial_agent.agent.models.streamed import Streamed
from spatial_agent.agent.situation import Interface
from spatial_agent.agent.state import AgentState, Budget, LoadedScene, Programs, RunContext, Scenes
from spatial_agent.agent.trace import Trace
from spatial_agent.tools.contract import ToolRunner
from spatial_agent.tools.errors import ConfigurationError
from spatial_agent.tools.wrappers import Budgeted, CallBudget, Traced, WithFrames

if TYPE_CHECKING:
    from spatial_agent.prompts.spatial import PartName

#: Traces that are kept where nobody else decides on it.
MOST_TRACES = 1000
#: Runs between looks for older ones.
SWEEP_RUNS = 50
OpenCheckpoints = Callable[[], AbstractAsyncContextManager[Any]]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Wiring:
    """What all runs of an agent share.

    Attributes:
        scenes: Knows the scene of every source.
        make_runner: Builds the runner of one run.
        runs_folder: Where checkpoints and traces go.
        model: Reads questions, chooses what to measure, and answers; None without one.
        interface: How the model acts: by calling tools, by writing programs, or not at all.
        offers: The tools it may call.
        programs: Runs its programs; it writes none where None.
        parts: Parts of the structured prompt that are in use; all where None.
        budget: What one run may use.
        open_checkpoints: Opens where checkpoints are kept; a database in `runs_folder` where None.
        most_traces: Traces that are kept, and up to `SWEEP_RUNS` more; None keeps all.
        new_loop: Makes the event loop that everything happens on.
    """

    scenes: Scenes
    make_runner: Callable[[], ToolRunner]
    runs_folder: Path
    model: ChatModel | None = None
    interface: Interface = "tools"
    offers: Sequence[ToolOffer] = ()
    programs: Programs | None = None
    parts: "frozenset[PartName] | None" = None
    budget: Budget = field(default_factory=Budget)
    open_checkpoints: OpenCheckpoints | None = None
    most_traces: int | None = MOST_TRACES
    new_loop: NewLoop = asyncio.new_event_loop


class Runs:
    """Starts runs, takes them up again, and keeps their traces; everything happens on one event loop."""

    def __init__(self, wiring: Wiring) -> None:
        """Open nothing yet."""
        self._wiring = wiring
        self._opened: tuple[AsyncExitStack, Any] | None = None
        self._opening: asyncio.Lock | None = None
        self._ended = count()

    async def start(self, state: AgentState, listen: Listener | None, run_id: str | None = None) -> Answer:
        """Answer the question that a state begins with.

        Args:
            state: The beginning.
            listen: Gets what happens.
            run_id: Id of the run; what was begun under it goes on from its last checkpoint, and its
                checkpoints stay until they are dropped.
        """
        begun = run_id is not None and await self._is_begun(run_id)
        identity = run_id or _new_id()
        trace = Trace(identity, self.trace_path(identity), _told(listen))
        if listen is not None:
            listen(Started(identity))
        if not begun:
            trace.record("question", dict(state))
        answer = await self._run(identity, None if begun else state, trace, listen)
        if run_id is None:
            await self.drop(identity)
        if listen is not None:
            listen(Answered(answer))
        return answer

    async def open(self) -> None:
        """Load the loop and open its checkpoints, which otherwise the first run does."""
        await self._graph()

    async def drop(self, *run_ids: str) -> None:
        """Drop the checkpoints of runs; their traces stay."""
        graph = await self._graph()
        for run_id in run_ids:
            await graph.checkpointer.adelete_thread(run_id)

    async def work(self, source: str, work: Callable[[ToolRunner, LoadedScene], Awaitable[Result]]) -> Result:
        """Do other work on a scene, budgeted and traced as questions are; see `SpatialAgent.work`."""
        run_id = _new_id()
        trace = Trace(run_id, self.trace_path(run_id))
        trace.record("work", {"source": source})
        frames, runner = self._runner(trace)
        loaded = await self._wiring.scenes.get(runner, source)
        frames.frames = loaded.frames
        runner.keep("scene", loaded.scene)
        return await work(runner, loaded)

    async def resume(self, run_id: str) -> Answer:
        """Finish a run that was interrupted, from its last checkpoint.

        Raises:
            ConfigurationError: If there is no unfinished run of that id.
        """
        if _is_over(await self._snapshot(run_id)):
            raise ConfigurationError(
                f"there is no unfinished run {run_id!r}; a finished one can be read with "
                f"'spatial-agent trace show {run_id}'"
            )
        answer = await self._run(run_id, None, Trace(run_id, self.trace_path(run_id)), None)
        await self.drop(run_id)
        return answer

    def trace_path(self, run_id: str) -> Path:
        """Return where the trace of a run is."""
        return self._wiring.runs_folder / f"{run_id}.jsonl"

    async def close(self) -> None:
        """Close the checkpoint database and the model."""
        if self._opened is not None:
            await self._opened[0].aclose()
            self._opened = None
        if self._wiring.model is not None:
            await self._wiring.model.close()

    async def _run(
        self, run_id: str, state: AgentState | None, trace: Trace, listen: Listener | None
    ) -> Answer:
        started = time.perf_counter()
        async with AsyncExitStack() as stack:
            context, spent = self._context(trace, listen, stack)
            final = await self._final(run_id, state, context)
        lost = [final["model_lost"]] if final.get("model_lost") else []
        concluded = Answer.from_json(final["answer"])
        answer = replace(
            concluded,
            scene=final["scene"]["id"],
            degraded=(*final["scene"]["degraded"], *lost, *concluded.degraded),
            seconds=round(time.perf_counter() - started, 4),
            gpu_seconds=round(spent.gpu_seconds, 4),
            tokens=spent.usage.tokens,
            tokens_written=spent.usage.output_tokens,
            trace_id=run_id,
        )
        trace.record("finished", {"seconds": answer.seconds, "tokens": answer.tokens})
        self._drop_old_traces()
        return answer

    async def _final(self, run_id: str, state: AgentState | None, context: RunContext) -> Any:  # noqa: ANN401
        """Return the state that a run ends with; that of its last checkpoint, where it had ended before."""
        graph = await self._graph()
        if state is None:
            snapshot = await self._snapshot(run_id)
            if _is_over(snapshot):
                return snapshot.values
        config = {"configurable": {"thread_id": run_id}}
        return await graph.ainvoke(state, config, context=context, durability="async")

    async def _is_begun(self, run_id: str) -> bool:
        # The trace begins before the first checkpoint, and a look at it costs less.
        return self.trace_path(run_id).exists() and bool((await self._snapshot(run_id)).values)

    async def _snapshot(self, run_id: str) -> Any:  # noqa: ANN401 - langgraph's type stays in agent.graph
        graph = await self._graph()
        return await graph.aget_state({"configurable": {"thread_id": run_id}})

    def _context(
        self, trace: Trace, listen: Listener | None, stack: AsyncExitStack
    ) -> tuple[RunContext, "_Spent"]:
        wiring = self._wiring
        frames, budgeted = self._runner(trace)
        metered = self._metered(trace)
        runner: ToolRunner = budgeted
        offers = tuple(wiring.offers)
        if wiring.programs is not None and metered is not None:
            with_programs = wiring.programs.around(budgeted, trace, lambda: frames.frames)
            stack.push_async_callback(with_programs.close)
            runner = with_programs
            offers = (*offers, wiring.programs.offer)
        context = RunContext(
            runner,
            frames,
            wiring.scenes,
            _heard(metered, listen),
            trace,
            wiring.budget,
            interface=wiring.interface,
            offers=offers,
            parts=wiring.parts,
        )
        return context, _Spent(budgeted, metered)

    def _runner(self, trace: Trace) -> tuple[WithFrames, Budgeted]:
        budget = CallBudget(seconds=self._wiring.budget.seconds, gpu_seconds=self._wiring.budget.gpu_seconds)
        frames = WithFrames(self._wiring.make_runner())
        return frames, Budgeted(Traced(frames, trace.record), budget)

    def _metered(self, trace: Trace) -> Metered | None:
        if self._wiring.model is None:
            return None
        budget = self._wiring.budget
        model = Bounded(self._wiring.model, budget.seconds)
        return Metered(model, TokenBudget(budget.tokens), trace.record)

    async def _graph(self) -> Any:  # noqa: ANN401 - langgraph's type stays in agent.graph
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self._opened is None:
                from spatial_agent.agent.graph import build_graph

                stack = AsyncExitStack()
                saver = await stack.enter_async_context(self._checkpoints())
                self._opened = (stack, build_graph(saver))
        return self._opened[1]

    def _checkpoints(self) -> AbstractAsyncContextManager[Any]:
        if self._wiring.open_checkpoints is not None:
            return self._wiring.open_checkpoints()
        from spatial_agent.agent.checkpoints import sqlite_checkpoints

        return sqlite_checkpoints(self._wiring.runs_folder / "checkpoints.sqlite")

    def _drop_old_traces(self) -> None:
        """Drop the oldest traces, at the first run and now and again after it: to look takes milliseconds."""
        most = self._wiring.most_traces
        if most is None or next(self._ended) % SWEEP_RUNS:
            return
        # Names alone: their beginning is the time.
        traces = sorted(name for name in os.listdir(self._wiring.runs_folder) if name.endswith(".jsonl"))
        for name in traces[:-most]:
            (self._wiring.runs_folder / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class _Spent:
    """What a run has used."""

    calls: Budgeted
    model: Metered | None

    @property
    def gpu_seconds(self) -> float:
        return self.calls.gpu_seconds

    @property
    def usage(self) -> Usage:
        return Usage() if self.model is None else self.model.usage


def _is_over(snapshot: Any) -> bool:  # noqa: ANN401 - langgraph's type stays in agent.graph
    """Return whether nothing is left to do in a run."""
    # `next` leaves out a step whose result was written before its process died, and whose checkpoint was not.
    return not snapshot.tasks


def _new_id() -> str:
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"


def _told(listen: Listener | None) -> Callable[[str, Any], None] | None:
    """Return what turns steps of a trace into events for a listener."""
    if listen is None:
        return None

    def tell(kind: str, data: Any) -> None:  # noqa: ANN401 - JSON
        event = event_of(kind, data)
        if event is not None:
            listen(event)

    return tell


def _heard(model: ChatModel | None, listen: Listener | None) -> ChatModel | None:
    """Return the model with its answers told to a listener as they are written."""
    if model is None or listen is None:
        return model
    return Streamed(model, lambda text: listen(Wrote(text)))
