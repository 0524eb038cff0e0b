"""Scene-graph triples around the objects asked about: what stands on what, what is near and how near."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from spatial_agent.prompts.naming import named, present, seen_remark
from spatial_agent.prompts.template import Template
from spatial_agent.tools.geometry.distance import box_distance, centre_distance
from spatial_agent.tools.geometry.measuring import measure_distance
from spatial_agent.tools.geometry.vertical import is_over, rests_on
from spatial_agent.tools.scene import SceneMap, SceneObject
from spatial_agent.tools.skills.wording import quantity

#: Neighbours told of each object asked about, and distances told in all; each is a measurement of surfaces.
NEAREST, MOST_NEAR = 3, 12
#: What a relation is called from the other end.
INVERSE = {"on": "under", "under": "on", "above": "below", "below": "above", "near": "near"}


@dataclass(frozen=True)
class Triple:
    """One edge of the scene graph.

    Attributes:
        subject: Id of an object.
        predicate: ``"on"``, ``"under"``, ``"above"``, ``"below"`` or ``"near"``.
        object: Id of another object.
        distance: Of ``"near"``: how far apart their surfaces are, with margin; empty where the scene has
            no metres.
    """

    subject: str
    predicate: str
    object: str
    distance: str = ""

    @property
    def inverse(self) -> "Triple":
        """The same edge from its other end."""
        return Triple(self.object, INVERSE[self.predicate], self.subject, self.distance)


def triples(scene: SceneMap, entities: Sequence[str]) -> tuple[Triple, ...]:
    """Return the edges between the objects asked about and those around them, each edge once.

    What stands on, over or under an object asked about is always told; what is near it as far as `MOST_NEAR`
    goes: first how the one asked about first stands to the others, then the nearest neighbours of each.

    Args:
        scene: The scene; one that knows only directions has no edges.
        entities: Ids of the objects asked about, the one asked about first.
    """
    if not scene.has_places:
        return ()
    asked = present(scene, entities)
    found = [edge for item in asked for other in scene.objects if (edge := _vertical(scene, item, other))]
    pairs = islice(_near_pairs(scene, asked), MOST_NEAR)
    return _each_once([*found, *(_near(scene, item, other) for item, other in pairs)])


def relations(scene: SceneMap, edges: Sequence[Triple]) -> str:
    """Return edges as lines ``subject | relation | object``; nothing where there are none."""
    if not edges:
        return ""
    return Template.load("relations").fill(rows="\n".join(_line(scene, edge) for edge in edges))


def _near_pairs(scene: SceneMap, asked: Sequence[SceneObject]) -> Iterator[tuple[SceneObject, SceneObject]]:
    """Yield pairs of objects whose distance is told, each once, the most telling first."""
    told: set[frozenset[str]] = set()
    for item, other in _near_pairs_from_either_end(scene, asked):
        pair = frozenset((item.id, other.id))
        if pair not in told:
            told.add(pair)
            yield item, other


def _near_pairs_from_either_end(
    scene: SceneMap, asked: Sequence[SceneObject]
) -> Iterator[tuple[SceneObject, SceneObject]]:
    yield from ((asked[0], other) for other in asked[1:])
    # Neighbours are looked for only where the pairs above leave room for them.
    around = [(item, _neighbours(scene, item)) for item in asked]
    for rank in range(NEAREST):
        yield from ((item, others[rank]) for item, others in around if rank < len(others))


def _neighbours(scene: SceneMap, item: SceneObject) -> list[SceneObject]:
    """Return the nearest objects by the distance of their boxes, looking at no more than needed."""
    least_m = {other.id: _least_m(item, other) for other in scene.objects if other.id != item.id}
    gaps_m: dict[str, float] = {}
    for name in sorted(least_m, key=lambda name: least_m[name]):
        nearest = sorted(gaps_m.values())[:NEAREST]
        if len(nearest) == NEAREST and least_m[name] > nearest[-1]:
            break
        gaps_m[name] = box_distance(item.box, scene.object(name).box)
    return [scene.object(name) for name in sorted(gaps_m, key=lambda name: (gaps_m[name], name))[:NEAREST]]


def _least_m(item: SceneObject, other: SceneObject) -> float:
    """Return a length that the distance of two boxes cannot be below: that of the balls round them."""
    radii_m = (float(np.linalg.norm(one.box.extent_m)) / 2 for one in (item, other))
    # A hair less, so that rounding passes nobody over.
    return centre_distance(item.box, other.box) * (1 - 1e-9) - sum(radii_m) * (1 + 1e-9)


def _vertical(scene: SceneMap, item: SceneObject, other: SceneObject) -> Triple | None:
    """Return what gravity says of two objects; contact is a matter of centimetres, so it needs metres."""
    if item.id == other.id or scene.up is None or scene.scale != "metric":
        return None
    for upper, lower, over, touching in ((item, other, "above", "on"), (other, item, "below", "under")):
        if is_over(upper.box, lower.box):
            return Triple(item.id, touching if rests_on(upper.box, lower.box) else over, other.id)
    return None


def _near(scene: SceneMap, item: SceneObject, other: SceneObject) -> Triple:
    if scene.scale != "metric":
        return Triple(item.id, "near", other.id)
    # The order of the two decides which stray points are passed over; by id it is the same from both ends.
    first, second = sorted((item, other), key=lambda one: one.id)
    return Triple(item.id, "near", other.id, quantity(measure_distance(scene, first, second)[0]))


def _each_once(edges: Sequence[Triple]) -> tuple[Triple, ...]:
    kept: dict[Triple, None] = {}
    for edge in edges:
        if edge.inverse not in kept:
            kept[edge] = None
    return tuple(kept)


def _line(scene: SceneMap, edge: Triple) -> str:
    subject, other = scene.object(edge.subject), scene.object(edge.object)
    relation = f"{edge.distance} from" if edge.distance else edge.predicate
    return f"{named(subject)}{seen_remark(subject)} | {relation} | {named(other)}{seen_remark(other)}"
