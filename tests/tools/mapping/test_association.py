"""Grouping sightings into objects, on hand-made surfaces."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from spatial_agent.tools.mapping.association import associate
from spatial_agent.tools.mapping.lifting import Sighting

Array = NDArray[np.float64]


def shell(
    centre_m: tuple[float, float, float], size_m: tuple[float, float, float] = (0.5, 0.5, 0.9)
) -> Array:
    """Points on the surface of a box."""
    steps = [np.arange(-edge / 2, edge / 2 + 1e-9, 0.03) for edge in size_m]
    grid = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
    near_face = np.abs(grid) >= np.array(size_m) / 2 - 0.031
    return np.asarray(grid[near_face.any(axis=1)] + centre_m)


def seen(frame: int, xyz_m: Array, label: str = "chair", score: float = 0.8, **known: int) -> Sighting:
    count = len(xyz_m)
    return Sighting(
        frame, label, score, known.get("instance_id"), 0.05, 0.05, False, 10 * count, xyz_m,
        np.full(count, 10.0), np.full(count, 1e4), 0.01,
    )  # fmt: skip


def half(xyz_m: Array, axis: int, side: int) -> Array:
    return np.asarray(xyz_m[side * (xyz_m[:, axis] - xyz_m[:, axis].mean()) > -0.08])


def frames_of(sightings: list[Sighting]) -> list[tuple[str, tuple[int, ...]]]:
    return sorted((track.label, track.frames) for track in associate(sightings))


def test_one_chair_seen_from_two_sides_is_one() -> None:
    chair = shell((1, 1, 0.45))
    assert frames_of([seen(0, half(chair, 0, 1)), seen(1, half(chair, 0, -1))]) == [("chair", (0, 1))]


def test_two_chairs_twenty_centimetres_apart_are_two() -> None:
    left, right = shell((0, 0, 0.45)), shell((0.7, 0, 0.45))
    sightings = [seen(frame, chair) for frame in range(3) for chair in (left, right)]
    assert frames_of(sightings) == [("chair", (0, 1, 2))] * 2


def test_two_chairs_never_in_one_frame_are_still_two() -> None:
    assert len(associate([seen(0, shell((0, 0, 0.45))), seen(1, shell((0.8, 0, 0.45)))])) == 2


def test_touching_things_of_one_frame_stay_apart() -> None:
    left, right = shell((0, 0, 0.45)), shell((0.52, 0, 0.45))
    both = np.concatenate([left, right])
    tracks = associate([seen(0, left), seen(0, right), seen(1, both)])
    assert len(tracks) == 2


@pytest.mark.parametrize("order", list(itertools.permutations(range(5)))[::17])
def test_the_order_of_frames_does_not_matter(order: tuple[int, ...]) -> None:
    table, chair = shell((0, 0, 0.4), (1.6, 0.9, 0.75)), shell((2, 0, 0.45))
    sightings = [
        seen(0, half(table, 0, 1), "table"),
        seen(1, half(table, 0, -1), "table"),
        seen(2, half(table, 1, 1), "table"),
        seen(3, half(chair, 1, 1)),
        seen(4, half(chair, 0, -1)),
    ]
    renamed = [replace(sighting, frame=order[sighting.frame]) for sighting in sightings]
    groups = {tuple(sorted(order.index(f) for f in track.frames)) for track in associate(renamed)}
    assert groups == {(0, 1, 2), (3, 4)}


def test_recorded_identities_are_kept_even_far_apart_and_never_merged() -> None:
    chair = shell((0, 0, 0.45))
    same_place = [seen(0, chair, instance_id=1), seen(1, chair, instance_id=2)]
    assert len(associate(same_place)) == 2
    far_apart = [seen(0, chair, instance_id=1), seen(1, shell((3, 0, 0.45)), instance_id=1)]
    assert len(associate(far_apart)) == 1


def test_of_two_labels_on_one_volume_the_better_supported_stays() -> None:
    sofa = shell((0, 0, 0.4), (1.9, 0.9, 0.8))
    sightings = [seen(0, sofa, "couch", 0.6), seen(1, sofa, "couch", 0.6), seen(1, sofa, "bed", 0.9)]
    assert [track.label for track in associate(sightings)] == ["couch"]


def test_a_cup_on_a_table_is_not_its_rival() -> None:
    table, cup = shell((0, 0, 0.375), (1.4, 0.8, 0.75)), shell((0, 0, 0.8), (0.08, 0.08, 0.1))
    assert len(associate([seen(0, table, "table"), seen(0, cup, "cup", 0.4)])) == 2


def test_parts_that_continue_each_other_out_of_view_are_one() -> None:
    table = shell((0, 0, 0.7), (2.0, 0.9, 0.06))
    left, right = table[table[:, 0] < -0.02], table[table[:, 0] > 0.02]
    assert frames_of([seen(0, left, "table"), seen(1, right, "table")]) == [("table", (0, 1))]


def test_a_detection_that_never_shows_a_thousandth_of_an_image_is_dropped() -> None:
    speck = replace(seen(0, shell((0, 0, 0.4), (0.1, 0.1, 0.1))), kept_share=0.0005)
    assert associate([speck]) == []
