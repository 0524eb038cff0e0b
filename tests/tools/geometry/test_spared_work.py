"""Work that is spared changes no number: fast ways against the slow ones, written out here."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from spatial_agent.tools.geometry.distance import quantile_surface_distance
from spatial_agent.tools.geometry.egocentric import Survey, measure_places, observer_viewpoint
from spatial_agent.tools.geometry.intervals import (
    USUAL_PIXEL_M,
    SurfaceError,
    Views,
    combined_std,
    pixel_m,
    seen_share,
)
from spatial_agent.tools.geometry.measuring import measure_distance, thinned
from spatial_agent.tools.scene import (
    CameraIntrinsics,
    CameraPose,
    OrientedBox,
    PointCloud,
    Provenance,
    SceneCamera,
    SceneMap,
    SceneObject,
    SceneQuality,
)

Array = NDArray[np.float64]
SEEDS = st.integers(0, 10_000)


def turn(random: np.random.Generator) -> Array:
    rotation: Array = Rotation.random(random_state=int(random.integers(1 << 30))).as_matrix()
    return rotation


def camera(random: np.random.Generator, index: int) -> SceneCamera:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn(random), random.normal(0, 3, 3)
    focal_px = random.uniform(100, 900)
    return SceneCamera(index, CameraIntrinsics(focal_px, focal_px, 80, 60, 160, 120), CameraPose(pose))


def box(random: np.random.Generator, centre_m: Array) -> OrientedBox:
    return OrientedBox(centre_m, random.uniform(0.2, 1.0, 3), turn(random))


def seen(name: str, random: np.random.Generator, centre_m: Array, count: int = 300) -> SceneObject:
    """Return an object with noisy points on the faces of its box."""
    shape = box(random, centre_m)
    local_m = random.uniform(-0.5, 0.5, (count, 3))
    local_m[np.arange(count), random.integers(0, 3, count)] = random.choice([-0.5, 0.5], count)
    xyz_m = shape.centre_m + (local_m * shape.extent_m) @ shape.world_from_box.T
    coverage = tuple(random.uniform(0, 1, 6).tolist())
    provenance = Provenance((0, 2), 9000, count, 0.004, coverage)
    surface = PointCloud(xyz_m + random.normal(0, 0.004, xyz_m.shape))
    return SceneObject(name, name.rpartition("-")[0], shape, surface, provenance=provenance)


def room(seed: int) -> SceneMap:
    random = np.random.default_rng(seed)
    objects = [seen(f"thing-{number}", random, random.uniform(-2, 2, 3)) for number in range(4)]
    cameras = tuple(camera(random, index) for index in range(5))
    return SceneMap(
        tuple(objects), cameras=cameras, quality=SceneQuality(0.005, 0.004, 0.003, 0.01, 0.0, 0.02)
    )


@given(SEEDS, st.integers(1, 30))
def test_the_width_of_a_pixel_is_the_median_over_cameras(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    cameras = tuple(camera(random, index) for index in range(count))
    point_m = random.normal(0, 3, 3)

    one_by_one = [np.linalg.norm(point_m - one.pose.position_m) / one.intrinsics.fx for one in cameras]

    assert pixel_m(Views(cameras), point_m) == pytest.approx(np.median(one_by_one), abs=1e-12)


def test_without_cameras_a_pixel_has_its_usual_width() -> None:
    assert pixel_m(Views(()), np.zeros(3)) == USUAL_PIXEL_M


@given(SEEDS)
def test_the_seen_share_of_a_side_weighs_the_faces_by_how_much_they_face_it(seed: int) -> None:
    random = np.random.default_rng(seed)
    item = seen("thing-1", random, np.zeros(3), 3)
    assert item.provenance is not None
    outward = turn(random)[0]

    shares = np.reshape(item.provenance.face_coverage, (3, 2))
    along = item.box.world_from_box.T @ outward
    faced = shares[np.arange(3), (along > 0).astype(int)]

    assert seen_share(item, outward) == pytest.approx(float(np.square(along) @ faced), abs=1e-12)


@given(SEEDS, st.sampled_from([0.01, 0.05, 0.4]), st.booleans())
def test_thinning_keeps_the_first_of_the_points_nearest_to_the_middle_of_a_cell(
    seed: int, spacing_m: float, twice: bool
) -> None:
    random = np.random.default_rng(seed)
    item = seen("thing-1", random, random.normal(0, 2, 3))
    assert item.surface is not None
    xyz_m = np.vstack([item.surface.xyz_m] * (2 if twice else 1))

    local_m = item.box.local(xyz_m)
    cells = np.rint(local_m / spacing_m)
    off_m = np.linalg.norm(local_m - cells * spacing_m, axis=1)
    best: dict[tuple[float, ...], int] = {}
    for index, cell in enumerate(map(tuple, cells)):
        if cell not in best or off_m[index] < off_m[best[cell]] - 1e-12:
            best[cell] = index

    assert_array_equal(thinned(item.box, xyz_m, spacing_m), xyz_m[[best[cell] for cell in sorted(best)]])


@settings(max_examples=40)
@given(SEEDS, st.sampled_from([0.0, 0.01, 0.3]), st.booleans())
def test_a_distance_is_the_same_along_any_axes(seed: int, quantile: float, far: bool) -> None:
    random = np.random.default_rng(seed)
    a, b = (seen(name, random, random.uniform(-1, 1, 3), 500).surface for name in ("a-1", "b-1"))
    assert a is not None
    assert b is not None
    a_m, b_m = a.xyz_m, b.xyz_m[:350] + (3.0 if far else 0.0)
    table, k = cdist(a_m, b_m), int(quantile * 350)
    expected = max(np.sort(table.min(axis=1))[k], np.sort(table.min(axis=0))[k])

    for axes in (None, (turn(random), turn(random))):
        found = quantile_surface_distance(a_m, b_m, quantile, axes)
        ends = np.stack([found.point_a_m, found.point_b_m])

        assert found.distance_m == pytest.approx(expected, abs=1e-12)
        assert np.linalg.norm(ends[1] - ends[0]) == pytest.approx(expected, abs=1e-12)
        assert (a_m == ends[0]).all(axis=1).any()
        assert (b_m == ends[1]).all(axis=1).any()


def test_a_distance_asked_for_again_is_the_same_and_nobody_else_can_change_it() -> None:
    scene, again = room(1), room(1)
    first, points_m = measure_distance(scene, *scene.objects[:2])
    kept_m = points_m.copy()
    points_m[:] = 0.0

    once_more, their_points_m = measure_distance(scene, *scene.objects[:2])
    anew, _ = measure_distance(again, *again.objects[:2])

    assert once_more == first == anew
    assert_array_equal(their_points_m, kept_m)


def test_what_is_kept_of_a_scene_is_not_told_of_another_one() -> None:
    scene = room(2)
    a, b = scene.objects[:2]
    sure = measure_distance(scene, a, b)[0]
    unsure = measure_distance(replace(scene, quality=SceneQuality(0.005, 0.2, 0.003, 0.1)), a, b)[0]
    moved = replace(a, box=replace(a.box, centre_m=a.box.centre_m + 9), surface=None)

    assert unsure.margin is not None
    assert sure.margin is not None
    assert unsure.margin > 2 * sure.margin
    assert measure_distance(scene, moved, b)[0].value > sure.value + 5


@given(st.lists(st.tuples(*[st.floats(-1, 1)] * 4), min_size=1, max_size=8), st.booleans())
def test_errors_of_many_positions_add_up(parts: list[tuple[float, ...]], weighed: bool) -> None:
    scene = room(0)
    errors = [SurfaceError(scale, abs(own), 0.1 * abs(own), focal) for scale, own, focal, _ in parts]
    weights = np.array([weight for *_, weight in parts]) if weighed else np.ones(len(parts))

    common = 0.01 * float(weights @ [scale for scale, *_ in parts])
    aside = 0.02 * float(weights @ [focal for _, _, focal, _ in parts])
    own = np.square(weights) @ [own**2 * 1.01 for _, own, *_ in parts]

    found = combined_std(scene, errors, weights.tolist() if weighed else None)
    assert found == pytest.approx(np.sqrt(common**2 + aside**2 + own), abs=1e-12)


def test_places_surveyed_together_are_those_surveyed_alone() -> None:
    scene = room(3)
    view = observer_viewpoint(scene, *scene.objects[:2])
    survey = Survey(scene, view)

    together = survey.places(scene.objects)

    assert together == survey.places(scene.objects)
    assert together == tuple(measure_places(scene, view, [item])[0] for item in scene.objects)
