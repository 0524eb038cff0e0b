"""Does the answer follow the evidence? One tool lies past a decision boundary; the answer has to go along.

    python benchmarks/causal.py [--rooms 5] [--each 2] [--seed 1000] [--models none reader stubborn contrary]
                                [--lies call tool]

Questions about synthetic rooms, each clear of every boundary, are asked as they are, which gives the accuracy
that all else is held against; and again with what one tool says to the question's own call changed in value,
interval, name and sentence, so that another answer follows. Either that call alone is lied to (`call`), or
second routes that ask the same tool are, too, so that all it says fits (`tool`); other tools never lie. Where
a second route shows that the lie cannot be (`noticed`), the finding counts as weak, and is the answer only
where the model confirms it.

Models: `none`; `reader`, who knows nothing but the prompt; `stubborn`, who says the same whatever was
measured; `contrary`, who denies what was measured. All leave reading the question to the grammar, and see no
pictures. `followed` is what follows from the lie, `abstained` a refusal, `own view` the model's word, owned
to be unmeasured; `unmoved` is anything else. Goal: 95 % are followed or end in a refusal (`held`).
Intervals are Wilson's, 95 %.
"""

import argparse
import math
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import track
from rich.table import Table

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.agent.answer import Answer
from spatial_agent.agent.running import Wiring
from spatial_agent.agent.state import LoadedScene, Source
from spatial_agent.agent.trace import read_trace
from spatial_agent.tools.contract import Json, ToolCall, ToolResult, ToolRunner
from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.registry import Registry
from spatial_agent.tools.scene import FrameSet, SceneMap
from spatial_agent.tools.synthetic import SyntheticRoom
from spatial_agent.tools.synthetic.perfect_scan import perfect_scan
from spatial_agent.tools.wrappers import Cached, ResultCache, RunnerWrapper

if TYPE_CHECKING:
    from benchmarks.causality.cases import Case, Lie, cases
    from benchmarks.causality.players import PLAYERS, model
else:  # where a script runs, its folder is searched
    from causality.cases import Case, Lie, cases
    from causality.players import PLAYERS, model

GOAL = 0.95
#: The call that answers a question itself, or the first of two.
OWN_CALL = "c1"
WIDTH_PX, HEIGHT_PX = 96, 72
#: What a number may differ from the truth, of rooms scanned without noise; and from what follows from a lie.
RIGHT, FOLLOWED = 0.06, 0.005
LIES = ("call", "tool")
ENDS = ("followed", "abstained", "own view", "unmoved")
HELD = ENDS[:2]
Key = TypeVar("Key")
#: Ids of second routes to what the question's own call found out.
SECOND_ROUTE = re.compile(r"v1(\.\d+)?")


@dataclass(frozen=True)
class Outcome:
    """What came of a case with one model.

    Attributes:
        case: The case.
        lies: Which calls it lied to: one of `LIES`.
        model: Who was in the loop.
        was_right: Whether the answer was right while nobody lied.
        end: One of `ENDS`: what became of the lie.
        noticed: Whether the lie was found out to be weak evidence.
    """

    case: Case
    lies: str
    model: str
    was_right: bool
    end: str
    noticed: bool


class Rooms:
    """Knows the scene of a room by its seed: what a perfect sensor sees."""

    def __init__(self) -> None:
        """Scan nothing yet."""
        self._scenes: dict[str, SceneMap] = {}

    def name(self, source: Source) -> str:
        """Return the seed as text."""
        return str(source)

    async def get(self, _runner: ToolRunner, name: str) -> LoadedScene:
        """Return the scene of a room."""
        if name not in self._scenes:
            room = SyntheticRoom.random(int(name), width_px=WIDTH_PX, height_px=HEIGHT_PX)
            self._scenes[name] = perfect_scan(room)
        return LoadedScene(self._scenes[name], None, cached=True)

    async def frames(self, name: str) -> FrameSet:
        """Refuse: nobody looks."""
        raise SourceError(f"room {name} is measured, not looked at")


class Lying(RunnerWrapper):
    """Tells lies instead of what one tool found out."""

    def __init__(self, inner: ToolRunner, case: Case, lies: str) -> None:
        """Lie for the tool of a case, to its own call or to second routes as well."""
        super().__init__(inner)
        self._case = case
        self._lies = lies

    async def call(self, call: ToolCall) -> ToolResult:
        """Run one call, and change what it found where it is one to lie to."""
        result = await super().call(call)
        lie = self._lie(call)
        if lie is None:
            return result
        return replace(result, evidence=tuple(replace(e, finding=lie(e.finding)) for e in result.evidence))

    def _lie(self, call: ToolCall) -> Lie | None:
        if call.tool != self._case.tool:
            return None
        if call.id == OWN_CALL:
            return self._case.lie
        is_echo = self._lies == "tool" and SECOND_ROUTE.fullmatch(call.id) is not None
        return (self._case.echo or self._case.lie) if is_echo else None


class Trials:
    """Asks one model after the other; what tools measure is measured once for all."""

    def __init__(self, folder: Path, lies: Sequence[str] = LIES) -> None:
        """Keep runs in a folder; lie to these calls."""
        self._folder = folder
        self._lies = lies
        self._registry = Registry.from_entry_points()
        self._results = ResultCache()
        self._rooms = Rooms()
        self._told: tuple[Case, str] | None = None

    def of(self, name: str, asked: Iterable[tuple[int, Case]]) -> Iterator[list[Outcome]]:
        """Yield what comes of each case with a model, one outcome for each way to lie.

        Args:
            name: The model.
            asked: Seeds of rooms, and cases in them.
        """
        wiring = Wiring(self._rooms, self._runner, self._folder, model=model(name))
        with SpatialAgent(wiring) as agent:
            for seed, case in asked:
                honest, _ = self._answer(agent, seed, case, None)
                was_right = says(honest, case.truth, RIGHT)
                misled = [(lies, *self._answer(agent, seed, case, lies)) for lies in self._lies]
                yield [
                    Outcome(case, lies, name, was_right, end_of(case, answer), noticed)
                    for lies, answer, noticed in misled
                ]

    def _answer(self, agent: SpatialAgent, seed: int, case: Case, lies: str | None) -> tuple[Answer, bool]:
        """Return the answer, and whether the finding it should rest on was called weak."""
        self._told = None if lies is None else (case, lies)
        answer = agent.ask(str(seed), case.question, options=case.options)
        return answer, is_noticed(agent.trace_path(answer.trace_id))

    def _runner(self) -> ToolRunner:
        honest = Cached(LocalRunner(self._registry), self._registry, self._results)
        return honest if self._told is None else Lying(honest, *self._told)


def says(answer: Answer, wanted: Json, tolerance: float) -> bool:
    """Return whether an answer says something: a letter, yes or no, a name, a list, a number."""
    if answer.abstained:
        return False
    if answer.choice is not None or isinstance(wanted, bool | str | list):
        return bool((answer.choice or answer.value) == wanted)
    return isinstance(answer.value, int | float) and abs(answer.value - wanted) <= tolerance


def end_of(case: Case, answer: Answer) -> str:
    """Return what became of a lie: one of `ENDS`."""
    if answer.abstained:
        return "abstained"
    if answer.decided_by == "model" and answer.margin is None:
        # Whoever says by chance what follows from the lie has not followed it.
        return "own view"
    return "followed" if says(answer, case.wanted, FOLLOWED) else "unmoved"


def is_noticed(path: Path) -> bool:
    """Return whether a run calls the evidence of the question's own call weak."""
    steps = list(read_trace(path))
    own = {
        item["id"]
        for step in steps
        if step.kind == "execute"
        for item in step.data["evidence"]
        if item["call_id"] == OWN_CALL
    }
    verdicts = [step.data["verdict"] for step in steps if step.kind == "verify"]
    return bool(verdicts) and bool(own & {*verdicts[-1]["weak"]})


def wilson(hits: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's interval of a proportion, 95 % where `z` is left out; all where nothing was tried."""
    if not count:
        return 0.0, 1.0
    share, spread = hits / count, z * z / count
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


# Tables


def held(outcomes: Sequence[Outcome]) -> tuple[int, int]:
    """Return how many lies were followed or refused, of how many."""
    return sum(outcome.end in HELD for outcome in outcomes), len(outcomes)


def by_model(outcomes: Sequence[Outcome]) -> Table:
    """Return what became of the lies with each model; those that were noticed once more by themselves."""
    table = Table(
        "lies to",
        "model",
        "pairs",
        "right,\nno lie",
        "followed",
        "ab-\nstained",
        "held",
        "interval",
        "goal",
        "noticed",
        "/".join(ENDS).replace("/", "/\n"),
        title="What became of the lies",
    )
    groups = _grouped(outcomes, lambda outcome: (outcome.lies, outcome.model))
    for (lies, name), chosen in sorted(groups.items(), key=lambda group: LIES.index(group[0][0])):
        hits, count = held(chosen)
        low, high = wilson(hits, count)
        ends, seen = Counter(o.end for o in chosen), Counter(o.end for o in chosen if o.noticed)
        table.add_row(
            lies,
            name,
            f"{len(chosen)}",
            f"{sum(outcome.was_right for outcome in chosen) / len(chosen):.1%}",
            f"{ends['followed']}",
            f"{ends['abstained']}",
            f"{hits}/{count}",
            f"{low:.1%} to {high:.1%}",
            "met" if is_met(chosen) else "missed",
            f"{sum(seen.values())}",
            "/".join(str(seen[end]) for end in ENDS),
        )
    return table


def by_tool(outcomes: Sequence[Outcome]) -> Table:
    """Return how many of the lies were held, and how many were noticed, for each tool that lied."""
    models = list(dict.fromkeys(outcome.model for outcome in outcomes))
    title = "followed or abstained / pairs (noticed)"
    table = Table("tool", "past", "lies to", "pairs", *models, title=title)
    groups = _grouped(outcomes, lambda o: (o.case.tool, o.case.boundary, o.lies))
    for name, chosen in groups.items():
        per_model = _grouped(chosen, lambda outcome: outcome.model)
        cells = ["{}/{}".format(*held(per_model[m])) + _plus_noticed(per_model[m]) for m in models]
        table.add_row(*name, f"{len(chosen) // len(models)}", *cells)
    return table


def is_met(outcomes: Sequence[Outcome]) -> bool:
    """Return whether the goal is met."""
    hits, count = held(outcomes)
    return hits >= GOAL * count


def _plus_noticed(outcomes: Sequence[Outcome]) -> str:
    noticed = sum(outcome.noticed for outcome in outcomes)
    return f" ({noticed})" if noticed else ""


def _grouped(outcomes: Iterable[Outcome], key: Callable[[Outcome], Key]) -> dict[Key, list[Outcome]]:
    groups: dict[Key, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(key(outcome), []).append(outcome)
    return groups


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0 where the goal is met with every model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rooms", type=int, default=5)
    parser.add_argument("--each", type=int, default=2, help="cases of a kind in a room")
    parser.add_argument("--seed", type=int, default=1000, help="seed of the first room")
    parser.add_argument("--models", nargs="+", choices=("none", *PLAYERS), default=["none", *PLAYERS])
    parser.add_argument("--lies", nargs="+", choices=LIES, default=list(LIES))
    chosen = parser.parse_args(arguments)
    seeds = range(chosen.seed, chosen.seed + chosen.rooms)
    asked = [(seed, case) for seed in seeds for case in cases(seed, chosen.each)]
    console = Console()
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder:
        trials = Trials(Path(folder), chosen.lies)
        for name in chosen.models:
            for found in track(trials.of(name, asked), name, total=len(asked), transient=True):
                outcomes += found
    console.print(by_model(outcomes))
    console.print(by_tool(outcomes))
    for outcome in outcomes:
        if outcome.end == "unmoved" or not outcome.was_right:
            what = "unmoved by the lie" if outcome.was_right else "wrong without the lie"
            console.print(
                f"{what}: {outcome.model}, {outcome.lies} {outcome.case.tool}: {outcome.case.question}"
            )
    by_run = _grouped(outcomes, lambda outcome: (outcome.lies, outcome.model))
    return 0 if all(map(is_met, by_run.values())) else 1


if __name__ == "__main__":
    sys.exit(main())
