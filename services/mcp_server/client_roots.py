"""The folders a client says it works in: they narrow what may be opened, and never widen it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from mcp.server.context import ServerRequestContext
from mcp.shared.message import ServerMessageMetadata
from mcp_types import (
    InputRequiredResult,
    InputResponses,
    ListRootsRequest,
    ListRootsResult,
    Root,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from spatial_agent.services.mcp_server.allowed_folders import AllowedFolders
from spatial_agent.tools.errors import ToolArgumentError

#: How long a client may take to say its folders, seconds.
PATIENCE_S = 10.0
_KEY = "roots"


async def narrowed_for(
    context: ServerRequestContext[Any, Any], allowed: AllowedFolders, responses: InputResponses | None
) -> AllowedFolders | InputRequiredResult:
    """Return the folders that may be opened for a request.

    Args:
        context: The request.
        allowed: The folders of the server.
        responses: What the client answered to questions that came back in place of an earlier result.

    Returns:
        The folders; or, where this protocol has the client say its folders with a second request, what asks
        for that.

    Raises:
        ToolArgumentError: If the client answers with something else.
        MCPError: If the client has folders and does not say them.
    """
    capabilities = context.session.client_capabilities
    if capabilities is None or capabilities.roots is None:
        return allowed
    if context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        if not context.session.can_send_request:
            return allowed
        return allowed.narrowed(_folders((await _asked(context)).roots))
    if not responses or _KEY not in responses:
        return InputRequiredResult(input_requests={_KEY: ListRootsRequest()})
    answered = responses[_KEY]
    if not isinstance(answered, ListRootsResult):
        raise ToolArgumentError(f"expected the client's roots, got {type(answered).__name__}")
    return allowed.narrowed(_folders(answered.roots))


async def _asked(context: ServerRequestContext[Any, Any]) -> ListRootsResult:
    # Sent along with the request, which over HTTP is the only stream that is surely open.
    return await context.session.send_request(
        ListRootsRequest(),
        ListRootsResult,
        request_read_timeout_seconds=PATIENCE_S,
        metadata=ServerMessageMetadata(related_request_id=context.request_id),
    )


def _folders(roots: Iterable[Root]) -> list[Path]:
    """Return the folders of this machine among a client's roots."""
    addresses = [urlsplit(str(root.uri)) for root in roots]
    local = [one for one in addresses if one.scheme == "file" and one.netloc in ("", "localhost")]
    paths = [unquote(one.path) for one in local]
    return [Path(path) for path in paths if path.isprintable() and path.startswith("/")]
