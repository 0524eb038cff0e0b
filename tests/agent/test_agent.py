"""The whole loop on scenes with known answers: forms, refusals, traces, resuming, threads."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.agent.running import Wiring
from spatial_agent.agent.state import Budget, LoadedScene, Source
from spatial_agent.agent.trace import read_trace
from spatial_agent.tools.contract import ToolCall, ToolResult, ToolRunner
from spatial_agent.tools.errors import ConfigurationError, QuestionError, SourceError
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.registry import Registry
from spatial_agent.tools.scene import FrameSet, SceneMap
from spatial_agent.tools.synthetic import SyntheticRoom

SCENE = SyntheticRoom.example().scene_map()


class OneScene:
    """Knows one scene under every name."""

    def __init__(self, scene: SceneMap = SCENE) -> None:
        self.scene = scene

    def name(self, source: Source) -> str:
        return str(source)

    async def get(self, runner: ToolRunner, name: str) -> LoadedScene:
        return LoadedScene(self.scene, None, cached=True)

    async def frames(self, name: str) -> FrameSet:
        raise SourceError("there are none")


def make_agent(folder: Path, scenes: OneScene | None = None, **wiring: object) -> SpatialAgent:
    registry = Registry.from_entry_points()
    made: dict[str, object] = {"make_runner": lambda: LocalRunner(registry)} | wiring
    return SpatialAgent(Wiring(scenes=scenes or OneScene(), runs_folder=folder, **made))  # type: ignore[arg-type]


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[SpatialAgent]:
    with make_agent(tmp_path) as made:
        yield made


def test_a_number_comes_with_unit_interval_evidence_and_definition(agent: SpatialAgent) -> None:
    answer = agent.ask("room", "How far is the sofa from the tv?")
    sofa, tv = (SCENE.object(name).box for name in ("sofa-1", "tv-1"))

    # Both stand square to the walls, the tv straight across from the sofa.
    assert answer.value == pytest.approx(
        abs(sofa.centre_m[0] - tv.centre_m[0])
        - (abs(sofa.world_from_box[0]) @ sofa.extent_m + abs(tv.world_from_box[0]) @ tv.extent_m) / 2
    )
    assert (answer.unit, answer.low, answer.high, answer.margin) == ("m", answer.value, answer.value, 0.0)
    assert answer.definition == "distance.surface"
    assert [item["id"] for item in answer.evidence] == ["e1", "e2"]
    assert not answer.abstained
    json.dumps(answer.to_json(), allow_nan=False)


def test_a_benchmark_form_is_answered_by_a_bare_number(agent: SpatialAgent) -> None:
    answer = agent.ask(
        "room",
        "What is the length of the longest dimension (length, width, or height) of the sofa, "
        "measured in centimeters?",
    )

    assert answer.text == "190"
    assert (answer.value, answer.unit, answer.definition) == (190, "cm", "vsi.object_size_estimation")


def test_options_are_answered_by_a_bare_letter(agent: SpatialAgent) -> None:
    question = (
        "If I am standing by the sofa and facing the tv, is the lamp to my front-left, front-right, "
        "back-left, or back-right?\nThe directions refer to the quadrants of a Cartesian plane (if I am "
        "standing at the origin and facing along the positive y-axis)."
    )
    answer = agent.ask("room", question, options=["front-left", "back-left", "back-right", "front-right"])

    assert (answer.text, answer.choice, answer.value) == ("B", "B", "back-left")


def test_no_fitting_option_is_a_refusal(agent: SpatialAgent) -> None:
    answer = agent.ask("room", "How many chairs are there?", options=["none at all", "a great many"])

    assert answer.abstained
    assert answer.choice is None
    assert "none of the options" in (answer.reason or "")


def test_an_ambiguous_reference_is_refused_with_its_candidates(agent: SpatialAgent) -> None:
    answer = agent.ask("room", "How far is the chair from the sofa?")

    assert answer.abstained
    assert answer.value is None
    assert "chair-1" in answer.text
    assert "chair-2" in answer.text


def test_yes_and_no_come_with_what_decided(agent: SpatialAgent) -> None:
    closer = agent.ask("room", "Is the lamp closer to the sofa than to the tv?")

    assert closer.value is True
    assert closer.text.startswith("Yes.")
    assert agent.ask("room", "Is the sofa longer than 2 m?").value is False
    assert agent.ask("room", "Is there a lamp?").value is True


def test_what_cannot_be_understood_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    class Closed(OneScene):
        async def get(self, runner: ToolRunner, name: str) -> LoadedScene:
            raise AssertionError("the scene was opened")

    with make_agent(tmp_path, Closed()) as agent, pytest.raises(QuestionError, match="what can be asked"):
        agent.ask("room", "Please frobnicate the sofa")


def test_a_distance_is_measured_by_a_second_route(agent: SpatialAgent) -> None:
    answer = agent.ask("room", "How far is the sofa from the tv?")
    steps = list(read_trace(agent.trace_path(answer.trace_id)))

    assert [step.kind for step in steps] == [
        "question",
        "load",
        "formalise",
        "plan",
        "call",
        "result",
        "execute",
        "verify",
        "plan",
        "call",
        "result",
        "execute",
        "verify",
        "compose",
        "answer",
        "finished",
    ]
    assert steps[12].data["verdict"]["checks"][0]["agree"] is True


def test_a_budget_of_one_round_ends_with_the_first_evidence(tmp_path: Path) -> None:
    with make_agent(tmp_path, budget=Budget(turns=1)) as agent:
        assert len(agent.ask("room", "How far is the sofa from the tv?").evidence) == 1


def test_a_question_that_needs_more_calls_than_the_budget_is_refused_and_says_so(tmp_path: Path) -> None:
    with make_agent(tmp_path, budget=Budget(calls=1)) as agent:
        answer = agent.ask("room", "Is the lamp closer to the sofa than to the tv?")
        kinds = [step.kind for step in read_trace(agent.trace_path(answer.trace_id))]

    assert answer.abstained
    assert "needs 2 calls, the budget allows 1" in (answer.reason or "")
    assert "call" not in kinds


def test_a_run_out_of_time_answers_from_what_it_has(tmp_path: Path) -> None:
    registry = Registry.from_entry_points()

    class SlowSecond(LocalRunner):
        calls = 0

        async def call(self, call: ToolCall) -> ToolResult:
            self.calls += 1
            if self.calls > 1:
                await asyncio.Event().wait()
            return await super().call(call)

    with make_agent(tmp_path, make_runner=lambda: SlowSecond(registry), budget=Budget(seconds=0.5)) as agent:
        answer = agent.ask("room", "How far is the sofa from the tv?")

    assert not answer.abstained
    assert len(answer.evidence) == 1
    assert any("0.5 s" in sentence for sentence in answer.degraded)


def test_a_run_that_died_is_resumed_where_it_stopped(tmp_path: Path) -> None:
    registry = Registry.from_entry_points()

    class Dying(LocalRunner):
        async def call(self, call: ToolCall) -> ToolResult:
            raise RuntimeError("power cut")

    with make_agent(tmp_path, make_runner=lambda: Dying(registry)) as agent:
        with pytest.raises(RuntimeError, match="power cut"):
            agent.ask("room", "How many chairs are there?")
        run_id = next(tmp_path.glob("*.jsonl")).stem
    with make_agent(tmp_path) as agent:
        answer = agent.resume(run_id)
        assert (answer.value, answer.trace_id) == (2, run_id)
        kinds = [step.kind for step in read_trace(agent.trace_path(run_id))]
        assert kinds.count("formalise") == 1
        with pytest.raises(ConfigurationError, match="no unfinished run"):
            agent.resume(run_id)


def test_a_run_of_a_given_id_goes_on_where_it_died_and_is_not_done_twice(tmp_path: Path) -> None:
    registry = Registry.from_entry_points()
    called: list[str] = []

    class Counting(LocalRunner):
        async def call(self, call: ToolCall) -> ToolResult:
            called.append(call.tool)
            return await super().call(call)

    class Dying(Counting):
        async def call(self, call: ToolCall) -> ToolResult:
            await super().call(call)
            raise RuntimeError("power cut")

    async def asked(runner: type[LocalRunner]) -> object:
        with make_agent(tmp_path, make_runner=lambda: runner(registry)) as agent:
            return (await agent.aask("room", "How many chairs are there?", run_id="q-7")).value

    with pytest.raises(RuntimeError, match="power cut"):
        asyncio.run(asked(Dying))
    assert asyncio.run(asked(Counting)) == 2
    assert called == ["count", "count"]
    # Killed between the end of the run and whoever keeps its answer: nothing is measured again.
    assert asyncio.run(asked(Counting)) == 2
    assert called == ["count", "count"]
    kinds = [step.kind for step in read_trace(tmp_path / "q-7.jsonl")]
    assert (kinds.count("question"), kinds.count("formalise")) == (1, 1)

    async def dropped() -> object:
        with make_agent(tmp_path, make_runner=lambda: Counting(registry)) as agent:
            await agent.drop("q-7")
            return (await agent.aask("room", "How many lamps are there?", run_id="q-7")).value

    assert asyncio.run(dropped()) == 1


def test_a_call_that_hangs_is_a_failure_with_its_limit(tmp_path: Path) -> None:
    registry = Registry.from_entry_points()

    class Hanging(LocalRunner):
        async def call(self, call: ToolCall) -> ToolResult:
            await asyncio.Event().wait()
            raise AssertionError

    with make_agent(
        tmp_path, make_runner=lambda: Hanging(registry), budget=Budget(call_seconds=0.05)
    ) as agent:
        answer = agent.ask("room", "How many chairs are there?")

    assert answer.abstained
    assert "did not finish within 0.05 s" in (answer.reason or "")


def test_threads_and_loops_share_one_agent(agent: SpatialAgent) -> None:
    answers: list[object] = []
    questions = ["How many chairs are there?", "How tall is the table?", "How many sofas are there?"]
    threads = [
        threading.Thread(target=lambda question=question: answers.append(agent.ask("room", question).value))
        for question in questions
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    async def asked() -> object:
        return (await agent.aask("room", "How many lamps are there?")).value

    assert sorted(answers, key=str) == [0.74, 1, 2]
    assert asyncio.run(asked()) == 1
