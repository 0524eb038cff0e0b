"""Opens sources and knows their scenes: in memory, in the cache on disk, or measured now."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from spatial_agent.agent.state import LoadedScene, Source
from spatial_agent.tools.contract import ToolCall, ToolRunner
from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.mapping.cache import SceneCache
from spatial_agent.tools.scene import FrameSet, SceneMap

#: Scenes kept in memory by one process.
MOST_IN_MEMORY = 8
#: Names of sources that were given as values begin so.
IN_MEMORY = "memory:"


class SceneStore:
    """Finds or measures the scene of a source; each source is measured once at a time."""

    def __init__(
        self,
        cache: SceneCache,
        instances: Mapping[str, Any],
        segmenter: str,
        open_frames: Callable[[Path], FrameSet],
    ) -> None:
        """Keep scenes in `cache`.

        Args:
            cache: The cache on disk.
            instances: Arguments of the ``scene_map`` expert besides the frames.
            segmenter: Identity of the segmenter, for the cache.
            open_frames: Opens a file or folder of frames.
        """
        self._cache = cache
        self._instances = dict(instances)
        self._segmenter = segmenter
        self._open_frames = open_frames
        # Whoever asks about a value holds it while the answer is on its way.
        self._given: WeakValueDictionary[str, FrameSet | SceneMap] = WeakValueDictionary()
        self._known: OrderedDict[tuple[str, int], LoadedScene] = OrderedDict()
        self._locks: dict[str, asyncio.Lock] = {}

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
            ToolError: If it cannot be measured.
        """
        async with self._locks.setdefault(name, asyncio.Lock()):
            key = (name, await asyncio.to_thread(_fingerprint, name))
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
            loaded = await self._find(runner, name)
            self._known[key] = LoadedScene(loaded.scene, loaded.frames, cached=True)
            while len(self._known) > MOST_IN_MEMORY:
                self._known.popitem(last=False)
            return loaded

    async def _find(self, runner: ToolRunner, name: str) -> LoadedScene:
        given = self._given.get(name)
        opened = await asyncio.to_thread(self._open, Path(name)) if given is None else given
        if isinstance(opened, SceneMap):
            return LoadedScene(opened, None, cached=True)
        key = self._cache.key(opened.content_hash, self._segmenter)
        scene = await asyncio.to_thread(self._cache.get, key)
        if scene is not None:
            return LoadedScene(scene, opened, cached=True)
        scene = await self._measure(runner, opened)
        await asyncio.to_thread(self._cache.put, key, scene)
        return LoadedScene(scene, opened, cached=False)

    async def _measure(self, runner: ToolRunner, frames: FrameSet) -> SceneMap:
        reference = runner.keep("frames", frames)
        result = await runner.call(ToolCall("scene", "scene_map", {"frames": reference} | self._instances))
        if result.error is not None:
            # Damaged files are for their owner to mend, not for a planner to work round.
            cause = result.error.__cause__
            raise cause if isinstance(cause, SourceError) else result.error
        scene = runner.value(result.handle or "")
        if not isinstance(scene, SceneMap):
            raise TypeError(f"scene_map gave {type(scene).__name__}, expected a SceneMap")
        return scene

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
