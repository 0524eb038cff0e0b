"""Which intrinsics and depth scale apply, and where they come from: argument, file or stated default."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spatial_agent.tools.errors import InvalidValueError, SourceError
from spatial_agent.tools.media.layout import ReadOptions
from spatial_agent.tools.media.tables import read_text
from spatial_agent.tools.scene import CameraIntrinsics

SIDECARS = ("intrinsics.json", "camera.json")
FIELDS = ("fx", "fy", "cx", "cy", "width", "height")


@dataclass(frozen=True)
class Calibration:
    """Intrinsics and depth scale of a recording, and how each came to be known.

    Attributes:
        intrinsics: The pinhole, or None where nothing is known.
        depth_scale_m: Metres per depth unit.
        notes: One sentence each.
    """

    intrinsics: CameraIntrinsics | None
    depth_scale_m: float
    notes: tuple[str, ...]


def calibrate(
    folder: Path,
    options: ReadOptions,
    *,
    intrinsics: CameraIntrinsics | None,
    intrinsics_how: str,
    depth_scale_m: float,
    scale_how: str,
) -> Calibration:
    """Choose intrinsics and depth scale: an argument beats a file beside the frames beats the layout.

    Args:
        folder: Where `intrinsics.json` or `camera.json` may lie.
        options: What the caller gave.
        intrinsics: What the layout says or assumes.
        intrinsics_how: Where that comes from.
        depth_scale_m: What the layout says or assumes.
        scale_how: Where that comes from.

    Raises:
        SourceError: If a file beside the frames cannot be read.
    """
    sidecar = read_sidecar(folder)
    if sidecar is not None:
        name, intrinsics, scale = sidecar
        intrinsics_how = f"read from {name}"
        if scale is not None:
            depth_scale_m, scale_how = scale, f"read from {name}"
    if options.intrinsics is not None:
        intrinsics, intrinsics_how = options.intrinsics, "given by the caller"
    if options.depth_scale_m is not None:
        depth_scale_m, scale_how = options.depth_scale_m, "given by the caller"
    notes = (describe_intrinsics(intrinsics, intrinsics_how), describe_scale(depth_scale_m, scale_how))
    return Calibration(intrinsics, depth_scale_m, tuple(note for note in notes if note))


def describe_intrinsics(intrinsics: CameraIntrinsics | None, how: str) -> str:
    """Say in one sentence which pinhole is used and why."""
    if intrinsics is None:
        return ""
    numbers = ", ".join(f"{name} {getattr(intrinsics, name):g}" for name in FIELDS[:4])
    return f"Intrinsics: {numbers} px at {intrinsics.width}x{intrinsics.height}, {how}."


def describe_scale(depth_scale_m: float, how: str) -> str:
    """Say in one sentence what a depth unit is and why."""
    return f"Depth: one unit is {depth_scale_m:.6g} m, {how}; 0 means none."


def read_sidecar(folder: Path) -> tuple[str, CameraIntrinsics, float | None] | None:
    """Read `intrinsics.json` or `camera.json`: name, intrinsics and depth scale, or None if absent.

    Raises:
        SourceError: If there are both, or the one there is is wrong.
    """
    found = [folder / name for name in SIDECARS if (folder / name).is_file()]
    if len(found) > 1:
        raise SourceError(f"{folder}: expected one of {' and '.join(SIDECARS)}, got both; remove one")
    if not found:
        return None
    path = found[0]
    content = read_object(path, "intrinsics {fx, fy, cx, cy, width, height} in pixels")
    scale = content.get("depth_scale_m")
    if scale is not None and not (is_number(scale) and scale > 0):
        raise SourceError(f"{path}: depth_scale_m: expected metres per depth unit > 0, got {scale!r}")
    return path.name, intrinsics_of(path, content), scale


def read_object(path: Path, what: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        SourceError: If the file holds anything else.
    """
    try:
        content = json.loads(read_text(path, what))
    except (json.JSONDecodeError, RecursionError) as error:
        raise SourceError(f"{path}: expected {what}, but it is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise SourceError(f"{path}: expected {what}, got a JSON {type(content).__name__}")
    return content


def is_number(value: object) -> bool:
    """Whether a JSON value is a finite number of sane size; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15


def intrinsics_of(where: Path | str, content: dict[str, Any]) -> CameraIntrinsics:
    """Build intrinsics from a JSON object.

    Raises:
        SourceError: If a field is missing, no number, or cannot belong to a camera.
    """
    wrong = [name for name in FIELDS if not is_number(content.get(name))]
    wrong += [name for name in FIELDS[4:] if name not in wrong and int(content[name]) != content[name]]
    if wrong:
        got = ", ".join(f"{name} = {content.get(name)!r}" for name in wrong)
        raise SourceError(f"{where}: expected a number of pixels for each of {', '.join(FIELDS)}; got {got}")
    try:
        fx, fy, cx, cy = (float(content[name]) for name in FIELDS[:4])
        return CameraIntrinsics(fx, fy, cx, cy, int(content["width"]), int(content["height"]))
    except InvalidValueError as error:
        raise SourceError(f"{where}: {error}") from error
