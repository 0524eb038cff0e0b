"""Isolated experts: described without being imported, called like any other, contained when they fail."""

import asyncio
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from spatial_agent.sandbox.isolation.expert import IsolatedExpert
from spatial_agent.tools.contract import Finding, ToolCall
from spatial_agent.tools.errors import (
    NoSuchObjectError,
    ToolArgumentError,
    ToolCrashedError,
    ToolFailedError,
    ToolTimeoutError,
    ToolUnavailableError,
)
from spatial_agent.tools.local_experts import LocalExperts
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.registry import Registry, tool_of
from spatial_agent.tools.scene import Frame, SceneMap
from spatial_agent.tools.synthetic import SyntheticRoom


@pytest.fixture(scope="module")
def scene() -> SceneMap:
    return SyntheticRoom.example().scene_map()


@pytest.fixture(scope="module")
def frame() -> Frame:
    return SyntheticRoom.example().frames().load(0)


@pytest.fixture(scope="module")
def prank(registry: Registry) -> Iterator[IsolatedExpert]:
    yield from loaded(registry, "stranger.prank")


@pytest.fixture(scope="module")
def echo(registry: Registry) -> Iterator[IsolatedExpert]:
    yield from loaded(registry, "stranger.echo")


def loaded(registry: Registry, name: str) -> Iterator[IsolatedExpert]:
    expert = registry.get(name).build()
    expert.load("cpu")
    yield expert
    expert.close()


def test_tools_are_described_and_none_of_their_code_is_imported(registry: Registry) -> None:
    spec = registry.get("stranger.echo").spec

    assert registry.left_out == {}
    assert spec.summary == "Give a frame back."
    assert spec.references == {"frame": "Frame", "also": "list of Frame", "depth": "optional DepthMap"}
    assert spec.parameters["properties"]["times"] == {
        "default": 1,
        "type": "integer",
        "description": "How often.",
    }
    assert spec.parameters["properties"]["frame"]["description"] == "The frame."
    assert registry.get("stranger.prank").version == "7"
    assert registry.get("stranger.scaled").batches
    assert all(registry.get(name).is_isolated for name in registry if name.startswith("stranger."))
    assert "stranger_tools" not in sys.modules


def test_a_skill_is_isolated_too_and_never_runs_in_its_caller(registry: Registry, scene: SceneMap) -> None:
    tool = registry.get("stranger.count")
    runner = LocalRunner(registry, LocalExperts(device="cpu"))
    reference = runner.keep("scene", scene)

    result = asyncio.run(runner.call(ToolCall("c1", "stranger.count", {"scene": reference})))

    assert tool.kind == "skill"
    assert not tool.resources.in_caller
    assert result.error is None
    assert result.evidence[0].finding.value == len(scene.objects)


def test_values_go_there_and_back_unchanged_and_nobody_can_write_to_them(
    echo: IsolatedExpert, frame: Frame
) -> None:
    returned = echo(frame=frame, also=(frame,))

    assert isinstance(returned, Frame)
    assert frame.rgb is not None
    assert returned.rgb is not None
    assert np.array_equal(returned.rgb, frame.rgb)
    assert frame.header.pose is not None
    assert returned.header.pose is not None
    assert np.array_equal(returned.header.pose.world_from_camera, frame.header.pose.world_from_camera)
    assert returned.header.intrinsics == frame.header.intrinsics
    with pytest.raises(ValueError, match="read-only"):
        returned.rgb[0, 0, 0] = 1


def test_large_arrays_are_mapped_and_cannot_be_made_writable(echo: IsolatedExpert, frame: Frame) -> None:
    assert frame.rgb is not None
    large = Frame(
        frame.header, np.arange(1080 * 1920 * 3, dtype=np.uint32).astype(np.uint8).reshape(1080, 1920, 3)
    )

    returned = echo(frame=large, also=())

    assert returned.rgb is not None
    assert large.rgb is not None
    assert np.array_equal(returned.rgb, large.rgb)
    with pytest.raises(ValueError, match="WRITEABLE"):
        returned.rgb.flags.writeable = True


def test_arguments_are_checked_here_and_there(registry: Registry, echo: IsolatedExpert, frame: Frame) -> None:
    tool = registry.get("stranger.echo")

    with pytest.raises(ToolArgumentError, match="'other': unknown; it takes times"):
        tool.arguments({"other": 1})
    with pytest.raises(ToolArgumentError, match="expected JSON"):
        tool.arguments({"times": object()})
    with pytest.raises(ToolArgumentError, match=r"times: Input should be a valid integer.*it takes times"):
        echo(frame=frame, also=(frame,), times="two")
    with pytest.raises(ToolArgumentError, match="times: expected 1 or more, got 0"):
        echo(frame=frame, also=(frame,), times=0)


def test_what_no_process_can_be_given_is_a_wrong_argument(echo: IsolatedExpert, frame: Frame) -> None:
    with pytest.raises(ToolArgumentError, match="is isolated and cannot be given this"):
        echo(frame=object(), also=(frame,))

    assert isinstance(echo(frame=frame, also=()), Frame)


def test_errors_come_back_as_what_they_are(prank: IsolatedExpert) -> None:
    with pytest.raises(NoSuchObjectError, match="there is no such chair"):
        prank(name="miss")
    with pytest.raises(ToolFailedError, match=r"\ufffd\[2Jlook at\ufffd this"):
        prank(name="escapes")
    for name in ("mute", "leave"):
        with pytest.raises(ToolFailedError, match="broke down"):
            prank(name=name)
    with pytest.raises(ToolFailedError, match="broke down \\(KeyError"):
        prank(name="no such prank")


def test_plain_values_come_back_as_they_were(prank: IsolatedExpert) -> None:
    assert prank(name="nested") == [{"a": (1, 2)}, None]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("exit", "ended with status 3|nobody is there"),
        ("garbage", "1 to .* bytes, 0 are announced"),
        ("mapped", "cannot be sealed"),
        ("object", "cannot be sent"),
    ],
)
def test_one_that_breaks_down_is_started_again(prank: IsolatedExpert, name: str, reason: str) -> None:
    with pytest.raises(ToolCrashedError, match=reason):
        prank(name=name)

    assert prank(name="number") == 4.5


def test_a_result_of_another_class_than_declared_is_garbage(registry: Registry, frame: Frame) -> None:
    [expert] = [*loaded_once(registry, "stranger.wrong")]

    with pytest.raises(ToolCrashedError, match="a int where it declares Frame"):
        expert(frame=frame)


def loaded_once(registry: Registry, name: str) -> Iterator[IsolatedExpert]:
    yield registry.get(name).build()


def test_a_call_that_is_given_up_ends_the_process(registry: Registry) -> None:
    runner = LocalRunner(registry, LocalExperts(device="cpu"))

    async def hang_and_go_on() -> tuple[object, object]:
        hung = await runner.call(ToolCall("c1", "stranger.prank", {"name": "hang"}, deadline_s=2.0))
        after = await runner.call(ToolCall("c2", "stranger.prank", {"name": "number"}))
        return hung.error, after.error

    hung, after = asyncio.run(hang_and_go_on())

    assert isinstance(hung, ToolTimeoutError)
    assert after is None


def test_weights_are_what_it_can_read(registry: Registry, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    weights = tmp_path / "scale.txt"
    weights.write_text("2.5", encoding="utf-8")
    expert = registry.get("stranger.scaled").build(weights)
    expert.load("cpu")

    values = expert.batch([{"of_m": 2.0}, {"of_m": -1.0}])

    assert expert(of_m=4.0) == 10.0
    assert values[0] == 5.0
    assert isinstance(values[1], ToolFailedError)
    expert.close()
    weights.unlink()
    with pytest.raises(ToolUnavailableError, match=r"stranger\.scaled"):
        expert.load("cpu")


def test_a_process_goes_with_its_proxy(registry: Registry) -> None:
    expert = registry.get("stranger.prank").build()
    expert.load("cpu")
    child = expert._child
    assert child is not None
    assert child.is_alive

    del expert

    assert not child.is_alive


def test_a_tool_travels_to_other_processes_as_plain_data(registry: Registry) -> None:
    tool = registry.get("stranger.prank")

    carried = pickle.dumps(tool.target)
    again = tool_of(pickle.loads(carried))

    assert b"stranger_tools" in carried
    assert "stranger_tools" not in sys.modules
    assert again == tool
    assert again.spec == tool.spec


def test_a_finding_comes_back_whole(registry: Registry, scene: SceneMap) -> None:
    [expert] = [*loaded_once(registry, "stranger.count")]

    assert expert(scene=scene) == Finding(f"There are {len(scene.objects)} things.", len(scene.objects))
    expert.close()
