"""Layouts without geometry: one image, or a folder of images."""

from pathlib import Path

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.media.calibration import calibrate, describe_intrinsics
from spatial_agent.tools.media.exif import focal_length
from spatial_agent.tools.media.layout import Layout, ReadOptions
from spatial_agent.tools.media.listing import list_images
from spatial_agent.tools.media.pixels import SUFFIXES, read_image_header
from spatial_agent.tools.media.recording import FrameFiles, Recording, open_recording
from spatial_agent.tools.scene import FrameSet


def _is_image(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in SUFFIXES


def _has_images(path: Path) -> bool:
    return path.is_dir() and bool(list_images(path))


def _read_image(path: Path, options: ReadOptions) -> FrameSet:
    frame = FrameFiles(path, intrinsics=options.intrinsics)
    notes: tuple[str, ...] = ()
    if options.intrinsics is None and (focal := focal_length(path)) is not None:
        camera = focal.intrinsics(*read_image_header(path).upright_size)
        frame = FrameFiles(path, intrinsics=camera, focal_error=focal.error)
        notes = (describe_intrinsics(camera, f"{focal.how}, give or take {focal.error:.0%}"),)
    return open_recording(Recording(path, IMAGE.title, (frame,), upright=True, notes=notes), options)


def _read_images(folder: Path, options: ReadOptions) -> FrameSet:
    paths = list_images(folder)
    pictures = [path for path in paths if not read_image_header(path).is_depth_like]
    if not pictures:
        raise SourceError(
            f"{folder}: expected colour images, found {len(paths)} with 16-bit depth only; "
            "a scan.json can say which colour belongs to which depth"
        )
    known = calibrate(
        folder, options, intrinsics=None, intrinsics_how="", depth_scale_m=1.0, scale_how="no depth"
    )
    frames = tuple(FrameFiles(path, intrinsics=known.intrinsics) for path in pictures)
    notes = known.notes[:-1]
    if len(pictures) < len(paths):
        notes += (
            f"{len(paths) - len(pictures)} 16-bit depth image(s) were left out: in a bare folder nothing "
            "says which picture they belong to; a scan.json can.",
        )
    return open_recording(Recording(folder, IMAGES.title, frames, upright=True, notes=notes), options)


SUFFIX_LIST = ", ".join(sorted(SUFFIXES))
IMAGE = Layout("image", "image", f"one file: {SUFFIX_LIST}", _is_image, _read_image)
IMAGES = Layout("images", "folder of images", f"a folder of {SUFFIX_LIST}", _has_images, _read_images)
