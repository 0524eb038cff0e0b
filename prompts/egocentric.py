"""Where everything is for somebody in the scene: "C is front-right, 1.2 m forward, 0.9 m right"."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from spatial_agent.prompts.naming import foremost, named, present, seen_remark
from spatial_agent.prompts.template import Template
from spatial_agent.tools.errors import ViewpointError
from spatial_agent.tools.geometry.direction import quadrants
from spatial_agent.tools.geometry.distance import centre_distance
from spatial_agent.tools.geometry.egocentric import (
    Place,
    Survey,
    Viewpoint,
    camera_viewpoint,
    observer_viewpoint,
    own_viewpoint,
)
from spatial_agent.tools.geometry.measuring import measure_camera_bearing
from spatial_agent.tools.scene import Measurement, SceneCamera, SceneMap, SceneObject
from spatial_agent.tools.skills.wording import quantity

#: Objects listed besides those asked about, the nearest ones.
MOST_OTHERS = 24


@dataclass(frozen=True)
class Stand:
    """A viewpoint in a scene, in words and as a way to measure.

    Attributes:
        words: Whose left and ahead they are.
        places: Measures where objects are.
        at: The object one is at, which has no place in one's own table; None for a camera.
        faced: The object faced, or which one has the back to; None where there is none.
        straight: Where that one is: ``"straight ahead"`` or ``"straight behind"``.
    """

    words: str
    places: Callable[[Sequence[SceneObject]], Sequence[Place]]
    at: SceneObject | None = None
    faced: SceneObject | None = None
    straight: str = "straight ahead"


def observer_at(scene: SceneMap, at: str, facing: str, *, away: bool = False) -> Stand | None:
    """Return the viewpoint of somebody at one object's centre who faces another's, or has its back to it.

    None where there is no such viewpoint: up unknown, or one above the other.

    Raises:
        InvalidValueError: If the scene has no such objects.
    """
    observer, faced = scene.object(at), scene.object(facing)
    words = (
        f"Standing at {named(observer)}{seen_remark(observer)}, "
        f"{'with the back to' if away else 'facing'} {named(faced)}{seen_remark(faced)}"
    )
    stand = _stand(
        scene, words, lambda: observer_viewpoint(scene, observer, faced, away=away), observer, faced
    )
    return replace(stand, straight="straight behind") if stand is not None and away else stand


def camera_of(scene: SceneMap, frame: int) -> Stand | None:
    """Return the viewpoint of the camera of a frame held level.

    None where the scene has no such frame, up is unknown, or the camera looks straight up or down.
    """
    cameras = {camera.index: camera for camera in scene.cameras}
    if frame not in cameras:
        return None
    words = f"Seen from the camera of frame {frame}"
    if not scene.has_places:
        return Stand(words, lambda items: _in_the_picture(scene, cameras[frame], items))
    return _stand(scene, words, lambda: camera_viewpoint(scene, cameras[frame].pose))


def occupant_of(scene: SceneMap, owner: str) -> Stand | None:
    """Return the viewpoint of an object's occupant; None where up or its front is unknown.

    Raises:
        InvalidValueError: If the scene has no such object.
    """
    item = scene.object(owner)
    words = f"From the point of view of {named(item)}{seen_remark(item)}"
    return _stand(scene, words, lambda: own_viewpoint(scene, item), item)


def _stand(
    scene: SceneMap,
    words: str,
    viewpoint: Callable[[], Viewpoint],
    at: SceneObject | None = None,
    faced: SceneObject | None = None,
) -> Stand | None:
    if not scene.has_places:
        return None
    try:
        view = viewpoint()
    except ViewpointError:
        return None
    return Stand(words, Survey(scene, view).places, at, faced)


def _in_the_picture(scene: SceneMap, camera: SceneCamera, items: Sequence[SceneObject]) -> list[Place]:
    """Return bearings alone: nothing else is known of a scene of directions."""
    return [Place(item.id, measure_camera_bearing(scene, camera.pose, item), None, None) for item in items]


def egocentric(scene: SceneMap, stand: Stand, entities: Sequence[str], *, only: bool = False) -> str:
    """Return one row for each object: sector, angle, how far ahead and to the side.

    Without metres the rows are sector and angle. Nothing where there is no object to tell of.

    Args:
        scene: The scene.
        stand: Whose left and right.
        entities: Ids of the objects asked about, which come first.
        only: Whether no others are listed.
    """
    items = [item for item in present(scene, entities) if item is not stand.at]
    others = [] if only else _others(scene, stand, {item.id for item in items})
    listed = [*items, *others[:MOST_OTHERS]]
    if not listed:
        return ""
    rows = [_row(stand, item, place) for item, place in zip(listed, stand.places(listed), strict=True)]
    if len(others) > MOST_OTHERS:
        rows.append(f"({len(others) - MOST_OTHERS} objects farther away are not listed)")
    return Template.load("egocentric").fill(stand=stand.words, rows="\n".join(rows))


def _others(scene: SceneMap, stand: Stand, asked: set[str]) -> list[SceneObject]:
    """Return the objects not asked about, the nearest first where one is at an object."""
    others = [item for item in foremost(scene, ()) if item.id not in asked and item is not stand.at]
    at = stand.at
    return others if at is None else sorted(others, key=lambda item: centre_distance(at.box, item.box))


def _row(stand: Stand, item: SceneObject, place: Place) -> str:
    name = f"{named(item)}{seen_remark(item)}"
    if place.bearing is None:
        return f"{name} | no direction: right above or below"
    legs = _legs(place)
    if item is stand.faced:
        return " | ".join((name, stand.straight, *legs[:1]))
    return " | ".join((name, _sector(place.bearing), _angle(place.bearing), *legs))


def _sector(turn: Measurement) -> str:
    sector = quadrants(turn.value)
    close = not turn.exact and sector.to_boundary_deg < (turn.margin or 0.0)
    return f"{sector.name} (borderline {sector.runner_up})" if close else sector.name


def _angle(turn: Measurement) -> str:
    return f"{quantity(_flipped(turn) if turn.value < 0 else turn)} {'left' if turn.value >= 0 else 'right'}"


def _legs(place: Place) -> tuple[str, ...]:
    """Return how far ahead and how far to the side, where the scene has metres."""
    if place.forward is None or place.left is None:
        return ()
    return _leg(place.forward, "forward", "back"), _leg(place.left, "left", "right")


def _leg(leg: Measurement, ahead: str, behind: str) -> str:
    return f"{quantity(leg)} {ahead}" if leg.value >= 0 else f"{quantity(_flipped(leg))} {behind}"


def _flipped(number: Measurement) -> Measurement:
    """Return a measurement counted in the opposite direction."""
    low = None if number.high is None else -number.high
    high = None if number.low is None else -number.low
    return replace(number, value=-number.value, low=low, high=high)
