"""Which way the objects of a scene face: who may be asked, and filling it into a scene map."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from spatial_agent.tools.errors import ViewpointError
from spatial_agent.tools.geometry.facing import Facing, facing_from_back_rest
from spatial_agent.tools.labels import kinds_of
from spatial_agent.tools.scene import FrameSet, SceneMap, SceneObject

#: Kinds of things that face away from their back-rest, headboard or cistern.
WITH_BACK_REST = frozenset({"armchair", "bed", "bench", "chair", "sofa", "toilet", "wheelchair"})


class FacingEstimator(Protocol):
    """Tells which way an object faces: the geometry below, or a learned model that looks at frames."""

    def __call__(self, item: SceneObject, frames: FrameSet | None = None) -> Facing | None:
        """Return which way it faces, or None where that is undefined or cannot be told.

        Args:
            item: The object, in scene coordinates.
            frames: The source it was seen in, for estimators that look at pictures.
        """
        ...


def find_facing(item: SceneObject) -> Facing:
    """Find the front of an object from its surface points.

    Args:
        item: An object of a scene that knows its up.

    Raises:
        ViewpointError: If its front is undefined or cannot be told; the message says why.
    """
    if not kinds_of(item.label) & WITH_BACK_REST:
        raise ViewpointError(f"a {item.label} has no back-rest to tell its front by")
    if item.surface is None:
        raise ViewpointError("it is known only as a box, without surface points")
    return facing_from_back_rest(item.surface.xyz_m, item.box)


def estimate_facing(item: SceneObject, frames: FrameSet | None = None) -> Facing | None:
    """Return which way an object faces by its geometry, or None where that cannot be told."""
    try:
        return find_facing(item)
    except ViewpointError:
        return None


def with_facings(
    scene: SceneMap,
    estimators: Sequence[FacingEstimator] = (estimate_facing,),
    frames: FrameSet | None = None,
) -> SceneMap:
    """Return the scene with the front of every object that has none yet and some estimator can tell.

    Args:
        scene: The scene; where its up is unknown it comes back as it is.
        estimators: Asked in turn; the first that knows decides.
        frames: The source, for estimators that look at pictures.
    """
    if scene.up is None:
        return scene
    return replace(scene, objects=tuple(_with_facing(item, estimators, frames) for item in scene.objects))


def _with_facing(
    item: SceneObject, estimators: Sequence[FacingEstimator], frames: FrameSet | None
) -> SceneObject:
    if item.facing is not None:
        return item
    found = next((facing for ask in estimators if (facing := ask(item, frames)) is not None), None)
    if found is None:
        return item
    return replace(item, facing=found.direction, facing_error_rad=found.std_rad)
