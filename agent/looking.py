"""Pictures for the model: frames, marked where the scene is known, and what tools have drawn."""

from collections.abc import Iterator, Sequence

from spatial_agent.agent.executor import is_own
from spatial_agent.prompts.marked_frame import marked_frames, plain_frames
from spatial_agent.tools.contract import Evidence, ToolRunner
from spatial_agent.tools.errors import ToolError
from spatial_agent.tools.scene import FrameSet, Picture, SceneMap

#: Tools that imagine views begin so.
_VIEWS = "novel_view"


def is_view(tool: str) -> bool:
    """Return whether a tool imagines views."""
    return tool.startswith(_VIEWS)


def looked_at(
    scene: SceneMap | None,
    frames: FrameSet,
    entities: Sequence[str],
    evidence: Sequence[Evidence],
    most: int,
    side_px: int,
) -> tuple[Picture, ...]:
    """Return the frames to look at: marked where the scene is known, else spread evenly."""
    if scene is None:
        return plain_frames(frames, most=most, side_px=side_px)
    marks = [mark for item in evidence if is_own(item.call_id) for mark in item.finding.marks]
    return marked_frames(scene, frames, entities, marks, most=most, side_px=side_px)


def kept_pictures(runner: ToolRunner, references: Sequence[str]) -> Iterator[Picture]:
    """Yield the pictures behind references, as far as this process still has them."""
    for reference in references:
        try:
            value = runner.value(reference)
        except ToolError:  # drawn by a process before this one
            continue
        if isinstance(value, Picture):
            yield value
