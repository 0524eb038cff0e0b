"""Our own layout, ``spatial-agent/scan@1``: a `scan.json` that names every file and number.

The exact meaning of each field is in docs/input.md; unknown fields are refused, so that a misspelt one
is not silently without effect.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.media.calibration import describe_intrinsics, describe_scale, intrinsics_of
from spatial_agent.tools.media.layout import Layout, ReadOptions
from spatial_agent.tools.media.listing import inside
from spatial_agent.tools.media.recording import FrameFiles, Recording, open_recording
from spatial_agent.tools.media.tables import matrix_pose, read_text
from spatial_agent.tools.scene import CameraIntrinsics, CameraPose, FrameSet

if TYPE_CHECKING:
    from spatial_agent.tools.media.scan_schema import Scan, ScanFrame

MANIFEST = "scan.json"
MAX_MESSAGES = 8


def _manifest(path: Path) -> Path:
    return path / MANIFEST if path.is_dir() else path


def _recognises(path: Path) -> bool:
    return _manifest(path).name == MANIFEST and _manifest(path).is_file()


def _read(path: Path, options: ReadOptions) -> FrameSet:
    manifest = _manifest(path).parent.resolve() / _manifest(path).name
    scan = _parse(manifest)
    _check_consistency(manifest, scan)
    frames = tuple(_frame_files(manifest, index, frame, options) for index, frame in enumerate(scan.frames))
    depth_scale_m = options.depth_scale_m or scan.depth_scale_m
    recording = Recording(
        manifest.parent,
        LAYOUT.title,
        frames,
        depth_scale_m,
        instance_labels={number: label.strip().lower() for number, label in scan.instances.items()},
        gravity=None if scan.gravity is None else np.array(scan.gravity),
        notes=_notes(scan, frames, options, depth_scale_m),
    )
    return open_recording(recording, options)


def _parse(manifest: Path) -> "Scan":
    from pydantic import ValidationError

    from spatial_agent.tools.media.scan_schema import Scan

    text = read_text(manifest, "a spatial-agent/scan@1 description")
    try:
        return Scan.model_validate_json(text)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        lines = [f"{_place(problem['loc'])}: {problem['msg']}" for problem in problems[:MAX_MESSAGES]]
        more = len(problems) - len(lines)
        tail = f"; and {more} more" if more else ""
        raise SourceError(f"{manifest}: not a spatial-agent/scan@1: {'; '.join(lines)}{tail}") from error


def _place(location: tuple[int | str, ...]) -> str:
    """Return where a field stands, such as ``frames[2].intrinsics.fx``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".") or "the file"


def _check_consistency(manifest: Path, scan: "Scan") -> None:
    """Check what no single field can show."""
    if scan.gravity is not None and np.linalg.norm(scan.gravity) < 1e-9:
        raise SourceError(f"{manifest}: gravity: expected a direction, got a zero vector")
    if not scan.instances and any(frame.instances for frame in scan.frames):
        raise SourceError(
            f"{manifest}: instances: expected a label for every id, since frames have instance images"
        )
    seen: dict[str, int] = {}
    last_s = -np.inf
    for index, frame in enumerate(scan.frames):
        if frame.color in seen:
            raise SourceError(
                f"{manifest}: frames[{index}].color: duplicate of frames[{seen[frame.color]}] ({frame.color})"
            )
        seen[frame.color] = index
        if frame.time_s is not None:
            if frame.time_s < last_s:
                raise SourceError(
                    f"{manifest}: frames[{index}].time_s: expected times in recording order, "
                    f"got {frame.time_s} after {last_s}"
                )
            last_s = frame.time_s


def _frame_files(manifest: Path, index: int, frame: "ScanFrame", options: ReadOptions) -> FrameFiles:
    where = f"{manifest}: frames[{index}]"

    def resolve(field: str, relative: str | None) -> Path | None:
        return None if relative is None else inside(manifest.parent, relative, f"{where}.{field}")

    return FrameFiles(
        color=inside(manifest.parent, frame.color, f"{where}.color"),
        depth=resolve("depth", frame.depth),
        instances=resolve("instances", frame.instances),
        pose=_pose(where, frame),
        intrinsics=options.intrinsics or _intrinsics(where, frame),
        time_s=frame.time_s,
    )


def _pose(where: str, frame: "ScanFrame") -> CameraPose | None:
    rows = frame.world_from_camera
    return None if rows is None else matrix_pose(where, np.array(rows))


def _intrinsics(where: str, frame: "ScanFrame") -> CameraIntrinsics:
    return intrinsics_of(f"{where}.intrinsics", frame.intrinsics.model_dump())


def _notes(
    scan: "Scan", frames: tuple[FrameFiles, ...], options: ReadOptions, depth_scale_m: float
) -> tuple[str, ...]:
    given, read = "given by the caller", f"read from {MANIFEST}"
    notes = [describe_intrinsics(frames[0].intrinsics, given if options.intrinsics else read)]
    if any(files.intrinsics != frames[0].intrinsics for files in frames):
        notes = [f"Intrinsics: {read}, different for some frames."]
    if any(files.depth for files in frames):
        notes.append(describe_scale(depth_scale_m, given if options.depth_scale_m else read))
    if any(files.pose for files in frames):
        notes.append(f"Poses: world from camera, {read}.")
    if scan.instances:
        notes.append(f"Instances: {len(scan.instances)} labelled, {read}.")
    if scan.gravity is not None:
        notes.append(f"Gravity: {scan.gravity}, {read}.")
    return tuple(notes)


LAYOUT = Layout(
    "scan",
    "spatial-agent/scan@1",
    "scan.json that lists every frame's files, pose and intrinsics (docs/input.md)",
    _recognises,
    _read,
)
