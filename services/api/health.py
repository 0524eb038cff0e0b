"""Whether the service lives, whether it can be given work, and its numbers."""

from fastapi import APIRouter, Response

from spatial_agent.services.api.dependencies import ReadsMetrics, TheService, api_router
from spatial_agent.services.api.metrics import JOBS
from spatial_agent.services.api.schemas import Health
from spatial_agent.services.api.service import Service
from spatial_agent.services.store.errors import StoreError
from spatial_agent.services.store.records import JobState
from spatial_agent.services.work.agents import READY
from spatial_agent.services.work.redaction import without_folders

BREAKER_OPEN = "spatial_agent_breaker_open"
LEFT_ALONE = "left alone for now, as it kept failing"
#: Answers without a key: whatever watches the service has none.
open_router = APIRouter(tags=["health"])
router = api_router("health")


@open_router.get("/healthz", response_description="It lives.")
async def healthz(service: TheService) -> Health:
    """Say that the process lives; whether it takes work says `/readyz`."""
    return Health(status="ok", version=service.version)


@open_router.get(
    "/readyz",
    response_description="It takes work; 'degraded' where a profile lacks something, or an expert rests.",
    responses={
        503: {"model": Health, "description": "It takes no work: it starts, drains, or lacks its store."}
    },
)
async def readyz(service: TheService, response: Response) -> Health:
    """Say whether the service can be given work."""
    if service.phase != "ok":
        response.status_code = 503
        return Health(status=service.phase, version=service.version)
    try:
        jobs = await service.desk.counts()
    except StoreError:
        response.status_code = 503
        return Health(status="degraded", version=service.version, experts={"store": "does not answer"})
    return _health(service, jobs)


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"description": "All numbers.", "content": {"text/plain": {"schema": {"type": "string"}}}},
    },
)
async def metrics(service: TheService, caller: ReadsMetrics) -> Response:
    """Return the service's numbers in Prometheus' text format."""
    jobs = await service.desk.counts()
    for state, number in jobs.items():
        service.meter.level(JOBS, {"state": state}, float(number))
    return Response(service.meter.exposition(), headers={"Content-Type": service.meter.content_type})


def _health(service: Service, jobs: dict[JobState, int]) -> Health:
    left_alone = {labels["tool"] for labels, is_open in service.meter.levels(BREAKER_OPEN) if is_open}
    state = dict(service.agents.state()) | dict.fromkeys(sorted(left_alone), LEFT_ALONE)
    is_whole = all(what == READY for what in state.values())
    # What a stranger may know is that it works: not how busy it is, nor what it lacks.
    told = {} if service.config.needs_keys else without_folders(state, service.folders)
    return Health(
        status="ok" if is_whole else "degraded",
        version=service.version,
        queued=0 if service.config.needs_keys else jobs.get("queued", 0),
        running=0 if service.config.needs_keys else jobs.get("running", 0),
        experts=told,
    )
