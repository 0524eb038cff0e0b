"""The scale of a scene made of estimated depth, checked against what is known of it and corrected."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spatial_agent.tools.geometry.scale import (
    TABLE_ERROR,
    ScaleCheck,
    ScaleCue,
    check_scale,
    cue_from_camera_height,
    cue_from_size,
)
from spatial_agent.tools.geometry.transforms import scale_scene
from spatial_agent.tools.scene import SceneMap

#: An edge measured in the scene, and the range in which such edges usually lie: metres each.
Ruler = tuple[float, float, float]
#: What box fitting and bleeding masks add to the error of an edge, as a share of it.
EDGE_ERROR = 0.05
#: Half-width of the 90 % interval of a known height of the camera where none is given, metres.
HEIGHT_MARGIN_M = 0.1


def with_checked_scale(
    scene: SceneMap,
    rulers: Sequence[Ruler] = (),
    *,
    camera_height_m: float | None = None,
    camera_margin_m: float = HEIGHT_MARGIN_M,
) -> SceneMap:
    """Correct the scale of a scene by what is known of lengths in it.

    Args:
        scene: A measured scene, such as one made of a photograph.
        rulers: Measured length, usual least and usual greatest length of edges, such as
            `tools.experts.sizes.rulers` gives for the scene's objects.
        camera_height_m: How high above the floor the camera was held, where known.
        camera_margin_m: Half-width of the 90 % interval of that.

    Returns:
        The scene with every length multiplied by one factor, the error of the scale as it then is, and a
        note; without anything to compare only the note is new.

    Raises:
        ScaleError: If the scale of the scene is not metric.
        ViewpointError: If a height of the camera is given and up is unknown.
        InvalidValueError: If a ruler or height is impossible, or the scene was given rather than measured.
    """
    scene.require_metric("a check of the scale")
    check = scale_of(scene, rulers, camera_height_m=camera_height_m, camera_margin_m=camera_margin_m)
    corrected = scene if check.factor == 1.0 else scale_scene(scene, check.factor)
    quality = corrected.quality and replace(corrected.quality, scale_error=check.error)
    return replace(corrected, quality=quality, notes=(*scene.notes, check.note))


def scale_of(
    scene: SceneMap,
    rulers: Sequence[Ruler] = (),
    *,
    camera_height_m: float | None = None,
    camera_margin_m: float = HEIGHT_MARGIN_M,
) -> ScaleCheck:
    """Return what the lengths of a scene must be multiplied by; arguments as for `with_checked_scale`."""
    quality = scene.quality
    stated, shape, focal = (
        (quality.scale_error, quality.shape_error, quality.focal_error) if quality else (0.0, 0.0, 0.0)
    )
    each = float(np.hypot(shape, EDGE_ERROR))
    table = [
        cue_from_size(length_m, low_m, high_m, source="a typical size", length_error=each)
        for length_m, low_m, high_m in rulers
    ]
    cues = []
    if camera_height_m is not None:
        cues.append(_camera_cue(scene, camera_height_m, camera_margin_m, float(np.hypot(shape, focal))))
    # A wrong focal length makes everything that lies across the view wrong alike.
    return check_scale(stated, cues, table=table, table_error=float(np.hypot(TABLE_ERROR, focal)))


def _camera_cue(scene: SceneMap, known_m: float, margin_m: float, error: float) -> ScaleCue:
    scene.require_up("the height of the camera")
    height_m = float(np.median([camera.pose.position_m[2] for camera in scene.cameras] or [0.0]))
    cue = cue_from_camera_height(height_m, known_m, margin_m)
    return replace(cue, error=float(np.hypot(cue.error, error)))
