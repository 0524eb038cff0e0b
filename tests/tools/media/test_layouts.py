"""Every layout gives the same room: poses, scale, intrinsics and pixels fit together."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from spatial_agent.tools.errors import InvalidValueError, SourceError
from spatial_agent.tools.media import check_geometry, open_source
from spatial_agent.tools.scene import CameraIntrinsics, FrameSet

Copy = Callable[[str], Path]
Mismatch = Callable[[FrameSet], tuple[float, float]]
TITLES = {
    "scan": "spatial-agent/scan@1",
    "7scenes": "7-Scenes",
    "tum": "TUM RGB-D",
    "scannet": "ScanNet export",
    "redwood": "Redwood/Open3D",
    "replica": "Replica (NICE-SLAM)",
    "quaternion": "quaternion pose.txt",
}
every_layout = pytest.mark.parametrize("layout", TITLES)


@every_layout
def test_every_pixel_lands_on_its_wall_with_its_colour(
    layout: str, scan_copy: Copy, mismatch: Mismatch
) -> None:
    frames = open_source(scan_copy(layout))
    assert frames.layout == TITLES[layout]
    assert len(frames) == 5
    assert frames.has_depth
    assert frames.has_poses
    off_wall_m, off_colour = mismatch(frames)
    assert off_wall_m < 0.002
    assert off_colour <= (3 if layout in ("scan", "7scenes", "tum", "quaternion") else 8)


@every_layout
def test_poses_are_exact(
    layout: str, scan_copy: Copy, true_pose: Callable[[int], NDArray[np.float64]]
) -> None:
    frames = open_source(scan_copy(layout))
    for header in frames.headers:
        assert header.pose is not None
        np.testing.assert_allclose(header.pose.world_from_camera, true_pose(header.index), atol=1e-12)


@every_layout
def test_the_same_content_elsewhere_has_the_same_hash(layout: str, scan_copy: Copy, tmp_path: Path) -> None:
    folder = scan_copy(layout)
    before = open_source(folder).content_hash
    moved = shutil.move(folder, tmp_path / "elsewhere")
    assert open_source(moved).content_hash == before


@every_layout
def test_a_changed_pixel_scale_or_selection_changes_the_hash(layout: str, scan_copy: Copy) -> None:
    folder = scan_copy(layout)
    hashes = {open_source(folder).content_hash, open_source(folder, depth_scale_m=0.002).content_hash}
    hashes.add(open_source(folder, max_frames=2).content_hash)
    depth = sorted(path for path in folder.rglob("*depth*/*") if path.suffix in (".png", ".pgm"))
    depth = depth or sorted(folder.rglob("*depth*.png"))
    depth[0].write_bytes(depth[1].read_bytes())
    hashes.add(open_source(folder).content_hash)
    assert len(hashes) == 4


@every_layout
def test_consistent_scans_pass_the_check(layout: str, scan_copy: Copy) -> None:
    assert check_geometry(open_source(scan_copy(layout))) == ()


@every_layout
def test_the_notes_say_unit_intrinsics_and_pose_direction(layout: str, scan_copy: Copy) -> None:
    notes = " ".join(open_source(scan_copy(layout)).notes)
    for word in (
        TITLES[layout],
        "5 frames",
        "Intrinsics: fx 60, fy 57",
        "Depth: one unit is",
        "orld from camera",
    ):
        assert word in notes


@every_layout
def test_only_what_is_asked_for_is_decoded(layout: str, scan_copy: Copy) -> None:
    frames = open_source(scan_copy(layout))
    without_rgb = frames.load(0, rgb=False)
    assert without_rgb.rgb is None
    assert without_rgb.depth is not None
    without_depth = frames.load(0, depth=False)
    assert without_depth.depth is None
    assert without_depth.rgb is not None


@every_layout
def test_threads_may_load_at_the_same_time(layout: str, scan_copy: Copy) -> None:
    frames = open_source(scan_copy(layout))
    alone = [frame.rgb for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        together = [frame.rgb for frame in pool.map(frames.load, list(range(5)) * 4)]
    for index, rgb in enumerate(together):
        np.testing.assert_array_equal(np.asarray(rgb), np.asarray(alone[index % 5]))


def test_frames_are_kept_evenly_and_numbered_anew(scan_copy: Copy) -> None:
    frames = open_source(scan_copy("scan"), max_frames=3)
    assert [header.name for header in frames.headers] == ["0.png", "2.png", "4.png"]
    assert [header.index for header in frames.headers] == [0, 1, 2]
    assert "3 frames (of 5, evenly spaced)" in frames.notes[0]


def test_scan_json_gives_times_gravity_and_instances(scan_copy: Copy) -> None:
    folder = scan_copy("scan")
    frames = open_source(folder / "scan.json")
    assert frames.content_hash == open_source(folder).content_hash
    assert [header.time_s for header in frames.headers] == [0, 0.5, 1, 1.5, 2]
    assert frames.instance_labels == {1: "chair", 2: "lamp"}
    assert frames.gravity is not None
    np.testing.assert_allclose(frames.gravity, [0, 1, 0])
    ids = frames.load(2, rgb=False, depth=False).instance_ids
    assert ids is not None
    assert ids.dtype == np.uint16
    assert (ids == 2).all()


def test_seven_scenes_takes_65535_as_no_depth(scan_copy: Copy) -> None:
    depth = open_source(scan_copy("7scenes")).load(0, rgb=False).depth
    assert depth is not None
    assert depth.z_m[0, 0] == 0
    assert depth.valid.sum() == depth.z_m.size - 1


def test_tum_leaves_out_what_has_no_partner_in_time(scan_copy: Copy) -> None:
    folder = scan_copy("tum")
    lines = (folder / "rgb.txt").read_text().splitlines()
    stamp, name = lines[2].split()
    lines[2] = f"{float(stamp) - 0.03:.6f} {name}"
    (folder / "rgb.txt").write_text("\n".join(lines))
    frames = open_source(folder)
    assert len(frames) == 4
    times_s = [header.time_s for header in frames.headers]
    assert times_s == pytest.approx([0, 0.2, 0.3, 0.4], abs=1e-6)
    assert any("1 of 5 colour images have no depth and pose within 0.02 s" in note for note in frames.notes)


def test_tum_without_ground_truth_has_depth_but_no_poses(scan_copy: Copy) -> None:
    folder = scan_copy("tum")
    (folder / "groundtruth.txt").unlink()
    frames = open_source(folder)
    assert frames.has_depth
    assert not frames.has_poses
    assert "poses" in frames.notes[-1]


def test_scannet_frames_with_lost_tracking_are_left_out_and_counted(scan_copy: Copy) -> None:
    folder = scan_copy("scannet")
    (folder / "pose/20.txt").write_text("\n".join(["-inf -inf -inf -inf"] * 4))
    frames = open_source(folder)
    assert [header.name for header in frames.headers] == ["0.jpg", "10.jpg", "30.jpg", "40.jpg"]
    assert any("1 frame(s) are left out" in note for note in frames.notes)
    assert any("resampled" in note for note in frames.notes)


def test_replica_reads_the_camera_of_the_folder_above(scan_copy: Copy) -> None:
    folder = scan_copy("replica")
    (folder / "cam_params.json").rename(folder.parent / "cam_params.json")
    camera = open_source(folder).headers[0].intrinsics
    assert camera == CameraIntrinsics(60.0, 57.0, 30.2, 25.1, 64, 48)


@pytest.mark.parametrize("layout", ["7scenes", "tum", "redwood", "replica", "quaternion", "scannet"])
def test_arguments_beat_files_and_are_named_in_the_notes(layout: str, scan_copy: Copy) -> None:
    camera = CameraIntrinsics(61.0, 61.0, 31.0, 23.0, 64, 48)
    frames = open_source(scan_copy(layout), intrinsics=camera, depth_scale_m=0.5)
    assert frames.headers[0].intrinsics == camera
    assert sum("given by the caller" in note for note in frames.notes) == 2
    depth = frames.load(0, rgb=False).depth
    assert depth is not None
    assert depth.z_m.max() > 100


@pytest.mark.parametrize(
    ("layout", "size", "expected"),
    [
        ("7scenes", (640, 480), CameraIntrinsics(585.0, 585.0, 320.0, 240.0, 640, 480)),
        ("tum", (640, 480), CameraIntrinsics(525.0, 525.0, 319.5, 239.5, 640, 480)),
        ("redwood", (640, 480), CameraIntrinsics(525.0, 525.0, 319.5, 239.5, 640, 480)),
        ("quaternion", (640, 480), CameraIntrinsics(518.0, 519.0, 325.5, 253.5, 640, 480)),
        ("replica", (1200, 680), CameraIntrinsics(600.0, 600.0, 599.5, 339.5, 1200, 680)),
    ],
)
def test_default_intrinsics_are_said_to_be_assumed(
    layout: str, size: tuple[int, int], expected: CameraIntrinsics, scan_copy: Copy
) -> None:
    folder = scan_copy(layout)
    for name in ("intrinsics.json", "cam_params.json"):
        (folder / name).unlink(missing_ok=True)
    for path in folder.rglob("*.*"):
        if path.suffix == ".pgm":
            path.write_bytes(b"P5 640 480 65535\n" + bytes(2 * size[0] * size[1]))
        elif path.suffix in (".png", ".jpg"):
            with Image.open(path) as image:
                image.resize(size, Image.Resampling.NEAREST).save(path)
    frames = open_source(folder)
    assert frames.headers[0].intrinsics == expected
    assert any(note.startswith("Intrinsics") and "assumed" in note for note in frames.notes)


def test_freiburg_in_the_folder_name_chooses_its_camera(scan_copy: Copy, tmp_path: Path) -> None:
    folder = scan_copy("tum").rename(tmp_path / "rgbd_dataset_freiburg1_desk")
    (folder / "intrinsics.json").unlink()
    with pytest.raises(SourceError, match="the intrinsics describe 640x480"):
        open_source(folder)


def test_a_file_beside_the_frames_may_give_the_depth_scale_too(scan_copy: Copy) -> None:
    folder = scan_copy("quaternion")
    content = json.loads((folder / "intrinsics.json").read_text())
    (folder / "intrinsics.json").unlink()
    (folder / "camera.json").write_text(json.dumps({**content, "depth_scale_m": 0.01}))
    notes = open_source(folder).notes
    assert "Depth: one unit is 0.01 m, read from camera.json; 0 means none." in notes


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"depth_scale_m": 0.0}, "depth_scale_m"),
        ({"max_frames": 0}, "max_frames"),
        ({"layout": "tun"}, "7scenes"),
    ],
)
def test_senseless_options_are_refused(
    options: dict[str, float | int | str], word: str, scan_copy: Copy
) -> None:
    with pytest.raises(InvalidValueError, match=word):
        open_source(scan_copy("tum"), **options)  # type: ignore[arg-type]
