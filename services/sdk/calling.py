"""Dialogues that are begun, and experts that are listed and called."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from spatial_agent.services.api.schemas import (
    SessionRequest,
    SessionView,
    ToolCallRequest,
    ToolCallView,
    ToolList,
    ToolView,
)
from spatial_agent.services.sdk.pacing import Pace
from spatial_agent.services.sdk.requesting import document, json_request, path, send
from spatial_agent.services.sdk.steps import Plan, Request
from spatial_agent.services.sdk.values import CallResult
from spatial_agent.tools.errors import InvalidValueError, ToolArgumentError

#: An expert may have to load its weights and to measure the scene first, seconds.
CALL_S = 600.0


def begun(pace: Pace, scene: str) -> Plan[SessionView]:
    """Plan to begin a dialogue about a scene."""
    try:
        body = SessionRequest(scene=scene)
    except ValidationError:
        raise InvalidValueError(f"scene: expected an id that the service gave, got {scene[:100]!r}") from None
    reply = yield from send(pace, json_request("POST", path("sessions"), body))
    return document(reply, SessionView)


def remembered(pace: Pace, id: str) -> Plan[SessionView]:
    """Plan to see what was asked and answered in a dialogue."""
    return document((yield from send(pace, Request("GET", path("sessions", id)))), SessionView)


def tools_listed(pace: Pace) -> Plan[list[ToolView]]:
    """Plan to see which experts and skills can be called."""
    reply = yield from send(pace, Request("GET", path("tools")))
    return document(reply, ToolList).tools


def called(pace: Pace, tool: str, arguments: Mapping[str, Any], scene: str | None) -> Plan[CallResult]:
    """Plan to call one expert; it is not called again where nobody knows whether the call arrived.

    Raises:
        ToolArgumentError: If the arguments are not plain JSON, or not what it takes.
        ToolError: As it fails.
        ServiceError: If the service refuses or cannot be reached.
    """
    try:
        body = ToolCallRequest.model_validate(
            {"arguments": dict(arguments)} | ({"scene": scene} if scene else {})
        )
        request = json_request("POST", path("tools", tool), body, repeatable=False, patience_s=CALL_S)
    except ValueError as error:
        raise ToolArgumentError(
            f"{tool}: expected arguments in plain JSON and a scene's id, {error}"
        ) from None
    return CallResult.of(document((yield from send(pace, request)), ToolCallView))
