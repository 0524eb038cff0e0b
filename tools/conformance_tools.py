"""The tools that runners are checked with: each shows one thing a runner has to get right.

They stand in a module of their own because runners that use other processes import them by name there.
"""

import secrets
import time
from pathlib import Path

import numpy as np

from spatial_agent.tools.contract import Finding, Resources
from spatial_agent.tools.errors import (
    AmbiguousReferenceError,
    NoSuchObjectError,
    ShapeError,
    SourceError,
    ToolFailedError,
)
from spatial_agent.tools.progress import report
from spatial_agent.tools.registry import Registry, expert, skill
from spatial_agent.tools.scene import DepthMap, Detections, Picture, SceneMap

#: How long a tool that waits for another one looks for it before it gives up, seconds.
MEETING_S = 20.0
STEP_S = 0.01


@skill("conformance.count")
def count(scene: SceneMap, at_least: int = 0) -> Finding:
    """Count every object.

    Args:
        scene: Any scene.
        at_least: Fewest objects to accept.
    """
    if len(scene.objects) < at_least:
        raise ToolFailedError(f"expected {at_least} objects, the scene has {len(scene.objects)}")
    return Finding(f"{len(scene.objects)} objects.", len(scene.objects), "count", details={"all": [1, 2]})


@expert("conformance.ramp")
def ramp(height: int, width: int, start_m: float = 1.0) -> DepthMap:
    """Make a depth map that grows by a metre a pixel, row by row.

    Args:
        height: Rows.
        width: Columns.
        start_m: Depth of the first pixel.
    """
    return DepthMap(np.arange(height * width, dtype=np.float32).reshape(height, width) + np.float32(start_m))


@expert("conformance.farthest")
def farthest(depth: DepthMap) -> Finding:
    """Find the greatest depth.

    Args:
        depth: A depth map.
    """
    return Finding(f"{depth.z_m.max():g} m.", float(depth.z_m.max()), "m")


@expert("conformance.describe")
def describe(depth: DepthMap, pictures: tuple[Picture, ...], boxes: Detections | None = None) -> Finding:
    """Say what arrived.

    Args:
        depth: A depth map.
        pictures: At least one picture.
        boxes: Boxes, or nothing.
    """
    arrived = [
        list(depth.z_m.shape),
        None if boxes is None else len(boxes),
        [item.caption for item in pictures],
    ]
    return Finding("This arrived.", arrived)


@expert("conformance.scribble")
def scribble(depth: DepthMap) -> Finding:
    """Try to write into what was handed over.

    Args:
        depth: A depth map.
    """
    try:
        depth.z_m[0, 0] = 99.0
    except ValueError:
        return Finding("It is read-only.", "read-only")
    return Finding("It was written to.", "written")


@expert("conformance.fail")
def fail(how: str) -> Finding:
    """Fail in one of many ways.

    Args:
        how: Which.
    """
    ways: dict[str, Exception] = {
        "no such object": NoSuchObjectError("there is no sofa", ("chair", "stool")),
        "ambiguous": AmbiguousReferenceError("there are two chairs", ("chair-1", "chair-2")),
        "arbitrary": ZeroDivisionError("by nought"),
        "impossible value": ShapeError("z_m: expected shape (H, W), got (3,)"),
        "bad file": SourceError("scan.json, line 3: expected a number"),
    }
    raise ways[how]


@expert("conformance.loaded", deterministic=False)
class Loaded:
    """Knows whether it is the one that was loaded first."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.token = ""
        self.loads = 0

    def load(self, device: str) -> None:
        """Choose a token nobody else has."""
        self.token = secrets.token_hex(8)
        self.loads += 1

    def __call__(self) -> Finding:
        """Show the token, and how often it was loaded."""
        return Finding("This instance.", [self.token, self.loads])


@expert("conformance.work", deterministic=False, resources=Resources(deadline_s=120.0))
def work(seconds: float, started: str | None = None) -> Finding:
    """Work for a while.

    Args:
        seconds: For how long.
        started: File that is made once it works.
    """
    if started is not None:
        Path(started).touch()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        report("steps", 1, 2)
        time.sleep(STEP_S)
    return Finding("Done.", "done")


@expert("conformance.meet_left", deterministic=False)
def meet_left(folder: str) -> Finding:
    """Wait until its counterpart is running too.

    Args:
        folder: Where they leave word of each other.
    """
    return _meet(Path(folder), "left", "right")


@expert("conformance.meet_right", deterministic=False)
def meet_right(folder: str) -> Finding:
    """Wait until its counterpart is running too.

    Args:
        folder: Where they leave word of each other.
    """
    return _meet(Path(folder), "right", "left")


def _meet(folder: Path, own: str, other: str) -> Finding:
    (folder / own).touch()
    until = time.monotonic() + MEETING_S
    while not (folder / other).exists():
        if time.monotonic() > until:
            raise ToolFailedError(f"{own} waited {MEETING_S:g} s alone")
        time.sleep(STEP_S)
    return Finding("Met.", "met")


TOOLS = (count, ramp, farthest, describe, scribble, fail, Loaded, work, meet_left, meet_right)


def conformance_registry() -> Registry:
    """Return a registry of the tools that runners are checked with."""
    registry = Registry()
    for tool in TOOLS:
        registry.add(tool)
    return registry.freeze()
