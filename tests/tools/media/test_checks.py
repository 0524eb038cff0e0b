"""The check finds inverted poses and wrong depth units, and keeps quiet about good scans."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.media import check_geometry, open_source
from spatial_agent.tools.scene import CameraPose, DepthMap, Frame, FrameSet

Copy = Callable[[str], Path]


def inverted(frames: FrameSet) -> FrameSet:
    """The same frames with every pose inverted by linear algebra."""

    def invert(pose: CameraPose | None) -> CameraPose:
        assert pose is not None
        inverse: NDArray[np.float64] = np.linalg.inv(pose.world_from_camera).astype(np.float64)
        return CameraPose(inverse)

    return replace(frames, headers=tuple(replace(h, pose=invert(h.pose)) for h in frames.headers))


def rescaled(frames: FrameSet, factor: float) -> FrameSet:
    """The same frames with every depth multiplied."""

    def load(index: int, rgb: bool, depth: bool, instances: bool) -> Frame:
        frame = frames.loader(index, rgb, depth, instances)
        assert frame.depth is not None
        return replace(frame, depth=DepthMap(frame.depth.z_m * np.float32(factor)))

    return replace(frames, loader=load)


def test_inverted_poses_are_found(scan_copy: Copy) -> None:
    (note,) = check_geometry(inverted(open_source(scan_copy("scan"))))
    assert "poses look inverted" in note
    assert "scale" not in note


@pytest.mark.parametrize("factor", [1000, 100, 10, 5, 0.2, 0.1, 0.001])
def test_a_wrong_depth_unit_is_found_with_its_factor(factor: float, scan_copy: Copy) -> None:
    (note,) = check_geometry(rescaled(open_source(scan_copy("scan")), factor))
    assert f"{1 / factor:.4g} times the depth fits" in note
    assert "inverted" not in note


def test_both_at_once_are_found(scan_copy: Copy) -> None:
    (note,) = check_geometry(rescaled(inverted(open_source(scan_copy("scan"))), 1000))
    assert "poses look inverted" in note
    assert "0.001 times the depth fits" in note


def test_the_advice_repairs_the_scan(scan_copy: Copy) -> None:
    folder = scan_copy("tum")
    (note,) = check_geometry(open_source(folder, depth_scale_m=0.001))
    assert "0.2 times the depth fits" in note
    assert check_geometry(open_source(folder, depth_scale_m=0.001 * 0.2)) == ()


def test_poses_of_another_place_do_not_fit(scan_copy: Copy) -> None:
    frames = open_source(scan_copy("scan"))
    rng = np.random.default_rng(1)

    def shaken(pose: CameraPose | None) -> CameraPose:
        assert pose is not None
        matrix = pose.world_from_camera.copy()
        matrix[:3, 3] += rng.normal(0, 1.5, 3)
        return CameraPose(matrix)

    headers = tuple(replace(header, pose=shaken(header.pose)) for header in frames.headers)
    (note,) = check_geometry(replace(frames, headers=headers))
    assert "Depth and poses do not fit" in note


def test_a_camera_that_only_turns_gives_no_false_alarm(scan_copy: Copy) -> None:
    manifest = scan_copy("scan") / "scan.json"
    scan = json.loads(manifest.read_text())
    for frame in scan["frames"][1:]:
        for kind in ("depth", "instances"):
            frame[kind] = scan["frames"][0][kind]
        frame["world_from_camera"] = scan["frames"][0]["world_from_camera"]
    manifest.write_text(json.dumps(scan))
    assert check_geometry(open_source(manifest.parent)) == ()


def test_frames_that_share_no_view_cannot_be_checked_and_that_is_said(scan_copy: Copy) -> None:
    frames = open_source(scan_copy("scan"), max_frames=2)
    turned = np.diag([-1.0, 1.0, -1.0, 1.0])
    first, second = frames.headers
    assert second.pose is not None
    headers = (first, replace(second, pose=CameraPose(second.pose.world_from_camera @ turned)))
    (note,) = check_geometry(replace(frames, headers=headers))
    assert "could not be checked" in note


def test_no_colour_and_few_depth_maps_are_decoded(scan_copy: Copy) -> None:
    frames = open_source(scan_copy("scan"))
    long = replace(frames, headers=tuple(replace(frames.headers[k % 5], index=k) for k in range(500)))
    asked: list[tuple[int, bool]] = []

    def load(index: int, rgb: bool, depth: bool, instances: bool) -> Frame:
        asked.append((index, rgb or instances))
        return frames.loader(index % 5, rgb, depth, instances)

    check_geometry(replace(long, loader=load))
    assert len(asked) <= 12
    assert not any(more for _, more in asked)


def test_real_recordings_fit_and_broken_copies_do_not(test_data: Path) -> None:
    for name in ("dining_room", "living_room"):
        frames = open_source(test_data / name)
        assert check_geometry(frames) == ()
        assert any(note.startswith("Intrinsics") and "assumed" in note for note in frames.notes)
        (note,) = check_geometry(inverted(frames))
        assert "poses look inverted" in note
        (note,) = check_geometry(open_source(test_data / name, depth_scale_m=0.01))
        assert "0.1 times the depth fits" in note


def copied(source: Path, target: Path) -> Path:
    for path in source.rglob("*.*"):
        (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
        (target / path.relative_to(source)).write_bytes(path.read_bytes())
    return target


def test_a_real_recording_with_inverted_pose_file_is_found(test_data: Path, tmp_path: Path) -> None:
    folder = copied(test_data / "living_room", tmp_path / "living_room")
    numbers = np.array((folder / "trajectory.log").read_text().split(), float).reshape(-1, 19)
    text = ""
    for row in numbers:
        matrix: NDArray[np.float64] = np.linalg.inv(row[3:].reshape(4, 4))
        matrix[3] = (0, 0, 0, 1)
        text += (
            f"{row[0]:.0f} 0 0\n" + "\n".join(" ".join(map(repr, line)) for line in matrix.tolist()) + "\n"
        )
    (folder / "trajectory.log").write_text(text)
    (note,) = check_geometry(open_source(folder))
    assert "poses look inverted" in note


def test_single_real_frames_open_with_a_scan_json(test_data: Path, tmp_path: Path) -> None:
    assert len(open_source(test_data / "single_frames")) == 3
    folder = copied(test_data / "single_frames", tmp_path / "frames")
    camera = {"fx": 525, "fy": 525, "cx": 319.5, "cy": 239.5, "width": 640, "height": 480}
    frame = {"color": "TUM_color.png", "depth": "TUM_depth.png", "intrinsics": camera}
    (folder / "scan.json").write_text(json.dumps({"depth_scale_m": 1 / 5000, "frames": [frame]}))
    frames = open_source(folder)
    depth = frames.load(0, rgb=False).depth
    assert depth is not None
    assert 1 < float(np.median(depth.z_m[depth.valid])) < 4
    assert "no poses" in frames.notes[-1]
    (folder / "TUM_depth.png").write_bytes((folder / "TUM_color.png").read_bytes())
    with pytest.raises(SourceError, match=r"TUM_depth\.png: expected depth as one channel of 16 bits"):
        open_source(folder)
