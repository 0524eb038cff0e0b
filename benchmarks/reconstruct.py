"""Time, memory and accuracy of our fusion beside a plain Open3D TSDF script.

    python benchmarks/reconstruct.py [--frames 16 64 256] [--folder KEEP_SCAN_HERE] [--repeats 3]

Both read the same scan folder (640x480 JPEG colour, 16-bit PNG depth with Kinect-like noise, filmed in
a synthetic room whose surfaces are known exactly), decode it, and return a coloured cloud at 2 cm. Every
run has its own process; `seconds` is the best of the repeats, which alternate, and `cpu s` what all
threads used, which a busy machine changes less. `error` is the RMS distance of the cloud to the true
surface, `median` its median, `complete` the share of the surface that cameras saw which has a cloud point
within 2 cm.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools import native_imports
from spatial_agent.tools.mapping.fusion import fuse_cloud
from spatial_agent.tools.media import open_source
from spatial_agent.tools.scene import OrientedBox
from spatial_agent.tools.synthetic.layout import walk_round
from spatial_agent.tools.synthetic.noise import SensorNoise
from spatial_agent.tools.synthetic.room import SyntheticRoom, camera_of

Array = NDArray[np.float64]
VOXEL_M = 0.02
MAX_DEPTH_M = 7.0
SEED = 3
#: Open3D's truncation in voxels. Its default of 8 leaves twice the error of 4 in this room.
TRUNCATION = 4.0
#: Sensor noise alone: both programs take poses as they are, so drift would only blur the comparison.
NOISE = SensorNoise(scale_error=0.0, drift_m=0.0, drift_rad=0.0)


def film(frames: int) -> SyntheticRoom:
    """Return the room, walked round in so many frames of 640x480."""
    room = SyntheticRoom.random(SEED)
    size_m = (room.width_m, room.depth_m, room.height_m)
    cameras = walk_round(size_m, room.objects, frames)
    return SyntheticRoom(*size_m, room.objects, cameras, camera_of(640, 480))


def write_scan_folder(folder: Path, frames: int) -> None:
    """Write the scan (JPEG colour, as recorders do) and the surface its cameras saw."""
    from PIL import Image

    room = film(frames)
    recorded, seen = room.frames(noise=NOISE, with_instances=False), []
    perfect = room.frames(with_instances=False)
    for part in ("color", "depth"):
        (folder / part).mkdir(parents=True)
    entries = []
    for index, header in enumerate(recorded.headers):
        frame = recorded.load(index)
        assert frame.rgb is not None
        assert frame.depth is not None
        assert header.pose is not None
        Image.fromarray(frame.rgb).save(folder / f"color/{index:06d}.jpg", quality=92)
        millimetres = np.rint(frame.depth.z_m * 1000).astype(np.uint16)
        Image.fromarray(millimetres).save(folder / f"depth/{index:06d}.png")
        entries.append(
            {
                "color": f"color/{index:06d}.jpg",
                "depth": f"depth/{index:06d}.png",
                "world_from_camera": header.pose.world_from_camera.tolist(),
                "intrinsics": vars(room.intrinsics),
            }
        )
        truth = perfect.load(index, rgb=False).depth
        assert truth is not None
        seen.append(_true_surface(truth.z_m, room, index))
    np.save(folder / "surface.npy", _thinned(np.concatenate(seen)))
    scan = {"format": "spatial-agent/scan@1", "depth_scale_m": 0.001, "frames": entries}
    (folder / "scan.json").write_text(json.dumps(scan), encoding="utf-8")


def _true_surface(z_m: NDArray[np.float32], room: SyntheticRoom, index: int) -> Array:
    rows, columns = np.mgrid[4 : z_m.shape[0] : 8, 4 : z_m.shape[1] : 8]
    z = z_m[rows, columns].ravel().astype(float)
    k = room.intrinsics
    local = np.stack([(columns.ravel() - k.cx) / k.fx * z, (rows.ravel() - k.cy) / k.fy * z, z], axis=1)
    local = local[(z > 0) & (z < MAX_DEPTH_M)]
    pose = room.cameras[index]
    return np.asarray(local @ pose.rotation.T + pose.position_m)


def _thinned(xyz_m: Array) -> Array:
    _, first = np.unique(np.floor(xyz_m / 0.01).astype(int), axis=0, return_index=True)
    thinned: Array = xyz_m[first]
    return thinned


def run_ours(folder: Path) -> tuple[Array, float]:
    """Return our cloud and the seconds from opening to cloud."""
    # Reading once loads the modules of the readers, as importing Open3D loads its own.
    open_source(folder)
    start = time.perf_counter()
    fused = fuse_cloud(open_source(folder), voxel_m=VOXEL_M, max_depth_m=MAX_DEPTH_M)
    return fused.cloud.xyz_m, time.perf_counter() - start


def run_open3d(folder: Path) -> tuple[Array, float]:
    """Return the cloud of Open3D's own reconstruction example, and its seconds."""
    native_imports.install()
    # Not by an import statement: Open3D's type hints refuse what its own examples do.
    o3d: Any = import_module("open3d")
    start = time.perf_counter()
    scan = json.loads((folder / "scan.json").read_text(encoding="utf-8"))
    channels = ((1), (1), (3))
    grid = o3d.t.geometry.VoxelBlockGrid(
        ("tsdf", "weight", "color"), (o3d.core.float32,) * 3, channels, VOXEL_M, 16, 4_000
    )
    for entry in scan["frames"]:
        k = entry["intrinsics"]
        matrix = o3d.core.Tensor([[k["fx"], 0.0, k["cx"]], [0.0, k["fy"], k["cy"]], [0.0, 0.0, 1.0]])
        extrinsic = o3d.core.Tensor(np.linalg.inv(np.array(entry["world_from_camera"])))
        depth = o3d.t.io.read_image(str(folder / entry["depth"]))
        colour = o3d.t.io.read_image(str(folder / entry["color"]))
        blocks = grid.compute_unique_block_coordinates(
            depth, matrix, extrinsic, 1000.0, MAX_DEPTH_M, TRUNCATION
        )
        grid.integrate(blocks, depth, colour, matrix, matrix, extrinsic, 1000.0, MAX_DEPTH_M, TRUNCATION)
    xyz_m: Array = grid.extract_point_cloud().point.positions.numpy().astype(float)
    return xyz_m, time.perf_counter() - start


RUNS = {"ours": run_ours, "open3d": run_open3d}


def surface_distance_m(xyz_m: Array, room: SyntheticRoom) -> Array:
    """Return the distance of points to the nearest true surface, shape (N,)."""
    boxes: list[OrientedBox] = [room.shell, *(part for item in room.objects for part in item.parts)]
    return np.asarray(np.min([_box_surface_distance_m(xyz_m, box) for box in boxes], axis=0))


def _box_surface_distance_m(xyz_m: Array, box: OrientedBox) -> Array:
    beyond = np.abs(box.local(xyz_m)) - box.extent_m / 2
    outside = np.linalg.norm(np.maximum(beyond, 0), axis=1)
    distance: Array = np.where(outside > 0, outside, -beyond.max(axis=1))
    return distance


def report(name: str, folder: Path) -> None:
    """Run one program on one folder and print its figures as JSON."""
    from scipy.spatial import cKDTree

    before_s = time.process_time()
    xyz_m, seconds = RUNS[name](folder)
    cpu_seconds = time.process_time() - before_s
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    frames = len(json.loads((folder / "scan.json").read_text(encoding="utf-8"))["frames"])
    error_m = surface_distance_m(xyz_m, film(frames))
    gap_m = cKDTree(xyz_m).query(np.load(folder / "surface.npy"), distance_upper_bound=0.02)[0]
    figures = {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_mb": peak_mb,
        "points": len(xyz_m),
        "error_m": float(np.sqrt(np.mean(error_m**2))),
        "median_m": float(np.median(error_m)),
        "complete": float(np.isfinite(gap_m).mean()),
    }
    print(json.dumps(figures))


def measure(folder: Path, repeats: int) -> dict[str, dict[str, Any]]:
    """Run both programs in their own processes, in turn; return the best time of each with its figures."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in RUNS}
    for _ in range(repeats):
        for name, found in runs.items():
            command = [sys.executable, __file__, "--run", name, str(folder)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found.append(json.loads(output.splitlines()[-1]))
    return {name: {key: min(run[key] for run in found) for key in found[0]} for name, found in runs.items()}


def compare(folder: Path, counts: list[int], repeats: int) -> None:
    """Print a table of both programs and their ratios."""
    print("frames  program  seconds   cpu s  peak MB   points  error mm  median mm  complete %")
    for count in counts:
        scan = folder / f"{count:04d}"
        if not scan.exists():
            write_scan_folder(scan, count)
        both = measure(scan, repeats)
        for name, f in both.items():
            cost = f"{f['seconds']:8.2f} {f['cpu_seconds']:7.2f} {f['peak_mb']:8.0f} {f['points']:8d}"
            error = f"{1000 * f['error_m']:9.2f} {1000 * f['median_m']:10.2f} {100 * f['complete']:11.2f}"
            print(f"{count:6d} {name:>8} {cost} {error}")
        ours, other = both["ours"], both["open3d"]
        print(
            f"{count:6d}   ratios: {other['seconds'] / ours['seconds']:.2f}x faster (goal 2), "
            f"{other['cpu_seconds'] / ours['cpu_seconds']:.2f}x less work, "
            f"error {ours['error_m'] / other['error_m']:.2f}x (goal 1.05 or less), "
            f"median {ours['median_m'] / other['median_m']:.2f}x, "
            f"missing surface {(1 - ours['complete']) / (1 - other['complete']):.2f}x",
            flush=True,
        )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--folder", type=Path, help="keep the filmed scans here")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--run", nargs=2, metavar=("PROGRAM", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        report(options.run[0], Path(options.run[1]))
        return
    with tempfile.TemporaryDirectory() as passing:
        compare(options.folder or Path(passing), options.frames, options.repeats)


if __name__ == "__main__":
    main()
