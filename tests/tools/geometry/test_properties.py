"""What must not change when a scene is turned, moved, renamed, scaled or mirrored, and what must."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from spatial_agent.tools.geometry.boxes import fit_upright_box, upright_box_iou
from spatial_agent.tools.geometry.direction import (
    Sector,
    camera_angle_deg,
    clock_hour,
    eight,
    four,
    own_angle_deg,
    quadrants,
    sectors_2,
    signed_angle_deg,
    vsi_three,
)
from spatial_agent.tools.geometry.distance import (
    box_distance,
    centre_distance,
    quantile_surface_distance,
)
from spatial_agent.tools.geometry.order import first_appearance_order
from spatial_agent.tools.geometry.room import polygon_area
from spatial_agent.tools.geometry.route import route_turns
from spatial_agent.tools.geometry.size import Dimension, size_of
from spatial_agent.tools.geometry.transforms import mirror, move_scene, scale_scene
from spatial_agent.tools.geometry.vertical import vertical_relation
from spatial_agent.tools.scene import (
    CameraIntrinsics,
    CameraPose,
    OrientedBox,
    PointCloud,
    Room,
    SceneCamera,
    SceneMap,
    SceneObject,
)

Facts = Mapping[str, float | str]
NAMING: Mapping[str, Callable[[float], Sector]] = {
    "two": sectors_2,
    "three": vsi_three,
    "quadrants": quadrants,
    "four": four,
    "eight": eight,
    "clock": clock_hour,
}
DIMENSIONS: tuple[Dimension, ...] = ("longest", "height", "width", "depth")


def rotation_z(yaw_rad: float) -> NDArray[np.float64]:
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def random_scene(seed: int) -> SceneMap:
    """Four furnished boxes with surfaces and fronts, a room and a camera held not quite level."""
    rng = np.random.default_rng(seed)
    objects = []
    for number in range(4):
        centre, extent = rng.uniform((-3, -3, 0), (3, 3, 2)), rng.uniform(0.1, 1.5, 3)
        box = OrientedBox.upright(centre, extent, float(rng.uniform(-3, 3)))
        inside = rng.uniform(-0.5, 0.5, (30, 3)) * extent @ box.world_from_box.T + centre
        facing = rotation_z(float(rng.uniform(-3, 3))) @ [1.0, 0, 0]
        objects.append(
            SceneObject(
                f"thing-{number}", "thing", box, PointCloud(inside), facing, first_seen_s=rng.random()
            )
        )
    axes = rotation_z(float(rng.uniform(-3, 3))) @ [[0, -0.6, 0.8], [-1, 0, 0], [0, -0.8, -0.6]]
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = axes, rng.uniform(-3, 3, 3)
    camera = SceneCamera(0, CameraIntrinsics(500.0, 500.0, 310.0, 240.0, 640, 480), CameraPose(pose))
    corners = np.array([[-4.0, -4], [4, -4], [4, 1], [1, 4], [-4, 4]])
    return SceneMap(tuple(objects), room=Room(polygon_area(corners), corners), cameras=(camera,))


def lengths(scene: SceneMap) -> Facts:
    """Everything in metres, by what it is about."""
    facts: dict[str, float] = {}
    for a, b in permutations(scene.objects, 2):
        assert a.surface
        assert b.surface
        pair = f"{a.id} {b.id}"
        facts[f"{pair} centres"] = centre_distance(a.box, b.box)
        facts[f"{pair} boxes"] = box_distance(a.box, b.box)
        surfaces = quantile_surface_distance(a.surface.xyz_m, b.surface.xyz_m, 0.1)
        facts[f"{pair} surfaces"] = surfaces.distance_m
        facts[f"{pair} clearance"] = vertical_relation(a.box, b.box).clearance_m
    for item in scene.objects:
        assert item.surface
        facts |= {f"{item.id} {dimension}": size_of(item.box, dimension) for dimension in DIMENSIONS}
        facts[f"{item.id} fitted"] = size_of(fit_upright_box(item.surface.xyz_m), "longest")
    return facts


def areas(scene: SceneMap) -> Facts:
    assert scene.room
    assert scene.room.polygon_m is not None
    return {"given": scene.room.area_m2, "outline": polygon_area(scene.room.polygon_m)}


def angles(scene: SceneMap) -> Mapping[str, float]:
    """Every direction there is, by viewpoint."""
    facts: dict[str, float] = {}
    for a, b, c in permutations(scene.objects, 3):
        here, faced, target = (item.box.centre_m[:2] for item in (a, b, c))
        facts[f"{a.id} facing {b.id} to {c.id}"] = signed_angle_deg(here, faced, target)
        (turn,) = route_turns([here, faced, target])
        facts[f"{a.id} by {b.id} to {c.id}"] = turn.degrees
    for item in scene.objects:
        facts[f"camera to {item.id}"] = camera_angle_deg(scene.cameras[0].pose, item.box.centre_m)
    for a, b in permutations(scene.objects, 2):
        facts[f"{a.id} itself to {b.id}"] = own_angle_deg(a, b.box.centre_m)
    return facts


def relations(scene: SceneMap) -> Facts:
    """What is neither a length nor an angle."""
    facts: dict[str, float | str] = {
        f"{a.id} {b.id}": vertical_relation(a.box, b.box).name for a, b in permutations(scene.objects, 2)
    }
    facts |= {
        f"{a.id} {b.id} shared": upright_box_iou(a.box, b.box) for a, b in permutations(scene.objects, 2)
    }
    facts["order"] = " ".join(first_appearance_order({item.id: item.first_seen_s for item in scene.objects}))
    return facts


def assert_same(found: Facts, expected: Facts, factor: float = 1.0) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, str):
            assert found[name] == value, name
        else:
            assert found[name] == pytest.approx(factor * value, abs=1e-6), name


def assume_clear(scene: SceneMap) -> None:
    """Leave out scenes in which rounding could decide a name."""
    margins = (
        naming(angle).to_boundary_deg for angle in angles(scene).values() for naming in NAMING.values()
    )
    assume(min(margins) > 1e-3)


seeds = st.integers(0, 10_000)
# One example looks at hundreds of facts.
few = settings(max_examples=12)


@few
@given(seed=seeds, yaw_rad=st.floats(-7, 7), shift=st.tuples(*[st.floats(-20, 20)] * 3))
def test_turning_about_gravity_and_moving_change_nothing(
    seed: int, yaw_rad: float, shift: tuple[float, float, float]
) -> None:
    scene = random_scene(seed)
    assume_clear(scene)
    target_from_scene = np.eye(4)
    target_from_scene[:3, :3], target_from_scene[:3, 3] = rotation_z(yaw_rad), shift
    moved = move_scene(scene, target_from_scene)
    for facts in (lengths, areas, angles, relations):
        assert_same(facts(moved), facts(scene))


@few
@given(seed=seeds, shuffle=st.permutations(range(4)))
def test_the_order_and_names_of_objects_change_nothing(seed: int, shuffle: list[int]) -> None:
    scene = random_scene(seed)
    renamed = tuple(replace(scene.objects[place], id=f"other-{place}", label="other") for place in shuffle)
    other = replace(scene, objects=renamed)
    for facts in (lengths, angles, relations):
        expected = {
            name.replace("thing", "other"): value.replace("thing", "other")
            if isinstance(value, str)
            else value
            for name, value in facts(scene).items()
        }
        assert_same(facts(other), expected)


@few
@given(seed=seeds, factor=st.floats(0.2, 5.0))
def test_scaling_scales_lengths_and_areas_and_nothing_else(seed: int, factor: float) -> None:
    scene = random_scene(seed)
    assume_clear(scene)
    scaled = scale_scene(scene, factor)
    assert_same(lengths(scaled), lengths(scene), factor)
    assert_same(areas(scaled), areas(scene), factor**2)
    assert_same(angles(scaled), angles(scene))
    assert_same(relations(scaled), relations(scene))


def swapped(name: str) -> str:
    """Name the direction that a mirror shows."""
    hour, _, clock = name.partition(" ")
    if clock:
        return f"{12 - int(hour) % 12} {clock}"
    return name.replace("left", "L").replace("right", "left").replace("L", "right")


@few
@given(seed=seeds)
def test_mirroring_swaps_left_and_right_and_nothing_else(seed: int) -> None:
    scene = random_scene(seed)
    assume_clear(scene)
    mirrored = mirror(scene)
    for facts in (lengths, areas, relations):
        assert_same(facts(mirrored), facts(scene))
    assert_same(angles(mirrored), angles(scene), factor=-1.0)
    after = angles(mirrored)
    for about, before_deg in angles(scene).items():
        for naming in NAMING.values():
            before, flipped = naming(before_deg), naming(after[about])
            assert flipped.name == swapped(before.name), about
            assert flipped.to_boundary_deg == pytest.approx(before.to_boundary_deg, abs=1e-6)


def test_a_mirror_shows_three_o_clock_at_nine_and_noon_at_noon() -> None:
    assert [swapped(f"{hour} o'clock") for hour in (3, 12, 6, 11)] == [
        f"{hour} o'clock" for hour in (9, 12, 6, 1)
    ]
    assert [swapped(name) for name in ("front-left", "right", "back")] == ["front-right", "left", "back"]
