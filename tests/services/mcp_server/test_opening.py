"""What clients may open: tools, resources and roots of the client, attacked through the protocol."""

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest
from mcp import Client
from mcp.client.context import ClientRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ErrorData, ListRootsResult, Root, TextResourceContents
from pydantic import FileUrl

from spatial_agent.tools.mapping.scene_file import scene_from_json
from tests.services.mcp_server.serving import MODES, SECRET, Served, text_of

CALLS: dict[str, dict[str, object]] = {
    "ask": {"question": "How tall is the table?"},
    "build_scene": {},
    "measure": {"what": "count", "arguments": {"kind": "chair"}},
    "crop": {"frame": "$frame/0", "xyxy_px": [0, 0, 9, 9]},
    "sizes-typical": {"of": "door"},
}


def test_no_tool_opens_what_lies_outside(served: Served) -> None:
    outside = served.root.parent / "outside"
    (served.root / "way").symlink_to(outside)
    sources = ["..", "../outside/secret.txt", str(outside), "way", "way/secret.txt", "/etc/passwd", "a\0b"]
    sources += [
        "file:///etc/passwd",
        "http://127.0.0.1:9/scan",
        "~/.ssh",
        "sample:../../etc",
        "memory:given:1",
    ]
    tried_ones = [(tool, source) for tool in CALLS for source in sources]

    async def tried(client: Client) -> list[CallToolResult]:
        return [
            await client.call_tool(tool, {"source": source, **CALLS[tool]}) for tool, source in tried_ones
        ]

    try:
        results = served.use(tried)
    finally:
        (served.root / "way").unlink()

    for one, result in zip(tried_ones, results, strict=True):
        assert result.is_error, one
        assert SECRET not in text_of(result)


def test_a_scan_that_names_files_outside_is_refused(served: Served) -> None:
    folder = served.root / "liar"
    folder.mkdir()
    text = (served.root / "room" / "scan.json").read_text("utf-8")
    document = json.loads(text)
    document["frames"][0]["color"] = "../../outside/secret.txt"
    (folder / "scan.json").write_text(json.dumps(document), encoding="utf-8")
    result = served.call("build_scene", source="liar")
    shutil.rmtree(folder)

    assert result.is_error
    assert SECRET not in text_of(result)


def test_a_pipe_blocks_nobody(served: Served) -> None:
    os.mkfifo(served.root / "pipe.mp4")
    try:
        result = served.call("build_scene", source="pipe.mp4")
    finally:
        (served.root / "pipe.mp4").unlink()

    assert result.is_error


@pytest.mark.parametrize("mode", MODES)
def test_resources_are_what_was_measured_and_answered(served: Served, mode: str) -> None:
    async def read(client: Client) -> dict[str, object]:
        assert (await client.list_resources()).resources == []
        await client.call_tool("ask", {"source": "room", "question": "How tall is the table?"})
        listed = (await client.list_resources()).resources
        return {item.uri: (await client.read_resource(item.uri)).contents[0] for item in listed}

    contents = served.use(read, mode)
    names = sorted(uri.rpartition("/")[2] for uri in contents)
    scene = next(value for uri, value in contents.items() if uri.endswith("scene.json"))

    assert names == ["answer.json", "map.png", "picture.png", "scene.json"]
    assert isinstance(scene, TextResourceContents)
    objects = scene_from_json(json.loads(scene.text)).objects
    assert sorted(item.label for item in objects) == sorted(item.label for item in served.room.objects)


@pytest.mark.parametrize("mode", MODES)
def test_addresses_that_this_server_never_gave_lead_nowhere(served: Served, mode: str) -> None:
    async def tried(client: Client) -> None:
        scene = await client.call_tool("build_scene", {"source": "room"})
        good = scene.structured_content["resources"]["map"]
        known = scene.structured_content["id"]
        addresses = [
            good + "/../../../../etc/passwd",
            good.replace("map.png", "../../../outside/secret.txt"),
            good.replace("map.png", "..%2f..%2fsecret.txt"),
            good.upper(),
            good + "?x=1",
            good + "#x",
            good + "\n",
            good.replace(known, "s-0000000000000000"),
            good.replace(known, ".."),
            good.replace("scenes", "answers"),
            "spatial://answers/../picture.png",
            "file:///etc/passwd",
            "/etc/passwd",
            f"spatial://scenes/{known}//etc/passwd",
            "",
        ]
        for address in addresses:
            with pytest.raises(MCPError) as caught:
                await client.read_resource(address)
            assert "there is no resource" in str(caught.value), address

    served.use(tried, mode)


def test_a_scene_that_is_gone_is_no_resource_any_more(served: Served, tmp_path: Path) -> None:
    (served.root / "gone").symlink_to("room")

    async def read(client: Client) -> None:
        scene = await client.call_tool("build_scene", {"source": "gone"})
        (served.root / "room").rename(served.root / "room-away")
        (served.root / "room").symlink_to(served.root.parent / "outside")
        try:
            with pytest.raises(MCPError, match="outside"):
                await client.read_resource(scene.structured_content["resources"]["scene"])
        finally:
            (served.root / "room").unlink()
            (served.root / "room-away").rename(served.root / "room")

    try:
        served.use(read)
    finally:
        (served.root / "gone").unlink()


@pytest.mark.parametrize("mode", MODES)
def test_roots_of_the_client_narrow(served: Served, mode: str) -> None:
    top = served.root.parent
    wide: list[list[Path | str]] = [[served.root], [served.root / "room"], [top]]
    elsewhere = "file://elsewhere.example" + str(served.root)
    narrow: list[list[Path | str]] = [[], [top / "outside"], [served.root / "room" / "color"], [elsewhere]]
    current: list[Path | str] = []

    async def roots(_: ClientRequestContext) -> ListRootsResult | ErrorData:
        uris = [folder if isinstance(folder, str) else folder.as_uri() for folder in current]
        return ListRootsResult(roots=[Root(uri=FileUrl(uri)) for uri in uris])

    async def tried(client: Client) -> list[CallToolResult]:
        results = []
        for folders in (*wide, *narrow):
            current[:] = folders
            results.append(await client.call_tool("build_scene", {"source": "room"}))
        return results

    results = served.use(tried, mode, list_roots_callback=roots)

    assert [result.is_error for result in results] == [False] * len(wide) + [True] * len(narrow)
    assert all("outside" in text_of(result) for result in results[len(wide) :])


@pytest.mark.parametrize("mode", MODES)
def test_roots_of_the_client_never_widen(served: Served, mode: str) -> None:
    outside = served.root.parent / "outside"

    async def roots(_: ClientRequestContext) -> ListRootsResult | ErrorData:
        return ListRootsResult(roots=[Root(uri=FileUrl(folder.as_uri())) for folder in (outside, Path("/"))])

    async def tried(client: Client) -> CallToolResult:
        return await client.call_tool("build_scene", {"source": str(outside / "secret.txt")})

    result = served.use(tried, mode, list_roots_callback=roots)

    assert result.is_error
    assert SECRET not in text_of(result)


@pytest.mark.parametrize("mode", MODES)
def test_resources_are_narrowed_as_tools_are(served: Served, mode: str) -> None:
    folders = [served.root]

    async def roots(_: ClientRequestContext) -> ListRootsResult | ErrorData:
        return ListRootsResult(roots=[Root(uri=FileUrl(folder.as_uri())) for folder in folders])

    async def read(client: Client) -> None:
        scene = await client.call_tool("build_scene", {"source": "room"})
        folders[:] = [served.root.parent / "outside"]
        with pytest.raises(MCPError, match="outside"):
            await client.read_resource(scene.structured_content["resources"]["scene"])

    served.use(read, mode, list_roots_callback=roots)


def test_clients_at_the_same_time_get_their_own_answers(served: Served) -> None:
    async def asked(client: Client) -> list[CallToolResult]:
        kinds = ("table", "sofa", "chair-1", "bookshelf", "table", "sofa")
        calls = [
            client.call_tool("measure", {"source": "room", "what": "size", "arguments": {"of": kind}})
            for kind in kinds
        ]
        return await asyncio.gather(*calls)

    results = served.use(asked)
    values = [result.structured_content["value"] for result in results]

    assert values[0] == values[4]
    assert values[1] == values[5]
    assert len(set(values)) == 4
