"""Recordings made to harm whoever opens them: they cost a process with limits, and say what is wrong."""

import asyncio
import json
import resource
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from spatial_agent.services.api.config import Limits
from spatial_agent.services.scene_files import opening
from spatial_agent.services.scene_files.errors import TooLargeError, UploadError
from spatial_agent.services.scene_files.first_look import look
from spatial_agent.services.scene_files.folder import SceneFiles
from spatial_agent.services.store.store import Store
from spatial_agent.tools.errors import SourceError
from tests.services.scene_files.conftest import MIB
from tests.services.scene_files.making import everything_below, parts, patched, picture, scan, video


def seen(tmp_path: Path, files: Mapping[str, bytes], **wanted: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Open files as the process does, in this one: for what needs no limits."""
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    source = tmp_path / next(iter(files)) if len(files) == 1 else tmp_path
    limits = {"frames": 30, "pixels": 1_000_000, "video_seconds": 60}
    return look({"source": str(source)} | limits | wanted)


@pytest.mark.parametrize(("name", "form"), [("a.mp4", "mp4"), ("a.mkv", "matroska"), ("a.avi", "avi")])
def test_a_video_is_opened(tmp_path: Path, name: str, form: str) -> None:
    assert seen(tmp_path, {name: video(7, form=form)})["frames"] == 7


@pytest.mark.parametrize(
    ("content", "wanted", "why"),
    [
        (video(31), {}, "at most 30 frames"),
        (video(5, (1280, 800)), {}, "1280x800"),
        (video(5), {"video_seconds": 0.2}, "at most 0.2 s"),
        # Every picture is shown for a quarter of an hour.
        (video(5, rate=Fraction(1, 900)), {}, "at most 60 s"),
    ],
)
def test_videos_are_held_to_their_limits(
    tmp_path: Path, content: bytes, wanted: dict[str, float], why: str
) -> None:
    told = seen(tmp_path, {"a.mp4": content}, **wanted)
    assert told["too_large"]
    assert why in told["error"]


@pytest.mark.parametrize(
    "content",
    [
        video()[:300],
        video()[:-300],
        b"\0\0\0\x18ftypisom" + bytes(500),
        patched(video(), b"stts", 8, 2**31 - 1),
        patched(video(), b"stts", 12, 2**31 - 1),
        b"RIFF\0\0\0\0AVI " + bytes(500),
        b"\x1aE\xdf\xa3" + bytes(500),
        b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 1 RTP/AVP 26\n",
    ],
)
def test_what_is_no_whole_video_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    told = seen(tmp_path, {"a.mp4": content})
    assert any(word in told["error"] for word in ("truncated", "video", "pixels"))


def test_a_list_of_other_files_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "other.mp4").write_bytes(video())
    assert "error" in seen(tmp_path, {"a.mp4": b"ffconcat version 1.0\nfile other.mp4\n"})


@pytest.mark.parametrize(
    "frame",
    [
        {"color": "../secret.png"},
        {"color": "color/../../secret.png"},
        {"depth": "/etc/passwd"},
        {"color": "color/0.png\0"},
        {"color": "x" * 5000},
        {"color": "color"},
        {"color": "."},
        {"instances": "file:///etc/passwd"},
        {"color": "https://example.org/a.png"},
    ],
)
def test_files_that_a_scan_names_stay_inside(tmp_path: Path, frame: dict[str, str]) -> None:
    (tmp_path / "secret.png").write_bytes(picture())
    told = seen(tmp_path / "scan", scan(**frame))
    assert "error" in told
    assert "traceback" not in told["error"].lower()


@pytest.mark.parametrize(
    "line", ["../secret.png", "/etc/passwd", "a\0.png", "x" * 5000, "rgb/../../secret.png"]
)
def test_files_that_lists_name_stay_inside(tmp_path: Path, line: str) -> None:
    (tmp_path / "secret.png").write_bytes(picture())
    lists = {"rgb.txt": f"1.0 {line}\n".encode(), "depth.txt": f"1.0 {line}\n".encode()}
    assert "error" in seen(tmp_path / "scan", lists)


def test_a_link_is_not_followed_out_of_the_folder(tmp_path: Path) -> None:
    """Uploads make no links; readers do not rely on that."""
    (tmp_path / "secret.png").write_bytes(picture())
    folder = tmp_path / "scan"
    folder.mkdir()
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    assert "leaves it" in seen(folder, scan(color="link.png"))["error"]


def test_errors_repeat_little_of_what_came(tmp_path: Path) -> None:
    told = seen(tmp_path, {"rgb.txt": b"0 " * 100_000, "depth.txt": b"0 a\n"})
    assert len(told["error"]) < 1100


def received(files: SceneFiles, sent: dict[str, bytes]) -> None:
    asyncio.run(files.receive("tenant", None, parts(sent.items(), piece=MIB)))


@pytest.mark.parametrize(
    "sent",
    [
        # Two hundred million pictures of one byte each, in a kilobyte.
        {"a.mp4": patched(patched(video(), b"stsz", 4, 1), b"stsz", 8, 200_000_000)},
        {"scan.json": b'{"depth_scale_m": 0.001, "frames": [' + b"1," * (3 * MIB) + b"1]}"},
        {"scan.json": b"[" * (3 * MIB)},
    ],
)
def test_what_takes_too_much_memory_takes_it_elsewhere(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, sent: dict[str, bytes]
) -> None:
    monkeypatch.setattr(opening, "MOST_MEMORY_BYTES", 400 * MIB)
    files = SceneFiles(tmp_path / "roomy", store, Limits())
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UploadError) as caught:
        received(files, sent)
    assert str(tmp_path) not in str(caught.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 64 * 1024
    assert everything_below(files.root / "incoming") == []


def test_what_takes_too_long_is_stopped(
    files: SceneFiles, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "MOST_SECONDS", 0)
    with pytest.raises(UploadError, match="memory or time"):
        received(files, {"a.mp4": video()})
    assert store.scenes.listed("tenant") == []


def test_too_large_is_told_from_wrong(files: SceneFiles) -> None:
    with pytest.raises(TooLargeError, match="30 frames"):
        received(files, {"a.mp4": video(31)})
    document = json.dumps({"format": "spatial-agent/scene@1", "scale": "metric", "objects": [{"id": 1}]})
    with pytest.raises(SourceError, match="is not a spatial-agent/scene@1"):
        received(files, {"a.json": document.encode()})
