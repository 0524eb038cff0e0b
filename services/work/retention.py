"""What is kept no longer: finished jobs, and scenes that nobody asks about."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from spatial_agent.services.api.config import Retention
from spatial_agent.services.store.records import SceneRecord
from spatial_agent.services.store.store import Store
from spatial_agent.services.work.store_calls import StoreCalls, pause

#: Removes what else there is of jobs: traces, checkpoints, pictures. Gets their ids.
DropRuns = Callable[[Sequence[str]], Awaitable[None]]
#: Removes a scene with its files.
DropScene = Callable[[SceneRecord], Awaitable[object]]
#: Removes whatever else has been kept long enough. Gets the time, seconds since 1970.
OnSweep = Callable[[float], Awaitable[object]]

_log = logging.getLogger(__name__)
#: Seconds between sweeps.
SWEEP_S = 300.0
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


class Sweeper:
    """Drops what has been kept for as long as it is to be kept."""

    def __init__(
        self,
        store: Store,
        calls: StoreCalls,
        retention: Retention,
        on_dropped: DropRuns | None = None,
        on_idle_scene: DropScene | None = None,
        on_sweep: OnSweep | None = None,
    ) -> None:
        """Drop nothing yet.

        Args:
            store: Where jobs and scenes are.
            calls: Calls it.
            retention: How long things are kept.
            on_dropped: Removes what else there is of dropped jobs.
            on_idle_scene: Removes a scene; scenes stay where None.
            on_sweep: Removes whatever else has been kept long enough.
        """
        self._store, self._calls, self._retention = store, calls, retention
        self._on_dropped, self._on_idle_scene, self._on_sweep = on_dropped, on_idle_scene, on_sweep

    async def sweep(self, until: asyncio.Event) -> None:
        """Sweep now, and every few minutes until the event."""
        while not until.is_set():
            try:
                await self.sweep_once(time.time())
            except Exception:
                _log.exception("what is kept no longer could not be dropped; it is tried again later")
            await pause(until, SWEEP_S)

    async def sweep_once(self, now: float) -> None:
        """Drop what is due.

        Args:
            now: Seconds since 1970.

        Raises:
            StoreUnavailableError: If the store cannot be reached.
        """
        await self._sweep_jobs(now)
        if self._on_idle_scene is not None:
            await self._sweep_scenes(now, self._on_idle_scene)
        if self._on_sweep is not None:
            await self._on_sweep(now)

    async def _sweep_jobs(self, now: float) -> None:
        before = now - self._retention.jobs_days * DAY_S
        dropped = await self._calls(self._store.jobs.drop_finished, before)
        if dropped:
            _log.info("dropped %d jobs that finished long ago", len(dropped))
            if self._on_dropped is not None:
                await self._on_dropped(dropped)

    async def _sweep_scenes(self, now: float, drop: DropScene) -> None:
        before = now - self._retention.chat_scenes_hours * HOUR_S
        for scene in await self._calls(self._store.scenes.idle_since, before):
            if scene.short_lived:
                await self._drop_one(scene, before, drop)
        if self._retention.scenes_days is not None:
            before = now - self._retention.scenes_days * DAY_S
            for scene in await self._calls(self._store.scenes.idle_since, before):
                if not scene.short_lived:
                    await self._drop_one(scene, before, drop)

    async def _drop_one(self, scene: SceneRecord, before: float, drop: DropScene) -> None:
        """Drop a scene; one that cannot be dropped does not keep the others."""
        try:
            # Dropping those before it may have taken minutes.
            if await self._calls(self._store.scenes.is_idle, scene, before):
                await drop(scene)
        except Exception:
            _log.exception("scene %s could not be dropped; it is tried again later", scene.id)
