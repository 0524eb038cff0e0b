"""How clients reach the MCP server: over its standard streams, or over HTTP on this machine."""

import asyncio
import socket
from collections.abc import Callable

import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette

from spatial_agent.services.mcp_server.workbench import Workbench
from spatial_agent.tools.errors import ConfigurationError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
#: Clients at a time, and how long a silent one is remembered, seconds.
MOST_SESSIONS, IDLE_S = 64, 1800.0
PATH = "/mcp"


def serve_stdio(server: Server[Workbench]) -> None:
    """Serve one client over the standard streams until it closes them.

    Nothing but the protocol reaches the standard output: what experts print goes to the standard error.
    """
    asyncio.run(_over_stdio(server))


async def _over_stdio(server: Server[Workbench]) -> None:
    async with stdio_server() as (received, sent):
        await server.run(received, sent, server.create_initialization_options())


def serve_http(
    server: Server[Workbench], host: str, port: int, *, ready: Callable[[str], None] | None = None
) -> None:
    """Serve clients of this machine over streamable HTTP until interrupted.

    Args:
        server: The server.
        host: Where to listen: on loopback only, as nobody has to show a key.
        port: Where to listen; 0 for any free port.
        ready: Gets the address once clients can connect.

    Raises:
        ConfigurationError: If the host is not loopback, or the port is taken.
    """
    if host not in LOOPBACK:
        raise ConfigurationError(
            f"expected a loopback address ({', '.join(LOOPBACK)}), got {host!r}: over HTTP the MCP server "
            "asks for no key; reach it from elsewhere through a tunnel such as ssh -L"
        )
    listening = _listening(host, port)
    with listening:
        taken = listening.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        if ready is not None:
            ready(f"http://{shown}:{taken}{PATH}")
        config = uvicorn.Config(
            http_app(server, taken), log_level="warning", timeout_graceful_shutdown=10, lifespan="on"
        )
        uvicorn.Server(config).run(sockets=[listening])


def http_app(server: Server[Workbench], port: int) -> Starlette:
    """Return the server as an ASGI application that answers this machine alone.

    The names in ``Host`` and ``Origin`` are checked, port included: a web page that a browser of this machine
    shows, under whatever name it was reached, is not a client.

    Args:
        server: The server.
        port: The port it is reached under.
    """
    names = [f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")]
    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=names,
        allowed_origins=[f"http://{name}" for name in names],
    )
    return server.streamable_http_app(
        streamable_http_path=PATH,
        transport_security=security,
        max_sessions=MOST_SESSIONS,
        session_idle_timeout=IDLE_S,
    )


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host} port {port} ({error.strerror}); choose another, 0 for any free one"
        ) from error
