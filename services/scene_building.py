"""Measures a source through a runner: experts look at its frames, our own geometry makes the scene map."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any, TypeVar

from spatial_agent.services.perception import Perception, Route
from spatial_agent.tools.contract import Json, ToolCall, ToolRunner
from spatial_agent.tools.errors import SpatialAgentError, ToolFailedError, ToolUnavailableError
from spatial_agent.tools.experts.instances import RecordedInstances, Segmenter
from spatial_agent.tools.experts.masks import separated_detections
from spatial_agent.tools.experts.sizes import check_size
from spatial_agent.tools.mapping.build import build_scene
from spatial_agent.tools.mapping.facing import with_facings
from spatial_agent.tools.media import check_geometry
from spatial_agent.tools.progress import report, stopping
from spatial_agent.tools.scene import Detections, Frame, FrameSet, InstanceMask, SceneMap

Value = TypeVar("Value")
#: Frames that experts are asked about at once: enough to fill a batch, few enough to keep in memory.
AT_ONCE = 8
#: Edges this close to the usual range are no reason to speak, metres.
ODD_M = 0.1


@dataclass(frozen=True)
class Measured:
    """A measured scene.

    Attributes:
        scene: The scene map.
        degraded: What was lost on the way, one sentence each.
    """

    scene: SceneMap
    degraded: tuple[str, ...] = ()


class RouteLostError(SpatialAgentError):
    """A way to find objects does not work at all; the next one is tried."""


async def measure_scene(runner: ToolRunner, frames: FrameSet, perception: Perception) -> Measured:
    """Measure a source.

    An expert that is lost costs the scene what only it knows, never the answer: the next way to find
    objects is tried, then the scene is measured without objects, and `Measured.degraded` says so.

    Args:
        runner: Where the experts run.
        frames: The opened source.
        perception: Which experts look at it.

    Raises:
        SourceError: If the frames cannot be read, or lack what measuring needs.
    """
    asking = _Asking(runner, asyncio.get_running_loop())
    lost: list[str] = []
    for segmenter in _segmenters(asking, perception):
        try:
            scene = await _in_thread(frames, segmenter)
        except RouteLostError as error:
            lost.append(str(error))
            continue
        failures = segmenter.failures if isinstance(segmenter, RunnerInstances) else {}
        return Measured(scene, (*lost, *_told(segmenter.name, failures, len(frames))))
    scene = await _in_thread(frames, NoInstances())
    return Measured(
        scene, (*lost, "no object could be looked for: questions about objects cannot be answered")
    )


class RunnerInstances:
    """Finds the objects of frames by asking experts behind a runner.

    Attributes:
        failures: What went wrong, by index of the frame.
    """

    at_once = AT_ONCE

    def __init__(self, asking: "_Asking", route: Route, identity: str, prompts: Sequence[str]) -> None:
        """Ask along a route."""
        self._asking = asking
        self._route = route
        self._prompts = {"prompts": list(prompts)} if route.prompted else {}
        self.name = route.name
        self.version = identity
        self.failures: dict[int, str] = {}

    def segment(self, frame: Frame, frames: FrameSet) -> tuple[InstanceMask, ...]:
        """Return the masks of one frame; none where an expert failed on it.

        Raises:
            RouteLostError: If an expert is not available at all, or has failed on every frame so far.
        """
        index = frame.header.index
        try:
            found = self._asking.through(self._find(frame, index))
        except ToolUnavailableError as error:
            raise RouteLostError(f"{self.name} is not available: {error}") from error
        except ToolFailedError as error:
            self.failures[index] = str(error)
            if len(self.failures) == len(frames):
                raise RouteLostError(f"{self.name} failed on every frame: {error}") from error
            return ()
        return separated_detections(found).instance_masks() if len(found) else ()

    async def _find(self, frame: Frame, index: int) -> Detections:
        runner, route = self._asking.runner, self._route
        kept = [runner.keep(f"look/{index}", frame)]
        try:
            kept.append(await self._asking.handle(route.detector, {"frame": kept[0]} | self._prompts))
            if route.masker is not None and len(self._asking.value(kept[-1], Detections)):
                arguments = {"frame": kept[0], "boxes": kept[-1]}
                kept.append(await self._asking.handle(route.masker, arguments))
            return self._asking.value(kept[-1], Detections)
        finally:
            for reference in kept:
                runner.drop(reference)


class NoInstances:
    """Sees no objects: what is left when every way to find them is lost."""

    name = "none"
    version = "1"
    at_once = 2

    def segment(self, frame: Frame, frames: FrameSet) -> tuple[InstanceMask, ...]:
        """Return nothing."""
        return ()


@dataclass
class _Asking:
    """Calls experts from worker threads while the runner's event loop goes on."""

    runner: ToolRunner
    loop: asyncio.AbstractEventLoop
    calls: int = field(default=0)

    def through(self, work: Any) -> Any:  # noqa: ANN401 - a coroutine of any result
        """Run a coroutine on the runner's loop and wait for it in this thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    async def handle(self, tool: str, arguments: Mapping[str, Json]) -> str:
        """Call an expert; return the reference of its result, or raise its error."""
        self.calls += 1
        result = await self.runner.call(ToolCall(f"look{self.calls}", tool, arguments))
        if result.error is not None:
            raise result.error
        if result.handle is None:
            raise ToolFailedError(f"{tool} gave no value, where one to build a scene from was expected")
        return result.handle

    def value(self, reference: str, kind: type[Value]) -> Value:
        """Return the value behind a reference, of the type expected."""
        value = self.runner.value(reference)
        if not isinstance(value, kind):
            raise ToolFailedError(f"expected {kind.__name__} as {reference}, got {type(value).__name__}")
        return value


def _segmenters(asking: _Asking, perception: Perception) -> list[Segmenter]:
    if perception.recorded:
        return [RecordedInstances()]
    return [
        RunnerInstances(asking, route, perception.identity, perception.prompts) for route in perception.routes
    ]


async def _in_thread(frames: FrameSet, segmenter: Segmenter) -> SceneMap:
    """Build a scene while the loop goes on; the work stops soon after nobody waits for it."""
    stop = Event()

    def build() -> SceneMap:
        with stopping(stop):
            scene = with_facings(build_scene(frames, segmenter, progress=report), frames=frames)
        return replace(scene, notes=(*scene.notes, *check_geometry(frames), *_odd_sizes(scene)))

    try:
        return await asyncio.to_thread(build)
    except asyncio.CancelledError:
        stop.set()
        raise


def _odd_sizes(scene: SceneMap) -> Iterator[str]:
    """Say which objects are not of the size such things usually have: a wrong label, or a wrong measurement."""
    if scene.scale != "metric":
        return
    for item in scene.objects:
        if odd := check_size(item.label, item.box.extent_m, ODD_M, item.box.upright_axis):
            yield f"{item.id}: {odd}"


def _told(name: str, failures: Mapping[int, str], frames: int) -> tuple[str, ...]:
    if not failures:
        return ()
    first = failures[min(failures)]
    return (f"{name} failed on {len(failures)} of {frames} frames, which were left out: {first}",)
