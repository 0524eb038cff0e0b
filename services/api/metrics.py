"""The numbers of the API, beside those of the experts."""

from typing import TYPE_CHECKING

from spatial_agent.services.work.job_metrics import JOB_METRICS
from spatial_agent.tools.metering import METRICS, SECONDS, Metric

if TYPE_CHECKING:
    from spatial_agent.services.metrics import PrometheusMeter

REQUESTS = "spatial_agent_http_requests_total"
REQUEST_SECONDS = "spatial_agent_http_request_seconds"
JOBS = "spatial_agent_jobs_in_state"
UPLOADED = "spatial_agent_uploaded_bytes_total"

#: Everything that the API counts; a service's meter knows these and those of the experts.
API_METRICS = (
    Metric(REQUESTS, "counter", "Requests by how they ended.", ("method", "route", "status")),
    Metric(
        REQUEST_SECONDS,
        "histogram",
        "Wall time of a request until its response began.",
        ("method", "route"),
        SECONDS,
    ),
    Metric(JOBS, "gauge", "Jobs by state; queued ones are the queue.", ("state",)),
    Metric(UPLOADED, "counter", "Bytes of scenes that were received.", ("way",)),
)
#: The methods that are told apart; clients can make up others.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def service_meter() -> "PrometheusMeter":
    """Return the meter of a service: it counts experts, jobs and requests.

    Raises:
        ConfigurationError: If prometheus-client is not installed.
    """
    from spatial_agent.services.metrics import PrometheusMeter

    return PrometheusMeter(metrics=(*METRICS, *JOB_METRICS, *API_METRICS))
