"""Handing in jobs: what every way in has to respect, whatever it speaks."""

import hashlib
import json
from collections.abc import Callable, Mapping

from spatial_agent.services.api.auth import spend
from spatial_agent.services.api.caller import Caller
from spatial_agent.services.api.problems import DrainingError, ForbiddenError, QuotaError
from spatial_agent.services.api.service import Service
from spatial_agent.services.store.errors import QueueFullError
from spatial_agent.services.store.records import Job, NewJob, SceneRecord
from spatial_agent.services.work.intake import New
from spatial_agent.tools.contract import Json


def check_working(service: Service) -> None:
    """Refuse work while the service is starting or being shut down.

    Raises:
        DrainingError: If it is.
    """
    if service.phase != "ok":
        raise DrainingError("the service is not taking work now; try again soon", retry_after_s=5.0)


async def submit(
    service: Service,
    caller: Caller,
    new: New,
    *,
    priority: int = 0,
    idempotency_key: str | None = None,
    fingerprint: str = "",
) -> tuple[Job, bool]:
    """Hand in a job of a caller, within what their key allows.

    Args:
        service: The service.
        caller: Whose it is.
        new: The job, or what makes it where calls of the store are made.
        priority: Its priority.
        idempotency_key: What the caller calls this request; the same again gives the same job.
        fingerprint: What tells this request from another one under the same key.

    Returns:
        The job, and whether it is newly made.

    Raises:
        DrainingError: If the service takes no work.
        ForbiddenError: If the priority is higher than the key allows.
        QuotaError: If the key's quota is used up.
        IdempotencyConflictError: If the idempotency key was used for another request.
        QueueFullError: If too many jobs are waiting.
    """
    check_working(service)
    allowance = caller.allowance
    if allowance is not None and priority > allowance.priority:
        raise ForbiddenError(f"this key allows priorities up to {allowance.priority}, got {priority}")
    try:
        await spend(service, caller)
    except QuotaError as error:
        return await _asked_before(service, new, error, idempotency_key, fingerprint), False
    is_new = False
    try:
        most = None if allowance is None else allowance.queued
        job, is_new = await service.desk.submit(
            new, idempotency_key=idempotency_key, fingerprint=fingerprint, most_of_tenant=most
        )
    finally:
        if not is_new:
            await spend(service, caller, -1)
    return job, is_new


async def _asked_before(
    service: Service,
    new: New,
    error: QuotaError,
    idempotency_key: str | None,
    fingerprint: str,
) -> Job:
    """Return the job that the same request made before: to be told of it again costs nothing."""
    if idempotency_key is None:
        raise error
    try:
        # With no room for another job only the one that is known can come back.
        job, _ = await service.desk.submit(
            new, idempotency_key=idempotency_key, fingerprint=fingerprint, most_of_tenant=0
        )
    except QueueFullError:
        raise error from None
    return job


async def submit_question(
    service: Service,
    caller: Caller,
    request: Mapping[str, Json],
    find_scene: Callable[[], SceneRecord],
    *,
    session: str | None = None,
    priority: int = 0,
    idempotency_key: str | None = None,
    fingerprint: str = "",
) -> tuple[Job, bool]:
    """Hand in a question about one of a caller's scenes; see `submit`.

    Args:
        service: The service.
        caller: Who asks.
        request: The question as plain JSON of `QuestionRequest`, or of what `QuestionJob` adds to it.
        find_scene: Returns what it is about; may call the store.
        session: Id of the dialogue it belongs to, which is the caller's.
        priority: Higher first.
        idempotency_key: What the caller calls this request.
        fingerprint: What tells it from another one under the same key.

    Raises:
        SpatialAgentError: What `find_scene` raises, beside what `submit` does.
    """

    def new() -> NewJob:
        scene = find_scene()
        return NewJob(
            tenant=caller.tenant,
            kind="question",
            request={**request, "profile": request.get("profile") or scene.profile, "source": scene.source},
            scene=scene.id,
            session=session,
            priority=priority,
            key=caller.key_id,
            request_id=caller.request_id,
        )

    return await submit(
        service, caller, new, priority=priority, idempotency_key=idempotency_key, fingerprint=fingerprint
    )


def fingerprint_of(caller: Caller, way: str, told: Mapping[str, Json]) -> str:
    """Return what tells one request of a caller from another.

    Args:
        caller: Who sends it.
        way: Which way in it takes.
        told: What it says, plain JSON.
    """
    canonical = json.dumps([caller.tenant, way, told], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
