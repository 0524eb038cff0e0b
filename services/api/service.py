"""What the routes of the API work with: one value that `open_service` puts together."""

import asyncio
from dataclasses import dataclass, field
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

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders of this server, the innermost first, which nothing that leaves it may name."""
        settings = self.settings
        own = (self.config.folder or settings.service_folder).expanduser().absolute()
        places = {own / "scenes", own, settings.cache_folder.absolute(), settings.weights_folder}
        return tuple(sorted((place for place in places if place is not None), key=_depth, reverse=True))

    async def start(self) -> None:
        """Open the agents and begin to run jobs.

        Raises:
            StoreUnavailableError: If the store cannot be reached.
        """
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


def _depth(folder: Path) -> int:
    return len(folder.parts)
