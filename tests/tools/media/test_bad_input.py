"""Bad input is refused with a message that names the file and says what is wrong."""

import json
import os
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.media import open_source

Copy = Callable[[str], Path]


def unlink(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def replace(name: str, old: str, new: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return change


def append(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text((folder / name).read_text() + text)


def image(name: str, mode: str, size: tuple[int, int] = (64, 48)) -> Callable[[Path], object]:
    return lambda folder: Image.new(mode, size).save(folder / name)


def pose(name: str, change: Callable[[NDArray[np.float64]], None]) -> Callable[[Path], object]:
    def rewrite(folder: Path) -> None:
        matrix = np.loadtxt(folder / name)
        change(matrix)
        np.savetxt(folder / name, matrix)

    return rewrite


def mirror(matrix: NDArray[np.float64]) -> None:
    matrix[:3, 0] *= -1


def stretch(matrix: NDArray[np.float64]) -> None:
    matrix[:3, :3] *= 1.1


def poison(matrix: NDArray[np.float64]) -> None:
    matrix[0, 3] = np.nan


def huge_png(path: Path, width: int, height: int) -> None:
    """Write the header of a 16-bit PNG that claims to be huge."""
    head = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    body = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")):
        body += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(body)


POSE = "frame-000002.pose.txt"
DEPTH = "frame-000002.depth.png"
COLOR = "frame-000002.color.png"
CASES = {
    # layout, what is done to it, what the message must name, what it must say
    "missing depth": ("7scenes", unlink(DEPTH), "frame-000002", "no depth file"),
    "missing colour": ("7scenes", unlink(COLOR), "frame-000002", "no colour file"),
    "missing pose": ("7scenes", unlink(POSE), "frame-000002", "no pose file"),
    "8-bit depth": (
        "7scenes",
        image(DEPTH, "L"),
        DEPTH,
        "one channel of 16 bits, got 1 channel(s) of 8 bits",
    ),
    "colour as depth": ("7scenes", image(DEPTH, "RGB"), DEPTH, "got 3 channel(s) of 8 bits"),
    "depth as colour": ("7scenes", image(COLOR, "I;16"), COLOR, "a depth image?"),
    "depth of another size": ("7scenes", image(DEPTH, "I;16", (32, 48)), DEPTH, "depth is 32x48"),
    "colour of another shape": ("7scenes", image(COLOR, "RGB", (64, 64)), COLOR, "colour is 64x64"),
    "NaN pose": ("7scenes", pose(POSE, poison), POSE, "NaN"),
    "stretched rotation": ("7scenes", pose(POSE, stretch), POSE, "not rigid"),
    "mirrored rotation": ("7scenes", pose(POSE, mirror), POSE, "mirrors"),
    "pose of three rows": ("7scenes", write(POSE, "1 0 0 0\n0 1 0 0\n0 0 1 0"), POSE, "got 3 rows"),
    "pose of words": ("7scenes", write(POSE, "a b c d"), f"{POSE}, line 1", "could not convert"),
    "empty image": ("7scenes", write(COLOR, ""), COLOR, "something else or an empty file"),
    "zero focal length": (
        "7scenes",
        replace("intrinsics.json", "60.0", "0.0"),
        "intrinsics.json",
        "positive fx",
    ),
    "NaN focal length": ("7scenes", replace("intrinsics.json", "60.0", "NaN"), "intrinsics.json", "fx = nan"),
    "no focal length": (
        "7scenes",
        replace("intrinsics.json", '"fx"', '"FX"'),
        "intrinsics.json",
        "fx = None",
    ),
    "intrinsics no JSON": ("7scenes", write("intrinsics.json", "fx: 3"), "intrinsics.json", "not JSON"),
    "intrinsics a list": ("7scenes", write("intrinsics.json", "[1]"), "intrinsics.json", "JSON list"),
    "two intrinsics": ("7scenes", write("camera.json", "{}"), "7scenes", "got both"),
    "TUM list with a missing file": (
        "tum",
        replace("rgb.txt", ".png", ".jpg"),
        "rgb.txt, line 2",
        "no such file",
    ),
    "TUM list leaving the folder": (
        "tum",
        replace("rgb.txt", "rgb/1305031453.000000.png", "../../x.png"),
        "rgb.txt, line 2",
        "leaves it",
    ),
    "TUM without depth list": ("tum", unlink("depth.txt"), "depth.txt", "missing"),
    "TUM empty list": ("tum", write("depth.txt", "# nothing\n"), "depth.txt", "found none"),
    "TUM duplicate": (
        "tum",
        append("rgb.txt", "1305031453.000000 rgb/1305031453.100000.png"),
        "rgb.txt",
        "duplicate",
    ),
    "TUM zero quaternion": (
        "tum",
        write("groundtruth.txt", "1305031453 0 0 0 0 0 0 0"),
        "groundtruth.txt, line 1",
        "unit quaternion",
    ),
    "TUM poses of another time": (
        "tum",
        write("groundtruth.txt", "5 0 0 0 0 0 0 1"),
        "groundtruth.txt",
        "no pose lies",
    ),
    "TUM NaN time": ("tum", append("rgb.txt", "nan rgb/1305031453.100000.png"), "rgb.txt", "finite"),
    "ScanNet without intrinsics": (
        "scannet",
        unlink("intrinsic/intrinsic_depth.txt"),
        "intrinsic_depth.txt",
        "missing",
    ),
    "ScanNet zero intrinsics": (
        "scannet",
        write("intrinsic/intrinsic_depth.txt", "0 0 0 0\n" * 4),
        "intrinsic_depth.txt",
        "positive fx",
    ),
    "Redwood too few poses": ("redwood", append("trajectory.log", "9 9 10\n"), "trajectory.log", "truncated"),
    "Redwood duplicate index": (
        "redwood",
        replace("trajectory.log", "1 1 2", "0 0 1"),
        "trajectory.log",
        "duplicate",
    ),
    "Redwood pose count": ("redwood", unlink("image/9.jpg"), "9.png", "no colour file"),
    "Redwood two files of one number": (
        "redwood",
        image("depth/08.png", "I;16"),
        "8.png",
        "duplicate frame index 8",
    ),
    "Replica pose count": (
        "replica",
        append("traj.txt", "\n1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1"),
        "traj.txt",
        "got 6",
    ),
    "Replica short pose": ("replica", append("traj.txt", " 1 2"), "traj.txt, line 5", "got 18 numbers"),
    "Replica no scale": (
        "replica",
        write("cam_params.json", '{"camera": {}}'),
        "cam_params.json",
        "scale > 0",
    ),
    "quaternion pose count": ("quaternion", append("pose.txt", "\n0 0 0 0 0 0 1"), "pose.txt", "got 6"),
    "quaternion NaN": (
        "quaternion",
        write("pose.txt", "nan 0 0 0 0 0 1\n" * 5),
        "pose.txt, line 1",
        "finite",
    ),
    "quaternion no depth": (
        "quaternion",
        lambda f: (f / "depth").rename(f / "z"),
        "quaternion",
        "folder depth/",
    ),
    "8-bit PGM": (
        "quaternion",
        lambda f: (f / "depth/9.pgm").write_bytes(b"P5 64 48 255\n" + bytes(3072)),
        "9.pgm",
        "16 bits",
    ),
    "two layouts": (
        "quaternion",
        write("trajectory.log", ""),
        "quaternion",
        "at once; say which with layout='redwood'",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_broken_scan_is_refused_by_name(case: str, scan_copy: Copy) -> None:
    layout, break_it, file, message = CASES[case]
    folder = scan_copy(layout)
    open_source(folder)
    break_it(folder)
    with pytest.raises(SourceError) as caught:
        open_source(folder)
    assert file in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("layout", ["7scenes", "redwood", "quaternion"])
@pytest.mark.parametrize("kind", ["color", "depth"])
def test_a_truncated_image_is_refused_when_decoded(layout: str, kind: str, scan_copy: Copy) -> None:
    folder = scan_copy(layout)
    names = {"color": ("color", "image"), "depth": ("depth",)}[kind]
    pictures = [path for path in folder.rglob("*.*") if path.suffix in (".png", ".jpg", ".pgm")]
    path = next(path for path in sorted(pictures) if any(n in str(path.relative_to(folder)) for n in names))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames = open_source(folder)
    with pytest.raises(SourceError, match=f"{path.name}.*truncated"):
        list(frames)


@pytest.mark.parametrize("size", [(9000, 9000), (100_000, 100_000)])
@pytest.mark.filterwarnings("default::PIL.Image.DecompressionBombWarning")
def test_absurd_sizes_are_refused_from_the_header(size: tuple[int, int], scan_copy: Copy) -> None:
    folder = scan_copy("7scenes")
    huge_png(folder / DEPTH, *size)
    with pytest.raises(SourceError, match=f"{DEPTH}.*(million pixels|too large)"):
        open_source(folder)


SCAN_CASES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "unknown field": (lambda s: s.update(depthscale=1), "depthscale: Extra inputs"),
    "no depth scale": (lambda s: s.pop("depth_scale_m"), "depth_scale_m: Field required"),
    "zero depth scale": (
        lambda s: s.update(depth_scale_m=0),
        "depth_scale_m: Input should be greater than 0",
    ),
    "text as a number": (
        lambda s: s.update(depth_scale_m="0.001"),
        "depth_scale_m: Input should be a valid number",
    ),
    "no frames": (lambda s: s.update(frames=[]), "frames: List should have at least 1"),
    "zero gravity": (lambda s: s.update(gravity=[0, 0, 0]), "gravity: expected a direction"),
    "other version": (
        lambda s: s.update(format="spatial-agent/scan@2"),
        "format: Input should be 'spatial-agent/scan@1'",
    ),
    "unlabelled instances": (lambda s: s.pop("instances"), "instances: expected a label"),
    "instance id 0": (lambda s: s.update(instances={"0": "x"}), "instances.0"),
    "zero focal length": (
        lambda s: s["frames"][2]["intrinsics"].update(fx=0),
        "frames[2].intrinsics.fx: Input should be greater than 0",
    ),
    "far principal point": (lambda s: s["frames"][2]["intrinsics"].update(cx=9000), "frames[2].intrinsics"),
    "NaN pose": (
        lambda s: s["frames"][1]["world_from_camera"][0].__setitem__(3, float("nan")),
        "frames[1].world_from",
    ),
    "short pose": (lambda s: s["frames"][1]["world_from_camera"].pop(), "frames[1].world_from_camera"),
    "stretched pose": (
        lambda s: s["frames"][1]["world_from_camera"][0].__setitem__(0, 5.0),
        "frames[1]: world_from",
    ),
    "missing file": (lambda s: s["frames"][1].update(color="color/9.png"), "frames[1].color: no such file"),
    "folder as file": (lambda s: s["frames"][1].update(color="color"), "frames[1].color: no such file"),
    "path out of the folder": (lambda s: s["frames"][1].update(depth="../7scenes/x.png"), "frames[1].depth"),
    "absolute path": (
        lambda s: s["frames"][1].update(depth="/etc/passwd"),
        "frames[1].depth: expected a path inside",
    ),
    "name with NUL": (
        lambda s: s["frames"][1].update(depth="a.png\0b"),
        "frames[1].depth: expected the path",
    ),
    "name too long": (
        lambda s: s["frames"][1].update(depth="a" * 5000),
        "frames[1].depth: expected the path",
    ),
    "duplicate frame": (
        lambda s: s["frames"][1].update(color="color/0.png"),
        "frames[1].color: duplicate of frames[0]",
    ),
    "times going back": (lambda s: s["frames"][1].update(time_s=1.0), "frames[1].time_s"),
}


@pytest.mark.parametrize("case", SCAN_CASES)
def test_a_wrong_field_of_scan_json_is_named(case: str, scan_copy: Copy) -> None:
    change, message = SCAN_CASES[case]
    manifest = scan_copy("scan") / "scan.json"
    scan = json.loads(manifest.read_text())
    change(scan)
    manifest.write_text(json.dumps(scan))
    with pytest.raises(SourceError, match=re.escape(message)) as caught:
        open_source(manifest.parent)
    assert str(manifest) in str(caught.value)


def test_every_wrong_field_of_scan_json_is_named_at_once(scan_copy: Copy) -> None:
    manifest = scan_copy("scan") / "scan.json"
    scan = json.loads(manifest.read_text())
    scan["depth_scale_m"] = -1
    del scan["frames"][3]["color"]
    scan["frames"][4]["intrinsics"]["width"] = 1.5
    manifest.write_text(json.dumps(scan))
    with pytest.raises(SourceError) as caught:
        open_source(manifest.parent)
    for field in ("depth_scale_m", "frames[3].color", "frames[4].intrinsics.width"):
        assert field in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, '{"frames": NaN}', "\x00\xff"])
def test_a_scan_json_that_is_none_is_refused(text: str, scan_copy: Copy) -> None:
    manifest = scan_copy("scan") / "scan.json"
    manifest.write_bytes(text.encode("latin-1"))
    with pytest.raises(SourceError, match=r"scan\.json"):
        open_source(manifest.parent)


def test_a_link_out_of_the_folder_is_refused(scan_copy: Copy, tmp_path: Path) -> None:
    folder = scan_copy("scan")
    outside = (folder / "color/1.png").rename(tmp_path / "outside.png")
    (folder / "color/1.png").symlink_to(outside)
    with pytest.raises(SourceError, match=r"frames\[1\]\.color: expected a path inside"):
        open_source(folder)


def test_a_pipe_is_refused_instead_of_waited_for(scan_copy: Copy) -> None:
    folder = scan_copy("scan")
    (folder / "color/1.png").unlink()
    os.mkfifo(folder / "color/1.png")
    with pytest.raises(SourceError, match=r"frames\[1\]\.color: no such file"):
        open_source(folder)


def test_every_lost_scannet_pose_leaves_nothing_to_open(scan_copy: Copy) -> None:
    folder = scan_copy("scannet")
    for path in (folder / "pose").iterdir():
        path.write_text("-inf -inf -inf -inf\n" * 4)
    with pytest.raises(SourceError, match="no frame is left"):
        open_source(folder)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file or folder"):
        open_source(tmp_path / "nowhere")


def test_unknown_input_lists_what_is_known_and_looks_one_folder_down(scan_copy: Copy, tmp_path: Path) -> None:
    (tmp_path / "notes.docx").write_text("x")
    with pytest.raises(SourceError, match=r"a file of type \.docx") as caught:
        open_source(tmp_path / "notes.docx")
    assert "trajectory.log" in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="an empty folder"):
        open_source(tmp_path / "empty")
    inner = scan_copy("tum")
    with pytest.raises(SourceError, match=f"Did you mean {inner}"):
        open_source(tmp_path)


def test_a_wanted_layout_decides_between_two(scan_copy: Copy) -> None:
    folder = scan_copy("quaternion")
    (folder / "trajectory.log").write_text("")
    assert open_source(folder, layout="quaternion").layout == "quaternion pose.txt"
