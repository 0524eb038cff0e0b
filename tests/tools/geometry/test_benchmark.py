import json
import re
from collections.abc import Iterator
from functools import cache
from itertools import combinations, islice, product
from math import ceil
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from spatial_agent.tools import native_imports
from spatial_agent.tools.errors import InvalidValueError, ViewpointError
from spatial_agent.tools.geometry.benchmark import (
    Difficulty,
    round_metres,
    round_square_metres,
    vsi_appearance_order,
    vsi_distance,
    vsi_nearest,
    vsi_relative_direction,
    vsi_room_area,
    vsi_route,
    vsi_size_cm,
    vsi_surface_samples,
)
from spatial_agent.tools.scene import OrientedBox, SceneMap
from spatial_agent.tools.scene.vsi_metadata import read_vsi_metadata

Array = NDArray[np.float64]


@cache
def released(test_data: Path, source: str) -> dict[str, SceneMap]:
    return read_vsi_metadata(test_data / "vsi_meta" / f"{source}_meta_info_val.json")


def boxes_of(test_data: Path, scene: str, label: str) -> list[OrientedBox]:
    source = "scannet_excerpt" if scene.startswith("scene") else "scannetpp"
    scenes = released(test_data, source)
    return [item.box for item in scenes[scene].objects if item.label == label]


def cube(x_m: float, edge_m: float = 0.2) -> OrientedBox:
    return OrientedBox.upright(np.array([x_m, 0.0, 0.0]), np.full(3, edge_m))


def test_samples_are_a_grid_without_the_inner_half() -> None:
    # Six steps an axis, of which only the two inner ones are within a quarter of the edge.
    steps = (-0.15, -0.09, -0.03, 0.03, 0.09, 0.15)
    expected = {point for point in product(steps, repeat=3) if max(map(abs, point)) > 0.075}
    samples = vsi_surface_samples(cube(0.0, 0.3))
    assert len(expected) == len(samples) == 6**3 - 2**3
    assert {tuple(point) for point in samples.round(9)} == expected


def test_a_thin_axis_has_the_one_step_at_its_low_end() -> None:
    samples = vsi_surface_samples(OrientedBox.upright(np.zeros(3), np.array([0.125, 0.125, 0.05])))
    assert set(samples[:, 2]) == {-0.025}
    assert sorted(set(samples[:, 0])) == [-0.0625, 0.0, 0.0625]


@pytest.mark.parametrize("extent", [(1.0, 0.6, 0.01), (1.0, 0.6, 0.0), (0.3, 0.0, 0.0)])
def test_flat_tilted_boxes_still_have_samples(extent: tuple[float, float, float]) -> None:
    axes = Rotation.from_rotvec([0.3, 0.5, -0.7]).as_matrix()
    box = OrientedBox(np.array([3.1, -2.7, 0.9]), np.array(extent), axes)
    samples = vsi_surface_samples(box)
    assert len(samples) > 0
    assert box.contains(samples, 1e-9).all()


def test_a_point_has_no_surface_to_sample() -> None:
    with pytest.raises(InvalidValueError, match="extent"):
        vsi_surface_samples(cube(0.0, 0.0))


def test_distance_is_between_samples_not_solids_or_centres() -> None:
    # The near face of the second cube holds its samples; of the first, rounding takes none away.
    assert vsi_distance([cube(0.0)], [cube(1.0)]) == pytest.approx(0.8)
    overlapping = vsi_distance([cube(0.0, 0.5)], [cube(0.11, 0.25)])
    assert 0.0 < overlapping < 0.05


def test_distance_agrees_with_comparing_all_samples() -> None:
    rng = np.random.default_rng(0)
    rotations = Rotation.random(8, rng=rng).as_matrix()
    boxes = [OrientedBox(rng.uniform(-2, 2, 3), rng.uniform(0.02, 1, 3), axes) for axes in rotations]
    for a, b in combinations(boxes, 2):
        expected = cdist(vsi_surface_samples(a), vsi_surface_samples(b)).min()
        assert vsi_distance([a], [b]) == pytest.approx(expected, abs=1e-12)


def test_distance_between_categories_is_that_of_their_closest_instances() -> None:
    assert vsi_distance([cube(-5.0), cube(0.0)], [cube(9.0), cube(1.0)]) == pytest.approx(0.8)
    with pytest.raises(InvalidValueError, match="at least one box"):
        vsi_distance([cube(0.0)], [])


@pytest.mark.parametrize(
    ("scene", "a", "b", "official_m"),
    [
        ("09c1414f1b", "cutting board", "suitcase", 1.8),
        ("e398684d27", "monitor", "ceiling light", 1.4),
        ("3db0a1c8f3", "blanket", "computer mouse", 0.8),
    ],
)
def test_official_distances_are_reproduced(
    test_data: Path, scene: str, a: str, b: str, official_m: float
) -> None:
    distance_m = vsi_distance(boxes_of(test_data, scene, a), boxes_of(test_data, scene, b))
    assert round_metres(distance_m) == official_m


def test_an_official_nearest_object_is_reproduced(test_data: Path) -> None:
    names = ("telephone", "heater", "chair", "ceiling light")
    candidates = {name: boxes_of(test_data, "38d58a7a31", name) for name in names}
    ranking = vsi_nearest(boxes_of(test_data, "38d58a7a31", "trash can"), candidates)
    assert ranking.nearest == "chair"
    assert ranking.lead_m is not None
    assert ranking.lead_m > 1.0


def official_directions(test_data: Path) -> Iterator[tuple[str, tuple[str, ...], str]]:
    form = re.compile(r"If I am standing by the (.+) and facing the (.+), is the (.+) to my front-left,")
    for line in (test_data / "vsi_meta" / "official_rows.jsonl").read_text().splitlines():
        row = json.loads(line)
        match = form.match(row["question"])
        assert match
        options = dict(option.split(". ") for option in row["options"])
        yield row["scene_name"], match.groups(), options[row["ground_truth"]]


def test_all_official_directions_are_reproduced(test_data: Path) -> None:
    rows = list(official_directions(test_data))
    assert len(rows) == 10
    for scene, names, official in rows:
        positioning, orienting, querying = (boxes_of(test_data, scene, name)[0] for name in names)
        assert vsi_relative_direction(positioning, orienting, querying, "hard").name == official


def test_samples_are_those_that_open3d_keeps(test_data: Path) -> None:
    scenes = released(test_data, "scannetpp").values()
    for item in islice((item for scene in scenes for item in scene.objects), 0, None, 20):
        box = item.box
        kept = open3d_samples(box, 0.05)
        assert {tuple(point) for point in vsi_surface_samples(box)} == {tuple(point) for point in kept}


def open3d_samples(box: OrientedBox, step_m: float) -> Array:
    """Follow the words of the definition with Open3D's own crop."""
    native_imports.install()
    open3d = pytest.importorskip("open3d")
    theirs = open3d.geometry.OrientedBoundingBox(box.centre_m, box.world_from_box, box.extent_m)
    axes = [np.linspace(-e / 2, e / 2, ceil(e / step_m)) for e in theirs.extent]
    grid = np.vstack([values.ravel() for values in np.meshgrid(*axes)]).T
    grid = grid[(np.abs(grid) > theirs.extent / 4).any(axis=1)]
    cloud = open3d.geometry.PointCloud()
    cloud.points = open3d.utility.Vector3dVector(np.dot(grid, theirs.R.T) + theirs.center)
    kept: Array = np.asarray(cloud.crop(theirs).points)
    return kept if len(kept) else open3d_samples(box, step_m / 2)


@pytest.mark.parametrize(
    ("edges_m", "official_cm"), [((0.5, 1.234, 0.2), 123), ((0.006, 0.004, 0.001), 1), ((2, 1.2351, 1), 200)]
)
def test_size_is_the_longest_edge_in_whole_centimetres(
    edges_m: tuple[float, float, float], official_cm: int
) -> None:
    assert vsi_size_cm(OrientedBox.upright(np.zeros(3), np.array(edges_m))) == official_cm


def test_room_area_is_of_all_surfaces_seen_from_above() -> None:
    points = np.random.default_rng(0).uniform((0, 0, 0), (5, 4, 2.5), (40_000, 3))
    assert vsi_room_area(points) == vsi_room_area(points, seed=0)
    assert vsi_room_area(points) == pytest.approx(20.0, rel=0.03)
    apart = np.vstack([points[:20_000], points[20_000:] + (9.0, 0, 0)])
    assert vsi_room_area(apart) == pytest.approx(40.0, rel=0.05)


def test_lengths_and_areas_are_rounded_to_a_tenth() -> None:
    assert (round_metres(1.449), round_metres(0.05001), round_square_metres(18.38)) == (1.4, 0.1, 18.4)


def at(x_m: float, y_m: float, z_m: float = 0.5) -> OrientedBox:
    return OrientedBox.upright(np.array([x_m, y_m, z_m]), np.full(3, 0.3))


@pytest.mark.parametrize(
    ("difficulty", "place", "name"),
    [
        ("easy", (-1.0, 3.0), "left"),
        ("easy", (1.0, 3.0), "right"),
        ("medium", (-1.0, -0.5), "left"),
        ("medium", (-0.5, -1.0), "back"),
        ("medium", (0.5, -1.0), "back"),
        ("medium", (1.0, -0.5), "right"),
        ("hard", (-1.0, 0.5), "front-left"),
        ("hard", (-1.0, -0.5), "back-left"),
        ("hard", (1.0, -0.5), "back-right"),
        ("hard", (1.0, 0.5), "front-right"),
    ],
)
def test_directions_of_each_difficulty_facing_along_y(
    difficulty: Difficulty, place: tuple[float, float], name: str
) -> None:
    assert vsi_relative_direction(at(0, 0, 2.0), at(0, 2), at(*place), difficulty).name == name


def test_a_direction_of_unknown_difficulty_or_to_oneself_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="harder"):
        vsi_relative_direction(at(0, 0), at(0, 2), at(1, 1), "harder")  # type: ignore[arg-type]
    with pytest.raises(ViewpointError):
        vsi_relative_direction(at(0, 0), at(0, 2), at(0, 0, 3.0), "hard")


def test_candidates_are_ranked_by_their_closest_instance() -> None:
    ranking = vsi_nearest([cube(0.0)], {"lamp": [cube(3.0)], "chair": [cube(-9.0), cube(1.0)]})
    assert [name for name, _ in ranking.distances_m] == ["chair", "lamp"]
    assert_allclose([distance for _, distance in ranking.distances_m], [0.8, 2.8], atol=0.07)
    assert vsi_nearest([cube(0.0)], {"lamp": [cube(3.0)]}).lead_m is None
    with pytest.raises(InvalidValueError, match="candidate"):
        vsi_nearest([cube(0.0)], {})


def test_first_appearances_are_sorted_by_time() -> None:
    assert vsi_appearance_order({"tv": 9.0, "sofa": 1.5, "bed": 1.0}) == ("bed", "sofa", "tv")


def test_a_route_that_begins_by_walking_has_its_first_turn_at_the_first_stop() -> None:
    turns = vsi_route((0, 0), (0, 3), [(0, 3), (2, 3), (2, 6)], turns_first=False)
    assert [turn.name for turn in turns] == ["right", "left"]


def test_a_route_that_begins_by_turning_turns_from_what_it_faces() -> None:
    turns = vsi_route((0, 0), (0, 3), [(0, -3), (2, -3)], turns_first=True)
    assert [turn.name for turn in turns] == ["back", "left"]
