"""What is counted of jobs: for `PrometheusMeter`, beside `tools.metering.METRICS`."""

from spatial_agent.tools.metering import SECONDS, Metric

JOBS = "spatial_agent_jobs_total"
JOB_SECONDS = "spatial_agent_job_seconds"
JOB_WAIT_SECONDS = "spatial_agent_job_wait_seconds"
JOBS_RUNNING = "spatial_agent_jobs_running"

JOB_METRICS = (
    Metric(JOBS, "counter", "Jobs that were taken up, by how that ended.", ("kind", "outcome")),
    Metric(JOB_SECONDS, "histogram", "Time from taking a job up to its end.", ("kind",), SECONDS),
    Metric(JOB_WAIT_SECONDS, "histogram", "Time a new job waited to be taken up.", ("kind",), SECONDS),
    Metric(JOBS_RUNNING, "gauge", "Jobs that run in this process.", ("kind",)),
)
