"""Scene maps of synthetic rooms, against the rooms' own parameters."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.experts import RecordedInstances
from spatial_agent.tools.mapping.build import build_scene, scene_id
from spatial_agent.tools.scene import CameraIntrinsics, Frame, FrameSet, InstanceMask, SceneMap, SceneObject
from spatial_agent.tools.synthetic import SensorNoise, SyntheticObject, SyntheticRoom

Array = NDArray[np.float64]
PLACE = SyntheticObject.placed
CAMERA = CameraIntrinsics(170.0, 170.0, 119.5, 89.5, 240, 180)


class UnnamedMasks:
    """A detector that draws perfect masks but knows no identities."""

    name = "unnamed"
    version = "1"
    at_once = 2

    def __init__(self, misses: Sequence[tuple[int, int]] = ()) -> None:
        self.misses = misses

    def segment(self, frame: Frame, frames: FrameSet) -> tuple[InstanceMask, ...]:
        masks = RecordedInstances().segment(frame, frames)
        return tuple(
            InstanceMask(mask.pixels, mask.label, 0.8)
            for mask in masks
            if (frame.header.index, mask.instance_id) not in self.misses
        )


class SeesThings(UnnamedMasks):
    """The same, and in one frame it takes a patch of bare wall for a clock."""

    def segment(self, frame: Frame, frames: FrameSet) -> tuple[InstanceMask, ...]:
        masks = super().segment(frame, frames)
        taken = np.any([mask.pixels for mask in masks], axis=0)
        if frame.header.index != 3:
            return masks
        patch = np.zeros_like(taken)
        patch[5:25, 100:120] = True
        return (*masks, InstanceMask(patch & ~taken, "clock", 0.4))


def room() -> SyntheticRoom:
    """A room in which every piece can be walked round, with two chairs 20 cm apart and a stool on a table."""
    objects = (
        PLACE("table", (2.6, 2.2), 0.3),
        PLACE("stool", (2.6, 2.2), 0.3, (0.3, 0.3, 0.35), base_m=0.74),
        PLACE("chair", (1.2, 2.6), 0.0),
        PLACE("chair", (1.2, 1.95), 0.0),
        PLACE("cabinet", (3.9, 1.2), 2.2),
        PLACE("trash can", (2.0, 0.9), 0.5),
    )
    return SyntheticRoom(5.2, 4.4, 2.6, objects, intrinsics=CAMERA)


@pytest.fixture(scope="module")
def clean() -> SceneMap:
    return build_scene(room().frames(), RecordedInstances())


@pytest.fixture(scope="module")
def unnamed() -> SceneMap:
    return build_scene(room().frames(), UnnamedMasks(misses=[(0, 1), (1, 1), (5, 3)]))


def matched(scene: SceneMap, truth: SyntheticRoom) -> list[tuple[SceneObject, SyntheticObject]]:
    """Pair every true piece with the nearest object of its label."""
    return [
        (
            min(
                (item for item in scene.objects if item.label == piece.label),
                key=lambda item: float(np.linalg.norm(item.box.centre_m - piece.box.centre_m)),
            ),
            piece,
        )
        for piece in truth.objects
    ]


def extent_errors_m(item: SceneObject, piece: SyntheticObject) -> Array:
    """Differences of edges along the true axes, whichever way the measured box names its own."""
    along = np.abs(piece.box.world_from_box.T @ item.box.world_from_box)
    return np.asarray(item.box.extent_m[along.argmax(axis=1)] - piece.box.extent_m)


def test_every_piece_is_found_once(clean: SceneMap) -> None:
    labels = sorted(item.label for item in clean.objects)
    assert labels == sorted(piece.label for piece in room().objects)
    assert clean.up is not None
    assert clean.scale == "metric"


def test_boxes_of_a_clean_scan_are_within_two_centimetres(clean: SceneMap) -> None:
    for item, piece in matched(clean, room()):
        errors_m = extent_errors_m(item, piece)
        assert (np.abs(errors_m) < np.maximum(0.02, 0.02 * piece.box.extent_m)).all(), (item.id, errors_m)
        assert np.linalg.norm(item.box.centre_m - piece.box.centre_m) < 0.02, item.id


def test_surface_points_of_a_clean_scan_lie_on_the_surfaces(clean: SceneMap) -> None:
    for item, piece in matched(clean, room()):
        assert item.surface is not None
        off_m = np.min(
            [
                np.linalg.norm(
                    np.maximum(np.abs(part.local(item.surface.xyz_m)) - part.extent_m / 2, 0), axis=1
                )
                for part in piece.parts
            ],
            axis=0,
        )
        assert np.quantile(off_m, 0.99) < 0.01, item.id


def test_distances_between_surfaces_of_a_clean_scan_are_within_two_centimetres(clean: SceneMap) -> None:
    from scipy.spatial import KDTree

    truth = room()
    pairs = matched(clean, truth)
    for first in range(len(pairs)):
        for second in range(first):
            one, other = pairs[first][0].surface, pairs[second][0].surface
            assert one is not None
            assert other is not None
            measured_m = np.min(KDTree(one.xyz_m).query(other.xyz_m)[0])
            assert measured_m == pytest.approx(truth.distance_m(first, second), abs=0.02)


def test_what_stands_on_a_table_does_not_reach_the_floor(clean: SceneMap) -> None:
    stool, piece = matched(clean, room())[1]
    assert piece.label == "stool"
    assert stool.box.centre_m[2] - stool.box.extent_m[2] / 2 == pytest.approx(0.74, abs=0.02)


def test_objects_are_numbered_and_timed_by_their_first_appearance(clean: SceneMap) -> None:
    truth = room()
    for item, piece in matched(clean, truth):
        frame = truth.first_seen[truth.objects.index(piece)]
        assert item.first_seen_frame == frame
        assert frame is not None
        assert item.first_seen_s == pytest.approx(frame * 0.5)
    order = [item.first_seen_s or 0.0 for item in clean.objects]
    assert order == sorted(order)
    assert {item.id for item in clean.objects if item.label == "chair"} == {"chair-1", "chair-2"}


def test_provenance_says_what_stands_behind_an_object(clean: SceneMap) -> None:
    for item in clean.objects:
        assert item.provenance is not None
        assert item.surface is not None
        assert item.provenance.points == len(item.surface) <= 20_000
        assert item.provenance.pixels > item.provenance.points / 10
        assert item.provenance.spread_m < 0.003
        assert all(0 <= share <= 1 for share in item.provenance.face_coverage)
        low_x, high_x, low_y, high_y, _, top = item.provenance.face_coverage
        if item.label != "cabinet":  # the others can be walked round
            assert min(low_x, high_x, low_y, high_y, top) > 0.5, item.id
    assert clean.quality is not None
    assert clean.quality.depth_noise_m < 0.003


def test_the_side_of_a_cabinet_that_faces_the_corner_was_not_seen(clean: SceneMap) -> None:
    (cabinet,) = [item for item in clean.objects if item.label == "cabinet"]
    assert cabinet.provenance is not None
    sides = np.array([-1, 1, -1, 1])[:, None] * cabinet.box.world_from_box.T[[0, 0, 1, 1]]
    to_corner = sides @ (np.array([5.2, 0.0, 0.0]) - cabinet.box.centre_m)
    coverage = np.array(cabinet.provenance.face_coverage[:4])
    assert coverage[to_corner.argmax()] < 0.1
    assert coverage[to_corner.argmin()] > 0.9


def test_without_identities_the_same_objects_are_found(unnamed: SceneMap) -> None:
    test_every_piece_is_found_once(unnamed)
    for item, piece in matched(unnamed, room()):
        assert np.linalg.norm(item.box.centre_m - piece.box.centre_m) < 0.06, item.id


def test_the_order_of_the_frames_does_not_matter(unnamed: SceneMap) -> None:
    frames = room().frames()
    order = np.random.default_rng(4).permutation(len(frames)).tolist()
    headers = tuple(replace(frames.headers[old], index=new) for new, old in enumerate(order))

    def load(index: int, rgb: bool, depth: bool, instances: bool) -> Frame:
        return replace(frames.loader(order[index], rgb, depth, instances), header=headers[index])

    detector = UnnamedMasks(misses=[(order.index(0), 1), (order.index(1), 1), (order.index(5), 3)])
    shuffled = build_scene(replace(frames, headers=headers, loader=load), detector)
    assert len(shuffled.objects) == len(unnamed.objects)
    for item in shuffled.objects:
        nearest = min(
            (other for other in unnamed.objects if other.label == item.label),
            key=lambda other: float(np.linalg.norm(other.box.centre_m - item.box.centre_m)),
        )
        np.testing.assert_allclose(item.box.centre_m, nearest.box.centre_m, atol=0.01)
        np.testing.assert_allclose(np.sort(item.box.extent_m), np.sort(nearest.box.extent_m), atol=0.02)


def test_a_thing_that_one_frame_imagines_is_left_out_and_said() -> None:
    scene = build_scene(room().frames(), SeesThings())
    assert "clock" not in {item.label for item in scene.objects}
    assert any("clock" in note for note in scene.notes)


def test_a_scan_in_another_world_gives_the_same_scene(clean: SceneMap) -> None:
    cos, sin = np.cos(1.1), np.sin(1.1)
    scan_from_room = np.array([[cos, -sin, 0, 3], [0, 0, -1, 2], [sin, cos, 0, -4], [0, 0, 0, 1.0]])
    scene = build_scene(room().frames(scan_from_room=scan_from_room), RecordedInstances())
    assert scene.scan_from_scene is not None
    room_from_scene = np.linalg.inv(scan_from_room) @ scene.scan_from_scene
    for item, piece in matched(replace_boxes(scene, room_from_scene), room()):
        assert np.linalg.norm(item.box.centre_m - piece.box.centre_m) < 0.02
    assert {item.id for item in scene.objects} == {item.id for item in clean.objects}


def replace_boxes(scene: SceneMap, target_from_scene: Array) -> SceneMap:
    return replace(
        scene, objects=tuple(replace(item, box=item.box.moved(target_from_scene)) for item in scene.objects)
    )


def test_noise_and_mask_bleed_cost_centimetres_not_objects() -> None:
    noise = SensorNoise(scale_error=0.0)
    scene = build_scene(room().frames(noise=noise, seed=2), RecordedInstances())
    test_every_piece_is_found_once(scene)
    errors_m = np.array([extent_errors_m(item, piece) for item, piece in matched(scene, room())])
    assert np.median(np.abs(errors_m)) < 0.02
    assert np.abs(errors_m).max() < 0.12
    assert scene.quality is not None
    assert scene.quality.depth_noise_m > 0.003


def test_every_frame_and_object_is_reported() -> None:
    seen: list[tuple[str, int, int]] = []
    small = room().resized(80, 60)
    build_scene(small.frames(), RecordedInstances(), progress=lambda *step: seen.append(step))
    frames = [done for what, done, total in seen if what == "frames" and total == len(small.cameras)]
    objects = [(done, total) for what, done, total in seen if what == "objects"]
    assert frames == list(range(1, len(small.cameras) + 1))
    assert objects[-1][0] == objects[-1][1] == len(small.objects)


def test_frames_are_decoded_once() -> None:
    frames = room().resized(80, 60).frames()
    loads: list[int] = []

    def load(index: int, rgb: bool, depth: bool, instances: bool) -> Frame:
        loads.append(index)
        return frames.loader(index, rgb, depth, instances)

    build_scene(replace(frames, loader=load), RecordedInstances())
    assert sorted(loads) == list(range(len(frames)))


@pytest.mark.parametrize(
    ("lacking", "word"),
    [({"has_depth": False}, "depth"), ({"pose": None}, "pose"), ({"intrinsics": None}, "intrinsics")],
)
def test_a_source_without_depth_poses_or_intrinsics_is_refused_by_what_it_lacks(
    lacking: dict[str, Any], word: str
) -> None:
    frames = room().frames()
    bare = replace(frames, headers=tuple(replace(header, **lacking) for header in frames.headers))
    with pytest.raises(SourceError, match=rf"no .*{word}.*not built yet"):
        build_scene(bare, RecordedInstances())


def test_the_scene_id_follows_content_and_segmenter() -> None:
    frames = room().frames()
    one = scene_id(frames, RecordedInstances())
    assert one != scene_id(frames, UnnamedMasks())
    assert one != scene_id(room().frames(seed=1), RecordedInstances())
    assert one == scene_id(room().frames(), RecordedInstances())
