"""Second routes through single frames: two of them against each other, and a depth network against one.

The first finds wrong poses and depths of a frame, the second what a depth sensor gets wrong. Both need the
frames that a scene was measured from; the second also a depth network, whose depth of a frame is asked for
first and compared in the round after. Where any of that is missing, nothing is asked for.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from spatial_agent.agent.executor import CHECKING
from spatial_agent.prompts.frame_choice import shown_share
from spatial_agent.tools.contract import Evidence, Json, ToolCall
from spatial_agent.tools.scene import FrameSet, SceneMap

TWO_FRAMES, AGREEMENT = "two_frames", "depth_agreement"
#: Endings of the ids of these checks: ``v3.frames`` and ``v3.depth`` are checks of evidence ``e3``.
FRAMES, DEPTH = "frames", "depth"
#: The depth that was recorded is what a network's is compared with.
SENSOR = "depth.sensor"
#: Pieces of evidence that are checked in frames, and frames that each may be looked up in.
MOST_CHECKED, MOST_FRAMES = 2, 3
#: A frame that shows an object less well than this is of no use.
LEAST_SHOWN = 0.02
#: What is told of a kept value begins with its reference.
KEPT = re.compile(r"^(\$depth/\d+): ")
BETWEEN = {
    "distance.surface": "surfaces",
    "distance.centre": "centres",
    "vsi.object_abs_distance": "vsi",
    "nearest": "surfaces",
    "vsi.object_rel_distance": "vsi",
}


@dataclass(frozen=True, eq=False)
class Means:
    """What checks in single frames can be made with.

    Attributes:
        scene: The scene.
        frames: The frames it was measured from; None for a scene that was given.
        tools: Names of the tools that can be called, their weights being here.
        turns: What was called so far and what came of it, as JSON of `Turn`.
    """

    scene: SceneMap
    frames: FrameSet | None
    tools: frozenset[str]
    turns: Sequence[Mapping[str, Any]] = ()

    @property
    def called(self) -> frozenset[str]:
        """Ids of the calls made so far."""
        return frozenset(seen["call_id"] for turn in self.turns for seen in turn["seen"])

    @property
    def network(self) -> str | None:
        """Name of a depth network that can be called, or None."""
        return min(
            (name for name in self.tools if name.startswith("depth.") and name != SENSOR), default=None
        )

    @property
    def has_sensor(self) -> bool:
        """Whether the scene was measured from recorded depth, rather than from a network's."""
        is_estimated = self.scene.quality is not None and self.scene.quality.shape_error > 0.0
        return self.frames is not None and self.frames.has_depth and not is_estimated

    def kept_by(self, call_id: str) -> str | None:
        """Return the reference of the depth that a call gave, or None."""
        texts = (seen["text"] for turn in self.turns for seen in turn["seen"] if seen["call_id"] == call_id)
        found = KEPT.match(next(texts, ""))
        return found[1] if found else None


def frame_routes(evidence: Sequence[Evidence], scene: str, means: Means) -> list[ToolCall]:
    """Return the calls that check evidence in single frames; those made already are among them.

    Args:
        evidence: What was found out so far.
        scene: Reference of the scene.
        means: What can be used.
    """
    if not means.has_sensor:
        return []
    known = {item.id for item in means.scene.objects}
    checked = islice(_quantities(evidence, known), MOST_CHECKED)
    calls = [call for item, of in checked for call in _routes(item, of, scene, means)]
    return list({call.id: call for call in calls}.values())


def _quantities(evidence: Sequence[Evidence], known: set[str]) -> Iterator[tuple[Evidence, dict[str, Json]]]:
    """Yield the evidence that can be measured in one frame, with what is to be measured there."""
    for item in evidence:
        objects = item.finding.objects
        if item.call_id.startswith(CHECKING) or not known.issuperset(objects):
            continue
        wanted = _quantity(item)
        if wanted is not None:
            yield item, wanted


def _quantity(item: Evidence) -> dict[str, Json] | None:
    objects, definition = item.finding.objects, item.finding.definition
    if definition == "size.height" and len(objects) == 1:
        return {"of": objects[0], "measure": "height"}
    if item.tool == "direction" and len(objects) == 3:
        # Where the observer stands and what is looked for decide a bearing; their way is looked at.
        return {"of": objects[0], "to": objects[2], "measure": "distance", "between": "centres"}
    if len(objects) != 2 or objects[0] == objects[1]:
        return None
    pair: dict[str, Json] = {"of": objects[0], "to": objects[1]}
    if definition == "vertical":
        return pair | {"measure": "rise"}
    if item.tool in ("distance", "nearest") and definition in BETWEEN:
        return pair | {"measure": "distance", "between": BETWEEN[definition]}
    return None


def _routes(item: Evidence, of: dict[str, Json], scene: str, means: Means) -> Iterator[ToolCall]:
    name = f"{CHECKING}{item.id[1:]}"
    ids = [str(of[role]) for role in ("of", "to") if role in of]
    shown = _best_frames(means.scene, ids)
    if TWO_FRAMES in means.tools and len(shown) > 1:
        frames = [f"$frame/{index}" for index in shown]
        yield ToolCall(f"{name}.{FRAMES}", TWO_FRAMES, of | {"scene": scene, "frames": frames})
    network = means.network
    if network is None or AGREEMENT not in means.tools or not shown:
        return
    frame = f"$frame/{shown[0]}"
    estimate = ToolCall(f"{CHECKING}-{DEPTH}-{shown[0]}", network, {"frame": frame})
    yield estimate
    reference = means.kept_by(estimate.id)
    if reference is not None:
        arguments = {"scene": scene, "frame": frame, "estimated": reference, "of": ids}
        yield ToolCall(f"{name}.{DEPTH}", AGREEMENT, arguments)


def _best_frames(scene: SceneMap, ids: Sequence[str]) -> list[int]:
    """Return the indices of the frames that show all of the objects best, the best first."""
    if not scene.cameras:
        return []
    shown = np.min([shown_share(scene, scene.object(name)) for name in ids], axis=0)
    best = np.argsort(-shown, kind="stable")[:MOST_FRAMES].tolist()
    return [scene.cameras[place].index for place in best if shown[place] >= LEAST_SHOWN]
