"""The agent: questions in, answers with margins and evidence out."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.background import BackgroundLoop
from spatial_agent.agent.state import AgentState, Budget, LoadedScene, Planner, RunContext, Scenes, Source
from spatial_agent.agent.trace import Trace
from spatial_agent.tools.contract import ToolRunner
from spatial_agent.tools.errors import ConfigurationError
from spatial_agent.tools.wrappers import Budgeted, CallBudget, Traced

MOST_TRACES = 1000
Result = TypeVar("Result")


class SpatialAgent:
    """Answers questions about scenes.

    Every run is checkpointed step by step and traced line by line under `runs_folder`; a run that
    died can be resumed by its id. Safe to use from several threads.

    Attributes:
        licences: What the weights its experts use are licensed under, one sentence each.
    """

    def __init__(
        self,
        *,
        scenes: Scenes,
        make_runner: Callable[[], ToolRunner],
        planner: Planner,
        runs_folder: Path,
        budget: Budget | None = None,
        licences: Sequence[str] = (),
        on_close: Callable[[], None] | None = None,
    ) -> None:
        """Wire an agent; nothing is opened before the first question.

        Args:
            scenes: Knows the scene of every source.
            make_runner: Builds the runner of one run.
            planner: Formalises and plans.
            runs_folder: Where checkpoints and traces go.
            budget: What one run may use.
            licences: What the weights its experts use are licensed under, one sentence each.
            on_close: Called when the agent is closed, to stop what its runners share.
        """
        self._scenes = scenes
        self._make_runner = make_runner
        self._planner = planner
        self._runs_folder = runs_folder
        self._budget = budget or Budget()
        self.licences = tuple(licences)
        self._on_close = on_close
        self._background = BackgroundLoop()
        self._opened: tuple[AsyncExitStack, Any] | None = None
        self._opening: asyncio.Lock | None = None

    def ask(self, source: Source, question: str, *, options: Sequence[str] = ()) -> Answer:
        """Answer a question about a source, and wait for it.

        Args:
            source: Path of a scan, video, image or scene file; or an opened `FrameSet`, or a `SceneMap`.
            question: The question.
            options: The answers offered, with or without letters.

        Raises:
            QuestionError: If the question cannot be understood; the message lists what can.
            SourceError: If the source cannot be read.
            ToolError: If the scene could not be measured.
        """
        # A question that cannot be understood is refused before anything is measured.
        self._planner.formalise(question, options)
        return self._background.run(self._start(self._scenes.name(source), question, options))

    async def aask(self, source: Source, question: str, *, options: Sequence[str] = ()) -> Answer:
        """Answer a question about a source from any event loop; see `ask`."""
        self._planner.formalise(question, options)
        started = self._start(self._scenes.name(source), question, options)
        return await asyncio.wrap_future(self._background.submit(started))

    def scene(self, source: Source) -> LoadedScene:
        """Return the scene of a source, measuring it where it is not known yet.

        Raises:
            SourceError: If the source cannot be read.
            ToolError: If the scene could not be measured.
        """
        return self._background.run(self._scenes.get(self._make_runner(), self._scenes.name(source)))

    def work(self, source: Source, work: Callable[[ToolRunner, LoadedScene], Awaitable[Result]]) -> Result:
        """Do other work on the scene of a source, counted against the budget and traced as questions are.

        Args:
            source: What it is about.
            work: Gets the runner, which keeps the scene as ``$scene``, and the scene.

        Raises:
            SourceError: If the source cannot be read.
            ToolError: If the scene could not be measured.
        """
        return self._background.run(self._work(self._scenes.name(source), work))

    def resume(self, run_id: str) -> Answer:
        """Finish a run that was interrupted, from its last checkpoint.

        Raises:
            ConfigurationError: If there is no unfinished run of that id.
        """
        return self._background.run(self._resume(run_id))

    def trace_path(self, run_id: str) -> Path:
        """Return where the trace of a run is."""
        return self._runs_folder / f"{run_id}.jsonl"

    def close(self) -> None:
        """Close the checkpoint database, stop the background thread and what the runners share."""
        if self._opened is not None:
            self._background.run(self._opened[0].aclose())
            self._opened = None
        self._background.close()
        if self._on_close is not None:
            self._on_close()
            self._on_close = None

    def __enter__(self) -> "SpatialAgent":
        """Return the agent itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the agent."""
        self.close()

    async def _start(self, source: str, question: str, options: Sequence[str]) -> Answer:
        run_id = _new_id()
        state: AgentState = {"source": source, "question": question, "options": list(options)}
        state |= {"evidence": [], "failures": []}
        trace = Trace(run_id, self.trace_path(run_id))
        trace.record("question", dict(state))
        return await self._run(run_id, state, trace)

    async def _work(
        self, source: str, work: Callable[[ToolRunner, LoadedScene], Awaitable[Result]]
    ) -> Result:
        run_id = _new_id()
        trace = Trace(run_id, self.trace_path(run_id))
        trace.record("work", {"source": source})
        runner = self._runner(trace)
        loaded = await self._scenes.get(runner, source)
        runner.keep("scene", loaded.scene)
        return await work(runner, loaded)

    def _runner(self, trace: Trace) -> Budgeted:
        budget = CallBudget(seconds=self._budget.seconds, gpu_seconds=self._budget.gpu_seconds)
        return Budgeted(Traced(self._make_runner(), trace.record), budget)

    async def _resume(self, run_id: str) -> Answer:
        graph = await self._graph()
        snapshot = await graph.aget_state({"configurable": {"thread_id": run_id}})
        if not snapshot.next:
            raise ConfigurationError(
                f"there is no unfinished run {run_id!r}; a finished one can be read with "
                f"'spatial-agent trace show {run_id}'"
            )
        return await self._run(run_id, None, Trace(run_id, self.trace_path(run_id)))

    async def _run(self, run_id: str, state: AgentState | None, trace: Trace) -> Answer:
        started = time.perf_counter()
        graph = await self._graph()
        runner = self._runner(trace)
        context = RunContext(runner, self._scenes, self._planner, trace, self._budget)
        config = {"configurable": {"thread_id": run_id}}
        final = await graph.ainvoke(state, config, context=context, durability="async")
        answer = replace(
            Answer.from_json(final["answer"]),
            scene=final["scene"]["id"],
            degraded=tuple(final["scene"].get("degraded", ())),
            seconds=round(time.perf_counter() - started, 4),
            gpu_seconds=round(runner.gpu_seconds, 4),
            trace_id=run_id,
        )
        trace.record("finished", {"seconds": answer.seconds})
        # A finished run needs no checkpoint; its trace stays.
        await graph.checkpointer.adelete_thread(run_id)
        self._drop_old_traces()
        return answer

    async def _graph(self) -> Any:  # noqa: ANN401 - langgraph's type stays in agent.graph
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self._opened is None:
                from spatial_agent.agent.checkpoints import sqlite_checkpoints
                from spatial_agent.agent.graph import build_graph

                stack = AsyncExitStack()
                saver = await stack.enter_async_context(
                    sqlite_checkpoints(self._runs_folder / "checkpoints.sqlite")
                )
                self._opened = (stack, build_graph(saver))
        return self._opened[1]

    def _drop_old_traces(self) -> None:
        traces = sorted(self._runs_folder.glob("*.jsonl"))
        for path in traces[:-MOST_TRACES]:
            path.unlink(missing_ok=True)


def _new_id() -> str:
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
