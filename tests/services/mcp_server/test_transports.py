"""The server as a process of its own: over its standard streams, and over HTTP on this machine."""

import asyncio
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp_types import CallToolResult
from typer.testing import CliRunner

from spatial_agent.services.cli import app
from spatial_agent.services.mcp_server.transports import serve_http
from spatial_agent.tools.errors import ConfigurationError
from tests.services.mcp_server.serving import MODES, Served

COMMAND = ("-c", "from spatial_agent.services.cli import main; main()", "mcp")
#: A server whose agent writes to the standard output in every way there is, when it is opened and at work.
NOISY = """
import os, subprocess, sys
from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.services import open_agent
from spatial_agent.services.mcp_server.allowed_folders import AllowedFolders
from spatial_agent.services.mcp_server.server import make_server
from spatial_agent.services.cli import app
from spatial_agent.services.mcp_server.transports import serve_stdio
from spatial_agent.services.settings import Settings

def noise():
    print("printed", flush=True)
    os.write(1, b"written\\n")
    sys.__stdout__.write("original\\n")
    sys.__stdout__.flush()
    subprocess.run(["echo", "from a child"], check=True)

def noisy_agent():
    noise()
    return open_agent(model="none")

awork = SpatialAgent.awork

async def noisy_work(*arguments, **more):
    noise()
    return await awork(*arguments, **more)

SpatialAgent.awork = noisy_work
serve_stdio(make_server(noisy_agent, AllowedFolders([sys.argv[1]]), Settings()))
"""
COUNT = {"source": "room", "what": "count", "arguments": {"kind": "chair"}}


@pytest.fixture
def environment() -> dict[str, str]:
    return {"SPATIAL_AGENT_CACHE": os.environ["SPATIAL_AGENT_CACHE"], "PYTHONWARNINGS": "error"}


def test_a_client_starts_the_command_and_measures(served: Served, environment: dict[str, str]) -> None:
    server = StdioServerParameters(
        command=sys.executable, args=[*COMMAND, "--root", str(served.root)], env=environment
    )
    size = {"source": "room", "what": "size", "arguments": {"of": "table", "dimension": "height"}}

    async def measured() -> CallToolResult:
        async with Client(server) as client:
            return await client.call_tool("measure", size)

    (evidence,) = asyncio.run(measured()).structured_content["evidence"]
    height_m = next(item for item in served.room.objects if item.label == "table").box.extent_m[2]

    assert evidence["low"] <= height_m <= evidence["high"]
    # What was opened under private names is gone with the server.
    assert not list((Path(environment["SPATIAL_AGENT_CACHE"]) / "mcp").glob("[!.]*"))


def test_nothing_but_the_protocol_reaches_the_standard_output(
    served: Served, environment: dict[str, str]
) -> None:
    def request(number: int, method: str, **params: object) -> str:
        return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) + "\n"

    client = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "0"},
    }
    with subprocess.Popen(
        [sys.executable, "-c", NOISY, str(served.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(request(1, "initialize", **client))
        process.stdin.write('{"jsonrpc": "2.0", "method": "notifications/initialized"}\n')
        process.stdin.write("this is no message\n")
        process.stdin.write(request(2, "tools/call", name="measure", arguments=COUNT))
        process.stdin.flush()
        lines = [process.stdout.readline(), process.stdout.readline()]
        process.stdin.close()
        rest, noise = process.stdout.read(), process.stderr.read() if process.stderr else ""

    messages = [json.loads(line) for line in lines]
    assert [message["id"] for message in messages] == [1, 2]
    assert messages[1]["result"]["structuredContent"]["value"] == served.room.counts["chair"]
    assert rest == ""
    # Twice: when the agent was opened, and when it worked.
    assert [noise.count(word) for word in ("printed", "written", "original", "from a child")] == [2, 2, 2, 2]
    assert process.returncode == 0


@pytest.fixture(scope="module")
def address(root: Path) -> Iterator[str]:
    arguments = ["--root", str(root), "--http", "--port", "0"]
    with subprocess.Popen(
        [sys.executable, *COMMAND, *arguments], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        found = re.search(r"http://\S+", process.stderr.readline())
        try:
            assert found is not None
            yield found[0]
        finally:
            process.send_signal(signal.SIGINT)
            process.stderr.read()


@pytest.mark.parametrize("mode", MODES)
def test_a_client_measures_over_http(served: Served, address: str, mode: str) -> None:
    async def measured() -> tuple[CallToolResult, int]:
        async with Client(address, mode=mode) as client:
            scene = await client.call_tool("build_scene", {"source": "room"})
            picture = await client.read_resource(scene.structured_content["resources"]["map"])
            size = len(getattr(picture.contents[0], "blob", ""))
            return await client.call_tool("measure", COUNT), size

    counted, size = asyncio.run(measured())

    assert counted.structured_content["value"] == served.room.counts["chair"]
    assert size > 10_000


def posted(address: str, **headers: str) -> tuple[int, str]:
    """Send a request as a browser would that was led here, and return the status and the body."""
    port = int(address.rpartition(":")[2].partition("/")[0])
    client = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "0"},
    }
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client})
    usual = {
        "Host": f"127.0.0.1:{port}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        chosen = {name: value.format(port=port) for name, value in (usual | headers).items()}
        connection.request("POST", "/mcp", body, chosen)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("version", [{}, {"MCP-Protocol-Version": "2026-07-28"}], ids=["older", "newer"])
def test_only_this_machine_under_its_own_names_is_answered(address: str, version: dict[str, str]) -> None:
    for host in ("evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "127.0.0.1:1", ""):
        status, body = posted(address, Host=host, **version)
        assert status in (400, 421), (host, status)
        assert "serverInfo" not in body
    for origin in (
        "http://evil.example",
        "https://127.0.0.1:{port}",
        "http://localhost:1",
        "http://localhost:{port}.evil.example",
        "null",
    ):
        status, body = posted(address, Origin=origin, **version)
        assert status == 403, (origin, status)
        assert "serverInfo" not in body


def test_web_pages_of_the_server_itself_are_answered(address: str) -> None:
    assert posted(address)[0] == 200
    assert posted(address, Origin="http://localhost:{port}")[0] == 200


def test_only_loopback_is_listened_on(served: Served) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.1", "example.org"):
        with pytest.raises(ConfigurationError, match="loopback"):
            serve_http(served.server, host, 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give --root"),
        (["--root", "/nowhere"], "expected a folder"),
        (["--root", ".", "--http", "--host", "0.0.0.0"], "loopback"),
    ],
)
def test_the_command_says_what_is_wrong_with_its_options(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(app, ["mcp", *arguments])

    assert done.exit_code == 2
    assert words in done.stderr
    assert done.stdout == ""
