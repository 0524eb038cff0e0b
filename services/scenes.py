"""Opens sources and knows their scenes: in memory, in the cache on disk, or measured now."""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from weakref import WeakValueDictionary

from spatial_agent.agent.state import LoadedScene, Source
from spatial_agent.services.perception import Perception
from spatial_agent.services.scene_building import measure_scene
from spatial_agent.tools.contract import ToolRunner
from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.mapping.cache import SceneCache
from spatial_agent.tools.scene import FrameSet, SceneMap

#: Scenes kept in memory by one process.
MOST_IN_MEMORY = 8
#: How long a scene stands that was measured with something missing; then it is measured again.
RETRY_DEGRADED_S = 60.0
#: Names of sources that were given as values begin so.
IN_MEMORY = "memory:"


@dataclass(frozen=True)
class _Known:
    """A scene in memory, and how long it stands on the monotonic clock."""

    loaded: LoadedScene
    until_s: float


class SceneStore:
    """Finds or measures the scene of a source; each source is measured once at a time."""

    def __init__(
        self, cache: SceneCache, perception: Perception, open_frames: Callable[[Path], FrameSet]
    ) -> None:
        """Keep scenes in `cache`.

        Args:
            cache: The cache on disk.
            perception: Which experts look at sources.
            open_frames: Opens a file or folder of frames.
        """
        self._cache = cache
        self._perception = perception
        self._open_frames = open_frames
        # Whoever asks about a value holds it while the answer is on its way.
        self._given: WeakValueDictionary[str, FrameSet | SceneMap] = WeakValueDictionary()
        self._known: OrderedDict[tuple[str, int], _Known] = OrderedDict()
        # Whoever waits for a source holds its lock.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def name(self, source: Source) -> str:
        """Return the name under which the agent's loop knows a source, remembering values in memory."""
        if isinstance(source, str | Path):
            return str(Path(source).expanduser().absolute())
        content = source.scene_id if isinstance(source, SceneMap) else source.content_hash
        name = f"{IN_MEMORY}{content}:{id(source)}"
        self._given[name] = source
        return name

    async def get(self, runner: ToolRunner, name: str) -> LoadedScene:
        """Return the scene of a source, measuring it through the runner where it is not known.

        Raises:
            SourceError: If the source cannot be read.
            UnmeasurableError: If it can, and has nothing to measure by.
            ToolError: If it cannot be measured.
        """
        async with self._locks.setdefault(name, asyncio.Lock()):
            key = (name, await asyncio.to_thread(_fingerprint, name))
            if key in self._known and time.monotonic() < self._known[key].until_s:
                self._known.move_to_end(key)
                return self._known[key].loaded
            loaded = await self._find(runner, name)
            lasts_s = RETRY_DEGRADED_S if loaded.degraded else math.inf
            self._known[key] = _Known(replace(loaded, cached=True), time.monotonic() + lasts_s)
            while len(self._known) > MOST_IN_MEMORY:
                self._known.popitem(last=False)
            return loaded

    async def frames(self, name: str) -> FrameSet:
        """Return the frames of a source as it opens, measured or not.

        Raises:
            SourceError: If the source cannot be read, or has none.
        """
        given = self._given.get(name)
        opened = await asyncio.to_thread(self._open, Path(name)) if given is None else given
        if isinstance(opened, SceneMap):
            raise SourceError(f"{name}: expected a source with frames, got a scene without any")
        return opened

    async def _find(self, runner: ToolRunner, name: str) -> LoadedScene:
        given = self._given.get(name)
        opened = await asyncio.to_thread(self._open, Path(name)) if given is None else given
        if isinstance(opened, SceneMap):
            return LoadedScene(opened, None, cached=True)
        key = self._cache.key(opened.content_hash, self._perception.identity)
        scene = await asyncio.to_thread(self._cache.get, key)
        if scene is not None:
            return LoadedScene(scene, opened, cached=True)
        measured = await measure_scene(runner, opened, self._perception)
        # What was measured with something missing is measured again when it is back.
        if not measured.degraded:
            await asyncio.to_thread(self._cache.put, key, measured.scene)
        return LoadedScene(measured.scene, opened, cached=False, degraded=measured.degraded)

    def _open(self, path: Path) -> FrameSet | SceneMap:
        if str(path).startswith(IN_MEMORY):
            raise SourceError("this run asked about a value in memory, which is gone; ask again")
        if not path.exists():
            raise SourceError(f"{path}: there is no such file or folder")
        if path.suffix.lower() == ".json" and path.is_file() and path.name != "scan.json":
            from spatial_agent.tools.mapping.scene_file import read_scene

            return read_scene(path)
        return self._open_frames(path)


def _fingerprint(name: str) -> int:
    """Return a number that changes when a file of the source changes, without reading any."""
    path = Path(name)
    if name.startswith(IN_MEMORY) or not path.exists():
        return 0
    files = sorted([*path.glob("*"), *path.glob("*/*")]) if path.is_dir() else [path]
    states = [(str(file), file.stat()) for file in files]
    return hash(tuple((file, state.st_size, state.st_mtime_ns) for file, state in states))
