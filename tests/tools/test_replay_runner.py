"""Traces of calls, and runs from traces: plain JSON out, the same results and errors back."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.agent.answer import Answer
from spatial_agent.agent.running import Wiring
from spatial_agent.agent.state import LoadedScene, Source
from spatial_agent.tools.call_json import error_from_json, error_to_json
from spatial_agent.tools.conformance_tools import conformance_registry
from spatial_agent.tools.contract import Json, ToolCall, ToolResult, ToolRunner
from spatial_agent.tools.errors import (
    AmbiguousReferenceError,
    BudgetExceededError,
    MissingWeightsError,
    NoSuchObjectError,
    SourceError,
    ToolError,
    ToolFailedError,
    ToolTimeoutError,
    ToolUnavailableError,
)
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.registry import Registry
from spatial_agent.tools.replay_runner import ReplayRunner
from spatial_agent.tools.scene import DepthMap, FrameSet, SceneMap
from spatial_agent.tools.synthetic import SyntheticRoom
from spatial_agent.tools.value_store import ValueStore
from spatial_agent.tools.wrappers import Cached, ResultCache, RunnerWrapper, Traced

SCENE = SyntheticRoom.example().scene_map()
TOOLS = conformance_registry()
Steps = list[tuple[str, Mapping[str, Json]]]


@dataclass
class Recording:
    """Steps as a trace file gives them back: once through JSON text."""

    steps: Steps = field(default_factory=list)

    def __call__(self, kind: str, data: Mapping[str, Json]) -> None:
        self.steps.append((kind, json.loads(json.dumps(data, allow_nan=False))))


@pytest.fixture
def recording() -> Recording:
    return Recording()


@pytest.fixture
def store(tmp_path: Path) -> ValueStore:
    return ValueStore(tmp_path / "values", 10**9)


def ask(runner: ToolRunner, tool: str, call_id: str = "c1", **arguments: Json) -> ToolResult:
    return asyncio.run(runner.call(ToolCall(call_id, f"conformance.{tool}", arguments)))


def traced(recording: Recording, store: ValueStore | None = None) -> Traced:
    return Traced(LocalRunner(TOOLS), recording, store)


def test_a_call_and_its_result_are_two_steps(recording: Recording) -> None:
    runner = traced(recording)
    runner.keep("scene", SceneMap(()))
    ask(runner, "count", scene="$scene")
    (call_kind, call), (result_kind, result) = recording.steps
    assert (call_kind, result_kind) == ("call", "result")
    assert call["arguments"] == {"scene": "$scene"}
    assert call["inputs"]["$scene"]["type"] == "SceneMap"
    assert len(call["inputs"]["$scene"]["content"]) == 40
    assert (result["number"], result["call_id"], result["ended"]) == (call["number"], "c1", "returned")
    assert result["evidence"][0]["finding"]["claim"] == "0 objects."
    assert result["evidence"][0]["finding"]["details"] == {"all": [1, 2]}


def test_values_are_told_by_type_shape_and_hash_and_never_written_out(recording: Recording) -> None:
    ask(traced(recording), "ramp", height=200, width=300)
    value = recording.steps[-1][1]["value"]
    assert (value["type"], value["shapes"]) == ("DepthMap", {"z_m": [200, 300]})
    assert len(json.dumps(recording.steps)) < 2000


def test_the_same_content_has_the_same_hash_in_every_trace(recording: Recording) -> None:
    for _ in range(2):
        ask(traced(recording), "ramp", height=2, width=3)
    first, second = (step["value"] for kind, step in recording.steps if kind == "result")
    assert first == second


def test_a_kept_name_is_described_anew_when_it_stands_for_something_else(recording: Recording) -> None:
    runner = traced(recording)
    for metres in (1, 2):
        runner.keep("depth", DepthMap(np.full((1, 2), metres, np.float32)))
        ask(runner, "farthest", depth="$depth")
    one, two = (step["inputs"]["$depth"]["content"] for kind, step in recording.steps if kind == "call")
    assert one != two


def test_calls_that_end_in_exceptions_are_recorded_too(recording: Recording) -> None:
    class Ending(RunnerWrapper):
        async def call(self, call: ToolCall) -> ToolResult:
            raise BudgetExceededError("the run may use 3 calls")

    with pytest.raises(BudgetExceededError):
        ask(Traced(Ending(LocalRunner(TOOLS)), recording), "count")
    assert recording.steps[-1][1]["ended"] == "raised"
    with pytest.raises(BudgetExceededError, match="the run may use 3 calls"):
        ask(ReplayRunner(recording.steps), "count")


ERRORS: list[ToolError] = [
    NoSuchObjectError("there is no sofa", ("chair", "stool")),
    AmbiguousReferenceError("which chair?", ("chair-1", "chair-2")),
    ToolTimeoutError("late"),
    MissingWeightsError("no weights; pull them"),
    ToolUnavailableError("no tool is called 'x'"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_come_back_with_class_message_and_fields(error: ToolError) -> None:
    back = error_from_json(json.loads(json.dumps(error_to_json(error))))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)


class StrangersError(NoSuchObjectError):
    """An error of somebody else's tool, whose constructor takes other things."""

    def __init__(self, colour: str) -> None:
        super().__init__(f"nothing is {colour}", ("red",))
        self.colour = colour


def test_an_error_of_somebody_else_comes_back_as_the_nearest_known_one() -> None:
    back = error_from_json(json.loads(json.dumps(error_to_json(StrangersError("blue")))))
    assert type(back) is NoSuchObjectError
    assert (str(back), back.suggestions, vars(back)["colour"]) == ("nothing is blue", ("red",), "blue")


def test_the_file_at_fault_stays_the_cause() -> None:
    error = ToolFailedError("line 3")
    error.__cause__ = SourceError("scan.json, line 3")
    back = error_from_json(error_to_json(error))
    assert type(back.__cause__) is SourceError
    assert str(back.__cause__) == "scan.json, line 3"


def test_values_come_back_from_the_store(recording: Recording, store: ValueStore) -> None:
    original = traced(recording, store)
    handle = ask(original, "ramp", height=2, width=3, start_m=0.5).handle or ""
    far = ask(original, "farthest", depth=handle)
    replayed = ReplayRunner(recording.steps, store)
    again = ask(replayed, "ramp", height=2, width=3, start_m=0.5)
    assert again.handle == handle
    depth = replayed.value(handle)
    assert isinstance(depth, DepthMap)
    np.testing.assert_array_equal(depth.z_m, [[0.5, 1.5, 2.5], [3.5, 4.5, 5.5]])
    assert ask(replayed, "farthest", depth=handle) == far


def test_values_of_the_result_cache_serve_a_replay_as_well(recording: Recording, store: ValueStore) -> None:
    inner = Cached(LocalRunner(TOOLS), TOOLS, ResultCache(store=store, worth_s=0.0))
    handle = ask(Traced(inner, recording), "ramp", height=2, width=3).handle
    assert ask(ReplayRunner(recording.steps, store), "ramp", height=2, width=3).handle == handle


def test_a_value_that_is_gone_is_a_refusal(recording: Recording, store: ValueStore, tmp_path: Path) -> None:
    ask(traced(recording, store), "ramp", height=2, width=3)
    for steps_store, message in ((None, "record the run with a store"), (store, "not in the store any more")):
        for path in (tmp_path / "values").iterdir() if steps_store else ():
            path.unlink()
        result = ask(ReplayRunner(recording.steps, steps_store), "ramp", height=2, width=3)
        assert isinstance(result.error, ToolUnavailableError)
        assert message in str(result.error)


def test_what_was_not_asked_then_is_refused(recording: Recording, store: ValueStore) -> None:
    ask(traced(recording, store), "ramp", height=2, width=3)
    replayed = ReplayRunner(recording.steps, store)
    other_arguments = ask(replayed, "ramp", height=2, width=4)
    other_tool = ask(replayed, "count", scene="$scene")
    assert isinstance(other_arguments.error, ToolUnavailableError)
    assert "called conformance.ramp with other arguments only" in str(other_arguments.error)
    assert isinstance(other_tool.error, ToolUnavailableError)
    assert "never called conformance.count; it called conformance.ramp" in str(other_tool.error)


def test_another_input_under_the_same_name_is_refused(recording: Recording) -> None:
    runner = traced(recording)
    runner.keep("scene", SCENE)
    ask(runner, "count", scene="$scene")
    replayed = ReplayRunner(recording.steps)
    replayed.keep("scene", SyntheticRoom.example().scene_map())
    assert ask(replayed, "count", scene="$scene").evidence[0].finding.value == len(SCENE.objects)
    replayed.keep("scene", replace(SCENE, objects=SCENE.objects[1:]))
    refused = ask(replayed, "count", scene="$scene")
    assert isinstance(refused.error, ToolUnavailableError)
    assert "$scene is not the SceneMap that conformance.count was called with" in str(refused.error)


def test_a_trace_that_breaks_off_says_so(recording: Recording) -> None:
    ask(traced(recording), "ramp", height=2, width=3)
    result = ask(ReplayRunner(recording.steps[:1]), "ramp", height=2, width=3)
    assert "the trace ends before" in str(result.error)


def test_equal_calls_with_different_results_come_back_by_id_then_in_order(recording: Recording) -> None:
    fresh = [ask(traced(recording), "loaded", f"c{number}") for number in range(3)]
    tokens = [result.evidence[0].finding.value for result in fresh]
    # Each of three runs numbered its steps from nought; a trace of one run never repeats a number.
    steps = [(kind, {**data, "number": at // 2}) for at, (kind, data) in enumerate(recording.steps)]
    by_id = ReplayRunner(steps)
    got = [ask(by_id, "loaded", f"c{number}").evidence[0].finding.value for number in (2, 0, 1)]
    assert got == [tokens[2], tokens[0], tokens[1]]
    in_order = ReplayRunner(steps)
    renamed = [ask(in_order, "loaded", f"other{number}") for number in range(3)]
    assert [result.evidence[0].finding.value for result in renamed] == tokens
    assert [result.evidence[0].call_id for result in renamed] == ["other0", "other1", "other2"]


class OneScene:
    """Knows one scene under every name."""

    def __init__(self, scene: SceneMap = SCENE) -> None:
        self.scene = scene

    def name(self, source: Source) -> str:
        return str(source)

    async def get(self, runner: ToolRunner, name: str) -> LoadedScene:
        return LoadedScene(self.scene, None, cached=True)

    async def frames(self, name: str) -> FrameSet:
        raise AssertionError("nobody looks at frames here")


def answered(folder: Path, runner: ToolRunner, question: str, scene: SceneMap = SCENE) -> Answer:
    """Answer a question through one runner."""
    wiring = Wiring(scenes=OneScene(scene), make_runner=lambda: runner, runs_folder=folder)
    with SpatialAgent(wiring) as agent:
        return replace(agent.ask("room", question), seconds=0.0, trace_id="")


QUESTIONS = [
    "How far is the sofa from the tv?",
    "How many chairs are there?",
    "Is the lamp closer to the sofa than to the tv?",
    "What is the size of this room?",
    "How far is the chair from the sofa?",
    "How far is the piano from the sofa?",
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_answered_from_its_trace_without_any_tool(
    tmp_path: Path, recording: Recording, store: ValueStore, question: str
) -> None:
    runner = Traced(LocalRunner(Registry.from_entry_points()), recording, store)
    then = answered(tmp_path, runner, question)
    now = answered(tmp_path, ReplayRunner(recording.steps, store), question)
    assert len(recording.steps) >= 2
    assert now == then


def test_failures_are_replayed_with_all_a_planner_reads(
    tmp_path: Path, recording: Recording, store: ValueStore
) -> None:
    results: dict[str, list[ToolResult]] = {"then": [], "now": []}

    class Watched(RunnerWrapper):
        def __init__(self, inner: ToolRunner, seen: list[ToolResult]) -> None:
            super().__init__(inner)
            self.seen = seen

        async def call(self, call: ToolCall) -> ToolResult:
            self.seen.append(await super().call(call))
            return self.seen[-1]

    tools = Traced(LocalRunner(Registry.from_entry_points()), recording, store)
    for question in ("How far is the chair from the sofa?", "How far is the sofe from the tv?"):
        answered(tmp_path, Watched(tools, results["then"]), question)
    replayed = ReplayRunner(recording.steps, store)
    for question in ("How far is the chair from the sofa?", "How far is the sofe from the tv?"):
        answered(tmp_path, Watched(replayed, results["now"]), question)

    then, now = ([result.error for result in results[when]] for when in ("then", "now"))
    assert [(type(error), str(error), vars(error)) for error in now] == [
        (type(error), str(error), vars(error)) for error in then
    ]
    ambiguous = [error for error in now if isinstance(error, AmbiguousReferenceError)]
    missing = [error for error in now if isinstance(error, NoSuchObjectError)]
    assert ambiguous[0].candidates == ("chair-1", "chair-2")
    assert "sofa" in missing[0].suggestions


def test_a_question_about_another_scene_is_not_answered_from_this_trace(
    tmp_path: Path, recording: Recording
) -> None:
    answered(tmp_path, Traced(LocalRunner(Registry.from_entry_points()), recording), QUESTIONS[1])
    fewer = replace(SCENE, objects=tuple(item for item in SCENE.objects if item.id != "chair-1"))
    answer = answered(tmp_path, ReplayRunner(recording.steps), QUESTIONS[1], fewer)
    assert answer.abstained
    assert "recorded run" in answer.text


def test_a_question_asked_twice_measures_once(tmp_path: Path, store: ValueStore) -> None:
    calls: list[str] = []

    class Measuring(RunnerWrapper):
        async def call(self, call: ToolCall) -> ToolResult:
            calls.append(call.tool)
            return await super().call(call)

    registry = Registry.from_entry_points()
    cache = ResultCache(store=store, worth_s=0.0)

    def ask_once(cache: ResultCache, scene: SceneMap = SCENE) -> Answer:
        return answered(
            tmp_path, Cached(Measuring(LocalRunner(registry)), registry, cache), QUESTIONS[2], scene
        )

    first = ask_once(cache)
    measured = len(calls)
    assert measured >= 2
    # The same scene, measured anew by somebody else, in memory and then from disk.
    again = SyntheticRoom.example().scene_map()
    assert ask_once(cache, again) == first
    assert ask_once(ResultCache(store=store), again) == first
    assert len(calls) == measured
    moved = replace(
        SCENE, objects=tuple(item for item in SCENE.objects if item.label != "plant"), notes=("x",)
    )
    ask_once(cache, moved)
    assert len(calls) > measured
