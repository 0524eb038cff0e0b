"""The process that opens received files for the first time; see `opening`.

It reads one JSON object from standard input and writes one to standard output.
"""

import json
import os
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.media.pixels import TooManyPixelsError
from spatial_agent.tools.media.video import SUFFIXES as VIDEO_SUFFIXES

#: The only readers of video that see the file, and the only way in which they may open one.
VIDEO_OPTIONS = {
    "format_whitelist": "mov,matroska,avi,mpeg,mpegvideo,mpegts",
    "protocol_whitelist": "file",
}
#: Headers may round lengths.
LENGTH_TOLERANCE = 1.05
NICENESS = 5
#: Letters of an error that are told: some readers repeat what they could not read.
MOST_LETTERS = 1000


class _TooLargeError(SourceError):
    """More frames, pixels or seconds than allowed."""


def look(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Open a source and say what it is.

    Args:
        wanted: ``source``, and the most ``frames``, ``pixels`` and ``video_seconds`` it may have.

    Returns:
        ``kind``, ``frames`` and ``notes``; or ``error``, and whether it is ``too_large``.
    """
    source = Path(wanted["source"])
    try:
        return _opened(source, wanted)
    except (_TooLargeError, TooManyPixelsError) as error:
        return {"error": _shortened(error), "too_large": True}
    except SourceError as error:
        return {"error": _shortened(error)}
    except MemoryError:
        return {"error": "the files cannot be opened: reading their headers takes too much memory"}
    # Whatever a reader does not foresee is the fault of these files, and theirs alone.
    except Exception as error:
        return {
            "error": f"the files cannot be opened: something in them makes no sense ({type(error).__name__})"
        }


def _shortened(error: SourceError) -> str:
    told = str(error)
    return told if len(told) <= MOST_LETTERS else f"{told[:MOST_LETTERS]}..."


def _opened(source: Path, wanted: Mapping[str, Any]) -> dict[str, Any]:
    if source.suffix.lower() == ".json" and source.name != "scan.json":
        from spatial_agent.tools.mapping.scene_file import read_scene

        scene = read_scene(source)
        return {"kind": "scene", "frames": 0, "notes": list(scene.notes)}
    from spatial_agent.tools.media import open_source

    if source.suffix.lower() in VIDEO_SUFFIXES:
        _check_video(source, wanted)
    frames = open_source(source)
    if len(frames) > wanted["frames"]:
        raise _TooLargeError(f"expected at most {wanted['frames']} frames in one scene, got {len(frames)}")
    length_s = frames.headers[-1].time_s or 0.0
    if frames.layout == "video" and length_s > wanted["video_seconds"]:
        raise _TooLargeError(
            f"expected a video of at most {wanted['video_seconds']} s, got {length_s:.0f} s; cut it shorter"
        )
    return {"kind": frames.layout, "frames": len(frames), "notes": list(frames.notes)}


def _check_video(source: Path, wanted: Mapping[str, Any]) -> None:
    """Check what the header claims, before its pictures are counted."""
    import av

    try:
        with av.open(str(source), options=VIDEO_OPTIONS) as container:
            streams = container.streams.video
            sizes = [(stream.codec_context.width, stream.codec_context.height) for stream in streams]
            length_s = (container.duration or 0) / 1e6
    except (av.FFmpegError, OSError) as error:
        raise SourceError(
            f"{source}: damaged, truncated or no video ({error}); expected a whole one: copy it again"
        ) from error
    width, height = max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))
    if width * height > wanted["pixels"]:
        raise _TooLargeError(
            f"{source}: expected pictures of at most {wanted['pixels'] / 1e6:.1f} million pixels, "
            f"got {width}x{height}"
        )
    if length_s > wanted["video_seconds"] * LENGTH_TOLERANCE:
        raise _TooLargeError(
            f"{source}: expected a video of at most {wanted['video_seconds']} s, its header claims "
            f"{length_s:.0f} s; cut it shorter"
        )


def main() -> None:
    """Set the limits of this process, then open what standard input names."""
    wanted = json.load(sys.stdin)
    for limit, most in (
        (resource.RLIMIT_DATA, wanted["memory_bytes"]),
        (resource.RLIMIT_CPU, wanted["cpu_seconds"]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    # What answers questions goes first.
    os.nice(NICENESS)
    json.dump(look(wanted), sys.stdout)


if __name__ == "__main__":
    main()
