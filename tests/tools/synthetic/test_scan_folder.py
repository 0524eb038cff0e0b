"""What is written is read back with nothing but Pillow and json."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.scene import Frame
from spatial_agent.tools.synthetic import SyntheticRoom, write_scan


def test_a_written_scan_holds_all_pixels_poses_and_labels(tmp_path: Path) -> None:
    frames = SyntheticRoom.example().resized(64, 48).frames()
    folder = write_scan(frames, tmp_path / "scan")
    scan = json.loads((folder / "scan.json").read_text())
    assert scan["format"] == "spatial-agent/scan@1"
    assert scan["gravity"] == [0.0, 0.0, -1.0]
    assert scan["instances"]["4"] == "sofa"
    assert len(scan["frames"]) == len(frames)
    entry, frame = scan["frames"][3], frames.load(3)
    assert frame.depth is not None
    assert frame.rgb is not None
    assert frame.instance_ids is not None
    assert frame.header.pose is not None
    depth = np.asarray(Image.open(folder / entry["depth"]))
    assert depth.dtype == np.uint16
    assert depth * scan["depth_scale_m"] == pytest.approx(frame.depth.z_m, abs=0.00051)
    assert np.array_equal(np.asarray(Image.open(folder / entry["color"])), frame.rgb)
    assert np.array_equal(np.asarray(Image.open(folder / entry["instances"])), frame.instance_ids)
    assert np.array(entry["world_from_camera"]) == pytest.approx(frame.header.pose.world_from_camera)
    assert entry["time_s"] == 1.5
    assert entry["intrinsics"]["width"] == 64


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InvalidValueError, match="new or empty folder"):
        write_scan(SyntheticRoom.example().frames(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_nothing_is_left_behind_when_writing_fails(tmp_path: Path) -> None:
    whole = SyntheticRoom.example().resized(64, 48).frames()

    def load(index: int, rgb: bool, depth: bool, instances: bool) -> Frame:
        return whole.load(index, rgb=rgb, depth=depth and index < 2, instances=instances)

    with pytest.raises(InvalidValueError, match="000002: expected colour, depth"):
        write_scan(replace(whole, loader=load), tmp_path / "scan")
    assert list(tmp_path.iterdir()) == []
