"""What the routes of the API work with: one value that `open_service` puts together."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from spatial_agent.services.api.config import ServiceConfig
    from spatial_agent.services.metrics import PrometheusMeter
    from spatial_agent.services.scene_files.folder import SceneFiles
    from spatial_agent.services.settings import Settings
    from spatial_agent.services.store.store import Store
    from spatial_agent.services.work.agents import Agents
    from spatial_agent.services.work.desk import Desk
    from spatial_agent.services.work.slots import Slot

Phase = Literal["starting", "ok", "draining"]
#: Threads for what blocks, beside those that jobs and calls of experts keep for long.
THREADS = 32


@dataclass
class Service:
    """A service and everything it is made of.

    Attributes:
        config: How it is set up.
        settings: The installation it runs on.
        store: What it keeps: jobs, scenes, sessions, keys.
        desk: Takes jobs and runs them.
        agents: Answer the questions, one for each profile.
        scenes: The files of scenes.
        meter: Where its numbers go.
        version: Of this package.
        slot: Its place among the servers that share its folder.
        phase: Whether it can be given work.
        leaving: Set once streams and waiting requests should come to an end.
    """

    config: "ServiceConfig"
    settings: "Settings"
    store: "Store"
    desk: "Desk"
    agents: "Agents"
    scenes: "SceneFiles"
    meter: "PrometheusMeter"
    version: str
    slot: "Slot | None" = None
    phase: Phase = "starting"
    leaving: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    @cached_property
    def folders(self) -> tuple[Path, ...]:
        """Folders of this server, the innermost first, which nothing that leaves it may name."""
        return folders_of(self.config, self.settings)

    async def start(self) -> None:
        """Open the agents and begin to run jobs.

        Raises:
            StoreUnavailableError: If the store cannot be reached.
        """
        # Looking at a key takes one of these threads: measuring must never have them all.
        threads = ThreadPoolExecutor(THREADS + 2 * self.config.work.workers, "service")
        asyncio.get_running_loop().set_default_executor(threads)
        await asyncio.to_thread(self.agents.open_all)
        await self.desk.start()
        self.phase = "ok"

    async def drain(self) -> None:
        """Take no new work, let running jobs finish as long as the configuration allows, then let go.

        May be called again: all calls end together.
        """
        self.phase = "draining"
        await self.desk.drain(self.config.work.drain_seconds)
        self.leaving.set()

    async def close(self) -> None:
        """Drain, and close everything."""
        await self.drain()
        await asyncio.to_thread(self.agents.close)
        await asyncio.to_thread(self.store.close)
        if self.slot is not None:
            self.slot.close()


def folders_of(config: "ServiceConfig", settings: "Settings") -> tuple[Path, ...]:
    """Return the folders of a service, the innermost first, under every name that they have.

    Args:
        config: How it is set up.
        settings: The installation.
    """
    own = config.folder or settings.service_folder
    places = [own / "scenes", own, settings.cache_folder, settings.weights_folder]
    named = [place.expanduser().absolute() for place in places if place is not None]
    # What lies behind a link is opened, and told, under its own name.
    return tuple(sorted({*named, *(place.resolve() for place in named)}, key=_depth, reverse=True))


def _depth(folder: Path) -> int:
    return len(folder.parts)
