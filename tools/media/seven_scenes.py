"""7-Scenes: one folder per sequence with colour, depth and pose of every frame side by side.

Source: Shotton et al., Scene coordinate regression forests, CVPR 2013, and the data set's readme.
"""

from pathlib import Path

from spatial_agent.tools.media.calibration import calibrate
from spatial_agent.tools.media.layout import Layout, ReadOptions
from spatial_agent.tools.media.listing import by_number, require_pairs
from spatial_agent.tools.media.recording import FrameFiles, Recording, open_recording
from spatial_agent.tools.media.tables import matrix_pose, read_matrix
from spatial_agent.tools.scene import CameraIntrinsics, FrameSet

INTRINSICS = CameraIntrinsics(585.0, 585.0, 320.0, 240.0, 640, 480)
PATTERNS = {
    "colour": "frame-*.color.png",
    "depth": "frame-*.depth.png",
    "pose": "frame-*.pose.txt",
}
NO_DEPTH_UNIT = 65535


def _recognises(path: Path) -> bool:
    return path.is_dir() and any(any(path.glob(pattern)) for pattern in PATTERNS.values())


def _read(folder: Path, options: ReadOptions) -> FrameSet:
    kinds = {kind: by_number(folder.glob(pattern)) for kind, pattern in PATTERNS.items()}
    numbers = require_pairs(folder, kinds)
    known = calibrate(
        folder,
        options,
        intrinsics=INTRINSICS,
        intrinsics_how="assumed: what 7-Scenes states for its Kinect",
        depth_scale_m=0.001,
        scale_how="as 7-Scenes defines (65535 means none too)",
    )
    poses = {number: kinds["pose"][number] for number in numbers}
    frames = tuple(
        FrameFiles(
            kinds["colour"][number],
            kinds["depth"][number],
            pose=matrix_pose(str(path), read_matrix(path, "a 4x4 pose, world from camera")),
            intrinsics=known.intrinsics,
        )
        for number, path in poses.items()
    )
    notes = (*known.notes, "Poses: world from camera, as 7-Scenes defines.")
    recording = Recording(folder, LAYOUT.title, frames, known.depth_scale_m, NO_DEPTH_UNIT, notes=notes)
    return open_recording(recording, options)


LAYOUT = Layout(
    "7scenes",
    "7-Scenes",
    "frame-000000.color.png, frame-000000.depth.png, frame-000000.pose.txt for every frame",
    _recognises,
    _read,
)
