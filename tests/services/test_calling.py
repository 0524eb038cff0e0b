"""Calls of single tools from outside, against a room of which everything is known."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.services import open_agent
from spatial_agent.services.calling import (
    CallableTools,
    ToolOutcome,
    call_schema,
    call_tool,
    refusal,
)
from spatial_agent.services.settings import Settings
from spatial_agent.tools.contract import ToolRunner
from spatial_agent.tools.errors import ToolArgumentError, ToolError, ToolUnavailableError
from spatial_agent.tools.registry import expert, tool_of
from spatial_agent.tools.scene import Frame, SceneMap
from spatial_agent.tools.synthetic import SyntheticRoom, write_scan

#: Plain JSON.
Argument = Any
ROOM = SyntheticRoom.example().resized(160, 120)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scan(ROOM.frames(), tmp_path_factory.mktemp("scan") / "room")


@pytest.fixture(scope="module")
def agent() -> Iterator[SpatialAgent]:
    with open_agent(model="none") as opened:
        yield opened


@pytest.fixture(scope="module")
def tools() -> CallableTools:
    return CallableTools.of(Settings())


def called(
    agent: SpatialAgent, tools: CallableTools, source: Path | None, tool: str, **arguments: Argument
) -> ToolOutcome:
    return asyncio.run(call_tool(agent, source, tool, arguments, tools=tools))


def test_a_skill_measures_what_the_room_was_built_with(
    agent: SpatialAgent, tools: CallableTools, scan: Path
) -> None:
    outcome = called(agent, tools, scan, "size", of="table", dimension="height")
    table = next(item for item in ROOM.objects if item.label == "table")

    (evidence,) = outcome.evidence
    assert evidence["low"] <= table.box.extent_m[2] <= evidence["high"]
    assert outcome.value == evidence["value"]
    assert "±" in outcome.text
    assert evidence["unit"] == "m"


def test_an_expert_gets_the_frame_that_was_named_and_its_picture_comes_back(
    agent: SpatialAgent, tools: CallableTools, scan: Path
) -> None:
    outcome = called(agent, tools, scan, "crop", frame="$frame/2", xyxy_px=[10, 20, 50, 50])

    (picture,) = outcome.pictures
    rgb = agent.frames(scan).load(2, depth=False, instances=False).rgb
    assert rgb is not None
    # Integers are pixel centres, so both ends are inside.
    assert picture.size == (41, 31)
    assert picture.getpixel((0, 0)) == tuple(rgb[20, 10].tolist())
    assert outcome.value is None


def test_what_another_tool_measures_is_given_as_a_call_of_it(
    agent: SpatialAgent, tools: CallableTools, scan: Path
) -> None:
    inner = {"tool": "depth.sensor", "arguments": {"frame": "$frame/0"}}
    outcome = called(
        agent, tools, scan, "depth_agreement", frame="$frame/0", estimated=inner, of=["table", "sofa"]
    )

    # The recorded depth bears itself out.
    assert outcome.value == "agrees"


def test_a_tool_about_no_scene_needs_none(agent: SpatialAgent, tools: CallableTools) -> None:
    outcome = called(agent, tools, None, "sizes.typical", of="door", dimension="height")

    assert 1.9 < outcome.value < 2.2
    assert outcome.evidence[0]["unit"] == "m"


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("crop", {"frame": "$frame/99", "xyxy_px": [0, 0, 9, 9]}, "frame/99"),
        ("crop", {"frame": "$depth/1", "xyxy_px": [0, 0, 9, 9]}, "must be"),
        ("crop", {"frame": "$frame/../0", "xyxy_px": [0, 0, 9, 9]}, "must be"),
        ("crop", {"frame": "$frame/0\n", "xyxy_px": [0, 0, 9, 9]}, "must be"),
        ("crop", {"frame": "/etc/passwd", "xyxy_px": [0, 0, 9, 9]}, "must be"),
        ("crop", {"frame": "$scene", "xyxy_px": [0, 0, 9, 9]}, "must be a Frame"),
        ("crop", {"frame": 3, "xyxy_px": [0, 0, 9, 9]}, "must be"),
        ("crop", {"frame": "$frame/0", "xyxy_px": "all"}, "xyxy_px"),
        ("crop", {"frame": "$frame/0"}, "xyxy_px"),
        (
            "crop",
            {"frame": {"tool": "size", "arguments": {"of": "table"}}, "xyxy_px": [0, 0, 9, 9]},
            "finding",
        ),
        ("crop", {"frame": {"tool": "crop"}, "xyxy_px": [0, 0, 9, 9]}, "frame"),
        ("crop", {"frame": {"tool": "novel_view.frame", "x": 1}, "xyxy_px": [0, 0, 9, 9]}, "must be a call"),
        ("size", {"of": "unicorn"}, "unicorn"),
        ("size", {"of": "table", "path": "/etc/passwd"}, "path"),
        ("teleport", {}, "no tool is called"),
        ("mesh", {"frames": "$scene"}, "whole recording"),
    ],
)
def test_what_cannot_be_called_says_why(
    agent: SpatialAgent,
    tools: CallableTools,
    scan: Path,
    tool: str,
    arguments: dict[str, Any],
    words: str,
) -> None:
    with pytest.raises(ToolError, match=words):
        called(agent, tools, scan, tool, **arguments)


def test_a_reference_without_a_scene_says_that_one_is_missing(
    agent: SpatialAgent, tools: CallableTools
) -> None:
    with pytest.raises(ToolArgumentError, match="names no scene"):
        called(agent, tools, None, "size", scene="$scene", of="table")
    with pytest.raises(ToolArgumentError, match="scene must be"):
        called(agent, tools, None, "size", of="table")


def nested(depth: int) -> dict[str, Any]:
    inner: Any = "$frame/0"
    for _ in range(depth):
        inner = {"tool": "segment.foreground", "arguments": {"frame": "$frame/0", "boxes": inner}}
    return {"frame": "$frame/0", "boxes": inner}


def test_calls_within_calls_end_somewhere(agent: SpatialAgent, tools: CallableTools, scan: Path) -> None:
    many = [{"tool": "novel_view.frame", "arguments": {"position_m": [2, 2, 1.5], "yaw_deg": 0}}] * 16

    with pytest.raises(ToolArgumentError, match="4 deep"):
        called(agent, tools, scan, "segment.foreground", **nested(4))
    with pytest.raises(ToolArgumentError, match="at most 16 calls"):
        called(agent, tools, scan, "side_by_side", frames=many)


@expert("stranger.reader")
def reads_a_file(frame: Frame, image_path: str) -> str:
    """Read a file.

    Args:
        frame: The frame.
        image_path: The file.
    """
    return Path(image_path).read_text("utf-8")


@expert("stranger.fetcher")
def fetches(urls: list[str] | None = None) -> str:
    """Fetch addresses.

    Args:
        urls: The addresses.
    """
    return ",".join(urls or [])


@expert("stranger.profiler")
def profiles(profile: str, files: int = 3, pathway: str = "left") -> str:
    """Say what it was given.

    Args:
        profile: Any text.
        files: A number of files.
        pathway: A way through a room.
    """
    return f"{profile} {files} {pathway}"


def test_a_tool_whose_arguments_could_name_files_is_refused() -> None:
    assert "image_path" in (refusal(tool_of(reads_a_file)) or "")
    assert "urls" in (refusal(tool_of(fetches)) or "")
    assert refusal(tool_of(profiles)) is None


def test_no_installed_tool_but_the_mesh_is_refused(tools: CallableTools) -> None:
    refused = {name for name in tools.registry if refusal(tools.registry.get(name))}

    assert refused == {"mesh"}
    with pytest.raises(ToolUnavailableError, match="whole recording"):
        tools.get("mesh")
    assert not tools.is_available(tools.registry.get("mesh"))
    assert "not from outside" in tools.needs(tools.registry.get("mesh"))[0]
    assert tools.needs(tools.registry.get("instances.yolo"))[0].endswith("(AGPL-3.0)")


def test_the_schema_of_a_call_takes_what_calls_take(tools: CallableTools) -> None:
    from jsonschema import Draft202012Validator

    crop = Draft202012Validator(call_schema(tools.registry.get("crop")))
    size = Draft202012Validator(call_schema(tools.registry.get("size")))

    assert crop.is_valid({"frame": "$frame/0", "xyxy_px": [0, 0, 9, 9]})
    assert crop.is_valid({"frame": {"tool": "novel_view.frame"}, "xyxy_px": [0, 0, 9, 9]})
    assert not crop.is_valid({"frame": "$depth/0", "xyxy_px": [0, 0, 9, 9]})
    assert not crop.is_valid({"frame": "$frame/0", "xyxy_px": [0, 0, 9, 9], "path": "x"})
    assert size.is_valid({"of": "table"})
    assert not size.is_valid({})
    for name in tools.registry:
        Draft202012Validator.check_schema(call_schema(tools.registry.get(name)))


def test_cancelling_stops_the_work(agent: SpatialAgent, scan: Path) -> None:
    begun, stopped = threading.Event(), threading.Event()

    async def work(runner: ToolRunner, loaded: object) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async def cancelled() -> None:
        task = asyncio.create_task(agent.awork(scan, work))
        await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())

    assert stopped.wait(30)


def test_cancelling_while_the_scene_is_measured_stops_that(tmp_path: Path) -> None:
    frames = ROOM.frames()
    decoding, go_on = threading.Event(), threading.Event()
    loaded: list[int] = []
    whole = frames.loader

    def loader(index: int, rgb: bool, depth: bool, instances: bool) -> Frame:
        loaded.append(index)
        decoding.set()
        assert go_on.wait(30)
        return whole(index, rgb, depth, instances)

    slow = replace(frames, loader=loader, content_hash="slow")
    ended = threading.Event()

    async def work(runner: ToolRunner, scene: object) -> None:
        raise AssertionError("the scene was measured to its end")

    async def cancelled(agent: SpatialAgent) -> None:
        task = asyncio.create_task(agent.awork(slow, work))
        await asyncio.to_thread(decoding.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        ended.set()

    with open_agent(model="none") as agent:
        runner = threading.Thread(target=lambda: asyncio.run(cancelled(agent)))
        runner.start()
        assert ended.wait(30)
        go_on.set()
        runner.join(30)
        assert not runner.is_alive()

    assert len(loaded) < len(frames)


def test_a_given_scene_can_be_asked_too(agent: SpatialAgent, tools: CallableTools) -> None:
    scene: SceneMap = ROOM.scene_map()
    outcome = asyncio.run(call_tool(agent, scene, "count", {"kind": "chair"}, tools=tools))

    assert outcome.value == ROOM.counts["chair"]
