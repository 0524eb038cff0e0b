"""TUM RGB-D: lists of time-stamped images and a ground-truth trajectory, associated by time.

Source: Sturm et al., A benchmark for the evaluation of RGB-D SLAM systems, IROS 2012; intrinsics and
formats from the benchmark's "File Formats" page.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import Path

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.media.calibration import calibrate
from spatial_agent.tools.media.layout import Layout, ReadOptions
from spatial_agent.tools.media.listing import inside
from spatial_agent.tools.media.recording import FrameFiles, Recording, open_recording
from spatial_agent.tools.media.tables import numbers_of, quaternion_pose, read_rows
from spatial_agent.tools.scene import CameraIntrinsics, CameraPose, FrameSet

#: By a word in the folder's name; "" is the benchmark's default for registered depth.
INTRINSICS = {
    "freiburg1": CameraIntrinsics(517.3, 516.5, 318.6, 255.3, 640, 480),
    "freiburg2": CameraIntrinsics(520.9, 521.0, 325.1, 249.7, 640, 480),
    "freiburg3": CameraIntrinsics(535.4, 539.2, 320.1, 247.6, 640, 480),
    "": CameraIntrinsics(525.0, 525.0, 319.5, 239.5, 640, 480),
}
MAX_GAP_S = 0.02
LISTS = ("rgb.txt", "depth.txt")


def _recognises(path: Path) -> bool:
    return any((path / name).is_file() for name in LISTS)


def _read(folder: Path, options: ReadOptions) -> FrameSet:
    folder = folder.resolve()
    colors, depths = (_read_list(folder, name) for name in LISTS)
    pairs = associate(list(colors), list(depths), MAX_GAP_S)
    if not pairs:
        raise SourceError(f"{folder}: no colour and depth image lie within {MAX_GAP_S} s of each other")
    key = next(word for word in INTRINSICS if word in folder.name)
    camera = f"its {key} camera; lens distortion is ignored" if key else "its default camera"
    known = calibrate(
        folder,
        options,
        intrinsics=INTRINSICS[key],
        intrinsics_how=f"assumed: what TUM RGB-D states for {camera}",
        depth_scale_m=1 / 5000,
        scale_how="as TUM RGB-D defines (5000 units a metre)",
    )
    poses = _read_poses(folder / "groundtruth.txt")
    pose_times = dict(associate([color for color, _ in pairs], list(poses), MAX_GAP_S, unique=False))
    if poses:
        pairs = [pair for pair in pairs if pair[0] in pose_times]
    if not pairs:
        raise SourceError(f"{folder / 'groundtruth.txt'}: no pose lies within {MAX_GAP_S} s of an image")
    frames = tuple(
        FrameFiles(
            colors[color],
            depths[depth],
            pose=poses[pose_times[color]] if poses else None,
            intrinsics=known.intrinsics,
            time_s=color,
        )
        for color, depth in pairs
    )
    notes = (*known.notes, *_association_notes(len(colors), len(frames), bool(poses)))
    return open_recording(Recording(folder, LAYOUT.title, frames, known.depth_scale_m, notes=notes), options)


def _association_notes(listed: int, kept: int, posed: bool) -> Iterable[str]:
    if posed:
        yield "Poses: world from camera (groundtruth.txt), as TUM RGB-D defines."
    if kept < listed:
        what = "depth and pose" if posed else "depth"
        yield f"{listed - kept} of {listed} colour images have no {what} within {MAX_GAP_S} s; left out."


def _read_list(folder: Path, name: str) -> dict[float, Path]:
    """Read `rgb.txt` or `depth.txt`: file by time stamp, seconds."""
    path = folder / name
    listed: dict[float, Path] = {}
    for line, words in read_rows(path, "lines of: time_stamp file_name"):
        where = f"{path}, line {line}"
        if len(words) != 2:
            raise SourceError(f"{where}: expected a time stamp and a file name, got {' '.join(words)!r}")
        time_s = _time_s(path, line, words)
        if time_s in listed:
            raise SourceError(f"{where}: duplicate time stamp {words[0]}; remove one of the two lines")
        listed[time_s] = inside(folder, words[1], where)
    if not listed:
        raise SourceError(f"{path}: expected at least one line: time_stamp file_name; found none")
    return dict(sorted(listed.items()))


def _read_poses(path: Path) -> dict[float, CameraPose]:
    """Read `groundtruth.txt`: pose by time stamp, seconds; empty where there is no such file."""
    if not path.exists():
        return {}
    what = "time_stamp tx ty tz qx qy qz qw"
    poses = {}
    for line, words in read_rows(path, what):
        row = numbers_of(path, line, words, (8,), what)
        poses[_time_s(path, line, words)] = quaternion_pose(f"{path}, line {line}", row[1:])
    return dict(sorted(poses.items()))


def _time_s(path: Path, line: int, words: Sequence[str]) -> float:
    time_s = numbers_of(path, line, words[:1], (1,), "a time stamp in seconds")[0]
    if not math.isfinite(time_s):
        raise SourceError(f"{path}, line {line}: expected a finite time stamp in seconds, got {words[0]}")
    return time_s


def associate(
    first_s: Sequence[float], second_s: Sequence[float], max_gap_s: float, *, unique: bool = True
) -> list[tuple[float, float]]:
    """Pair time stamps, the closest pairs first.

    Args:
        first_s: Ascending, seconds.
        second_s: Ascending, seconds.
        max_gap_s: Largest difference within a pair.
        unique: Whether a second stamp may be used only once.

    Returns:
        Pairs in ascending order of the first stamp; stamps without a partner are left out.

    Source: the greedy rule of the benchmark's `associate.py`, restricted to neighbours in time.
    """
    near = [
        (abs(first - second), first, second)
        for first in first_s
        for second in second_s[max(0, bisect_left(second_s, first) - 2) : bisect_left(second_s, first) + 2]
        if abs(first - second) <= max_gap_s
    ]
    pairs: dict[float, float] = {}
    used: set[float] = set()
    for _, first, second in sorted(near):
        if first not in pairs and not (unique and second in used):
            pairs[first] = second
            used.add(second)
    return sorted(pairs.items())


LAYOUT = Layout(
    "tum",
    "TUM RGB-D",
    "rgb.txt and depth.txt (time_stamp file_name), groundtruth.txt (time_stamp tx ty tz qx qy qz qw)",
    _recognises,
    _read,
)
