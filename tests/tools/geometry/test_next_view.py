"""Where to look from next: as good as the best of very many cameras, from where somebody can stand.

Tolerance: in rooms of solid things the chosen camera newly sees at least 90 % of what the best of all does,
or at most 0.15 of a face less, because a face is seven lines of places here and nine there; among chairs and
tables, through whose legs one sees while boxes hide all that is behind them, at least 75 %, or at most half a
face less.
"""

from dataclasses import replace

import numpy as np
import pytest

from spatial_agent.tools.errors import InvalidValueError, ScaleError, ViewpointError
from spatial_agent.tools.geometry.free_floor import FreeFloor
from spatial_agent.tools.geometry.next_view import View, best_view, unseen
from spatial_agent.tools.geometry.sight_lines import SightLines
from spatial_agent.tools.geometry.transforms import move_scene, rigid, yaw_rotation
from spatial_agent.tools.scene import Room, SceneMap
from spatial_agent.tools.synthetic import SyntheticRoom, raycast
from tests.tools.geometry.seen_in_rooms import (
    CLEAR_M,
    best_of_all,
    clearance,
    gain,
    places,
    reachable,
    scanned,
    seen,
    unhidden,
)


def room(seed: int | None, *, solid: bool) -> SyntheticRoom:
    """Return a room that two cameras have seen, from one side of it."""
    made = SyntheticRoom.example() if seed is None else SyntheticRoom.random(seed)
    objects = tuple(replace(item, parts=(item.box,)) if solid else item for item in made.objects)
    return replace(made, objects=objects, cameras=made.cameras[:2])


def chosen(of: SyntheticRoom, number: int) -> View:
    scene = scanned(of)
    missing = unseen(scene, (scene.objects[number],))
    view = best_view(scene, missing, of.intrinsics, eye_height_m=1.5)
    assert view is not None
    return view


def check(of: SyntheticRoom, number: int, share: float, faces: float) -> None:
    """Check that the chosen camera is as good as any, and that somebody can hold it there."""
    view, missing = chosen(of, number), ~seen(of, number)
    best, got = best_of_all(of, missing, number), gain(of, missing, number, view.pose)
    at_m = view.pose.position_m

    assert got >= min(share * best, best - faces), f"{got:.2f} of {best:.2f} faces"
    assert of.shell.contains(at_m[None])[0]
    assert at_m[2] == 1.5
    assert clearance(of, at_m[None, :2])[0] >= CLEAR_M - 0.01
    assert np.hypot(*(reachable(of) - at_m[:2]).T).min() < 0.08


@pytest.mark.parametrize(("seed", "number"), [(None, 3), (5, 1)])
def test_among_solid_things_the_chosen_camera_is_as_good_as_the_best_of_all(
    seed: int | None, number: int
) -> None:
    check(room(seed, solid=True), number, 0.9, 0.15)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [None, 1, 2, 5])
def test_every_thing_of_a_solid_room_has_a_camera_as_good_as_the_best(seed: int | None) -> None:
    of = room(seed, solid=True)
    for number in range(len(of.objects)):
        if best_of_all(of, ~seen(of, number), number) > 0.2:
            check(of, number, 0.9, 0.15)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [None, 1, 2, 5])
def test_every_thing_of_a_furnished_room_has_a_camera_nearly_as_good_as_the_best(seed: int | None) -> None:
    of = room(seed, solid=False)
    for number in range(len(of.objects)):
        if best_of_all(of, ~seen(of, number), number) > 0.5:
            check(of, number, 0.75, 0.5)


@pytest.mark.parametrize("number", [0, 4])
def test_what_a_view_would_show_is_what_a_rendering_from_there_shows(number: int) -> None:
    of = room(None, solid=True)
    view = chosen(of, number)
    lens = of.intrinsics.resized(640, 480)
    rendered = raycast.render(of.shell, of.objects, lens, view.pose)
    where_m = places(of.objects[number].box)
    local_m = (where_m - view.pose.position_m) @ view.pose.rotation
    u, v = (
        np.rint(local_m[..., k] / local_m[..., 2] * f + c).astype(int)
        for k, f, c in ((0, lens.fx, lens.cx), (1, lens.fy, lens.cy))
    )
    inside = (local_m[..., 2] > 0) & (u >= 0) & (u < 640) & (v >= 0) & (v < 480)
    depth_m = rendered.z_m[np.clip(v, 0, 479), np.clip(u, 0, 639)]
    shown = inside & (depth_m > local_m[..., 2] - 1e-6) & ~seen(of, number)

    # Nine places to the side of a face here, and seven there.
    assert shown.mean(axis=1).sum() == pytest.approx(view.gain, abs=0.2)
    assert shown.mean(axis=1) == pytest.approx(view.shown[0], abs=0.12)


def test_sight_lines_end_where_rays_hit_boxes() -> None:
    of, rng = room(1, solid=True), np.random.default_rng(4)
    size_m = (of.width_m, of.depth_m, of.height_m)
    for _ in range(20):
        eye_m, ends_m = rng.uniform(0.05, size_m), rng.uniform(0.05, size_m, (200, 3))
        outside = ~np.any([item.box.contains(ends_m, 0.01) for item in of.objects], axis=0)
        if any(item.box.contains(eye_m[None], 0.01)[0] for item in of.objects):
            continue
        reached = SightLines(of.scene_map(), ends_m).reached(eye_m)
        assert (reached == unhidden(of, eye_m, ends_m))[outside].all()


def test_walls_of_a_room_with_a_corner_hide_what_is_round_it() -> None:
    corner = np.array([[0, 0], [4, 0], [4, 2], [2, 2], [2, 4], [0, 4]], float)
    ends_m = np.array([[1.0, 1.0, 1.0], [0.5, 3.8, 1.0], [1.9, 3.8, 1.0], [3.0, 3.0, 1.0]])
    lines = SightLines(SceneMap((), room=Room(12.0, corner)), ends_m)

    assert lines.reached(np.array([3.7, 1.0, 1.5])).tolist() == [True, False, False, False]


def test_what_was_unseen_is_what_the_record_lacks() -> None:
    of = room(2, solid=True)
    scene = scanned(of)
    for item in scene.objects:
        assert item.provenance is not None
        lacking = [share if share >= 0.03 else 0.0 for share in 1 - np.array(item.provenance.face_coverage)]
        missing = unseen(scene, (item,))

        assert missing.by_face(missing.weight > 0)[0] == pytest.approx(lacking, abs=0.03)


def test_nothing_is_unseen_of_given_boxes() -> None:
    scene = room(None, solid=True).scene_map()

    assert unseen(scene, scene.objects).total == 0.0


def test_turning_and_moving_the_scene_moves_the_view_along() -> None:
    of = room(None, solid=True)
    scene = scanned(of)
    moved = move_scene(scene, rigid(yaw_rotation(0.7), (3.0, -2.0, 0.0)))
    gains = []
    for each in (scene, moved):
        view = best_view(each, unseen(each, (each.objects[4],)), of.intrinsics, eye_height_m=1.5)
        assert view is not None
        gains.append(view.gain)

    # The grids of places lie differently; the best view is as good.
    assert gains[1] == pytest.approx(gains[0], rel=0.05)


def test_one_cannot_stand_where_up_the_scale_or_the_outline_is_unknown() -> None:
    scene = scanned(room(None, solid=True))
    for changed, error in (
        (replace(scene, up=None), ViewpointError),
        (replace(scene, scale="relative"), ScaleError),
        (replace(scene, room=None), InvalidValueError),
        (replace(scene, room=Room(20.0)), InvalidValueError),
    ):
        with pytest.raises(error, match="next view"):
            FreeFloor(changed, 1.5)


def test_one_cannot_stand_in_a_room_without_free_floor() -> None:
    narrow = np.array([[0, 0], [4, 0], [4, 0.4], [0, 0.4]], float)

    with pytest.raises(ViewpointError, match="no free floor"):
        FreeFloor(SceneMap((), room=Room(1.6, narrow)), 1.5)
