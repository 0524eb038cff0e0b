"""Videos: every picture at its own time, whatever the order in which they are asked for."""

import random
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.media import open_source, video
from spatial_agent.tools.scene import CameraIntrinsics

COUNT = 40
STEP = 5  # grey levels from one picture to the next


def write_video(path: Path, codec: str = "libx264", **options: str) -> Path:
    """Write pictures whose grey level is `STEP` times their number; the upper left corner is white."""
    with av.open(str(path), "w", options=options) as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=Fraction(10)))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size = 12
        stream.codec_context.bit_rate = 8_000_000
        for number in range(COUNT):
            pixels = np.full((48, 64, 3), STEP * number + 20, np.uint8)
            pixels[:16, :16] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def number_of(rgb: object) -> int:
    return round((float(np.median(np.asarray(rgb))) - 20) / STEP)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mkv", "libx264"),
        ("a.webm", "libvpx-vp9"),
        ("a.avi", "mpeg4"),
        ("a.mov", "mpeg4"),
    ],
)
def test_every_picture_is_found_in_any_order(name: str, codec: str, tmp_path: Path) -> None:
    frames = open_source(write_video(tmp_path / name, codec))
    assert len(frames) == COUNT
    assert [header.time_s for header in frames.headers] == pytest.approx([0.1 * k for k in range(COUNT)])
    order = list(range(COUNT)) + random.Random(3).sample(range(COUNT), COUNT)
    assert [number_of(frames.load(k).rgb) for k in order] == order


def test_a_video_says_that_it_has_no_depth_and_no_poses(tmp_path: Path) -> None:
    frames = open_source(write_video(tmp_path / "a.mp4"), max_frames=4)
    assert "4 frames (of 40, evenly spaced) over 3.9 s" in frames.notes[0]
    assert "depth, poses, intrinsics" in frames.notes[1]
    assert [number_of(frame.rgb) for frame in frames] == [0, 13, 26, 39]
    assert frames.load(0, rgb=False).rgb is None


def test_threads_share_one_decoder(tmp_path: Path) -> None:
    frames = open_source(write_video(tmp_path / "a.mp4"))
    with ThreadPoolExecutor(4) as pool:
        found = [number_of(frame.rgb) for frame in pool.map(frames.load, range(COUNT))]
    assert found == list(range(COUNT))


def test_reading_on_decodes_no_picture_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = open_source(write_video(tmp_path / "a.mp4"))
    seeks: list[int | None] = []
    seek = video.VideoLoader._seek

    def counted(loader: video.VideoLoader, stamp: int | None) -> None:
        seeks.append(stamp)
        seek(loader, stamp)

    monkeypatch.setattr(video.VideoLoader, "_seek", counted)
    for index in range(12):
        frames.load(index)
    assert len(seeks) == 1
    frames.load(39)
    assert len(seeks) == 2


def test_the_hash_is_of_content_and_selection(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_bytes(path.read_bytes())
    assert open_source(path).content_hash == open_source(tmp_path / "b.mp4").content_hash
    assert open_source(path).content_hash != open_source(path, max_frames=3).content_hash


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile other.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nother.mp4\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    ],
    ids=["list of files", "playlist", "address of a stream"],
)
def test_a_text_that_names_other_videos_is_no_video(tmp_path: Path, text: str) -> None:
    write_video(tmp_path / "other.mp4")
    (tmp_path / "a.mp4").write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match=r"a\.mp4.*no video"):
        open_source(tmp_path / "a.mp4")


def test_a_video_held_upright_is_turned(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    content = bytearray(path.read_bytes())
    one, minus_one, last = (value.to_bytes(4, "big", signed=True) for value in (1 << 16, -(1 << 16), 1 << 30))
    zero = bytes(4)
    upright = one + zero * 3 + one + zero * 3 + last
    # The track header's matrix: to be shown turned by a quarter clockwise, so the white corner comes right.
    clockwise = zero + one + zero + minus_one + zero * 4 + last
    at = content.index(upright, content.index(b"tkhd"))
    content[at : at + len(clockwise)] = clockwise
    path.write_bytes(content)
    rgb = open_source(path).load(0).rgb
    assert rgb is not None
    assert rgb.shape == (64, 48, 3)
    assert rgb[:10, -10:].min() > 200
    assert rgb[:10, :10].max() < 60


def test_given_intrinsics_must_fit_the_pictures(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    camera = CameraIntrinsics(60.0, 60.0, 31.5, 23.5, 64, 48)
    assert open_source(path, intrinsics=camera).headers[3].intrinsics == camera
    with pytest.raises(SourceError, match=r"a\.mp4: pictures are 64x48"):
        open_source(path, intrinsics=CameraIntrinsics(60.0, 60.0, 31.5, 23.5, 48, 64))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_a_truncated_video_is_refused(name: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / name, "mpeg4", **({"movflags": "faststart"} if name == "a.mp4" else {}))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SourceError, match=rf"{name}.*truncated"):
        open_source(path)


def test_an_mp4_without_its_table_of_contents_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(SourceError, match=r"a\.mp4"):
        open_source(path)


def test_sound_without_pictures_and_other_files_are_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(SourceError, match=r"a\.mkv: expected a video stream"):
        open_source(tmp_path / "a.mkv")
    (tmp_path / "b.mp4").write_text("no video")
    with pytest.raises(SourceError, match=r"b\.mp4.*no video"):
        open_source(tmp_path / "b.mp4")
