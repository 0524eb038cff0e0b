"""The service on a Ray cluster: one Ray Serve application whose replicas work on the same jobs.

``serve deploy deploy/serve.yaml`` calls `build` with the ``args`` of that file. Jobs, keys and checkpoints
are in PostgreSQL, whose URL is in the environment of the cluster (``SPATIAL_AGENT_DATABASE``) and in no file
that Serve shows; scenes and traces are in a folder that all machines share.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field
from ray import serve
from ray.serve.config import AutoscalingConfig, AutoscalingContext
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spatial_agent.services.api.config import ServiceConfig, read_config
from spatial_agent.services.settings import Settings
from spatial_agent.tools.errors import ConfigurationError, SpatialAgentError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from spatial_agent.services.api.service import Service

__all__ = ["DEPLOYMENT", "ServeOptions", "build", "replicas_needed"]

#: Name of the deployment, by which a Serve configuration overrides its options.
DEPLOYMENT = "api"
#: What replicas tell the autoscaler: how many of them the jobs of the store would keep busy.
WANTED = "replicas_for_jobs"
#: Seconds between looks whether a replica is ready; Serve replaces one that failed three in a row.
HEALTH_PERIOD_S = 10.0
#: Seconds for a replica to let go of everything once its last job and its last request have ended.
LAST_SECONDS = 15.0
#: What listens is Ray's proxy, for every machine that reaches it.
EVERYWHERE = "0.0.0.0"

Count = Annotated[int, Field(gt=0)]


class ServeOptions(BaseModel):
    """The ``args`` of the application in a Serve configuration; nothing secret, as Serve shows them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: Path | None = Field(
        default=None, description="The service's configuration (.toml), where the application is built."
    )
    min_replicas: Count = Field(default=1, description="Replicas that are always there.")
    max_replicas: Count = Field(default=1, description="Replicas at most.")
    jobs_per_replica: Count = Field(
        default=8, description="Jobs, waiting or running, for which one more replica is started."
    )
    requests_per_replica: Count = Field(
        default=64, description="Open requests, streams included, for which one more replica is started."
    )
    most_requests: Count = Field(default=1000, description="Open requests of one replica at most.")
    cpus: Annotated[float, Field(ge=0)] = Field(default=1.0, description="Cores that a replica counts as.")


class NotReadyError(SpatialAgentError):
    """A replica cannot be given work."""


def build(args: ServeOptions) -> serve.Application:
    """Return the application.

    Raises:
        ConfigurationError: If it cannot be as configured, or not with several replicas.
    """
    config = _config(args)
    if args.min_replicas > args.max_replicas:
        raise ConfigurationError(
            f"min_replicas: expected at most max_replicas ({args.max_replicas}), got {args.min_replicas}"
        )
    check_shared(config, Settings(), args.max_replicas)

    def make_app() -> "FastAPI":
        return replica_app(config)

    class Replica:
        """A server among several; Serve calls its methods."""

        app: "FastAPI"

        async def check_health(self) -> None:
            """Raise where the replica cannot be given work: Serve replaces it when that lasts."""
            await check_ready(self.app.state.service)

        async def record_autoscaling_stats(self) -> dict[str, float]:
            """Return how many replicas the jobs want, for `replicas_needed`."""
            jobs = await _unfinished(self.app.state.service)
            return {WANTED: jobs / args.jobs_per_replica}

    deployed = serve.deployment(
        name=DEPLOYMENT,
        autoscaling_config=_autoscaling(args),
        max_ongoing_requests=args.most_requests,
        ray_actor_options={"num_cpus": args.cpus},
        health_check_period_s=HEALTH_PERIOD_S,
        # Who waits for an answer gets it, then running jobs end; what does not goes on at another server.
        graceful_shutdown_timeout_s=config.limits.wait_seconds + config.work.drain_seconds + LAST_SECONDS,
        graceful_shutdown_wait_loop_s=0.5,
    )
    application: serve.Application = deployed(serve.ingress(make_app)(Replica)).bind()
    return application


def check_shared(config: ServiceConfig, settings: Settings, replicas: int) -> None:
    """Refuse several replicas where each would keep things of its own.

    Args:
        config: How the service is set up.
        settings: The installation.
        replicas: How many there may be.

    Raises:
        ConfigurationError: If they would not share their jobs or their scenes.
    """
    if replicas == 1:
        return
    if not (settings.database or "").startswith("postgresql"):
        raise ConfigurationError(
            f"{replicas} replicas need one database: expected SPATIAL_AGENT_DATABASE=postgresql://... in the "
            "environment of every machine of the cluster, got SQLite, a file whose locks and shared memory "
            "reach no further than one machine; set it, or max_replicas to 1"
        )
    if config.folder is None:
        raise ConfigurationError(
            f"{replicas} replicas need one folder for scenes: expected 'folder' in the configuration, "
            "mounted on every machine of the cluster; without it each machine has one of its own"
        )


def replicas_needed(context: AutoscalingContext) -> tuple[float, dict[str, Any]]:
    """Return how many replicas there should be: jobs that wait count, not only requests that are open.

    A job that was handed in without waiting for it leaves no request behind, so that Serve's own policy would
    never see it.

    Args:
        context: What Serve knows.
    """
    told = (context.aggregated_metrics or {}).get(WANTED, {})
    for_jobs = max(told.values(), default=0.0)
    config = cast(AutoscalingConfig, context.config)
    for_requests = context.total_num_requests / config.get_target_ongoing_requests()
    return math.ceil(max(for_jobs, for_requests)), {}


async def check_ready(service: "Service") -> None:
    """Raise where a service cannot be given work; as ``/readyz`` says.

    Raises:
        NotReadyError: If it starts or drains.
        StoreUnavailableError: If its store cannot be reached.
    """
    if service.phase != "ok":
        raise NotReadyError(f"this replica is {service.phase}; it takes no work")
    await service.desk.counts()


def replica_app(config: ServiceConfig) -> "FastAPI":
    """Make the app of one replica, in its process.

    Raises:
        ConfigurationError: If it cannot be as configured, or not beside other replicas.
    """
    from spatial_agent.services.api.app import create_app
    from spatial_agent.services.api.logs import log_to_stderr
    from spatial_agent.services.open_service import open_service

    settings = Settings()
    # A Serve configuration may override how many replicas `build` asked for; the first has rank 0.
    check_shared(config, settings, serve.get_replica_context().rank.rank + 1)
    log_to_stderr(config.log)
    app = create_app(open_service(config, settings))
    app.add_middleware(OneRequestId)
    return app


class OneRequestId:
    """Leaves the header with the request's id to Ray's proxy, which adds it to every response."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""

        async def without(message: Message) -> None:
            if message["type"] == "http.response.start":
                del MutableHeaders(scope=message)["X-Request-Id"]
            await send(message)

        await self._app(scope, receive, without)


def _config(args: ServeOptions) -> ServiceConfig:
    return read_config(args.config, host=EVERYWHERE)


def _autoscaling(args: ServeOptions) -> AutoscalingConfig:
    return AutoscalingConfig.model_validate(
        {
            "min_replicas": args.min_replicas,
            "max_replicas": args.max_replicas,
            "target_ongoing_requests": args.requests_per_replica,
            "policy": {"policy_function": replicas_needed},
        }
    )


async def _unfinished(service: "Service") -> int:
    jobs = await service.desk.counts()
    return jobs.get("queued", 0) + jobs.get("running", 0)
