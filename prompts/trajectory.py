"""How the camera went, and in what order things came into view."""

from collections.abc import Sequence

import numpy as np

from spatial_agent.prompts.naming import foremost, named, present
from spatial_agent.prompts.template import Template
from spatial_agent.tools.experts.camera_motion import camera_motion
from spatial_agent.tools.scene import SceneCamera, SceneMap, SceneObject

#: The path is told in this many legs at most.
LEGS = 6


def trajectory(scene: SceneMap, entities: Sequence[str], *, only: bool = False) -> str:
    """Return the camera's path in a few legs and when each object was first seen, earliest first.

    Nothing where there is neither a path nor a first sight.

    Args:
        scene: The scene.
        entities: Ids of the objects asked about.
        only: Whether the path and all other objects are left out.
    """
    items = present(scene, entities) if only else foremost(scene, entities)
    rows = ([] if only else _path(scene)) + _first_seen(scene, items)
    return Template.load("trajectory").fill(rows="\n".join(rows)) if rows else ""


def _path(scene: SceneMap) -> list[str]:
    cameras = sorted(scene.cameras, key=lambda camera: camera.index)
    if len(cameras) < 2:
        return []
    stops = np.unique(np.linspace(0, len(cameras) - 1, LEGS + 1).round().astype(int))
    frames = [cameras[stop].index for stop in stops]
    legs = [
        camera_motion(scene, start=start, end=end).claim
        for start, end in zip(frames, frames[1:], strict=False)
    ]
    return [f"{len(cameras)} frames with a known camera, {_span(cameras)}.", *legs]


def _span(cameras: Sequence[SceneCamera]) -> str:
    first, last = cameras[0], cameras[-1]
    times = ""
    if first.time_s is not None and last.time_s is not None:
        times = f" ({first.time_s:.1f} s to {last.time_s:.1f} s)"
    return f"frame {first.index} to frame {last.index}{times}"


def _first_seen(scene: SceneMap, items: Sequence[SceneObject]) -> list[str]:
    """Return objects by when they were first seen; those seen at once share a line."""
    timed = all(item.first_seen_s is not None for item in scene.objects)
    when: dict[float, list[SceneObject]] = {}
    for item in items:
        first = item.first_seen_s if timed else item.first_seen_frame
        if first is not None:
            when.setdefault(float(first), []).append(item)
    lines = [
        f"{place}. {', '.join(named(item) for item in when[first])}: first seen {_moment(first, timed)}"
        for place, first in enumerate(sorted(when), start=1)
    ]
    unknown = [item for item in items if all(item not in group for group in when.values())]
    if lines and unknown:
        lines.append(f"First sight not known: {', '.join(named(item) for item in unknown)}")
    return lines


def _moment(first: float, timed: bool) -> str:
    return f"at {first:.1f} s" if timed else f"in frame {first:.0f}"
