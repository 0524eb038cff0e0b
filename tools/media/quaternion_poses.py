"""Folders of colour and depth with a `pose.txt`: one line of position and quaternion a frame.

Source: the RGB-D example of Gao and Zhang, 14 lectures on visual SLAM (slambook2, `ch5/rgbd`), whose
camera is the stated default.
"""

from pathlib import Path

from spatial_agent.tools.media.calibration import calibrate
from spatial_agent.tools.media.layout import Layout, ReadOptions
from spatial_agent.tools.media.listing import by_number, first_folder, list_images, require_pairs
from spatial_agent.tools.media.recording import FrameFiles, Recording, open_recording
from spatial_agent.tools.media.tables import numbers_of, quaternion_pose, read_rows, require_count
from spatial_agent.tools.scene import CameraIntrinsics, FrameSet

INTRINSICS = CameraIntrinsics(518.0, 519.0, 325.5, 253.5, 640, 480)
POSES = "pose.txt"


def _recognises(path: Path) -> bool:
    return (path / POSES).is_file()


def _read(folder: Path, options: ReadOptions) -> FrameSet:
    colors = by_number(list_images(first_folder(folder, ("color", "rgb"), "the colour images")))
    depths = by_number(list_images(first_folder(folder, ("depth",), "the depth images")))
    numbers = require_pairs(folder, {"colour": colors, "depth": depths})
    path, what = folder / POSES, "tx ty tz qx qy qz qw"
    rows = [(line, numbers_of(path, line, words, (7,), what)) for line, words in read_rows(path, what)]
    require_count(path, len(rows), len(numbers))
    known = calibrate(
        folder,
        options,
        intrinsics=INTRINSICS,
        intrinsics_how="assumed: slambook2's Kinect; put an intrinsics.json beside color/ if yours differs",
        depth_scale_m=0.001,
        scale_how="assumed: millimetres",
    )
    frames = tuple(
        FrameFiles(
            colors[number],
            depths[number],
            pose=quaternion_pose(f"{path}, line {line}", row),
            intrinsics=known.intrinsics,
        )
        for number, (line, row) in zip(numbers, rows, strict=True)
    )
    notes = (*known.notes, f"Poses: {POSES} is read as world from camera (assumed).")
    return open_recording(Recording(folder, LAYOUT.title, frames, known.depth_scale_m, notes=notes), options)


LAYOUT = Layout(
    "quaternion",
    "quaternion pose.txt",
    "color/1.png, depth/1.pgm or .png, pose.txt (tx ty tz qx qy qz qw a line)",
    _recognises,
    _read,
)
