"""Writing frames as a scan folder, ``spatial-agent/scan@1``."""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.scene import CameraIntrinsics, Frame, FrameHeader, FrameSet

DEPTH_SCALE_M = 0.001
DEEPEST_M = 65.535


def write_scan(frames: FrameSet, folder: str | os.PathLike[str]) -> Path:
    """Write frames to a new folder that `open_source` reads; nothing is left behind on failure.

    Depth is rounded to millimetres, colour kept without loss.

    Args:
        frames: Frames with colour, depth and intrinsics.
        folder: Must not exist yet, or be empty.

    Returns:
        The folder.

    Raises:
        InvalidValueError: If a frame lacks depth, colour or intrinsics, or the folder is not empty.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidValueError(f"{target}: expected a new or empty folder; remove it or choose another")
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        unfinished.chmod(0o755)
        _fill(frames, unfinished)
        os.replace(unfinished, target)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return target


def _fill(frames: FrameSet, folder: Path) -> None:
    for part in ("color", "depth", "instances"):
        (folder / part).mkdir()
    entries = [_write_frame(frame, folder) for frame in frames]
    scan: dict[str, Any] = {"format": "spatial-agent/scan@1", "depth_scale_m": DEPTH_SCALE_M}
    if frames.gravity is not None:
        scan["gravity"] = frames.gravity.tolist()
    if frames.instance_labels:
        scan["instances"] = {str(number): label for number, label in frames.instance_labels.items()}
    scan["frames"] = entries
    (folder / "scan.json").write_text(json.dumps(scan, indent=1) + "\n", encoding="utf-8")


def _write_frame(frame: Frame, folder: Path) -> dict[str, Any]:
    header = frame.header
    if frame.depth is None or frame.rgb is None or header.intrinsics is None:
        raise InvalidValueError(f"{header.name}: expected colour, depth and intrinsics to write a scan")
    if frame.depth.z_m.max() > DEEPEST_M:
        raise InvalidValueError(f"{header.name}: depth beyond {DEEPEST_M} m does not fit 16 bit millimetres")
    name = f"{header.index:06d}.png"
    entry = {"color": f"color/{name}", "depth": f"depth/{name}", **_camera(header, header.intrinsics)}
    _save(frame.rgb, folder / entry["color"])
    _save(np.rint(frame.depth.z_m / DEPTH_SCALE_M).astype(np.uint16), folder / entry["depth"])
    if frame.instance_ids is not None:
        entry["instances"] = f"instances/{name}"
        _save(frame.instance_ids, folder / entry["instances"])
    return entry


def _camera(header: FrameHeader, intrinsics: CameraIntrinsics) -> dict[str, Any]:
    known: dict[str, Any] = {"intrinsics": vars(intrinsics)}
    if header.pose is not None:
        known["world_from_camera"] = header.pose.world_from_camera.tolist()
    if header.time_s is not None:
        known["time_s"] = header.time_s
    return known


def _save(pixels: NDArray[Any], path: Path) -> None:
    from PIL import Image

    Image.fromarray(pixels).save(path)
