"""The expert that turns posed RGB-D frames into a scene map."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from spatial_agent.tools.errors import ConfigurationError
from spatial_agent.tools.experts.instances import RecordedInstances, Segmenter
from spatial_agent.tools.progress import report
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import FrameSet, SceneMap

Instances = Literal["recorded", "yolo"]


@expert("scene_map")
def scene_map(frames: FrameSet, instances: Instances = "recorded", weights: str | None = None) -> SceneMap:
    """Measure a scene: fuse its depth, find floor, room and objects.

    Args:
        frames: Posed frames with depth.
        instances: Where object masks come from: the scan's own, or a YOLO segmenter.
        weights: Weights file of the segmenter.
    """
    from spatial_agent.tools.mapping.build import build_scene
    from spatial_agent.tools.media import check_geometry

    scene = build_scene(frames, open_segmenter(instances, weights), progress=report)
    return replace(scene, notes=(*scene.notes, *check_geometry(frames)))


@lru_cache(maxsize=2)
def open_segmenter(instances: Instances, weights: str | None) -> Segmenter:
    """Return the segmenter of that name; a model is loaded at its first frame.

    Raises:
        ConfigurationError: If it needs weights and none are given, or they do not exist.
    """
    if instances == "recorded":
        return RecordedInstances()
    if weights is None:
        raise ConfigurationError("instances 'yolo' needs a weights file; give --weights FILE")
    from spatial_agent.tools.experts.yolo import YoloInstances

    return YoloInstances(Path(weights))
