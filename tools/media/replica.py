"""Replica as rendered for NICE-SLAM: `results/` with colour and depth, `traj.txt`, `cam_params.json`.

Source: Zhu et al., NICE-SLAM, CVPR 2022; its `configs/Replica/replica.yaml` for camera and scale.
"""

from pathlib import Path

import numpy as np

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.media.calibration import calibrate, intrinsics_of, is_number, read_object
from spatial_agent.tools.media.layout import Layout, ReadOptions
from spatial_agent.tools.media.listing import by_number, list_images, require_pairs
from spatial_agent.tools.media.recording import FrameFiles, Recording, open_recording
from spatial_agent.tools.media.tables import matrix_pose, numbers_of, read_rows, require_count
from spatial_agent.tools.scene import CameraIntrinsics, CameraPose, FrameSet

INTRINSICS = CameraIntrinsics(600.0, 600.0, 599.5, 339.5, 1200, 680)
UNITS_PER_M = 6553.5
TRAJECTORY = "traj.txt"
PARAMETERS = "cam_params.json"


def _recognises(path: Path) -> bool:
    return (path / TRAJECTORY).is_file() or any((path / "results").glob("frame*"))


def _read(folder: Path, options: ReadOptions) -> FrameSet:
    images = list_images(folder / "results")
    colors = by_number(path for path in images if path.name.startswith("frame"))
    depths = by_number(path for path in images if path.name.startswith("depth"))
    numbers = require_pairs(folder / "results", {"colour (frame...)": colors, "depth": depths})
    poses = _read_trajectory(folder / TRAJECTORY)
    require_count(folder / TRAJECTORY, len(poses), len(numbers))
    camera, units_per_m, how = _read_parameters(folder)
    known = calibrate(
        folder,
        options,
        intrinsics=camera,
        intrinsics_how=how,
        depth_scale_m=1 / units_per_m,
        scale_how=f"{how} ({units_per_m:g} units a metre)",
    )
    frames = tuple(
        FrameFiles(colors[number], depths[number], pose=pose, intrinsics=known.intrinsics)
        for number, pose in zip(numbers, poses, strict=True)
    )
    notes = (*known.notes, f"Poses: world from camera ({TRAJECTORY}), as NICE-SLAM's Replica defines.")
    return open_recording(Recording(folder, LAYOUT.title, frames, known.depth_scale_m, notes=notes), options)


def _read_trajectory(path: Path) -> list[CameraPose]:
    what = "a 4x4 pose in one line, row by row"
    rows = ((line, numbers_of(path, line, words, (16,), what)) for line, words in read_rows(path, what))
    return [matrix_pose(f"{path}, line {line}", np.array(row).reshape(4, 4)) for line, row in rows]


def _read_parameters(folder: Path) -> tuple[CameraIntrinsics, float, str]:
    """Read camera and depth units per metre from the scene's folder or the one above it."""
    candidates = (folder / PARAMETERS, folder.resolve().parent / PARAMETERS)
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        return INTRINSICS, UNITS_PER_M, "assumed: what NICE-SLAM states for Replica"
    camera = read_object(path, 'NICE-SLAM\'s {"camera": {w, h, fx, fy, cx, cy, scale}}').get("camera")
    if not isinstance(camera, dict) or not is_number(camera.get("scale")) or camera["scale"] <= 0:
        raise SourceError(
            f'{path}: expected "camera" with w, h, fx, fy, cx, cy and a scale > 0, got {camera!r}'
        )
    named = {**camera, "width": camera.get("w"), "height": camera.get("h")}
    return intrinsics_of(path, named), float(camera["scale"]), f"read from {PARAMETERS}"


LAYOUT = Layout(
    "replica",
    "Replica (NICE-SLAM)",
    "results/frame000000.jpg, results/depth000000.png, traj.txt (16 numbers a line), cam_params.json",
    _recognises,
    _read,
)
