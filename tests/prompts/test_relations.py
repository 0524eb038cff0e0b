"""Triples: the same edges from either end, by places worked out by hand."""

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_agent.prompts.relations import INVERSE, MOST_NEAR, Triple, relations, triples
from spatial_agent.tools.scene import SceneMap
from tests.prompts.rooms import MEASURED, NO_UP, RELATIVE, ROOM, thing

HEIGHTS = st.lists(st.tuples(st.floats(-0.3, 0.3), st.floats(0, 2)), min_size=2, max_size=5)


def test_what_stands_on_what_is_told_from_either_end() -> None:
    assert Triple("vase-1", "on", "table-1") in triples(ROOM, ["vase-1"])
    assert Triple("table-1", "under", "vase-1") in triples(ROOM, ["table-1"])


def test_each_edge_is_told_once() -> None:
    edges = triples(ROOM, ["vase-1", "table-1"])

    assert Triple("vase-1", "on", "table-1") in edges
    assert not {edge.inverse for edge in edges} & {*edges}


def test_what_hangs_over_something_is_above_it_and_not_on_it() -> None:
    lamp = thing("lamp-2", -1.5, -2, bottom=1.5)
    scene = dataclasses.replace(ROOM, objects=(*ROOM.objects[:4], lamp))

    assert Triple("lamp-2", "above", "table-1") in triples(scene, ["lamp-2"])


def test_how_near_is_the_distance_of_the_surfaces() -> None:
    # Cubes of 0.4 m: the gap between sofa and lamp is 0.5 m across and 0.8 m along.
    gap_m = math.hypot(0.9 - 0.4, 1.2 - 0.4)

    assert Triple("sofa-1", "near", "lamp-1", f"{gap_m:.2f} m") in triples(ROOM, ["sofa-1"])
    assert f'"sofa-1" | {gap_m:.2f} m from | "lamp-1"' in relations(ROOM, triples(ROOM, ["sofa-1"]))


def test_measured_distances_have_margins_and_partly_seen_objects_say_so() -> None:
    edges = [edge for edge in triples(MEASURED, ["shelf-1"]) if edge.predicate == "near"]

    assert edges
    assert all("±" in edge.distance for edge in edges)
    assert '"shelf-1" (partly seen) | ' in relations(MEASURED, edges)


@settings(max_examples=15)
@given(HEIGHTS)
def test_edges_from_one_end_are_the_inverse_of_those_from_the_other(stack: list[tuple[float, float]]) -> None:
    things = [thing(f"cup-{n}", x, 0, bottom=bottom) for n, (x, bottom) in enumerate(stack, start=1)]
    scene = SceneMap(tuple(things))
    edges = {item.id: {*triples(scene, [item.id])} for item in things}

    for a, b in ((a.id, b.id) for a in things for b in things if a.id < b.id):
        forth = {edge for edge in edges[a] if edge.object == b and edge.predicate != "near"}
        back = {edge.inverse for edge in edges[b] if edge.object == a and edge.predicate != "near"}
        assert forth == back


def test_every_predicate_is_the_inverse_of_its_inverse() -> None:
    assert all(INVERSE[INVERSE[name]] == name for name in INVERSE)


def test_the_order_of_objects_in_the_scene_does_not_matter() -> None:
    turned = dataclasses.replace(MEASURED, objects=MEASURED.objects[::-1])

    assert {*triples(turned, ["sofa-1", "lamp-1"])} == {*triples(MEASURED, ["sofa-1", "lamp-1"])}


def test_without_metres_nearness_has_no_number_and_contact_is_not_told() -> None:
    edges = triples(RELATIVE, ["vase-1"])

    assert {edge.predicate for edge in edges} == {"near"}
    assert {edge.distance for edge in edges} == {""}


def test_without_up_nothing_is_above_anything() -> None:
    assert {edge.predicate for edge in triples(NO_UP, ["vase-1"])} == {"near"}


@pytest.mark.parametrize("count", [2, 40])
def test_a_crowd_costs_a_bounded_number_of_measurements(count: int) -> None:
    crowd = tuple(thing(f"cup-{number}", 0.5 * number, 0) for number in range(1, count + 1))
    edges = triples(SceneMap(crowd), [item.id for item in crowd])

    assert 0 < len(edges) <= MOST_NEAR
    # The one asked about first comes first.
    assert edges[0].subject == "cup-1"


def test_an_unknown_or_missing_object_has_no_edges() -> None:
    assert triples(ROOM, ["ghost-1"]) == ()
    assert relations(ROOM, ()) == ""
