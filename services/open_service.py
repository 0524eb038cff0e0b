"""What of the service is wired to what: the one place where it is put together."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.services.api.config import Retention, ServiceConfig
from spatial_agent.services.api.metrics import service_meter
from spatial_agent.services.api.problems import problem_of
from spatial_agent.services.api.service import Service, folders_of
from spatial_agent.services.runtime import Choices, build_agent
from spatial_agent.services.scene_files.folder import SceneFiles
from spatial_agent.services.scene_files.measuring import measuring_job, measuring_key
from spatial_agent.services.settings import Settings
from spatial_agent.services.store.store import Store
from spatial_agent.services.work.agents import Agents
from spatial_agent.services.work.desk import Desk
from spatial_agent.services.work.runs import AgentRuns
from spatial_agent.services.work.slots import Slot
from spatial_agent.tools.metering import Meter

#: After so many seconds nobody hands in the job of a scene any more.
PATIENCE_S = 60.0
DAY_S = 24 * 3600.0
#: Folder of the traces and checkpoints.
RUNS = "runs"


def open_service(config: ServiceConfig | None = None, settings: Settings | None = None) -> Service:
    """Put a service together; its agents are opened and its jobs taken up when it is started.

    Args:
        config: How it is set up.
        settings: The installation.

    Raises:
        ConfigurationError: If it cannot be as configured: no such database, or a folder that cannot be made.
    """
    config, settings = config or ServiceConfig(), settings or Settings()
    folder = (config.folder or settings.service_folder).expanduser().absolute()
    # Others on this machine need not read what was sent, asked, or measured of it.
    for place in (folder, settings.scenes_folder, settings.results_folder):
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = open_store(settings, folder)
    slot = Slot(folder)
    meter = service_meter()
    agents = Agents(config.profiles, _open_one(config, settings, folder, meter))
    scenes = SceneFiles(folder / "scenes", store, config.limits)
    runs = AgentRuns(agents, scenes, store, folders_of(config, settings))
    desk = Desk(
        store,
        runs,
        name=slot.name,
        work=config.work,
        problem_of=problem_of,
        meter=meter,
        retention=config.retention,
        on_idle_scene=scenes.remove,
        on_sweep=lambda now: _sweep(now, scenes, desk, folder / RUNS, config.retention),
    )
    return Service(
        config=config,
        settings=settings,
        store=store,
        desk=desk,
        agents=agents,
        scenes=scenes,
        meter=meter,
        version=version("spatial-reasoning-agent"),
        slot=slot,
    )


async def _sweep(now: float, scenes: SceneFiles, desk: Desk, traces: Path, retention: Retention) -> None:
    """Remove what was received in part and old traces, and measure what came before its server died."""
    await asyncio.to_thread(scenes.remove_stale, now)
    await asyncio.to_thread(_remove_old_traces, traces, now - retention.jobs_days * DAY_S)
    for record in await asyncio.to_thread(scenes.store.scenes.left_unmeasured, now - PATIENCE_S):
        job, _ = await desk.submit(
            measuring_job(record), idempotency_key=measuring_key(record), fingerprint=record.id
        )
        await asyncio.to_thread(scenes.store.scenes.update, record.tenant, record.id, job=job.id)


def _remove_old_traces(folder: Path, before: float) -> None:
    """Remove traces that nothing was written to since a time: of questions, and of single calls."""
    for path in folder.glob("*.jsonl"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < before:
                path.unlink()


def open_store(settings: Settings, folder: Path | None = None) -> Store:
    """Open the store of a service, brought to the newest form.

    Args:
        settings: Says where, if it is a server's.
        folder: The service's folder; that of the installation where None.

    Raises:
        ConfigurationError: If it cannot be opened.
    """
    place = folder or settings.service_folder
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Store.open(settings.database or f"sqlite:///{place / 'service.sqlite'}")


def _open_one(
    config: ServiceConfig, settings: Settings, folder: Path, meter: Meter
) -> Callable[[str], SpatialAgent]:
    def open_one(profile: str) -> SpatialAgent:
        choices = Choices(
            profile=profile,
            runner=config.runner,
            address=config.address,
            model=config.model,
            interface=config.interface,
        )
        return build_agent(
            choices,
            settings=settings,
            meter=meter,
            runs_folder=folder / RUNS,
            most_traces=None,
            new_loop=_new_loop,
        )

    return open_one


def _new_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop for runs: of the kind that the web server runs on, where there is that kind."""
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
