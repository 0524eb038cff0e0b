"""The MCP server as the SDK's own client sees it, in both eras of the protocol."""

import asyncio
import base64
import io
import re
import shutil
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ImageContent, ResourceLink, Tool
from PIL import Image

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.services.calling import CallableTools
from spatial_agent.services.settings import Settings
from tests.services.mcp_server.serving import MODES, SECRET, Served, text_of


@pytest.fixture(scope="module")
def tools() -> CallableTools:
    return CallableTools.of(Settings())


def listed(served: Served) -> dict[str, Tool]:
    async def names(client: Client) -> dict[str, Tool]:
        return {tool.name: tool for tool in (await client.list_tools()).tools}

    return served.use(names)


def test_every_expert_that_needs_no_weights_is_offered(served: Served, tools: CallableTools) -> None:
    offered = listed(served)
    registered = [tools.registry.get(name) for name in tools.registry]
    # The mesh takes a whole recording, which no call refers to.
    free = {tool.name for tool in registered if tool.kind == "expert" and not tool.weights} - {"mesh"}

    assert {"ask", "build_scene", "measure"} <= set(offered)
    assert {name.replace("-", ".") for name in offered} >= free
    assert set(offered["measure"].input_schema["properties"]["what"]["enum"]) == {
        tool.name for tool in registered if tool.kind == "skill"
    }


def test_names_and_schemas_are_such_that_all_clients_take_them(served: Served) -> None:
    for name, tool in listed(served).items():
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name)
        assert tool.input_schema["type"] == "object"
        assert tool.output_schema is not None
        Draft202012Validator.check_schema(tool.input_schema)
        Draft202012Validator.check_schema(tool.output_schema)
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint


@pytest.mark.parametrize("mode", MODES)
def test_an_answer_has_its_margin_and_links_to_its_picture(served: Served, mode: str) -> None:
    async def asked(client: Client) -> tuple[CallToolResult, bytes]:
        result = await client.call_tool(
            "ask", {"source": "room", "question": "How tall is the table?", "picture": True}
        )
        link = next(block for block in result.content if isinstance(block, ResourceLink))
        contents = (await client.read_resource(link.uri)).contents[0]
        return result, base64.b64decode(getattr(contents, "blob", ""))

    result, png = served.use(asked, mode)
    answer = result.structured_content
    height_m = next(item for item in served.room.objects if item.label == "table").box.extent_m[2]

    assert not result.is_error
    assert answer["low"] <= height_m <= answer["high"]
    assert answer["unit"] == "m"
    assert answer["text"] in text_of(result)
    assert "±" in text_of(result)
    assert any(isinstance(block, ImageContent) for block in result.content)
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.width >= 720


def test_a_question_may_go_on_from_an_answer(served: Served) -> None:
    async def asked(client: Client) -> CallToolResult:
        first = await client.call_tool("ask", {"source": "room", "question": "How tall is the table?"})
        second = {"source": "room", "question": "and the sofa?", "after": first.structured_content["id"]}
        return await client.call_tool("ask", second)

    answer = served.use(asked).structured_content
    height_m = next(item for item in served.room.objects if item.label == "sofa").box.extent_m[2]

    assert answer["low"] <= height_m <= answer["high"]


def test_options_are_answered_by_their_letter(served: Served) -> None:
    result = served.call(
        "ask", source="room", question="How many chairs are there?", options=["A. 1", "B. 2", "C. 7"]
    )

    assert result.structured_content["choice"] == "ABC"[[1, 2, 7].index(served.room.counts["chair"])]


def test_a_scene_lists_what_the_room_was_built_with(served: Served) -> None:
    result = served.call("build_scene", source="room", picture=True)
    found = sorted(item["label"] for item in result.structured_content["objects"])

    assert found == sorted(item.label for item in served.room.objects)
    assert result.structured_content["frames"] == len(served.room.frames())
    assert result.structured_content["scale"] == "metric"
    assert result.structured_content["floor_m2"] == pytest.approx(served.room.area_m2, rel=0.05)
    assert [block.mime_type for block in result.content if isinstance(block, ImageContent)] == ["image/png"]


def test_skills_measure_without_words(served: Served) -> None:
    result = served.call("measure", source="room", what="count", arguments={"kind": "chair"})

    assert result.structured_content["value"] == served.room.counts["chair"]
    assert result.structured_content["tool"] == "count"


def test_experts_are_called_by_a_name_without_dots(served: Served) -> None:
    view: dict[str, Any] = {
        "tool": "novel_view.frame",
        "arguments": {"position_m": [2.5, 2.0, 1.5], "yaw_deg": 90.0},
    }

    async def called(client: Client) -> list[CallToolResult]:
        cut = await client.call_tool("crop", {"source": "room", "frame": view, "xyxy_px": [0, 0, 20, 10]})
        seen = await client.call_tool("novel_view-frame", {"source": "room", **view["arguments"]})
        return [cut, seen, await client.call_tool("sizes-typical", {"of": "door", "dimension": "height"})]

    cut, seen, typical = served.use(called)

    assert not seen.is_error, text_of(seen)
    assert not cut.is_error, text_of(cut)
    assert 1.9 < typical.structured_content["value"] < 2.2
    image = next(block for block in cut.content if isinstance(block, ImageContent))
    with Image.open(io.BytesIO(base64.b64decode(image.data))) as shown:
        # Integers are pixel centres, so both ends are inside.
        assert shown.size == (21, 11)


WRONG: list[tuple[str, dict[str, object], str]] = [
    ("ask", {"source": "room", "question": "What is the meaning of life?"}, "what can be asked"),
    ("ask", {"source": "room"}, "question: Field required"),
    ("ask", {"source": "room", "question": "How tall is the table?", "after": "nothing"}, "no answer"),
    ("ask", {"source": "room", "question": "x", "path": "/etc/passwd"}, "path: Extra inputs"),
    ("ask", {"source": "nowhere", "question": "How tall is the table?"}, "there is room"),
    ("ask", {"source": "sample:nothing", "question": "How tall is the table?"}, "sample"),
    ("build_scene", {"source": 3}, "source"),
    ("build_scene", {}, "source: Field required"),
    ("measure", {"source": "room", "what": "weight"}, "there are camera_direction, count"),
    ("measure", {"source": "room", "what": "crop"}, "nothing called 'crop'"),
    ("measure", {"source": "room", "what": "size", "arguments": {"of": "unicorn"}}, "unicorn"),
    ("crop", {"source": 3, "frame": "$frame/0"}, "source must be a path"),
    ("crop", {"frame": "$frame/0", "xyxy_px": [0, 0, 9, 9]}, "names no scene"),
    ("crop", {"source": "room", "frame": "$frame/0", "xyxy_px": "all"}, "xyxy_px"),
]


def test_what_is_wrong_is_said_to_the_model(served: Served) -> None:
    async def tried(client: Client) -> list[CallToolResult]:
        return [await client.call_tool(tool, arguments) for tool, arguments, _ in WRONG]

    for (_, arguments, words), result in zip(WRONG, served.use(tried), strict=True):
        assert result.is_error, arguments
        assert words in text_of(result)


@pytest.mark.parametrize("mode", MODES)
def test_a_tool_that_is_not_there_is_an_error_of_the_protocol(served: Served, mode: str) -> None:
    async def tried(client: Client) -> None:
        for name in ("teleport", "mesh", "depth-depth_pro", "size"):
            with pytest.raises(MCPError, match="there is no tool"):
                await client.call_tool(name, {"source": "room"})

    served.use(tried, mode)


def test_a_damaged_file_is_named_without_the_folders_of_the_server(served: Served) -> None:
    shutil.copytree(served.root / "room", served.root / "damaged")
    picture = next((served.root / "damaged").rglob("*.png"))
    picture.write_bytes(b"not a picture")
    result = served.call("build_scene", source="damaged")
    shutil.rmtree(served.root / "damaged")

    assert result.is_error
    assert f"damaged/{picture.relative_to(served.root / 'damaged')}" in text_of(result)
    assert str(Settings().cache_folder) not in text_of(result)


def test_what_nobody_foresaw_is_told_without_details(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async def aask(*_: object, **__: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(SpatialAgent, "aask", aask)
    result = served.call("ask", source="room", question="How tall is the table?")

    assert result.is_error
    assert "nobody foresaw" in text_of(result)
    assert SECRET not in text_of(result)


@pytest.mark.parametrize("mode", MODES)
def test_what_happens_is_told_while_it_happens(served: Served, mode: str) -> None:
    told: list[tuple[float, str | None]] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, message))

    async def asked(client: Client) -> CallToolResult:
        question = {"source": "room", "question": "How tall is the table?"}
        return await client.call_tool("ask", question, progress_callback=heard)

    result = served.use(asked, mode)
    numbers = [number for number, _ in told]

    assert not result.is_error
    assert numbers == sorted(set(numbers))
    assert "calling size" in [message for _, message in told]
    assert told[-1][1] == "done: answering"


@pytest.mark.parametrize("mode", MODES)
def test_a_call_that_is_cancelled_stops_its_run(
    served: Served, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def aask(*_: object, **__: object) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async def cancelled(client: Client) -> str:
        question = {"source": "room", "question": "How tall is the table?"}
        call = asyncio.create_task(client.call_tool("ask", question))
        await asyncio.wait_for(begun.wait(), 30)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(stopped.wait(), 30)
        # The server goes on.
        return text_of(await client.call_tool("sizes-typical", {"of": "door"}))

    monkeypatch.setattr(SpatialAgent, "aask", aask)

    assert "door" in served.use(cancelled, mode)
