"""Programs over scans: what they see, what their calls cost, and which sandbox runs them."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.agent.trace import read_trace
from spatial_agent.sandbox import Sandbox, SandboxPolicy
from spatial_agent.sandbox.unsandboxed import ACKNOWLEDGEMENT
from spatial_agent.services import sandboxes
from spatial_agent.services.programs import run_program
from spatial_agent.services.runtime import build_agent
from spatial_agent.services.sandboxes import open_sandbox
from spatial_agent.services.settings import Settings
from spatial_agent.tools.errors import ConfigurationError, SandboxUnavailableError, ToolArgumentError
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.registry import Registry
from spatial_agent.tools.scene import FrameSet
from spatial_agent.tools.synthetic import SyntheticRoom
from spatial_agent.tools.wrappers.with_frames import MOST_FRAMES, WithFrames


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    try:
        opened = open_sandbox(Settings(sandbox="auto"))
    except SandboxUnavailableError as error:
        pytest.skip(str(error))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpatialAgent]:
    settings = Settings(cache_folder=tmp_path_factory.mktemp("cache"))
    with build_agent(settings=settings) as opened:
        yield opened


@pytest.fixture(scope="module")
def frames() -> FrameSet:
    return SyntheticRoom.example().resized(160, 120).frames()


def test_a_program_measures_the_scene_and_the_truth_agrees(agent: SpatialAgent, sandbox: Sandbox) -> None:
    room = SyntheticRoom.example()
    program = "answer(tools.distance(scene='$scene', a='sofa', b='table').value, unit='m')"
    result = run_program(agent, room.scene_map(), program, sandbox)
    asked = agent.ask(room.scene_map(), "How far is the sofa from the table?")
    assert result.error is None
    assert result.answer is not None
    assert result.answer.value == pytest.approx(asked.value)


def traces(agent: SpatialAgent) -> set[Path]:
    return set(agent.trace_path("x").parent.glob("*.jsonl"))


def test_calls_of_programs_are_traced_like_those_of_questions(agent: SpatialAgent, sandbox: Sandbox) -> None:
    before = traces(agent)
    run_program(agent, SyntheticRoom.example().scene_map(), "tools.room(scene='$scene')", sandbox)
    (trace,) = traces(agent) - before
    steps = [step for step in read_trace(trace) if step.kind == "call"]
    assert [step.data["tool"] for step in steps] == ["room"]


def test_a_program_sees_frames_without_pixels_and_hands_them_to_tools(
    agent: SpatialAgent, sandbox: Sandbox, frames: FrameSet
) -> None:
    program = (
        "print(len(frames), frames[1].intrinsics.width, frames[1].has_depth)\n"
        "depth = tools.depth.sensor(frame='$frame/1').fetch()\n"
        "answer(float(np.median(depth.z_m[depth.z_m > 0])), unit='m')"
    )
    result = run_program(agent, frames, program, sandbox)
    assert result.error is None
    assert result.output == f"{len(frames)} 160 True\n"
    truth = frames.load(1).depth
    assert truth is not None
    assert result.answer is not None
    assert result.answer.value == pytest.approx(float(np.median(truth.z_m[truth.z_m > 0])))


def test_no_frame_beyond_the_last(agent: SpatialAgent, sandbox: Sandbox, frames: FrameSet) -> None:
    result = run_program(agent, frames, "tools.depth.sensor(frame='$frame/99999')", sandbox)
    assert result.error is not None
    assert "nothing is kept as '$frame/99999'" in result.error.message


def test_only_a_few_frames_stay_decoded(frames: FrameSet) -> None:
    many = dataclasses.replace(frames, headers=frames.headers * 20, loader=lambda i, *_: frames.load(0))
    runner = LocalRunner(Registry())
    tools = WithFrames(runner, many)
    for index in range(MOST_FRAMES + 3):
        tools.value(f"$frame/{index}")
    with pytest.raises(ToolArgumentError) as told:
        runner.value("$frame/0")
    assert str(told.value).count("$frame/") == MOST_FRAMES + 1


def test_a_program_s_limits_are_the_caller_s(agent: SpatialAgent, sandbox: Sandbox) -> None:
    policy = SandboxPolicy(wall_s=0.2)
    result = run_program(agent, SyntheticRoom.example().scene_map(), "while True: pass", sandbox, policy)
    assert result.error is not None
    assert result.error.limit == "wall"


def test_a_setting_that_names_no_sandbox_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected auto, zygote, bubblewrap"):
        open_sandbox(Settings(sandbox="none"))


def test_without_any_sandbox_programs_are_refused_with_every_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Sandbox:
        raise SandboxUnavailableError("not on this machine")

    class Broken:
        layers = property(lambda self: broken())

        def close(self) -> None: ...

    monkeypatch.setattr(sandboxes, "PROVIDERS", {"zygote": Broken, "bubblewrap": Broken})
    with pytest.raises(SandboxUnavailableError, match=r"zygote: not on this machine; bubblewrap: not on"):
        open_sandbox(Settings(sandbox="auto"))


def test_nothing_runs_unsandboxed_unless_the_whole_sentence_is_given() -> None:
    opened = open_sandbox(Settings(sandbox=ACKNOWLEDGEMENT))
    opened.close()
    assert opened.name == "unsandboxed"
    with pytest.raises(ConfigurationError):
        open_sandbox(Settings(sandbox=ACKNOWLEDGEMENT[:-1]))
