"""A server over a folder, and the SDK's own client talking to it in this process."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mcp import Client
from mcp.server.lowlevel import Server
from mcp_types import CallToolResult, TextContent

from spatial_agent.services import open_agent
from spatial_agent.services.mcp_server.allowed_folders import AllowedFolders
from spatial_agent.services.mcp_server.server import make_server
from spatial_agent.services.mcp_server.workbench import Workbench
from spatial_agent.services.settings import Settings
from spatial_agent.tools.synthetic import SyntheticRoom

Result = TypeVar("Result")
#: Options of the SDK's client.
Option = Any
SECRET = "a secret of somebody else"
#: Both eras of the protocol: a request that carries everything, and the handshake of older clients.
MODES = ("auto", "legacy")


@dataclass(frozen=True)
class Served:
    """A server and where its files are.

    Attributes:
        server: The server.
        root: The folder that may be opened; in it a scan ``room``.
        room: What the scan shows.
    """

    server: Server[Workbench]
    root: Path
    room: SyntheticRoom

    def use(
        self, work: Callable[[Client], Awaitable[Result]], mode: str = "auto", **options: Option
    ) -> Result:
        """Do something with a client that is connected to the server."""

        async def run() -> Result:
            async with Client(self.server, mode=mode, **options) as client:
                return await work(client)

        return asyncio.run(run())

    def call(self, tool: str, mode: str = "auto", **arguments: Option) -> CallToolResult:
        """Call a tool."""
        return self.use(lambda client: client.call_tool(tool, arguments), mode)


def new_server(root: Path) -> Server[Workbench]:
    """Return a server whose agent has no model."""
    return make_server(lambda: open_agent(model="none"), AllowedFolders([root]), Settings())


def text_of(result: CallToolResult) -> str:
    """Return the words of a result."""
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))
