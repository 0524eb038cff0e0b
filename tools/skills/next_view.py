"""Where to look from next, and which open question that would settle."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.contract import Finding, Json
from spatial_agent.tools.errors import ToolArgumentError
from spatial_agent.tools.geometry.distance import box_distance
from spatial_agent.tools.geometry.measuring import measure_size
from spatial_agent.tools.geometry.next_view import Unseen, View, best_view, unseen
from spatial_agent.tools.geometry.size import Dimension
from spatial_agent.tools.geometry.viewpoint import pinhole
from spatial_agent.tools.registry import skill
from spatial_agent.tools.scene import CameraIntrinsics, Measurement, OrientedBox, SceneMap, SceneObject
from spatial_agent.tools.skills.references import resolve_one
from spatial_agent.tools.skills.wording import quantity, the

Array = NDArray[np.float64]

#: Eyes are held between these heights, metres.
LOWEST_M, HIGHEST_M = 0.2, 2.5
#: The pinhole where the scene has no camera: pixels, degrees.
WIDTH_PX, HEIGHT_PX, FOV_DEG = 640, 480, 70.0
#: Less than this share of a face is not worth going anywhere for.
WORTH_SAYING = 0.05
#: A margin is said to be narrowed where it falls to this share, by more than this, metres.
NARROWER, LEAST_NARROWER_M = 0.8, 0.01
#: A face points along a direction within about 45 degrees of it.
ALONG = 0.7
EDGES: tuple[Dimension, ...] = ("height", "width", "depth")


@skill("next_view")
def next_view(scene: SceneMap, of: list[str], eye_height_m: float = 1.5) -> Finding:
    """Say from where to look next: the reachable camera pose that shows most of what was never seen.

    Use it where a measurement says "at least", or an object was seen from one side only. The pose can be
    given to `novel_view` or to whoever holds the camera.

    Args:
        scene: The scene; its up and the outline of its room must be known.
        of: The objects that matter, such as ["sofa"] or ["chair-2", "table"].
        eye_height_m: How high the camera is held above the floor, 0.2 to 2.5 m.

    Raises:
        ToolArgumentError: If no object is named, or the height is out of range.
        ViewpointError: If up is unknown, or no floor is free.
        ScaleError: If the scale is only relative.
        InvalidValueError: If the outline of the room is unknown.
    """
    if not of or not LOWEST_M <= eye_height_m <= HIGHEST_M:
        raise ToolArgumentError(
            f"next_view: expected one or more objects and an eye {LOWEST_M} to {HIGHEST_M} m above the "
            f"floor, got {of} and {eye_height_m} m"
        )
    scene.require_metric("a next view")
    scene.require_up("a next view")
    items = tuple({item.id: item for item in (resolve_one(scene, phrase) for phrase in of)}.values())
    missing = unseen(scene, items)
    view = best_view(scene, missing, _lens(scene), eye_height_m=eye_height_m)
    if view is None or view.gain < WORTH_SAYING:
        return _nothing_more(scene, items, missing)
    return _finding(scene, items, missing, view)


def _lens(scene: SceneMap) -> CameraIntrinsics:
    return scene.cameras[0].intrinsics if scene.cameras else pinhole(WIDTH_PX, HEIGHT_PX, FOV_DEG)


def _nothing_more(scene: SceneMap, items: Sequence[SceneObject], missing: Unseen) -> Finding:
    names = " and ".join(the(scene, item) for item in items)
    if missing.total <= 0.0:
        claim = f"Every side of {names} was seen; no other view would tell more of it."
    else:
        claim = (
            f"No place that can be reached shows what was not seen of {names}: it faces a wall, the floor or "
            "what stands before it."
        )
    return Finding(
        claim=claim,
        value=None,
        definition="next_view",
        objects=tuple(item.id for item in items),
        details={"unseen_faces": round(missing.total, 3)},
    )


def _finding(scene: SceneMap, items: Sequence[SceneObject], missing: Unseen, view: View) -> Finding:
    at_m, towards_m = view.pose.position_m, view.looking_at_m
    faces = [face for number, item in enumerate(items) for face in _faces(scene, item, missing, view, number)]
    edges = [edge for number, item in enumerate(items) for edge in _edges(scene, item, missing, view, number)]
    claim = f"{_placed(scene, items, at_m)} {_showing(faces)}.{_settling(edges)}"
    return Finding(
        claim=claim,
        value={"position_m": _rounded(at_m), "looking_at_m": _rounded(towards_m)},
        definition="next_view",
        objects=tuple(item.id for item in items),
        details={
            "new_faces": round(view.gain, 3),
            "faces": [{key: value for key, value in face.items() if key != "words"} for face in faces],
            "edges": [{key: value for key, value in edge.items() if key != "words"} for edge in edges],
        },
        marks=(
            {
                "kind": "observer",
                "at_m": _rounded(at_m),
                "towards_m": _rounded(towards_m),
                "target_m": _rounded(towards_m),
                "sectors": "none",
                "label": f"unseen: {faces[0]['side']}" if faces else "unseen",
            },
            {"kind": "point", "at_m": _rounded(at_m), "label": "look from here"},
        ),
    )


def _faces(
    scene: SceneMap, item: SceneObject, missing: Unseen, view: View, number: int
) -> list[dict[str, Json]]:
    """Return the faces that a view would newly show, most first."""
    unseen_now = missing.by_face(missing.weight > 0.0)[number]
    shown = []
    for face in np.argsort(-view.shown[number], kind="stable").tolist():
        new = float(view.shown[number, face])
        if new < WORTH_SAYING:
            continue
        now = 1.0 - float(unseen_now[face])
        side = _side(scene, item, face)
        words = f"{the(scene, item)}'s {side} ({_percent(now)} seen so far, {_percent(now + new)} then)"
        shown.append(
            {"object": item.id, "side": side, "face": face, "seen": now, "then": now + new, "words": words}
        )
    return shown


def _edges(
    scene: SceneMap, item: SceneObject, missing: Unseen, view: View, number: int
) -> list[dict[str, Json]]:
    """Return the edges whose margin a view would narrow, or whose open end it would close."""
    if item.provenance is None:
        return []
    then = np.minimum(1.0, 1.0 - missing.by_face(missing.weight > 0.0)[number] + view.shown[number])
    seen_then = replace(
        item.provenance,
        face_coverage=(then[0], then[1], then[2], then[3], then[4], then[5]),
        cut_off=item.provenance.cut_off and not view.whole[number],
    )
    after = replace(item, provenance=seen_then)
    edges = []
    for dimension in EDGES:
        now, later = measure_size(scene, item, dimension), measure_size(scene, after, dimension)
        closes = now.high is None and later.high is not None
        if closes or _narrower(now, later):
            words = f"the {dimension} of {the(scene, item)}, which is now {quantity(now)}"
            edges.append(
                {"object": item.id, "dimension": dimension, "closes": closes, "margin_m": now.margin,
                 "margin_then_m": later.margin, "words": words}
            )  # fmt: skip
    return edges


def _narrower(now: Measurement, later: Measurement) -> bool:
    if now.margin is None or later.margin is None:
        return False
    return later.margin < NARROWER * now.margin and now.margin - later.margin > LEAST_NARROWER_M


def _placed(scene: SceneMap, items: Sequence[SceneObject], at_m: Array) -> str:
    others = [item for item in scene.objects if item not in items] or list(items)
    nearest = min(others, key=lambda item: box_distance(item.box, _spot(at_m)))
    gap_m = box_distance(nearest.box, _spot(at_m))
    x, y, z = at_m
    return (
        f"A camera at ({x:.2f}, {y:.2f}) m, {z:.2f} m above the floor and {gap_m:.1f} m from "
        f"{the(scene, nearest)}, looking at {' and '.join(the(scene, item) for item in items)}, would show"
    )


def _spot(at_m: Array) -> OrientedBox:
    return OrientedBox.upright(np.array([at_m[0], at_m[1], at_m[2] / 2]), np.array([0.0, 0.0, at_m[2]]))


def _showing(faces: Sequence[dict[str, Json]]) -> str:
    if not faces:
        return "a little more of several sides that were mostly seen"
    named = [str(face["words"]) for face in faces]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"


def _settling(edges: Sequence[dict[str, Json]]) -> str:
    closed = [str(edge["words"]) for edge in edges if edge["closes"]]
    narrowed = [
        f"{edge['words']}, to ± {edge['margin_then_m']:.2f} m" for edge in edges if not edge["closes"]
    ]
    text = f" That would close the open end of {' and of '.join(closed)}." if closed else ""
    return text + (f" It would narrow {' and '.join(narrowed)}." if narrowed else "")


def _side(scene: SceneMap, item: SceneObject, face: int) -> str:
    """Return what people call a face of an object's box."""
    outward = (1 if face % 2 else -1) * item.box.world_from_box[:, face // 2]
    if abs(outward[2]) > ALONG:
        return "top" if outward[2] > 0 else "underside"
    if item.facing is not None:
        ahead, left = float(outward @ item.facing), float(np.cross(item.facing, outward)[2])
        if abs(ahead) > ALONG:
            return "front" if ahead > 0 else "back"
        return "left side" if left > 0 else "right side"
    return _side_towards(scene, item, outward)


def _side_towards(scene: SceneMap, item: SceneObject, outward: Array) -> str:
    """Return a side named after the nearest thing it faces."""
    faced = []
    for other in scene.objects:
        way_m = (other.box.centre_m - item.box.centre_m)[:2]
        length_m = float(np.hypot(*way_m))
        if other.id != item.id and length_m > 0 and float(way_m @ outward[:2]) / length_m > ALONG:
            faced.append((length_m, other.id))
    return f"side towards {the(scene, scene.object(min(faced)[1]))}" if faced else "side towards the wall"


def _rounded(point_m: Array) -> list[float]:
    return [round(float(value), 3) for value in point_m]


def _percent(share: float) -> str:
    return f"{min(max(share, 0.0), 1.0):.0%}"
