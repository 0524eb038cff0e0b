"""The causal benchmark: its bookkeeping by hand, a small run, and a loop that it finds out."""

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rich.console import Console

from spatial_agent.agent import model_answer
from spatial_agent.agent.answer import Answer
from spatial_agent.agent.gate import Gate, gate
from spatial_agent.agent.task import SpatialTask
from spatial_agent.agent.view import View
from spatial_agent.tools.contract import Finding

FOLDER = Path(__file__).parents[2] / "benchmarks"
SEED = 1000
#: An option, a number of things, a sector: three kinds of boundaries.
TOOLS = ("distance", "count", "direction")


@pytest.fixture(scope="module")
def causal() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("causal_benchmark", FOLDER / "causal.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        # A script's own folder is searched where it runs.
        patch.syspath_prepend(str(FOLDER))
        # Dataclasses look their own module up by name.
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        yield module


@pytest.fixture(scope="module")
def few(causal: ModuleType) -> list[tuple[int, Any]]:
    """The first case of each of the tools, in one room."""
    found = {case.tool: case for case in reversed(list(causal.cases(SEED, 1)))}
    return [(SEED, found[tool]) for tool in TOOLS]


def case(causal: ModuleType, truth: object, wanted: object) -> object:
    return causal.Case("distance", "number", "How far?", truth, wanted, lambda finding: finding)


def outcome(causal: ModuleType, end: str, *, noticed: bool = False) -> object:
    return causal.Outcome(case(causal, 1.0, 2.0), "call", "reader", was_right=True, end=end, noticed=noticed)


def test_the_interval_is_wilsons(causal: ModuleType) -> None:
    # Newcombe, Statistics in Medicine 17 (1998) 857, table I: 81 of 263 and 0 of 20.
    assert causal.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert causal.wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert causal.wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        (Answer("2.0 m", value=2.0, margin=0.1), "followed"),
        (Answer("2.0 m", value=2.0, margin=0.1, decided_by="both"), "followed"),
        (Answer("1.0 m", value=1.0, margin=0.1), "unmoved"),
        (Answer("About 2 m", value=2.0, decided_by="model"), "own view"),
        (Answer("No answer", abstained=True, reason="why"), "abstained"),
    ],
)
def test_what_became_of_a_lie(causal: ModuleType, answer: Answer, end: str) -> None:
    assert causal.end_of(case(causal, 1.0, 2.0), answer) == end


def test_letters_names_and_yes_must_be_the_same_and_numbers_near(causal: ModuleType) -> None:
    assert causal.says(Answer("B", value=2.0, choice="B"), "B", 0.1)
    assert not causal.says(Answer("B", value="A", choice="B"), "A", 0.1)
    assert causal.says(Answer("Yes", value=True), True, 0.1)
    assert not causal.says(Answer("1", value=1.2), 1.0, 0.1)
    assert not causal.says(Answer("", abstained=True), None, 0.1)


def test_noticed_lies_are_held_against_the_goal_like_others(causal: ModuleType) -> None:
    ends = ["followed"] * 15 + ["abstained"] * 4 + ["own view"]
    outcomes = [outcome(causal, end, noticed=number % 2 == 0) for number, end in enumerate(ends)]
    assert causal.held(outcomes) == (19, 20)
    assert causal.is_met(outcomes)
    assert not causal.is_met([*outcomes, outcome(causal, "own view", noticed=True)])


def test_a_lie_that_does_not_change_the_sentence_is_an_error(causal: ModuleType) -> None:
    lie = next(causal.cases(SEED, 1)).lie
    told = lie(Finding("The sofa is 1.5 m (± 0.1 m) from the tv.", 1.52, "m", 1.42, 1.62))
    assert told.claim != "The sofa is 1.5 m (± 0.1 m) from the tv."
    assert told.high - told.low == pytest.approx(0.2)
    with pytest.raises(ValueError, match="change the lie"):
        lie(Finding("The sofa is quite far from the tv.", 1.52, "m", 1.42, 1.62))


def test_answers_follow_the_evidence_whatever_the_model_says(
    causal: ModuleType, few: list[tuple[int, Any]], tmp_path: Path
) -> None:
    trials = causal.Trials(tmp_path)
    asked = {"none": few[-1:], "contrary": few}
    outcomes = [o for name, cases in asked.items() for found in trials.of(name, cases) for o in found]
    assert len(outcomes) == 2 * len(few) + 2
    assert all(outcome.was_right for outcome in outcomes)
    assert {outcome.end for outcome in outcomes if not outcome.noticed} == {"followed"}
    # Seen from the other side, the direction is another: only a second route can show that.
    direction = {(o.model, o.lies): o for o in outcomes if o.case.tool == "direction"}
    noticed = {key for key, o in direction.items() if o.noticed}
    assert noticed == {("contrary", "call")}
    assert direction["contrary", "call"].end == "abstained"
    console = Console(width=200)
    with console.capture() as printed:
        console.print(causal.by_model(outcomes), causal.by_tool([*direction.values()]))
    assert printed.get().count("met") == 4
    assert "missed" not in printed.get()


def test_a_loop_that_believes_its_model_is_found_out(
    causal: ModuleType, few: list[tuple[int, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def believing(
        task: SpatialTask, measured: Answer, view: View, weak: dict[str, str], **rest: bool
    ) -> Gate:
        judged = gate(task, measured, view, weak, **rest)
        return Gate(replace(judged.answer, value=view.value, choice=view.choice, decided_by="both"))

    monkeypatch.setattr(model_answer, "gate", believing)
    trials = causal.Trials(tmp_path, ("call",))
    outcomes = [o for found in trials.of("stubborn", few[:2]) for o in found]
    assert {outcome.end for outcome in outcomes} == {"unmoved"}
    assert not causal.is_met(outcomes)
