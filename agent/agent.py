"""The agent: questions in, answers with margins and evidence out."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.background import BackgroundLoop
from spatial_agent.agent.events import Event, Listener
from spatial_agent.agent.plain import to_plain
from spatial_agent.agent.planner.grammar import parse
from spatial_agent.agent.regions import Region, with_names
from spatial_agent.agent.running import Runs, Wiring
from spatial_agent.agent.situation import Exchange
from spatial_agent.agent.state import AgentState, LoadedScene, Source
from spatial_agent.tools.contract import ToolRunner
from spatial_agent.tools.errors import QuestionError
from spatial_agent.tools.scene import FrameSet

if TYPE_CHECKING:
    from spatial_agent.agent.series import Every, Series
    from spatial_agent.agent.session import Session

Result = TypeVar("Result")


class SpatialAgent:
    """Answers questions about scenes.

    Every run is checkpointed step by step and traced line by line under `runs_folder`; a run that
    died can be resumed by its id. Safe to use from several threads.

    Attributes:
        licences: What the weights its experts use are licensed under, one sentence each.
        model: Name of its model, or None.
    """

    def __init__(
        self,
        wiring: Wiring,
        *,
        licences: Sequence[str] = (),
        on_close: Callable[[], None] | None = None,
    ) -> None:
        """Wire an agent; nothing is opened before the first question.

        Args:
            wiring: What it is made of.
            licences: What the weights its experts use are licensed under, one sentence each.
            on_close: Called when the agent is closed, to stop what its runners share.
        """
        self._wiring = wiring
        self._runs = Runs(wiring)
        self._scenes = wiring.scenes
        self.licences = tuple(licences)
        self.model = None if wiring.model is None else wiring.model.name
        self._on_close = on_close
        self._background = BackgroundLoop(wiring.new_loop)

    def ask(
        self,
        source: Source,
        question: str,
        *,
        options: Sequence[str] = (),
        regions: Sequence[Region] = (),
        dialogue: Sequence[Exchange] = (),
    ) -> Answer:
        """Answer a question about a source, and wait for it.

        Args:
            source: Path of a scan, video, image or scene file; or an opened `FrameSet`, or a `SceneMap`.
            question: The question; ``<region 1>`` stands for the first region.
            options: The answers offered, with or without letters.
            regions: What is marked on frames.
            dialogue: What was asked and answered before; see `session`.

        Raises:
            QuestionError: If the question cannot be understood and there is no model; says what can.
            SourceError: If the source cannot be read.
            ToolError: If the scene could not be measured.
        """
        state = self._state(source, question, options, regions, dialogue)
        return self._background.run(self._runs.start(state, None))

    async def aask(
        self,
        source: Source,
        question: str,
        *,
        options: Sequence[str] = (),
        regions: Sequence[Region] = (),
        dialogue: Sequence[Exchange] = (),
        run_id: str | None = None,
        listen: Listener | None = None,
    ) -> Answer:
        """Answer a question about a source from any event loop; see `ask`.

        Args:
            source: As `ask` takes it.
            question: As `ask` takes it.
            options: As `ask` takes them.
            regions: As `ask` takes them.
            dialogue: As `ask` takes it.
            run_id: As `astream` takes it.
            listen: Gets what happens on the way, in the agent's own thread, which waits for it.
        """
        state = self._state(source, question, options, regions, dialogue)
        return await asyncio.wrap_future(self._background.submit(self._runs.start(state, listen, run_id)))

    def stream(
        self,
        source: Source,
        question: str,
        *,
        options: Sequence[str] = (),
        regions: Sequence[Region] = (),
        dialogue: Sequence[Exchange] = (),
    ) -> Iterator[Event]:
        """Answer a question and yield what happens on the way; the last event is `Answered`.

        Leaving the loop early cancels the run. Arguments and errors are those of `ask`.
        """
        state = self._state(source, question, options, regions, dialogue)
        events: SimpleQueue[Event | None] = SimpleQueue()
        future = self._background.submit(self._runs.start(state, events.put))
        future.add_done_callback(lambda _: events.put(None))
        try:
            while (event := events.get()) is not None:
                yield event
            future.result()
        finally:
            future.cancel()

    async def astream(
        self,
        source: Source,
        question: str,
        *,
        options: Sequence[str] = (),
        regions: Sequence[Region] = (),
        dialogue: Sequence[Exchange] = (),
        run_id: str | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Answer a question from any event loop and yield what happens on the way; see `stream`.

        Args:
            source: As `ask` takes it.
            question: As `ask` takes it.
            options: As `ask` takes them.
            regions: As `ask` takes them.
            dialogue: As `ask` takes it.
            run_id: Id of the run, for callers that keep their own; a run that was interrupted under this id
                goes on from its last checkpoint, and one that ended says what it ended with. Its
                checkpoints are kept until `drop`.
        """
        state = self._state(source, question, options, regions, dialogue)
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event | None] = asyncio.Queue()

        def put(event: Event | None) -> None:
            with suppress(RuntimeError):  # nobody waits any more: the reader's loop is closed
                loop.call_soon_threadsafe(events.put_nowait, event)

        future = self._background.submit(self._runs.start(state, put, run_id))
        future.add_done_callback(lambda _: put(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            await asyncio.wrap_future(future)
        finally:
            future.cancel()

    def session(self, source: Source) -> "Session":
        """Return a dialogue about a source: its questions may refer to those before."""
        from spatial_agent.agent.session import Session

        return Session(self, source)

    def series(
        self, source: Source, question: str, *, every: "Every" = "frame", so_far: "Series | None" = None
    ) -> "Series":
        """Answer the same question for every frame or second of a recording; see `agent.series.series`.

        Raises:
            QuestionError: If the question cannot be understood.
            SourceError: If the source cannot be read, or has no frames.
            InvalidValueError: If the step makes no sense, or `so_far` is a series of something else.
        """
        from spatial_agent.agent.series import series

        return series(self, self.frames(source), question, every=every, so_far=so_far)

    def frames(self, source: Source) -> FrameSet:
        """Return the opened frames of a source.

        Raises:
            SourceError: If the source cannot be read, or is a scene without frames.
        """
        return self._background.run(self._scenes.frames(self._scenes.name(source)))

    def scene(self, source: Source) -> LoadedScene:
        """Return the scene of a source, measuring it where it is not known yet.

        Raises:
            SourceError: If the source cannot be read.
            ToolError: If the scene could not be measured.
        """
        return self._background.run(self._loaded(source))

    async def ascene(self, source: Source) -> LoadedScene:
        """Return the scene of a source from any event loop; see `scene`. Cancelling it ends the measuring."""
        return await asyncio.wrap_future(self._background.submit(self._loaded(source)))

    def work(self, source: Source, work: Callable[[ToolRunner, LoadedScene], Awaitable[Result]]) -> Result:
        """Do other work on the scene of a source, counted against the budget and traced as questions are.

        Args:
            source: What it is about.
            work: Gets the runner, which keeps the scene as ``$scene``, and the scene.

        Raises:
            SourceError: If the source cannot be read.
            ToolError: If the scene could not be measured.
        """
        return self._background.run(self._runs.work(self._scenes.name(source), work))

    async def awork(
        self, source: Source, work: Callable[[ToolRunner, LoadedScene], Awaitable[Result]]
    ) -> Result:
        """Do other work from any event loop; see `work`. Cancelling it stops it, the measuring included."""
        return await asyncio.wrap_future(
            self._background.submit(self._runs.work(self._scenes.name(source), work))
        )

    def resume(self, run_id: str) -> Answer:
        """Finish a run that was interrupted, from its last checkpoint.

        Raises:
            ConfigurationError: If there is no unfinished run of that id.
        """
        return self._background.run(self._runs.resume(run_id))

    async def drop(self, *run_ids: str) -> None:
        """Drop what was kept to take runs up again; their traces stay. From any event loop."""
        await asyncio.wrap_future(self._background.submit(self._runs.drop(*run_ids)))

    def warm(self) -> None:
        """Load now what the first question would wait for: the loop, and where its checkpoints are kept."""
        self._background.run(self._runs.open())

    def trace_path(self, run_id: str) -> Path:
        """Return where the trace of a run is."""
        return self._runs.trace_path(run_id)

    def close(self) -> None:
        """Close the checkpoint database and the model, stop the background thread and what runners share."""
        self._background.run(self._runs.close())
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

    async def _loaded(self, source: Source) -> LoadedScene:
        return await self._scenes.get(self._wiring.make_runner(), self._scenes.name(source))

    def _state(
        self,
        source: Source,
        question: str,
        options: Sequence[str],
        regions: Sequence[Region],
        dialogue: Sequence[Exchange],
    ) -> AgentState:
        """Return the state a run begins with.

        Raises:
            QuestionError: If nobody can understand the question; before anything is measured.
        """
        if self._wiring.model is None:
            names = tuple(f"region-{number}" for number in range(1, len(regions) + 1))
            parse(with_names(question, names), options)
        elif not question.strip():
            raise QuestionError("expected a question, got nothing to read")
        return {
            "source": self._scenes.name(source),
            "question": question,
            "options": list(options),
            "regions": [to_plain(region) for region in regions],
            "dialogue": [to_plain(exchange) for exchange in dialogue],
            "turns": [],
            "evidence": [],
            "failures": [],
        }
