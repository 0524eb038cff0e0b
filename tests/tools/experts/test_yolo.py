"""What YOLO's masks become, and what it may not do."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spatial_agent.tools.errors import ConfigurationError, SourceError
from spatial_agent.tools.experts.yolo import YoloInstances, separated
from spatial_agent.tools.scene import CameraIntrinsics, Frame, FrameHeader, FrameSet

SHAPE = (40, 60)


def box(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[top:bottom, left:right] = True
    return mask


def test_a_thing_found_twice_is_kept_once_with_the_better_score() -> None:
    masks = np.stack([box(0, 0, 20, 30), box(1, 1, 21, 30), box(40, 0, 50, 10)])
    kept = separated(masks, np.array([0.5, 0.7, 0.6]), ["chair", "chair", "chair"])
    assert [mask.score for mask in kept] == [0.7, 0.6]


def test_neighbours_of_one_label_are_both_kept() -> None:
    masks = np.stack([box(0, 0, 20, 30), box(16, 0, 36, 30)])
    assert len(separated(masks, np.array([0.5, 0.7]), ["chair", "chair"])) == 2


def test_a_contested_pixel_goes_to_the_smaller_mask_and_to_nobody_else() -> None:
    table, cup = box(0, 10, 60, 40), box(10, 5, 20, 20)
    kept = {
        mask.label: mask.pixels
        for mask in separated(np.stack([table, cup]), np.array([0.9, 0.4]), ["table", "cup"])
    }
    np.testing.assert_array_equal(kept["cup"], cup)
    np.testing.assert_array_equal(kept["table"], table & ~cup)


def test_the_order_of_detections_does_not_matter() -> None:
    masks = np.stack([box(0, 0, 20, 30), box(2, 2, 20, 30), box(15, 0, 40, 12), box(30, 20, 60, 40)])
    scores, labels = np.array([0.5, 0.5, 0.8, 0.6]), ["chair", "chair", "couch", "bed"]
    first = separated(masks, scores, labels)
    turned = separated(masks[::-1], scores[::-1], labels[::-1])
    assert {(m.label, m.score, m.pixels.tobytes()) for m in first} == {
        (m.label, m.score, m.pixels.tobytes()) for m in turned
    }


def test_empty_masks_and_no_detections_are_nothing() -> None:
    assert separated(np.zeros((1, *SHAPE), bool), np.array([0.9]), ["chair"]) == ()
    assert separated(np.zeros((0, *SHAPE), bool), np.empty(0), []) == ()


def test_missing_weights_are_refused_instead_of_downloaded(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no YOLO weights at .*yolov8n-seg\.pt"):
        YoloInstances(tmp_path / "yolov8n-seg.pt")


def test_the_version_follows_weights_and_confidence(tmp_path: Path) -> None:
    (tmp_path / "a.tflite").write_bytes(b"one")
    (tmp_path / "b.tflite").write_bytes(b"two")
    versions = {
        YoloInstances(tmp_path / "a.tflite").version,
        YoloInstances(tmp_path / "b.tflite").version,
        YoloInstances(tmp_path / "a.tflite", confidence=0.5).version,
    }
    assert len(versions) == 3
    assert YoloInstances(tmp_path / "a.tflite").version in versions


def test_its_licence_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.tflite").write_bytes(b"one")
    assert any("AGPL-3.0" in licence for licence in YoloInstances(tmp_path / "a.tflite").licences)


def test_a_frame_without_picture_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "a.tflite").write_bytes(b"one")
    header = FrameHeader(0, "000000", CameraIntrinsics(50, 50, 29.5, 19.5, 60, 40))
    frames = FrameSet("scan", "test", (header,), lambda *wanted: Frame(header), "hash")
    with pytest.raises(SourceError, match="no colour image"):
        YoloInstances(tmp_path / "a.tflite").segment(frames.load(0), frames)


def test_importing_it_loads_neither_torch_nor_ultralytics() -> None:
    code = (
        "import sys; import spatial_agent.tools.experts.yolo; "
        "print(sorted({'torch', 'ultralytics', 'scipy'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert run.stdout.strip() == "[]"


def test_loading_it_leaves_pillow_as_it_was(weights: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    code = (
        "import sys\nfrom pathlib import Path\nfrom PIL import Image\n"
        "from spatial_agent.tools.experts.yolo import YoloInstances\n"
        "before = Image.open\nYoloInstances(Path(sys.argv[1])).load()\n"
        "assert 'ultralytics.utils.patches' in sys.modules\n"
        "assert Image.open is before, Image.open"
    )
    file = weights / "yolov8n-seg_int8.tflite"
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
