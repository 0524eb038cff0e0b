"""Dialogues about scenes: each question may go on from those before it."""

import asyncio
import time
from typing import Annotated, Any

from fastapi import Body, Depends, Response

from spatial_agent.services.api.dependencies import Asks, Reads, TheService, api_router
from spatial_agent.services.api.problems import NotFoundError, QuotaError
from spatial_agent.services.api.questions import ready_scene
from spatial_agent.services.api.schemas import Id, SessionList, SessionRequest, SessionView
from spatial_agent.services.api.views import session_view
from spatial_agent.services.store.ids import new_id
from spatial_agent.services.store.records import SessionRecord

router = api_router("sessions")
#: Dialogues of one tenant: they cost nothing else that is counted.
MOST_SESSIONS = 1000
EXAMPLES: dict[str, Any] = {
    "new": {"summary": "A dialogue about a scene", "value": {"scene": "sc_0123456789abcdef0123456789abcdef"}}
}
_OWN_ID = {"session_id": "$response.body#/id"}
LINKS: dict[str, Any] = {
    name: {"operationId": f"sessions_{name}", "parameters": _OWN_ID} for name in ("session", "forget")
}


async def _session(session_id: Id, service: TheService, caller: Reads) -> SessionRecord:
    record = await asyncio.to_thread(service.store.sessions.session, caller.tenant, session_id)
    if record is None:
        raise NotFoundError(f"there is no session {session_id}")
    return record


TheSession = Annotated[SessionRecord, Depends(_session)]


@router.post(
    "/v1/sessions", status_code=201, response_description="The dialogue.", responses={201: {"links": LINKS}}
)
async def begin(
    asked: Annotated[SessionRequest, Body(openapi_examples=EXAMPLES)],
    response: Response,
    service: TheService,
    caller: Asks,
) -> SessionView:
    """Begin a dialogue about a scene; its questions give the session instead of the scene."""
    scene = await asyncio.to_thread(ready_scene, service.store, caller, asked.scene)
    if await asyncio.to_thread(service.store.sessions.count, caller.tenant) >= MOST_SESSIONS:
        raise QuotaError(f"expected fewer than {MOST_SESSIONS} dialogues, got as many; delete some of them")
    record = SessionRecord(new_id("se"), caller.tenant, scene.id, time.time())
    await asyncio.to_thread(service.store.sessions.add, record)
    response.headers["Location"] = f"/v1/sessions/{record.id}"
    return session_view(record)


@router.get("/v1/sessions", response_description="The dialogues.")
async def sessions(service: TheService, caller: Reads) -> SessionList:
    """List dialogues, newest first."""
    records = await asyncio.to_thread(service.store.sessions.listed, caller.tenant)
    return SessionList(sessions=[session_view(record) for record in records])


@router.get("/v1/sessions/{session_id}", response_description="The dialogue.")
async def session(record: TheSession) -> SessionView:
    """Return a dialogue: what was asked, as it was understood, and answered."""
    return session_view(record)


@router.delete("/v1/sessions/{session_id}", status_code=204, response_description="It is gone.")
async def forget(record: TheSession, service: TheService, caller: Asks) -> None:
    """Delete a dialogue; its questions stay."""
    await asyncio.to_thread(service.store.sessions.remove, caller.tenant, record.id)
