"""The one door: find out what a path holds and open it."""

from pathlib import Path

from spatial_agent.tools.errors import InvalidValueError, SourceError
from spatial_agent.tools.media import (
    images,
    quaternion_poses,
    redwood,
    replica,
    scan_json,
    scannet,
    seven_scenes,
    tum,
    video,
)
from spatial_agent.tools.media.layout import Layout, ReadOptions
from spatial_agent.tools.scene import CameraIntrinsics, FrameSet

#: Layouts with a signature of their own; at most one may fit a path.
DISTINCT = (
    scan_json.LAYOUT,
    seven_scenes.LAYOUT,
    tum.LAYOUT,
    scannet.LAYOUT,
    redwood.LAYOUT,
    replica.LAYOUT,
    quaternion_poses.LAYOUT,
    video.LAYOUT,
    images.IMAGE,
)
#: Every layout; a bare folder of images is what remains where nothing else fits.
LAYOUTS: tuple[Layout, ...] = (*DISTINCT, images.IMAGES)
MAX_SUGGESTIONS = 5


def open_source(
    path: str | Path,
    *,
    layout: str | None = None,
    depth_scale_m: float | None = None,
    intrinsics: CameraIntrinsics | None = None,
    max_frames: int | None = None,
) -> FrameSet:
    """Open an image, a folder of images, a video or a posed RGB-D scan.

    Headers are read at once, pixels when they are asked for; what was detected or assumed is in the
    notes of the result.

    Args:
        path: File or folder.
        layout: Key of one of `LAYOUTS`; found out where None.
        depth_scale_m: Metres per stored depth unit; overrides what the layout says.
        intrinsics: The pinhole of every frame; overrides what the layout says.
        max_frames: Keep at most this many frames, evenly spaced over the recording.

    Raises:
        SourceError: If the files are not what they should be; the message names the file.
        InvalidValueError: If an option makes no sense.
    """
    options = ReadOptions(depth_scale_m, intrinsics, max_frames)
    source = Path(path).expanduser()
    if not source.exists():
        raise SourceError(f"{source}: no such file or folder")
    return _find_layout(source, layout).read(source, options)


def _find_layout(source: Path, wanted: str | None) -> Layout:
    if wanted is not None:
        chosen = next((layout for layout in LAYOUTS if layout.key == wanted), None)
        if chosen is None:
            keys = ", ".join(layout.key for layout in LAYOUTS)
            raise InvalidValueError(f"layout: expected one of {keys}; got {wanted!r}")
        return chosen
    fitting = [layout for layout in DISTINCT if layout.recognises(source)]
    if len(fitting) > 1:
        titles = " and ".join(layout.title for layout in fitting)
        keys = " or ".join(f"layout={layout.key!r}" for layout in fitting)
        raise SourceError(f"{source}: looks like {titles} at once; say which with {keys}")
    if fitting:
        return fitting[0]
    if images.IMAGES.recognises(source):
        return images.IMAGES
    raise SourceError(_unknown(source))


def _unknown(source: Path) -> str:
    """Say what was expected, what lies there, and where to look instead."""
    lines = [f"{source}: {_what_lies_there(source)}, which is none of the known layouts:"]
    lines += [f"  {layout.key}: {layout.needs}" for layout in LAYOUTS]
    inner = _recognised_folders(source) if source.is_dir() else []
    if inner:
        lines.append(f"Did you mean {' or '.join(str(path) for path in inner)}?")
    return "\n".join(lines)


def _what_lies_there(source: Path) -> str:
    if source.is_file():
        return f"a file of type {source.suffix or '(none)'}"
    if not source.is_dir():
        return "neither a file nor a folder"
    names = sorted(path.name for path in source.iterdir() if not path.name.startswith("."))
    if not names:
        return "an empty folder"
    return f"a folder with {', '.join(names[:6])}{', ...' if len(names) > 6 else ''}"


def _recognised_folders(source: Path) -> list[Path]:
    folders = sorted(path for path in source.iterdir() if path.is_dir())
    fitting = (path for path in folders if any(layout.recognises(path) for layout in DISTINCT))
    return [path for path, _ in zip(fitting, range(MAX_SUGGESTIONS), strict=False)]
