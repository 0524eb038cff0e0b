"""Measures a source through a runner: experts look at its frames, our own geometry makes the scene map."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from threading import Event

import numpy as np

from spatial_agent.services.asking import Asking
from spatial_agent.services.perception import Perception, Route
from spatial_agent.services.photo_building import BuildScene, build_scan, is_photo, plan_photo
from spatial_agent.tools.contract import ToolRunner
from spatial_agent.tools.errors import SpatialAgentError, ToolFailedError, ToolUnavailableError
from spatial_agent.tools.experts.instances import RecordedInstances, Segmenter
from spatial_agent.tools.experts.masks import separated_detections
from spatial_agent.tools.experts.sizes import check_size
from spatial_agent.tools.mapping.facing import with_facings
from spatial_agent.tools.progress import stopping
from spatial_agent.tools.scene import Detections, Frame, FrameSet, InstanceMask, SceneMap

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
    asking = Asking(runner, asyncio.get_running_loop())
    build: BuildScene = partial(build_scan, frames)
    lost: list[str] = []
    if is_photo(frames):
        build, lost = await asyncio.to_thread(plan_photo, asking, frames, perception)
    for segmenter in _segmenters(asking, perception):
        try:
            scene = await _in_thread(build, frames, segmenter)
        except RouteLostError as error:
            lost.append(str(error))
            continue
        failures = segmenter.failures if isinstance(segmenter, RunnerInstances) else {}
        return Measured(scene, (*lost, *_told(segmenter.name, failures, len(frames))))
    scene = await _in_thread(build, frames, NoInstances())
    return Measured(
        scene, (*lost, "no object could be looked for: questions about objects cannot be answered")
    )


class RunnerInstances:
    """Finds the objects of frames by asking experts behind a runner.

    Attributes:
        failures: What went wrong, by index of the frame.
    """

    at_once = AT_ONCE

    def __init__(self, asking: Asking, route: Route, identity: str, prompts: Sequence[str]) -> None:
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
            RouteLostError: If an expert is not available at all, or has failed on every frame.
        """
        found = self._asked(frame, frames, self._route.masker)
        return separated_detections(found).instance_masks() if found else ()

    def boxes(self, frame: Frame, frames: FrameSet) -> Detections:
        """Return the boxes of one frame, each thing once.

        Raises:
            RouteLostError: If the detector is not available, or has failed on every frame.
        """
        return self._asked(frame, frames, None) or Detections(np.empty((0, 4)), np.empty(0), ())

    def _asked(self, frame: Frame, frames: FrameSet, masker: str | None) -> Detections | None:
        """Return what experts found; None where that is nothing, or one failed on the frame."""
        index = frame.header.index
        try:
            found: Detections = self._asking.through(self._find(frame, masker))
        except ToolUnavailableError as error:
            raise RouteLostError(f"{self.name} is not available: {error}") from error
        except ToolFailedError as error:
            self.failures[index] = str(error)
            if len(self.failures) == len(frames):
                raise RouteLostError(f"{self.name} failed on every frame: {error}") from error
            return None
        return found if len(found) else None

    async def _find(self, frame: Frame, masker: str | None) -> Detections:
        runner = self._asking.runner
        kept = [runner.keep(f"look/{frame.header.index}", frame)]
        try:
            kept.append(await self._asking.handle(self._route.detector, {"frame": kept[0]} | self._prompts))
            if masker is not None and len(self._asking.value(kept[-1], Detections)):
                kept.append(await self._asking.handle(masker, {"frame": kept[0], "boxes": kept[-1]}))
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


def _segmenters(asking: Asking, perception: Perception) -> list[Segmenter]:
    if perception.recorded:
        return [RecordedInstances()]
    return [
        RunnerInstances(asking, route, perception.identity, perception.prompts) for route in perception.routes
    ]


async def _in_thread(build: BuildScene, frames: FrameSet, segmenter: Segmenter) -> SceneMap:
    """Build a scene while the loop goes on; the work stops soon after nobody waits for it."""
    stop = Event()

    def work() -> SceneMap:
        with stopping(stop):
            scene = with_facings(build(segmenter), frames=frames)
        return replace(scene, notes=(*scene.notes, *_odd_sizes(scene)))

    try:
        return await asyncio.to_thread(work)
    except asyncio.CancelledError:
        stop.set()
        raise


def _odd_sizes(scene: SceneMap) -> Iterator[str]:
    """Say which objects have an unusual size: a wrong label, or a wrong measurement."""
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
