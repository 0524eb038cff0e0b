"""Scenes as the service has them: listed, waited for, removed."""

from spatial_agent.services.api.schemas import SceneList, SceneView
from spatial_agent.services.sdk.errors import NotFoundError, UnreachableError, error_of, unexplained
from spatial_agent.services.sdk.pacing import Pace
from spatial_agent.services.sdk.requesting import document, path, paused, refusal, send
from spatial_agent.services.sdk.steps import Plan, Request, Send
from spatial_agent.tools.errors import SpatialAgentError

#: Between two looks at a scene that is being measured, seconds.
LOOK_S = (0.1, 2.0)


def looked_up(pace: Pace, id: str) -> Plan[SceneView]:
    """Plan to see a scene."""
    return document((yield from send(pace, Request("GET", path("scenes", id)))), SceneView)


def listed(pace: Pace) -> Plan[SceneList]:
    """Plan to see which scenes there are."""
    return document((yield from send(pace, Request("GET", path("scenes")))), SceneList)


def removed(pace: Pace, kind: str, id: str) -> Plan[None]:
    """Plan to remove something; that it is gone after a lost reply is no error.

    Args:
        pace: When something is tried again.
        kind: ``"scenes"`` or ``"sessions"``.
        id: Its id.
    """
    request = Request("DELETE", path(kind, id))
    failures = 0
    while True:
        try:
            reply = yield Send(request)
        except UnreachableError as lost:
            failures += 1
            yield from paused(pace, failures, request, lost)
            continue
        if reply.is_success:
            return
        error = refusal(reply, pace)
        if failures and isinstance(error, NotFoundError):
            return
        failures += 1
        yield from paused(pace, failures, request, error)


def measured(pace: Pace, id: str, timeout_s: float | None) -> Plan[SceneView]:
    """Plan to wait until a scene is measured.

    Raises:
        SourceError: If it cannot be measured; other errors as the service reports them.
        WaitTimeoutError: If that takes too long; it goes on.
    """
    deadline = pace.until(timeout_s)
    pause_s = LOOK_S[0]
    while True:
        reply = yield from send(pace, Request("GET", path("scenes", id)), deadline)
        scene = document(reply, SceneView)
        if scene.state == "ready":
            return scene
        if scene.state == "failed":
            raise _failure(scene)
        yield from deadline.pause(pause_s, f"the scene {id} to be measured")
        pause_s = min(2 * pause_s, LOOK_S[1])


def _failure(scene: SceneView) -> SpatialAgentError:
    return error_of(scene.problem or unexplained("The scene failed without a reason", 500))
