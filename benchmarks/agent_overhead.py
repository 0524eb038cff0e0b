"""What a step of the loop costs beside measuring and the model: graph, runner, checkpoint and trace.

    python benchmarks/agent_overhead.py [--scan FOLDER] [--repeats 10]

The scene is known, tools are instant (each finding is made once, before the clock runs, and then found by
its arguments), and the model is a function that answers at once: what is left is the loop. `skills called
directly` makes the very calls that the loop made with the real tools, one after the other, as a program
without any agent would. Ways take turns, so that a busy machine is busy for all of them. A step is a node of
the graph that a question goes through; its share is that of the whole question, by the clock of whoever
asks. Drawing, which a model that sees needs, is a row and a table of its own. Goal: 10 ms a step (p50).
"""

import argparse
import functools
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.agent.models.chat import ChatRequest, ModelLimits
from spatial_agent.agent.models.scripted import Scripted
from spatial_agent.agent.running import Wiring
from spatial_agent.agent.state import LoadedScene, Source
from spatial_agent.agent.trace import Step, read_trace
from spatial_agent.services.runtime import build_agent
from spatial_agent.services.settings import Settings
from spatial_agent.tools.contract import Finding, Json, ToolRunner
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.metering import NoMeter
from spatial_agent.tools.registry import Registry, Tool, expert, skill
from spatial_agent.tools.scene import FrameSet
from spatial_agent.tools.wrappers import Breaker, Cached, Circuits, ResultCache, Timed

SAMPLE = Path(__file__).parents[1] / "examples" / "scans" / "living_room"
GOAL_MS = 10.0
NODES = ("load", "formalise", "plan", "execute", "verify", "compose", "answer")
DIRECT, NO_MODEL, WITH_MODEL = "skills called directly", "instant tools", "instant tools and model"
DRAWING, REAL = "the same, with pictures", "real tools, instant model"
#: What the model makes of each question; its reading is the grammar's.
QUESTIONS: Mapping[str, Mapping[str, Json]] = {
    "How many chairs are there?": {"intent": "count", "entities": ["chairs"], "answer_form": "number"},
    "How far is the sofa from the tv?": {
        "intent": "distance",
        "entities": ["sofa", "tv"],
        "answer_form": "number",
    },
    "How tall is the sofa?": {
        "intent": "size",
        "entities": ["sofa"],
        "answer_form": "number",
        "dimension": "height",
    },
    "What is the nearest object to the sofa?": {
        "intent": "nearest",
        "entities": ["sofa"],
        "answer_form": "name",
        "select": "least",
    },
    "Standing at the sofa, facing the tv, where is the armchair?": {
        "intent": "direction",
        "entities": ["armchair"],
        "viewpoint": "observer",
        "at": "sofa",
        "facing": "tv",
        "answer_form": "name",
    },
    "What is the area of the room?": {"intent": "room", "entities": [], "answer_form": "number"},
    "In what order do the tv, the sofa and the fridge appear?": {
        "intent": "order",
        "entities": ["tv", "sofa", "fridge"],
        "answer_form": "order",
    },
    "Is the vase on the dining table?": {
        "intent": "vertical",
        "entities": ["vase", "dining table"],
        "viewpoint": "gravity",
        "answer_form": "yes_no",
        "direction": "on",
    },
}


@dataclass(frozen=True)
class Asked:
    """One question, timed.

    Attributes:
        seconds: From asking to the answer.
        steps: Number of nodes that it went through.
        nodes: Seconds of each of them, by name.
    """

    seconds: float
    steps: int = 0
    nodes: tuple[tuple[str, float], ...] = ()

    @property
    def step_ms(self) -> float:
        """Share of a step, milliseconds."""
        return self.seconds * 1e3 / self.steps


#: Does a question once.
Way = Callable[[str], Asked]


def instant_reply(request: ChatRequest) -> Mapping[str, Any]:
    """Return what a model says that reads questions as the grammar does, and has no view of its own."""
    if request.purpose == "formalise":
        words = request.messages[-1].text
        document = next(QUESTIONS[question] for question in QUESTIONS if question in words)
        return {"document": {"objective": "what is asked", "viewpoint": "none"} | dict(document)}
    return {"document": {"reason": "", "answer": "unknown", "unit": "", "cites": []}}


def instant_model(*, sees: bool) -> Scripted:
    """Return that model."""
    return Scripted(instant_reply, limits=ModelLimits(most_pictures=16 if sees else 0))


def instant_tools(real: Registry) -> Registry:
    """Return the skills, and what checks them, with each finding made only once."""
    registry = Registry()
    for name in real:
        tool = real.get(name)
        if not tool.has_state and not tool.is_isolated:
            declare = skill if tool.kind == "skill" else expert
            registry.add(declare(tool.name, tool.version)(remembering(tool)))
    return registry.freeze()


def remembering(tool: Tool) -> Callable[..., Any]:
    """Return a tool's function that finds what it has measured before; the scene is always the same here."""
    known: dict[str, Any] = {}

    @functools.wraps(tool.target)
    def found(**arguments: Any) -> Any:  # noqa: ANN401 - each tool has its own types
        key = json.dumps({name: value for name, value in arguments.items() if name != "scene"}, default=str)
        if key not in known:
            known[key] = tool.target(**arguments)
        return known[key]

    return found


@dataclass
class Warm:
    """Knows one scene."""

    loaded: LoadedScene

    def name(self, source: Source) -> str:
        """Return the name of the only source."""
        return str(source)

    async def get(self, _runner: ToolRunner, _name: str) -> LoadedScene:
        """Return the scene."""
        return self.loaded

    async def frames(self, name: str) -> FrameSet:
        """Return its frames."""
        if self.loaded.frames is None:
            raise ValueError(f"{name}: expected a scan with frames")
        return self.loaded.frames


@dataclass
class Ways:
    """All the ways to do a question over one scene, closed together."""

    loaded: LoadedScene
    folder: Path
    closing: ExitStack
    real: Registry = field(default_factory=Registry.from_entry_points)

    def all(self) -> dict[str, Way]:
        """Return the ways by name, the direct one first."""
        instant = instant_tools(self.real)
        agents = {
            NO_MODEL: self.agent(instant, None),
            WITH_MODEL: self.agent(instant, instant_model(sees=False)),
            DRAWING: self.agent(instant, instant_model(sees=True)),
            REAL: self.agent(self.real, instant_model(sees=False)),
        }
        ways = {name: functools.partial(ask, agent) for name, agent in agents.items()}
        return {DIRECT: self.direct(agents[REAL]), **ways}

    def agent(self, registry: Registry, model: Scripted | None) -> SpatialAgent:
        """Return an agent whose runs share no results, so that each call is made."""
        circuits = Circuits(meter=NoMeter())

        def runner() -> ToolRunner:
            return Timed(Cached(Breaker(LocalRunner(registry), circuits), registry, ResultCache()), NoMeter())

        number = len(list(self.folder.iterdir()))
        runs = self.folder / f"{number}"
        runs.mkdir()
        wiring = Wiring(Warm(self.loaded), runner, runs, model=model)
        return self.closing.enter_context(SpatialAgent(wiring))

    def direct(self, agent: SpatialAgent) -> Way:
        """Return the way without an agent: the functions, with the arguments of the loop's own calls."""
        calls = {question: calls_of(agent, question) for question in QUESTIONS}

        def way(question: str) -> Asked:
            started = time.perf_counter()
            for tool, arguments in calls[question]:
                given = {name: self._value(value) for name, value in arguments.items()}
                assert isinstance(self.real.get(tool).target(**given), Finding)
            return Asked(time.perf_counter() - started)

        return way

    def _value(self, given: Json) -> Any:  # noqa: ANN401 - an argument of any tool
        return self.loaded.scene if given == "$scene" else given


def ask(agent: SpatialAgent, question: str) -> Asked:
    """Ask an agent, and read from the trace where the time went."""
    started = time.perf_counter()
    answer = agent.ask("scan", question)
    seconds = time.perf_counter() - started
    nodes = nodes_of(list(read_trace(agent.trace_path(answer.trace_id))))
    return Asked(seconds, len(nodes), nodes)


def nodes_of(steps: Sequence[Step]) -> tuple[tuple[str, float], ...]:
    """Return the nodes that a run went through, each with the seconds since the one before it."""
    ended, nodes = steps[0].seconds, []
    for step in steps:
        if step.kind in NODES:
            nodes.append((step.kind, step.seconds - ended))
            ended = step.seconds
    return tuple(nodes)


def calls_of(agent: SpatialAgent, question: str) -> list[tuple[str, Mapping[str, Json]]]:
    """Return the calls of a run: tools and arguments."""
    answer = agent.ask("scan", question)
    trace = read_trace(agent.trace_path(answer.trace_id))
    return [(step.data["tool"], step.data["arguments"]) for step in trace if step.kind == "call"]


def timed(ways: Mapping[str, Way], repeats: int) -> dict[str, list[Asked]]:
    """Return every question of every way, after one that does not count."""
    times: dict[str, list[Asked]] = {name: [] for name in ways}
    turns = [(name, question) for name in ways for question in QUESTIONS]
    order = random.Random(0)
    for repeat in track(range(repeats + 1), "questions", transient=True):
        order.shuffle(turns)
        for name, question in turns:
            asked = ways[name](question)
            if repeat:
                times[name].append(asked)
    return times


def p95(values: Sequence[float]) -> float:
    """Return the value below which nineteen of twenty lie."""
    return sorted(values)[int(0.95 * len(values))]


def ways_table(times: Mapping[str, Sequence[Asked]]) -> Table:
    """Return the ways side by side."""
    table = Table(
        "way",
        "a question, p50 ms",
        "p95 ms",
        "steps",
        "a step, p50 ms",
        "this / direct",
        "goal",
        title=f"{len(QUESTIONS)} questions about a known scene, {os.cpu_count()} cores",
    )
    direct_ms = statistics.median(asked.seconds * 1e3 for asked in times[DIRECT])
    for name, asked in times.items():
        whole_ms = [one.seconds * 1e3 for one in asked]
        row = [name, f"{statistics.median(whole_ms):.1f}", f"{p95(whole_ms):.1f}"]
        if asked[0].steps:
            step_ms = statistics.median(one.step_ms for one in asked)
            row += [f"{statistics.mean(one.steps for one in asked):.1f}", f"{step_ms:.1f}"]
        else:
            row += ["–", "–"]
        row.append(f"{statistics.median(whole_ms) / direct_ms:.2f}")
        if name in (NO_MODEL, WITH_MODEL):
            row.append(f"at most {GOAL_MS:g} ms a step: {'met' if is_met(asked) else 'missed'}")
        table.add_row(*row)
    return table


def is_met(asked: Sequence[Asked]) -> bool:
    """Return whether a step is within the goal, p50."""
    return statistics.median(one.step_ms for one in asked) <= GOAL_MS


def nodes_table(times: Mapping[str, Sequence[Asked]]) -> Table:
    """Return what each node takes without pictures and with them."""
    shown = (NO_MODEL, WITH_MODEL, DRAWING)
    table = Table("node", *(f"{name}, p50 ms" for name in shown), title="Where the time goes")
    for node in NODES:
        cells = []
        for name in shown:
            own_ms = [seconds * 1e3 for one in times[name] for kind, seconds in one.nodes if kind == node]
            cells.append(f"{statistics.median(own_ms):.1f}" if own_ms else "–")
        table.add_row(node, *cells)
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Time all ways; 0 where the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--scan", type=Path, default=SAMPLE)
    parser.add_argument("--repeats", type=int, default=10)
    chosen = parser.parse_args(arguments)
    with ExitStack() as closing:
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory()))
        with build_agent(settings=Settings(cache_folder=folder / "cache")) as measuring:
            loaded = measuring.scene(chosen.scan)
        (folder / "runs").mkdir()
        times = timed(Ways(loaded, folder / "runs", closing).all(), chosen.repeats)
    console = Console()
    console.print(ways_table(times))
    console.print(nodes_table(times))
    return 0 if is_met(times[NO_MODEL]) and is_met(times[WITH_MODEL]) else 1


if __name__ == "__main__":
    sys.exit(main())
