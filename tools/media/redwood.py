"""Redwood and Open3D: folders of colour and depth, and a `trajectory.log` with one 4x4 pose a frame.

Source: Choi et al., Robust reconstruction of indoor scenes, CVPR 2015, "trajectory file" format;
Open3D's `PinholeCameraIntrinsicParameters.PrimeSenseDefault`.
"""

from pathlib import Path

import numpy as np

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.media.calibration import calibrate
from spatial_agent.tools.media.layout import Layout, ReadOptions
from spatial_agent.tools.media.listing import by_number, first_folder, list_images, require_pairs
from spatial_agent.tools.media.recording import FrameFiles, Recording, open_recording
from spatial_agent.tools.media.tables import matrix_pose, numbers_of, read_rows, require_count
from spatial_agent.tools.scene import CameraIntrinsics, CameraPose, FrameSet

INTRINSICS = CameraIntrinsics(525.0, 525.0, 319.5, 239.5, 640, 480)
TRAJECTORY = "trajectory.log"
COLOR_FOLDERS = ("color", "rgb", "image")


def _recognises(path: Path) -> bool:
    return (path / TRAJECTORY).is_file()


def _read(folder: Path, options: ReadOptions) -> FrameSet:
    colors = by_number(list_images(first_folder(folder, COLOR_FOLDERS, "the colour images")))
    depths = by_number(list_images(first_folder(folder, ("depth",), "the depth images")))
    numbers = require_pairs(folder, {"colour": colors, "depth": depths})
    poses = _read_trajectory(folder / TRAJECTORY)
    require_count(folder / TRAJECTORY, len(poses), len(numbers))
    known = calibrate(
        folder,
        options,
        intrinsics=INTRINSICS,
        intrinsics_how="assumed: Open3D's default for PrimeSense cameras",
        depth_scale_m=0.001,
        scale_how="as Redwood defines",
    )
    frames = tuple(
        FrameFiles(colors[number], depths[number], pose=pose, intrinsics=known.intrinsics)
        for number, pose in zip(numbers, poses, strict=True)
    )
    notes = (*known.notes, f"Poses: world from camera ({TRAJECTORY}), as Redwood defines.")
    return open_recording(Recording(folder, LAYOUT.title, frames, known.depth_scale_m, notes=notes), options)


def _read_trajectory(path: Path) -> list[CameraPose]:
    """Read a trajectory: for each frame a line of three numbers and four rows of a 4x4 matrix."""
    what = "a frame's three numbers, then its 4x4 pose"
    rows = read_rows(path, what)
    if len(rows) % 5:
        raise SourceError(
            f"{path}: expected 5 lines for each frame ({what}), got {len(rows)} lines: truncated?"
        )
    poses: dict[str, CameraPose] = {}
    for start in range(0, len(rows), 5):
        line, words = rows[start]
        numbers_of(path, line, words, (3,), "three numbers before a pose")
        if words[0] in poses:
            raise SourceError(f"{path}, line {line}: duplicate frame index {words[0]}; remove one of the two")
        matrix = [
            numbers_of(path, at, row, (4,), "a row of a 4x4 pose") for at, row in rows[start + 1 : start + 5]
        ]
        poses[words[0]] = matrix_pose(f"{path}, line {line}", np.array(matrix))
    return list(poses.values())


LAYOUT = Layout(
    "redwood",
    "Redwood/Open3D",
    "color/ (or rgb/, image/), depth/, trajectory.log (three numbers and a 4x4 pose a frame)",
    _recognises,
    _read,
)
