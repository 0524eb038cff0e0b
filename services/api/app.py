"""The app: every route, behind limits, logs and keys."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from spatial_agent.services.api import chat, health, page, questions, scenes, sessions, tools, uploads
from spatial_agent.services.api.handlers import add_handlers
from spatial_agent.services.api.limits import Limits
from spatial_agent.services.api.logs import RequestLog
from spatial_agent.services.api.openapi import describe, operation_id
from spatial_agent.services.api.rates import RateLimits
from spatial_agent.services.api.service import Service

DESCRIPTION = """Ask questions about a room and get measured answers, with a margin and the evidence.

Upload a scene, ask about it, and wait for the answer or follow its events. Errors are
`application/problem+json` (RFC 9457); what each `type` means is in docs/reference.md. Lengths are in metres
unless a question asks otherwise."""
#: What pages of other origins may send and read, where the configuration lets them.
SENT_HEADERS = (
    "Authorization",
    "X-API-Key",
    "Content-Type",
    "Prefer",
    "Idempotency-Key",
    "Last-Event-ID",
    "X-Request-Id",
    "Tus-Resumable",
    "Upload-Length",
    "Upload-Offset",
    "Upload-Metadata",
)
READ_HEADERS = (
    "Location",
    "Retry-After",
    "X-Request-Id",
    "Preference-Applied",
    "Idempotent-Replayed",
    "Tus-Resumable",
    "Tus-Version",
    "Tus-Extension",
    "Tus-Max-Size",
    "Upload-Length",
    "Upload-Offset",
    "Upload-Expires",
)


class Api(FastAPI):
    """The app, whose OpenAPI document says what it may answer with."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        return describe(self, needs_keys=self.state.service.config.needs_keys)


def create_app(service: Service) -> FastAPI:
    """Return the app of a service; its lifespan starts the service, drains it and closes it.

    Args:
        service: What it serves.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            await service.start()
            yield
        finally:
            await service.close()

    # The pages that show the document would load their scripts from elsewhere; there is the document itself.
    app = Api(
        title="Spatial reasoning agent",
        summary="Measured answers about rooms.",
        description=DESCRIPTION,
        version=service.version,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=operation_id,
    )
    app.state.service = service
    app.state.rates = RateLimits()
    # One picture is drawn at a time: each takes the memory of a whole scene.
    app.state.drawing = asyncio.Lock()
    add_handlers(app)
    _include_routers(app, service)
    _add_middleware(app, service)
    return app


def _include_routers(app: FastAPI, service: Service) -> None:
    # Each is asked in turn whether a request is its own: what is asked most often comes first.
    routers = [part.router for part in (questions, chat, scenes, sessions, tools, uploads)]
    routers += [health.open_router, health.router]
    if service.config.web_page:
        routers.append(page.router)
    for router in routers:
        app.include_router(router)


def _add_middleware(app: FastAPI, service: Service) -> None:
    """Add what wraps every request; what is added last is outermost."""
    app.add_middleware(Limits, config=service.config)
    if service.config.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=service.config.origins,
            allow_methods=["GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"],
            allow_headers=SENT_HEADERS,
            expose_headers=READ_HEADERS,
        )
    app.add_middleware(RequestLog, service=service)
