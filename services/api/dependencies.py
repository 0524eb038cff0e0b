"""What routers depend on: the service, and who is asking.

A router is made by `api_router`, and its routes say what the key must allow::

    router = api_router("scenes")

    @router.get("/v1/scenes")
    async def scenes(service: TheService, caller: Reads) -> SceneList: ...
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request

from spatial_agent.services.api.auth import authenticated
from spatial_agent.services.api.caller import Caller
from spatial_agent.services.api.openapi import PROBLEM_RESPONSES
from spatial_agent.services.api.problems import ForbiddenError
from spatial_agent.services.api.service import Service
from spatial_agent.services.api.strict_json import StrictRoute
from spatial_agent.services.store.records import Scope

__all__ = [
    "Asks",
    "Caller",
    "Calls",
    "Reads",
    "ReadsMetrics",
    "TheService",
    "Uploads",
    "api_router",
    "idempotency_header",
]


def api_router(tag: str) -> APIRouter:
    """Return a router whose routes read JSON strictly and declare every problem they may answer with."""
    return APIRouter(tags=[tag], route_class=StrictRoute, responses=dict(PROBLEM_RESPONSES))


def idempotency_header(promise: str) -> Any:  # noqa: ANN401 - as FastAPI's own
    """Return the header ``Idempotency-Key`` of a route, described by what it promises."""
    return Header(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$", description=promise)


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _allowed(scope: Scope) -> Callable[[Caller], Awaitable[Caller]]:
    async def allowed(caller: Annotated[Caller, Depends(authenticated)]) -> Caller:
        if scope not in caller.scopes:
            raise ForbiddenError(
                f"this key has not the scope {scope!r}; it has {', '.join(sorted(caller.scopes))}"
            )
        return caller

    return allowed


TheService = Annotated[Service, Depends(_service)]
#: Who may read what their tenant has.
Reads = Annotated[Caller, Depends(_allowed("read"))]
#: Who may ask questions.
Asks = Annotated[Caller, Depends(_allowed("ask"))]
#: Who may upload and delete scenes.
Uploads = Annotated[Caller, Depends(_allowed("upload"))]
#: Who may call single experts.
Calls = Annotated[Caller, Depends(_allowed("tools"))]
#: Who may read the service's numbers.
ReadsMetrics = Annotated[Caller, Depends(_allowed("metrics"))]
