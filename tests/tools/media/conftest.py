"""A box-shaped room of known size, seen by known cameras, written in each layout people have.

Depth and colour follow from closed formulae, and the files are written by hand here, so nothing of the
readers is used to test the readers.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

from spatial_agent.tools.scene import FrameSet

Array = NDArray[np.float64]
#: fx, fy, cx, cy, width, height: neither square nor centred.
CAMERA = (60.0, 57.0, 30.2, 25.1, 64, 48)
#: The room reaches from -ROOM to +ROOM, metres.
ROOM = np.array([2.5, 1.6, 1.9])
FRAMES = 5


def camera_pose(index: int) -> Array:
    """World from camera: the camera moves and turns a little from frame to frame."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("yxz", [20 + 4 * index, 5 - 2 * index, 3 * index], True).as_matrix()
    matrix[:3, 3] = [-0.6 + 0.25 * index, 0.1 * index, -0.5 + 0.1 * index]
    return matrix


def see(pose: Array, camera: tuple[float, ...] = CAMERA) -> tuple[Array, NDArray[np.uint8]]:
    """Return z-depth (metres) and colour of the room; the colour of a point is linear in its position."""
    fx, fy, cx, cy, width, height = camera
    v, u = np.mgrid[0 : int(height), 0 : int(width)].astype(float)
    rays = np.stack(((u - cx) / fx, (v - cy) / fy, np.ones_like(u)), axis=-1) @ pose[:3, :3].T
    to_walls = (np.sign(rays) * ROOM - pose[:3, 3]) / rays
    z_m = to_walls.min(axis=-1)
    return z_m, colour_at(pose[:3, 3] + rays * z_m[..., None])


def colour_at(xyz_m: Array) -> NDArray[np.uint8]:
    """The colour of a place in the room."""
    colour: NDArray[np.uint8] = np.rint(128 + 100 * xyz_m / ROOM).astype(np.uint8)
    return colour


def save_frame(color: Path, depth: Path, index: int, units_per_m: float, enlarge: int = 1) -> None:
    """Write one colour and one 16-bit depth image; colour may be larger than depth."""
    z_m, _ = see(camera_pose(index))
    fx, fy, cx, cy, width, height = CAMERA
    large = (fx * enlarge, fy * enlarge, (cx + 0.5) * enlarge - 0.5, (cy + 0.5) * enlarge - 0.5)
    _, rgb = see(camera_pose(index), (*large, width * enlarge, height * enlarge))
    units = np.rint(z_m * units_per_m).astype(np.uint16)
    for path in (color, depth):
        path.parent.mkdir(parents=True, exist_ok=True)
    # PNG takes no notice of the two settings.
    Image.fromarray(rgb).save(color, quality=98, subsampling=0)
    if depth.suffix == ".pgm":
        # The maximum is not 65535: a reader that rescales to it gets the depth wrong.
        depth.write_bytes(b"P5\n# made by hand\n64 48\n9000\n" + units.astype(">u2").tobytes())
    else:
        Image.fromarray(units).save(depth)


def write_sidecar(folder: Path) -> None:
    """Write intrinsics.json, since the defaults of most layouts are for 640x480."""
    names = ("fx", "fy", "cx", "cy", "width", "height")
    (folder / "intrinsics.json").write_text(json.dumps(dict(zip(names, CAMERA, strict=True))))


def quaternion_line(index: int) -> str:
    """Return ``tx ty tz qx qy qz qw`` of a frame."""
    pose = camera_pose(index)
    return " ".join(
        map(repr, [*pose[:3, 3].tolist(), *Rotation.from_matrix(pose[:3, :3]).as_quat().tolist()])
    )


def write_scan(folder: Path) -> None:
    """Write spatial-agent/scan@1."""
    frames = []
    for k in range(FRAMES):
        save_frame(folder / f"color/{k}.png", folder / f"depth/{k}.png", k, 4000)
        ids = np.full((48, 64), k, np.uint16)
        (folder / "instances").mkdir(exist_ok=True)
        Image.fromarray(ids).save(folder / f"instances/{k}.png")
        names = ("fx", "fy", "cx", "cy", "width", "height")
        frame = {kind: f"{kind}/{k}.png" for kind in ("color", "depth", "instances")}
        pose = {"world_from_camera": camera_pose(k).tolist(), "time_s": 10 + 0.5 * k}
        frames.append({**frame, **pose, "intrinsics": dict(zip(names, CAMERA, strict=True))})
    scan = {"depth_scale_m": 1 / 4000, "gravity": [0, 2, 0], "instances": {"1": "Chair", "2": "lamp"}}
    (folder / "scan.json").write_text(json.dumps({**scan, "frames": frames}))


def write_seven_scenes(folder: Path) -> None:
    """Write a 7-Scenes sequence; one pixel has no depth (65535)."""
    for k in range(FRAMES):
        stem = f"frame-{k:06d}"
        save_frame(folder / f"{stem}.color.png", folder / f"{stem}.depth.png", k, 1000)
        np.savetxt(folder / f"{stem}.pose.txt", camera_pose(k))
        units = np.array(Image.open(folder / f"{stem}.depth.png"))
        units[0, 0] = 65535
        Image.fromarray(units).save(folder / f"{stem}.depth.png")
    write_sidecar(folder)


def write_tum(folder: Path) -> None:
    """Write a TUM RGB-D sequence whose colour, depth and poses have slightly different times."""
    lists: dict[str, list[str]] = {"rgb": ["# color images"], "depth": ["# depth maps"], "groundtruth": []}
    for k in range(FRAMES):
        time_s = 1305031453.0 + 0.1 * k
        color, depth = f"rgb/{time_s:.6f}.png", f"depth/{time_s + 0.008:.6f}.png"
        save_frame(folder / color, folder / depth, k, 5000)
        lists["rgb"].append(f"{time_s:.6f} {color}")
        lists["depth"].append(f"{time_s + 0.008:.6f} {depth}")
        # Another pose lies close by, but not closest.
        lists["groundtruth"].append(f"{time_s - 0.015:.4f} 9 9 9 0 0 0 1")
        lists["groundtruth"].append(f"{time_s + 0.004:.4f} {quaternion_line(k)}")
    for name, lines in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    write_sidecar(folder)


def write_scannet(folder: Path) -> None:
    """Write a ScanNet export with colour twice the size of depth."""
    (folder / "intrinsic").mkdir(parents=True)
    (folder / "pose").mkdir()
    fx, fy, cx, cy, _, _ = CAMERA
    matrix = np.array([[fx, 0, cx, 0], [0, fy, cy, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    np.savetxt(folder / "intrinsic/intrinsic_depth.txt", matrix)
    for k in range(FRAMES):
        save_frame(folder / f"color/{10 * k}.jpg", folder / f"depth/{10 * k}.png", k, 1000, enlarge=2)
        np.savetxt(folder / f"pose/{10 * k}.txt", camera_pose(k))


def write_redwood(folder: Path) -> None:
    """Write a Redwood scan whose files are numbered from 8, past a change of digits."""
    log = ""
    for k in range(FRAMES):
        save_frame(folder / f"image/{k + 8}.jpg", folder / f"depth/{k + 8}.png", k, 1000)
        rows = "\n".join(" ".join(map(repr, row)) for row in camera_pose(k).tolist())
        log += f"{k} {k} {k + 1}\n{rows}\n"
    (folder / "trajectory.log").write_text(log)
    write_sidecar(folder)


def write_replica(folder: Path) -> None:
    """Write a NICE-SLAM Replica scene."""
    lines = []
    for k in range(FRAMES):
        color, depth = folder / f"results/frame{k:06d}.jpg", folder / f"results/depth{k:06d}.png"
        save_frame(color, depth, k, 6553.5)
        lines.append(" ".join(map(repr, camera_pose(k).ravel().tolist())))
    (folder / "traj.txt").write_text("\n".join(lines))
    names = ("fx", "fy", "cx", "cy", "w", "h", "scale")
    camera = dict(zip(names, (*CAMERA, 6553.5), strict=True))
    (folder / "cam_params.json").write_text(json.dumps({"camera": camera}))


def write_quaternion(folder: Path) -> None:
    """Write colour, PGM depth and a pose.txt; files are numbered from 8."""
    for k in range(FRAMES):
        save_frame(folder / f"color/{k + 8}.png", folder / f"depth/{k + 8}.pgm", k, 1000)
    (folder / "pose.txt").write_text("\n".join(quaternion_line(k) for k in range(FRAMES)))
    write_sidecar(folder)


WRITERS = {
    "scan": write_scan,
    "7scenes": write_seven_scenes,
    "tum": write_tum,
    "scannet": write_scannet,
    "redwood": write_redwood,
    "replica": write_replica,
    "quaternion": write_quaternion,
}


@pytest.fixture(scope="session")
def _written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every layout once; tests get copies."""
    root = tmp_path_factory.mktemp("layouts")
    for layout, write in WRITERS.items():
        (root / layout).mkdir()
        write(root / layout)
    return root


@pytest.fixture
def scan_copy(_written: Path, tmp_path: Path) -> Callable[[str], Path]:
    """``scan_copy(layout)``: the room in that layout, in a folder to change at will."""

    def copy(layout: str) -> Path:
        folder = tmp_path / layout
        for source in (_written / layout).rglob("*.*"):
            target = folder / source.relative_to(_written / layout)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
        return folder

    return copy


@pytest.fixture
def mismatch() -> Callable[[FrameSet], tuple[float, float]]:
    """``mismatch(frames)``: how far pixels lie off the walls (m), and how much colours are off (0 to 255).

    Both look at the world point of a pixel, so pose, scale, intrinsics and alignment all count.
    """

    def measure(frames: FrameSet) -> tuple[float, float]:
        off_wall, off_colour = 0.0, 0.0
        for frame in frames:
            assert frame.depth is not None
            assert frame.rgb is not None
            assert frame.header.pose is not None
            fx, fy, cx, cy, width, height = CAMERA
            v, u = np.mgrid[0:height, 0:width].astype(float)
            rays = np.stack(((u - cx) / fx, (v - cy) / fy, np.ones_like(u)), axis=-1)
            local_m = (rays * frame.depth.z_m[..., None])[frame.depth.valid]
            xyz_m = local_m @ frame.header.pose.rotation.T + frame.header.pose.position_m
            off_wall = max(off_wall, float(np.abs(ROOM - np.abs(xyz_m)).min(axis=1).max()))
            difference = frame.rgb[frame.depth.valid].astype(int) - colour_at(xyz_m)
            off_colour = max(off_colour, float(np.quantile(np.abs(difference), 0.99)))
        return off_wall, off_colour

    return measure


@pytest.fixture
def true_pose() -> Callable[[int], Array]:
    """``true_pose(index)``: world from camera of a frame of the room."""
    return camera_pose
