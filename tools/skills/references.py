"""Which objects of a scene a phrase means; never a silent wrong one.

A phrase that fits nothing is refused with what comes near and what there is. A phrase that fits
several objects, where one is meant, is refused with their places, so that the question can be asked
again with an id.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from spatial_agent.tools.errors import AmbiguousReferenceError, NoSuchObjectError, ToolFailedError
from spatial_agent.tools.geometry.distance import box_distance
from spatial_agent.tools.geometry.vertical import is_over, rests_on
from spatial_agent.tools.labels import matches, same_name, suggest
from spatial_agent.tools.scene import OrientedBox, SceneMap, SceneObject
from spatial_agent.tools.skills.phrases import Phrase, Superlative, plain_words, read_phrase

#: "Near", "next to" and "by" mean at most this far, surface to surface.
NEAR_M = 1.5
#: Two distances or sizes closer than this do not tell one object from another.
TIE_M = 0.05
#: How many phrases may stand inside one another: "the cup on the table next to the sofa".
DEEPEST = 3
#: How many labels or candidates a message lists.
MOST_LISTED = 20
#: Longest name, characters; more than any question has room for.
LONGEST_PHRASE = 600

Objects = tuple[SceneObject, ...]


def resolve(scene: SceneMap, phrase: str, *, exact_label: bool = False) -> Objects:
    """Return every object that a phrase fits, in scene order; never none.

    Args:
        scene: The scene.
        phrase: A noun phrase such as "chairs near the table", or an object id.
        exact_label: Whether objects of exactly this label, where there are any, shut out those that
            only are of this kind: with a "lamp" in the scene, "lamp" no longer finds a "floor lamp".

    Raises:
        NoSuchObjectError: If nothing in the scene fits.
        AmbiguousReferenceError: If what it is next to fits several.
        ToolFailedError: If the phrase needs a viewpoint, gravity, or is too deeply nested.
    """
    return _resolve(scene, phrase, exact_label, DEEPEST)


def resolve_one(
    scene: SceneMap, phrase: str, *, closest_to: SceneObject | None = None, exact_label: bool = False
) -> SceneObject:
    """Return the one object that a phrase means.

    Args:
        scene: The scene.
        phrase: A noun phrase such as "the lamp next to the sofa", or an object id.
        closest_to: Where the phrase fits several, take the one closest to this.
        exact_label: As for `resolve`.

    Raises:
        NoSuchObjectError: If nothing in the scene fits.
        AmbiguousReferenceError: If several fit and nothing says which is meant.
        ToolFailedError: As for `resolve`.
    """
    return _resolve_one(scene, phrase, closest_to, exact_label, DEEPEST)


def _resolve_one(
    scene: SceneMap, phrase: str, closest_to: SceneObject | None, exact_label: bool, depth: int
) -> SceneObject:
    found = _resolve(scene, phrase, exact_label, depth)
    parts = read_phrase(phrase)
    if closest_to is not None and len(found) > 1:
        scene.require_places("'closest to'")
        others = [item for item in found if item.id != closest_to.id]
        return min(others, key=lambda item: box_distance(item.box, closest_to.box))
    if parts.relation == "near" and len(found) > 1 and parts.anchor:
        anchor = _resolve_one(scene, parts.anchor, None, False, depth - 1)
        found = _extreme(scene, found, lambda item: box_distance(item.box, anchor.box), 1)
    if len(found) > 1:
        raise AmbiguousReferenceError(_which(scene, phrase, found), tuple(item.id for item in found))
    return found[0]


def _resolve(scene: SceneMap, phrase: str, exact_label: bool, depth: int) -> Objects:
    if len(phrase) > LONGEST_PHRASE:
        raise ToolFailedError(
            f"expected the name of an object, got {len(phrase)} characters; at most {LONGEST_PHRASE} are read"
        )
    text = plain_words(phrase)
    if not text:
        raise ToolFailedError(f"expected the name of an object, got {phrase!r}; {_inventory(scene)}")
    if named := _by_name(scene, text, exact_label):
        return named
    parts = read_phrase(phrase)
    if parts.relation == "viewpoint":
        raise ToolFailedError(
            f"'{text}': '{parts.relation_words}' picks nothing without a viewpoint; say 'next to', "
            f"'closest to' or 'farthest from', or use an id; {_inventory(scene)}"
        )
    found = _by_name(scene, parts.noun, exact_label)
    if not found:
        raise _unknown(scene, parts.noun)
    if parts.anchor is not None:
        found = _related(scene, parts, found, depth)
    return _superlative(scene, parts.superlative, found) if parts.superlative else found


def _by_name(scene: SceneMap, noun: str, exact_label: bool) -> Objects:
    """Return what has that id, or that label; an id that is also the label of others decides nothing."""
    by_id, by_label = _by_id(scene, noun), _by_label(scene, noun, exact_label)
    return by_id if by_id and set(by_label) <= set(by_id) else by_label


def _by_id(scene: SceneMap, text: str) -> Objects:
    wanted = _as_id(text)
    return tuple(item for item in scene.objects if _as_id(item.id) == wanted)


def _as_id(text: str) -> str:
    return "-".join(text.casefold().replace("_", " ").replace("-", " ").split())


def _by_label(scene: SceneMap, noun: str, exact_label: bool) -> Objects:
    found = tuple(item for item in scene.objects if matches(noun, item.label))
    same = tuple(item for item in found if same_name(noun, item.label))
    return same if exact_label and same else found


def _related(scene: SceneMap, parts: Phrase, found: Objects, depth: int) -> Objects:
    if depth <= 1:
        raise ToolFailedError(f"'{parts.text}' is too deeply nested; name the object by its id")
    scene.require_places(f"'{parts.relation_words}'")
    anchor = _anchor(scene, parts, depth)
    others = tuple(item for item in found if item.id != anchor.id)
    if parts.relation in ("closest", "farthest") and others:
        sign = 1 if parts.relation == "closest" else -1
        return _extreme(scene, others, lambda item: box_distance(item.box, anchor.box), sign)
    if parts.relation == "near":
        kept = [item for item in others if scene.scale != "metric" or _gap_m(item, anchor) <= NEAR_M]
    else:
        scene.require_up(f"'{parts.relation_words}'")
        kept = [item for item in others if _stacked(item.box, anchor.box, parts.relation or "on")]
    if not kept:
        raise NoSuchObjectError(_none_there(scene, parts, others, anchor))
    return tuple(kept)


def _anchor(scene: SceneMap, parts: Phrase, depth: int) -> SceneObject:
    """Return what the relation is to; that it is missing is no reason to say that `parts.noun` is."""
    try:
        return _resolve_one(scene, parts.anchor or "", None, False, depth - 1)
    except NoSuchObjectError as error:
        raise ToolFailedError(f"'{parts.text}' cannot be found: {error}") from error


def _gap_m(item: SceneObject, anchor: SceneObject) -> float:
    return box_distance(item.box, anchor.box)


def _stacked(upper: OrientedBox, lower: OrientedBox, relation: str) -> bool:
    """Return whether one box is on, above or under another."""
    if relation == "under":
        return is_over(lower, upper)
    return rests_on(upper, lower) if relation == "on" else is_over(upper, lower)


def _superlative(scene: SceneMap, superlative: Superlative, found: Objects) -> Objects:
    scene.require_places(f"'{superlative}'")
    if superlative in ("tallest", "shortest", "highest", "lowest"):
        scene.require_up(f"'{superlative}'")
    sign = 1 if superlative in ("smallest", "shortest", "lowest") else -1
    return _extreme(scene, found, MEASURES[superlative], sign)


def _height_m(item: SceneObject) -> float:
    z_m = item.box.corners_m[:, 2]
    return float(z_m.max() - z_m.min())


def _longest_m(item: SceneObject) -> float:
    return float(item.box.extent_m.max())


def _horizontal_m(item: SceneObject) -> float:
    vertical = abs(item.box.world_from_box[2]).argmax()
    return float(max(edge for axis, edge in enumerate(item.box.extent_m) if axis != vertical))


def _place_m(item: SceneObject) -> float:
    return float(item.box.centre_m[2])


MEASURES: dict[Superlative, Callable[[SceneObject], float]] = {
    "biggest": _longest_m,
    "smallest": _longest_m,
    "tallest": _height_m,
    "shortest": _height_m,
    "longest": _horizontal_m,
    "widest": _horizontal_m,
    "highest": _place_m,
    "lowest": _place_m,
}


def _extreme(
    scene: SceneMap, found: Sequence[SceneObject], by: Callable[[SceneObject], float], sign: int
) -> Objects:
    """Return the object of the least (sign 1) or greatest (sign -1) value, with all that tie with it."""
    values = {item.id: sign * by(item) for item in found}
    best = min(values.values())
    tie = TIE_M if scene.scale == "metric" else 0.0
    return tuple(item for item in found if values[item.id] <= best + tie)


def _which(scene: SceneMap, phrase: str, found: Objects) -> str:
    listed = ", ".join(_placed(scene, item, found) for item in found[:MOST_LISTED])
    more = f" and {len(found) - MOST_LISTED} more" if len(found) > MOST_LISTED else ""
    return (
        f"'{plain_words(phrase)}' fits {len(found)} objects: {listed}{more}; "
        f"say which by its id, or with 'closest to ...'"
    )


def _placed(scene: SceneMap, item: SceneObject, found: Objects) -> str:
    """Return an id with where it is: ``chair-1 (0.4 m from the table)``."""
    labels = Counter(other.label for other in scene.objects)
    marks = [other for other in scene.objects if labels[other.label] == 1 and other not in found]
    if not marks or scene.scale != "metric":
        return item.id
    nearest = min(marks, key=lambda other: _gap_m(item, other))
    return f"{item.id} ({_gap_m(item, nearest):.1f} m from the {nearest.label})"


def _none_there(scene: SceneMap, parts: Phrase, others: Objects, anchor: SceneObject) -> str:
    wanted = f"no '{parts.noun}' is {parts.relation_words} the {anchor.label} ({anchor.id})"
    if parts.relation != "near" or not others or scene.scale != "metric":
        return f"{wanted}; {_inventory(scene)}"
    closest = min(others, key=lambda item: _gap_m(item, anchor))
    return f"{wanted}: none within {NEAR_M} m, the closest is {closest.id} at {_gap_m(closest, anchor):.1f} m"


def _unknown(scene: SceneMap, noun: str) -> NoSuchObjectError:
    meant = suggest(noun, [item.label for item in scene.objects])
    hint = f"; did you mean {' or '.join(repr(label) for label in meant)}?" if meant else "."
    return NoSuchObjectError(
        f"there is no '{noun}' in this scene{hint} {_inventory(scene).capitalize()}", meant
    )


def _inventory(scene: SceneMap) -> str:
    labels = Counter(item.label for item in scene.objects)
    if not labels:
        return "the scene has no objects"
    names = [f"{label} ({count})" if count > 1 else label for label, count in sorted(labels.items())]
    more = f" and {len(names) - MOST_LISTED} more kinds" if len(names) > MOST_LISTED else ""
    return f"the scene has: {', '.join(names[:MOST_LISTED])}{more}"
