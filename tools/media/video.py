"""Videos, through PyAV: all headers at once from the packets, pictures decoded in order on demand."""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.media.layout import Layout, ReadOptions, evenly_spaced
from spatial_agent.tools.media.pixels import check_pixel_count
from spatial_agent.tools.media.recording import hash_file, lacking_note
from spatial_agent.tools.scene import Frame, FrameHeader, FrameSet

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.stream import Stream

    Stamped = tuple[int, VideoFrame]

SUFFIXES = frozenset({".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg"})
#: What FFmpeg may take a file for, and that it opens nothing but files: left to itself it takes a list of
#: other files, or the address of a stream, for a video as well.
OPENING = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo",
    "protocol_whitelist": "file",
}
#: A recording may end this much before its header says (seconds, and share of its length).
END_TOLERANCE = (0.5, 0.1)


@dataclass(frozen=True)
class VideoIndex:
    """What the packets of a video say without decoding one.

    Attributes:
        stamps: Presentation time of each picture, ascending, in the stream's own unit.
        key_stamps: Those of pictures that decode without others.
        second_per_stamp: Length of the stream's unit, seconds.
        width: Pixels, as stored.
        height: Pixels, as stored.
    """

    stamps: tuple[int, ...]
    key_stamps: tuple[int, ...]
    second_per_stamp: float
    width: int
    height: int


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what FFmpeg says about a file into a `SourceError` naming it."""
    import av

    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise SourceError(
            f"{path}: damaged, truncated or no video ({error}); expected a whole one: copy it again"
        ) from error


def read_video_index(path: Path) -> VideoIndex:
    """Read the time of every picture of the first video stream.

    Raises:
        SourceError: If it is no video, has no pictures or times, or ends before its header says.
    """
    import av

    with _readable(path), av.open(str(path), options=OPENING) as container:
        if not container.streams.video:
            raise SourceError(f"{path}: expected a video stream, found none")
        stream = container.streams.video[0]
        check_pixel_count(path, stream.codec_context.width, stream.codec_context.height)
        stamps: list[int] = []
        keys: list[int] = []
        end_s = 0.0
        for packet in container.demux():
            if packet.size and packet.pts is not None:
                end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream.index == stream.index and packet.size and not packet.is_discard:
                stamps.append(_stamp(path, packet))
                if packet.is_keyframe:
                    keys.append(stamps[-1])
        _check_complete(path, stream.frames, len(stamps), container.duration, end_s)
        second_per_stamp = float(stream.time_base or 1)
        size = (stream.codec_context.width, stream.codec_context.height)
    if len(set(stamps)) != len(stamps):
        raise SourceError(f"{path}: two pictures have the same time stamp; {REMUX}")
    return VideoIndex(tuple(sorted(stamps)), tuple(sorted(keys)), second_per_stamp, *size)


REMUX = "write it anew, for example with `ffmpeg -i IN -c:v libx264 OUT.mp4`"


def _stamp(path: Path, packet: "Packet[Stream]") -> int:
    if packet.pts is None:
        raise SourceError(f"{path}: the pictures have no time stamps; {REMUX}")
    return int(packet.pts)


def _check_complete(path: Path, promised: int, found: int, duration_us: int | None, end_s: float) -> None:
    """Compare what the header promises with what is there."""
    if found == 0:
        raise SourceError(f"{path}: expected at least one picture, found none")
    if promised > found + 1:
        raise SourceError(
            f"{path}: truncated: the header promises {promised} pictures, found {found}; copy it again"
        )
    duration_s = (duration_us or 0) / 1e6
    slack_s, share = END_TOLERANCE
    if end_s + slack_s < duration_s * (1 - share):
        raise SourceError(
            f"{path}: truncated: the header promises {duration_s:.1f} s, the pictures end at {end_s:.1f} s; "
            "copy it again"
        )


class VideoLoader:
    """Decodes single pictures of a video, going on from the last one where that is shortest.

    One decoder is kept open behind a lock, so threads may share it. Asking in ascending order
    decodes every picture once; asking back, or past a key picture, seeks to the nearest key picture.
    """

    def __init__(
        self, path: Path, index: VideoIndex, stamps: tuple[int, ...], headers: tuple[FrameHeader, ...]
    ) -> None:
        """Remember where everything is; nothing is opened before the first picture is asked for."""
        self.path = path
        self.index = index
        self.stamps = stamps
        self.headers = headers
        self._lock = Lock()
        self._container: InputContainer | None = None
        self._pictures: Iterator[Stamped] = iter(())
        self._last: Stamped | None = None

    def __call__(self, index: int, rgb: bool, depth: bool, instances: bool) -> Frame:
        """Decode one picture; a video has neither depth nor instances.

        Raises:
            SourceError: If the picture cannot be decoded.
        """
        header = self.headers[index]
        if not rgb:
            return Frame(header)
        with self._lock, _readable(self.path):
            return Frame(header, _as_rgb(self._picture(self.stamps[index])))

    def _picture(self, stamp: int) -> "VideoFrame":
        if self._last is None or not self._key_before(stamp) <= self._last[0] <= stamp:
            self._seek(self._key_before(stamp))
        picture = self._advance(stamp)
        if picture is None:
            # Some containers seek by decoding order and land too late; the beginning is always right.
            self._seek(None)
            picture = self._advance(stamp)
        if picture is None or picture.is_corrupt:
            raise SourceError(
                f"{self.path}: the picture at {stamp * self.index.second_per_stamp:.2f} s cannot be decoded; "
                "the video is damaged or truncated"
            )
        return picture

    def _key_before(self, stamp: int) -> int:
        position = bisect_right(self.index.key_stamps, stamp) - 1
        return self.index.key_stamps[position] if position >= 0 else self.index.stamps[0]

    def _advance(self, stamp: int) -> "VideoFrame | None":
        """Decode on to a stamp; None if the pictures have passed it or ended."""
        while self._last is None or self._last[0] < stamp:
            self._last = next(self._pictures, None)
            if self._last is None:
                return None
        return self._last[1] if self._last[0] == stamp else None

    def _seek(self, stamp: int | None) -> None:
        """Go to a key picture, or with None to the very beginning by opening the file again."""
        import av

        if self._container is None or stamp is None:
            self._container = av.open(str(self.path), options=OPENING)
            self._container.streams.video[0].thread_type = "AUTO"
        stream = self._container.streams.video[0]
        if stamp is not None:
            self._container.seek(stamp, stream=stream)
        self._last = None
        pictures = self._container.decode(stream)
        self._pictures = ((picture.pts, picture) for picture in pictures if picture.pts is not None)


def _as_rgb(picture: "VideoFrame") -> NDArray[np.uint8]:
    """Return 8-bit colour, shape (H, W, 3), turned as the container says."""
    rgb = picture.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(rgb, round(picture.rotation / 90) % 4))


def _read(path: Path, options: ReadOptions) -> FrameSet:
    index = read_video_index(path)
    total = len(index.stamps)
    stamps = tuple(index.stamps[position] for position in evenly_spaced(total, options.max_frames))
    start = stamps[0]
    times_s = [(stamp - start) * index.second_per_stamp for stamp in stamps]
    headers = tuple(
        FrameHeader(position, f"{time_s:.3f} s", options.intrinsics, time_s=time_s)
        for position, time_s in enumerate(times_s)
    )
    loader = VideoLoader(path, index, stamps, headers)
    _check_intrinsics(path, loader, options)
    kept = f" (of {total}, evenly spaced)" if len(stamps) < total else ""
    lacking = ["depth", "poses", "intrinsics"][: 2 if options.intrinsics else 3]
    return FrameSet(
        name=path.resolve().name,
        layout=LAYOUT.title,
        headers=headers,
        loader=loader,
        content_hash=_hash(path, stamps, options),
        notes=(
            f"Opened as {LAYOUT.title}: {len(stamps)} frames{kept} over {times_s[-1]:.1f} s.",
            lacking_note(lacking, len(stamps)),
        ),
    )


def _check_intrinsics(path: Path, loader: VideoLoader, options: ReadOptions) -> None:
    camera = options.intrinsics
    if camera is None:
        return
    rgb = loader(0, True, False, False).rgb
    if rgb is not None and rgb.shape[:2] != (camera.height, camera.width):
        raise SourceError(
            f"{path}: pictures are {rgb.shape[1]}x{rgb.shape[0]}, the intrinsics describe "
            f"{camera.width}x{camera.height}; give the intrinsics of this camera"
        )


def _hash(path: Path, stamps: tuple[int, ...], options: ReadOptions) -> str:
    settings = [LAYOUT.title, stamps, options.intrinsics and vars(options.intrinsics)]
    return hashlib.sha256(json.dumps(settings).encode() + hash_file(path)).hexdigest()


def _recognises(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in SUFFIXES


LAYOUT = Layout("video", "video", f"one file: {', '.join(sorted(SUFFIXES))}", _recognises, _read)
