"""The command that serves other agents over the Model Context Protocol."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from spatial_agent.services.cli_errors import reported_errors
from spatial_agent.services.cli_options import (
    AddressOption,
    CameraHeightOption,
    InstancesOption,
    InterfaceOption,
    LookForOption,
    ModelOption,
    ProfileOption,
    RunnerOption,
    WeightsOption,
    opened,
)


def mcp_command(
    root: Annotated[
        list[Path] | None,
        typer.Option(help="A folder whose files may be opened; repeat for each. No other file is."),
    ] = None,
    http: Annotated[
        bool, typer.Option("--http", help="Serve over HTTP on this machine, not over the standard streams.")
    ] = False,
    host: Annotated[
        str, typer.Option(help="Where to listen, with --http: a loopback address.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Where to listen, with --http; 0 for any free port.")] = 8765,
    profile: ProfileOption = "recorded",
    instances: InstancesOption = None,
    weights: WeightsOption = None,
    look_for: LookForOption = None,
    camera_height: CameraHeightOption = None,
    runner: RunnerOption = "local",
    address: AddressOption = None,
    model: ModelOption = None,
    interface: InterfaceOption = "tools",
) -> None:
    """Serve questions, scenes and experts to other agents over the Model Context Protocol (MCP)."""
    with reported_errors():
        from spatial_agent.services.mcp_server.allowed_folders import AllowedFolders

        allowed = AllowedFolders(root or [])
        from spatial_agent.services.mcp_server.server import make_server
        from spatial_agent.services.mcp_server.transports import serve_http, serve_stdio
        from spatial_agent.services.settings import Settings

        chosen = (profile, instances, weights, look_for, camera_height, runner, address, model, interface)
        server = make_server(lambda: opened(*chosen), allowed, Settings())
        if http:
            serve_http(server, host, port, ready=_say)
        else:
            serve_stdio(server)


def _say(address: str) -> None:
    print(f"MCP server at {address}", file=sys.stderr, flush=True)
