"""ScanNet as its `SensReader` exports it: `color/`, `depth/`, `pose/` and `intrinsic/`.

Source: Dai et al., ScanNet, CVPR 2017; file names of `SensReader/python`.
"""

from pathlib import Path

import numpy as np

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.media.calibration import calibrate, intrinsics_of, read_sidecar
from spatial_agent.tools.media.layout import Layout, ReadOptions
from spatial_agent.tools.media.listing import by_number, list_images, require_pairs
from spatial_agent.tools.media.pixels import read_image_header
from spatial_agent.tools.media.recording import FrameFiles, Recording, open_recording
from spatial_agent.tools.media.tables import matrix_pose, read_matrix
from spatial_agent.tools.scene import CameraIntrinsics, CameraPose, FrameSet

INTRINSICS = "intrinsic/intrinsic_depth.txt"


def _recognises(path: Path) -> bool:
    return (path / "pose").is_dir() and ((path / "depth").is_dir() or (path / "intrinsic").is_dir())


def _read(folder: Path, options: ReadOptions) -> FrameSet:
    colors = by_number(list_images(folder / "color"))
    depths = by_number(list_images(folder / "depth"))
    pose_files = by_number((folder / "pose").glob("[!.]*.txt"))
    numbers = require_pairs(folder, {"colour": colors, "depth": depths, "pose": pose_files})
    overridden = options.intrinsics is not None or read_sidecar(folder) is not None
    known = calibrate(
        folder,
        options,
        intrinsics=None if overridden else _read_intrinsics(folder, depths[numbers[0]]),
        intrinsics_how=f"read from {INTRINSICS}",
        depth_scale_m=0.001,
        scale_how="as ScanNet defines",
    )
    poses = {number: _read_pose(pose_files[number]) for number in numbers}
    frames = tuple(
        FrameFiles(colors[number], depths[number], pose=pose, intrinsics=known.intrinsics)
        for number, pose in poses.items()
        if pose is not None
    )
    if not frames:
        raise SourceError(f"{folder / 'pose'}: every pose is infinite (tracking lost); no frame is left")
    notes = (*known.notes, "Poses: world from camera, as ScanNet defines.")
    if len(frames) < len(numbers):
        lost = len(numbers) - len(frames)
        notes += (f"{lost} frame(s) are left out: their pose is -inf (ScanNet's mark for lost tracking).",)
    return open_recording(Recording(folder, LAYOUT.title, frames, known.depth_scale_m, notes=notes), options)


def _read_pose(path: Path) -> CameraPose | None:
    """Read a pose; None where ScanNet marks it as lost."""
    matrix = read_matrix(path, "a 4x4 pose, world from camera")
    return None if np.isinf(matrix).any() else matrix_pose(str(path), matrix)


def _read_intrinsics(folder: Path, depth: Path) -> CameraIntrinsics:
    path = folder / INTRINSICS
    matrix = read_matrix(path, "the depth camera's 4x4 intrinsics")
    header = read_image_header(depth)
    numbers = {"fx": matrix[0, 0], "fy": matrix[1, 1], "cx": matrix[0, 2], "cy": matrix[1, 2]}
    return intrinsics_of(path, {**numbers, "width": header.width, "height": header.height})


LAYOUT = Layout(
    "scannet",
    "ScanNet export",
    "color/0.jpg, depth/0.png, pose/0.txt for every frame, intrinsic/intrinsic_depth.txt",
    _recognises,
    _read,
)
