"""A real recording with a real detector: five Kinect frames of a dining room, YOLOv8n-seg.

What is there was counted by eye: six chairs stand round the table, a wing chair and a sofa further
back. Bounds are those of such furniture, and of what five views from one side can show.
"""

import importlib.util
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock

import numpy as np
import pytest
from scipy.spatial import KDTree

from spatial_agent.tools.experts.foreground import foreground
from spatial_agent.tools.experts.masks import separated_detections
from spatial_agent.tools.experts.yolo import YoloInstances
from spatial_agent.tools.experts.yolox import YoloxDetector
from spatial_agent.tools.mapping.build import build_scene
from spatial_agent.tools.media import open_source
from spatial_agent.tools.scene import Detections, Frame, FrameSet, InstanceMask, SceneMap, SceneObject

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


class Seen:
    """What an expert sees, as building a scene asks for it."""

    name = "yolo"
    version = "1"
    at_once = 1
    licences: Sequence[str] = ()

    def __init__(self, look: Callable[[Frame], Detections]) -> None:
        self.look = look
        self._lock = Lock()

    def segment(self, frame: Frame, frames: FrameSet) -> tuple[InstanceMask, ...]:
        # Scenes are built by several threads; an expert takes one call at a time.
        with self._lock:
            return self.look(frame).instance_masks()


@pytest.fixture(scope="module")
def scene(test_data: Path, weights: Path) -> SceneMap:
    for package in ("ultralytics", "ai_edge_litert"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    expert = YoloInstances(weights / "yolov8n-seg_int8.tflite")
    expert.load("cpu")
    return build_scene(open_source(test_data / "dining_room"), Seen(expert))


def labelled(scene: SceneMap, label: str) -> list[SceneObject]:
    return [item for item in scene.objects if item.label == label]


def gap_m(one: SceneObject, other: SceneObject) -> float:
    assert one.surface is not None
    assert other.surface is not None
    return float(np.min(KDTree(one.surface.xyz_m).query(other.surface.xyz_m)[0]))


def test_up_and_the_floor_are_found_without_being_given(scene: SceneMap) -> None:
    assert scene.up is not None
    heights_m = [camera.pose.position_m[2] for camera in scene.cameras]
    assert all(1.1 < height_m < 1.6 for height_m in heights_m)
    assert all(camera.pose.forward[2] < 0.2 for camera in scene.cameras)


def test_there_is_one_dining_table_of_table_height(scene: SceneMap) -> None:
    (table,) = labelled(scene, "dining table")
    length_m, width_m, height_m = table.box.extent_m
    assert 0.65 <= height_m <= 0.85
    assert 1.6 <= length_m <= 3.2
    assert 0.7 <= width_m <= 1.3


def test_there_is_one_sofa_of_sofa_length(scene: SceneMap) -> None:
    (sofa,) = labelled(scene, "couch")
    assert 1.4 <= sofa.box.extent_m[0] <= 2.6
    assert 0.6 <= sofa.box.extent_m[2] <= 1.0


def test_the_chairs_round_the_table_are_of_chair_height_and_not_ghosts(scene: SceneMap) -> None:
    (table,) = labelled(scene, "dining table")
    chairs = labelled(scene, "chair")
    round_table = [chair for chair in chairs if gap_m(chair, table) < 0.6]
    assert 5 <= len(round_table) <= 7  # six by eye
    for chair in round_table:
        assert 0.7 <= chair.box.extent_m[2] <= 1.1, chair.id
        assert 0.3 <= chair.box.extent_m[0] <= 0.7, chair.id
    assert len(chairs) - len(round_table) == 1


def test_the_wing_chair_stands_apart_and_is_seen_by_every_frame(scene: SceneMap) -> None:
    (table,) = labelled(scene, "dining table")
    (wing_chair,) = [chair for chair in labelled(scene, "chair") if gap_m(chair, table) >= 0.6]
    assert wing_chair.provenance is not None
    assert wing_chair.provenance.frames == (0, 1, 2, 3, 4)
    assert 1.0 <= wing_chair.box.extent_m[2] <= 1.35  # a high back: taller than any dining chair


def test_no_two_chairs_share_a_place(scene: SceneMap) -> None:
    for one, other in itertools.combinations(labelled(scene, "chair"), 2):
        assert np.linalg.norm(one.box.centre_m[:2] - other.box.centre_m[:2]) > 0.4


def test_distances_are_those_of_a_room(scene: SceneMap) -> None:
    (table,) = labelled(scene, "dining table")
    (sofa,) = labelled(scene, "couch")
    assert 1.2 <= gap_m(table, sofa) <= 3.0
    for chair in labelled(scene, "chair"):
        assert gap_m(chair, table) < 2.5


def test_what_was_only_partly_seen_says_so(scene: SceneMap) -> None:
    """The table's near end and underside were never seen."""
    (table,) = labelled(scene, "dining table")
    assert table.provenance is not None
    assert min(table.provenance.face_coverage[:2]) < 0.1
    assert table.provenance.face_coverage[4] < 0.1


@pytest.mark.slow
def test_boxes_and_depth_alone_measure_the_same_room(test_data: Path, weights: Path) -> None:
    """The way that needs no masks from a network: YOLOX boxes, and what stands out in them."""
    pytest.importorskip("ncnn")
    detector = YoloxDetector(weights / "yolox-nano.param")
    detector.load("cpu")

    scene = build_scene(
        open_source(test_data / "dining_room"),
        Seen(lambda frame: separated_detections(foreground(frame, detector(frame)))),
    )

    table = max(labelled(scene, "dining table"), key=lambda item: item.box.volume_m3)
    length_m, width_m, height_m = table.box.extent_m
    assert 0.65 <= height_m <= 0.85
    assert 1.6 <= length_m <= 3.2
    assert 0.7 <= width_m <= 1.4
    round_table = [chair for chair in labelled(scene, "chair") if gap_m(chair, table) < 0.6]
    assert 5 <= len(round_table) <= 7  # six by eye
    assert sum(0.85 <= chair.box.extent_m[2] <= 1.1 for chair in round_table) >= 4
    wing_chair = max(labelled(scene, "chair"), key=lambda chair: chair.box.extent_m[2])
    assert wing_chair.provenance is not None
    assert wing_chair.provenance.frames == (0, 1, 2, 3, 4)
    assert 1.0 <= wing_chair.box.extent_m[2] <= 1.35
