"""From files per frame to a `FrameSet`: sizes checked, content hashed, pixels decoded on demand."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.media.layout import ReadOptions, evenly_spaced
from spatial_agent.tools.media.pixels import ImageHeader, read_image_header, read_rgb, read_units, wrong_bits
from spatial_agent.tools.scene import CameraIntrinsics, CameraPose, DepthMap, Frame, FrameHeader, FrameSet

#: Colour and depth of one camera may differ this much in shape and still show the same view.
ASPECT_TOLERANCE = 0.02


@dataclass(frozen=True)
class FrameFiles:
    """The files of one frame and what is known of its camera.

    Attributes:
        color: Colour image.
        depth: 16-bit depth image, or None.
        instances: 16-bit instance image, or None.
        pose: Where the camera stands, or None.
        intrinsics: The pinhole of depth and resampled colour, or None.
        time_s: Seconds, from any zero, or None.
        focal_error: Relative standard deviation of the focal length; 0 where it was calibrated.
    """

    color: Path
    depth: Path | None = None
    instances: Path | None = None
    pose: CameraPose | None = None
    intrinsics: CameraIntrinsics | None = None
    time_s: float | None = None
    focal_error: float = 0.0

    @property
    def paths(self) -> tuple[Path | None, Path | None, Path | None]:
        """Colour, depth and instance file."""
        return self.color, self.depth, self.instances


@dataclass(frozen=True)
class Recording:
    """A recording as its layout describes it, before any image was opened.

    Attributes:
        path: The folder or file that was opened.
        layout: What the layout is called.
        frames: In recording order.
        depth_scale_m: Metres per depth unit.
        no_depth_unit: A depth unit that means "none" besides 0, or None.
        instance_labels: Label of every instance id.
        gravity: Direction in which things fall, in the recording's world, or None.
        upright: Whether photographs are turned as their EXIF orientation says.
        notes: What was found or assumed.
    """

    path: Path
    layout: str
    frames: tuple[FrameFiles, ...]
    depth_scale_m: float = 0.001
    no_depth_unit: int | None = None
    instance_labels: Mapping[int, str] = field(default_factory=dict)
    gravity: NDArray[np.float64] | None = None
    upright: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class RecordingLoader:
    """Decodes one frame of a recording; holds no open file, so threads may share it.

    Attributes:
        recording: Where the files are.
        headers: One per frame.
    """

    recording: Recording
    headers: tuple[FrameHeader, ...]

    def __call__(self, index: int, rgb: bool, depth: bool, instances: bool) -> Frame:
        """Decode the wanted parts of one frame.

        Raises:
            SourceError: If an image cannot be decoded.
        """
        files, header = self.recording.frames[index], self.headers[index]
        camera = header.intrinsics
        size = (camera.width, camera.height) if camera else None
        return Frame(
            header,
            read_rgb(files.color, size, upright=self.recording.upright) if rgb else None,
            self._depth(files.depth) if depth and files.depth else None,
            read_units(files.instances, "instance numbers") if instances and files.instances else None,
        )

    def _depth(self, path: Path) -> DepthMap:
        units = read_units(path, "depth")
        if self.recording.no_depth_unit is not None:
            units = np.where(units == self.recording.no_depth_unit, np.uint16(0), units)
        return DepthMap.from_units(units, self.recording.depth_scale_m)


def open_recording(recording: Recording, options: ReadOptions) -> FrameSet:
    """Check the files of a recording and make a `FrameSet` of it.

    Args:
        recording: What the layout found.
        options: Only `max_frames` is used here.

    Raises:
        SourceError: If there is no frame, or an image is missing, damaged or of the wrong size or depth.
    """
    if not recording.frames:
        raise SourceError(f"{recording.path}: expected at least one frame, found none")
    total = len(recording.frames)
    kept = tuple(recording.frames[index] for index in evenly_spaced(total, options.max_frames))
    recording = replace(recording, frames=kept)
    resampled = [_check_images(files, recording.upright) for files in kept]
    headers = _headers(kept)
    notes = (_summary(recording, total), *recording.notes, *_lacking(recording))
    if any(resampled):
        notes += ("Colour images are resampled to the size that the intrinsics describe.",)
    return FrameSet(
        name=recording.path.resolve().name,
        layout=recording.layout,
        headers=headers,
        loader=RecordingLoader(recording, headers),
        content_hash=hash_content(recording),
        instance_labels=recording.instance_labels,
        gravity=recording.gravity,
        notes=notes,
    )


def _headers(frames: tuple[FrameFiles, ...]) -> tuple[FrameHeader, ...]:
    start_s = frames[0].time_s or 0.0
    return tuple(
        FrameHeader(
            index=index,
            name=files.color.name,
            intrinsics=files.intrinsics,
            pose=files.pose,
            time_s=None if files.time_s is None else files.time_s - start_s,
            has_depth=files.depth is not None,
            has_instances=files.instances is not None,
            focal_error=files.focal_error,
        )
        for index, files in enumerate(frames)
    )


def _check_images(files: FrameFiles, upright: bool) -> bool:
    """Check sizes and bit depths from the image headers; return whether colour must be resampled."""
    header = read_image_header(files.color)
    size = header.upright_size if upright else (header.width, header.height)
    if header.is_depth_like:
        raise SourceError(
            f"{files.color}: expected a colour image, got one channel of 16 bits (a depth image?)"
        )
    for path, what in ((files.depth, "depth"), (files.instances, "instance numbers")):
        if path is not None:
            _check_units(path, what, read_image_header(path), files.intrinsics)
    camera = files.intrinsics
    if camera is None or size == (camera.width, camera.height):
        return False
    stretch = size[0] * camera.height / (size[1] * camera.width)
    if files.depth is None or abs(stretch - 1) > ASPECT_TOLERANCE:
        raise SourceError(
            f"{files.color}: colour is {size[0]}x{size[1]}, the intrinsics describe "
            f"{camera.width}x{camera.height}; give the intrinsics of this camera"
        )
    return True


def _check_units(path: Path, what: str, header: ImageHeader, camera: CameraIntrinsics | None) -> None:
    if not header.is_depth_like:
        raise SourceError(f"{path}: {wrong_bits(what, header)}")
    if camera is not None and (header.width, header.height) != (camera.width, camera.height):
        raise SourceError(
            f"{path}: {what} is {header.width}x{header.height}, the intrinsics describe "
            f"{camera.width}x{camera.height}; give the intrinsics of the depth camera"
        )


def _summary(recording: Recording, total: int) -> str:
    count = len(recording.frames)
    frames = f"{count} frame{'s' if count > 1 else ''}"
    of_total = f" (of {total}, evenly spaced)" if count < total else ""
    return f"Opened as {recording.layout}: {frames}{of_total}."


def _lacking(recording: Recording) -> tuple[str, ...]:
    """Say what the recording lacks for measuring."""
    frames = recording.frames
    parts = {
        "depth": [files.depth is not None for files in frames],
        "poses": [files.pose is not None for files in frames],
        "intrinsics": [files.intrinsics is not None for files in frames],
    }
    lacking = [name for name, has in parts.items() if not all(has)]
    return (lacking_note(lacking, len(frames)),) if lacking else ()


def lacking_note(lacking: list[str], count: int) -> str:
    """Say that parts are missing and what follows from it."""
    if count == 1:
        return f"This frame has no {', '.join(lacking)}: what measuring needs of them has to be estimated."
    return (
        f"Not every frame has {', '.join(lacking)}: measuring needs posed depth, and working out what is "
        "missing from the pictures is not built yet."
    )


def hash_content(recording: Recording) -> str:
    """Return a hex digest of everything that decides what is measured.

    That is the bytes of every image, the poses, intrinsics and times as read, and the scale; not
    where the files lie.
    """
    gravity = None if recording.gravity is None else recording.gravity.tolist()
    labels = sorted(recording.instance_labels.items())
    settings = [recording.layout, recording.depth_scale_m, recording.no_depth_unit, labels, gravity]
    digest = hashlib.sha256(json.dumps(settings).encode())
    for files in recording.frames:
        camera = files.intrinsics
        pose = None if files.pose is None else files.pose.world_from_camera.tolist()
        digest.update(json.dumps([files.color.name, files.time_s, pose, camera and vars(camera)]).encode())
        for path in files.paths:
            digest.update(b"-" if path is None else hash_file(path))
    return digest.hexdigest()


def hash_file(path: Path) -> bytes:
    """Return the SHA-256 of a file, read in pieces.

    Raises:
        SourceError: If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
