"""Exact truth of the sample scan, from its meshes and the room's parameters, and a check of the scan.

Runs in the rendering environment of `make_living_room.py` and imports nothing of the project, so that tests
compare against numbers made independently.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SEEN_SHARE = 0.001
ROUND = 6


def upright_box(points: np.ndarray) -> dict[str, Any]:
    """Fit the upright box of least footprint around points.

    Args:
        points: Points in the world, (N, 3).

    Returns:
        Centre, full edges and axes (columns: longer horizontal edge, shorter one, up).
    """
    from scipy.spatial import ConvexHull

    outline = points[:, :2][ConvexHull(points[:, :2]).vertices]
    edges = np.roll(outline, -1, axis=0) - outline
    best: tuple[float, np.ndarray, np.ndarray, np.ndarray] | None = None
    for angle in np.unique(np.mod(np.arctan2(edges[:, 1], edges[:, 0]), np.pi / 2)):
        axes = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        low, high = (outline @ axes).min(0), (outline @ axes).max(0)
        area = float(np.prod(high - low))
        if best is None or area < best[0]:
            best = (area, axes, low, high)
    assert best is not None
    _, axes, low, high = best
    if (high - low)[0] < (high - low)[1]:  # turn by 90 degrees so that the longer edge comes first
        axes = np.column_stack([axes[:, 1], -axes[:, 0]])
        low, high = (outline @ axes).min(0), (outline @ axes).max(0)
    bottom, top = points[:, 2].min(), points[:, 2].max()
    turn = np.eye(3)
    turn[:2, :2] = axes
    centre = [*(axes @ ((low + high) / 2)), (bottom + top) / 2]
    return {
        "centre_m": np.round(centre, ROUND).tolist(),
        "extent_m": np.round([*(high - low), top - bottom], ROUND).tolist(),
        "world_from_box": np.round(turn, 9).tolist(),
    }


def surface_distances(meshes: dict[int, tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Return the least distance between the surfaces of every pair, triangle to triangle.

    The figures are checked against the nearest of points sampled on both surfaces, which can only be larger.
    """
    import fcl
    import trimesh
    from scipy.spatial import cKDTree

    models, trees, clouds = {}, {}, {}
    for number, (points, triangles) in meshes.items():
        model = fcl.BVHModel()
        model.beginModel(len(points), len(triangles))
        model.addSubModel(points, triangles)
        model.endModel()
        models[number] = fcl.CollisionObject(model)
        mesh = trimesh.Trimesh(points, triangles, process=False)
        clouds[number] = np.asarray(trimesh.sample.sample_surface(mesh, 60_000, seed=1)[0])
        trees[number] = cKDTree(clouds[number])
    distances, gaps = {}, []
    for a, b in itertools.combinations(sorted(meshes), 2):
        exact = max(0.0, fcl.distance(models[a], models[b]))
        nearest = trees[b].query(clouds[a], distance_upper_bound=exact + 0.05)[0]  # none within: infinite
        gaps.append(float(np.min(nearest)) - exact)
        distances[f"{a}-{b}"] = round(exact, 4)
    print(f"distances: sampled minus exact from {1000 * min(gaps):.2f} to {1000 * max(gaps):.2f} mm")
    return distances


def first_seen(scan: dict[str, Any], folder: Path) -> dict[int, list[int]]:
    """Return for each instance the frames in which it covers at least 0.1 % of the pixels."""
    seen: dict[int, list[int]] = {int(k): [] for k in scan["instances"]}
    for k, frame in enumerate(scan["frames"]):
        ids = np.asarray(Image.open(folder / frame["instances"]))
        for number, pixels in zip(*np.unique(ids[ids > 0], return_counts=True), strict=True):
            if pixels >= SEEN_SHARE * ids.size:
                seen[int(number)].append(k)
    return seen


def write_truth(work: Path, out: Path) -> None:
    """Write `truth.json` beside the scan.

    Args:
        work: Folder with `scene.json` and the meshes of the built scene.
        out: Folder of the scan.
    """
    scene = json.loads((work / "scene.json").read_text())
    scan = json.loads((out / "scan.json").read_text())
    seen = first_seen(scan, out)
    meshes, objects = {}, []
    for fact in scene["objects"]:
        number = fact["id"]
        with np.load(work / "meshes" / f"{number}.npz") as data:
            triangles = data["triangles"]
            used, flat = np.unique(triangles, return_inverse=True)
            meshes[number] = data["vertices"][used], flat.reshape(-1, 3)
        box = upright_box(meshes[number][0])
        frames = seen[number]
        objects.append(
            {
                "id": number,
                "label": fact["label"],
                "box": box,
                "facing": fact["facing"],
                "height_m": box["extent_m"][2],
                "first_seen_frame": frames[0] if frames else None,
                "first_seen_s": scan["frames"][frames[0]]["time_s"] if frames else None,
                "n_frames_visible": len(frames),
            }
        )
    polygon = np.array(scene["room"]["polygon_m"])
    x, y = polygon.T
    area = abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
    truth = {
        "room": {
            "area_m2": round(area, ROUND),
            **scene["room"],
            "polygon_m": np.round(polygon, ROUND).tolist(),
        },
        "counts": dict(sorted(Counter(item["label"] for item in objects).items())),
        "objects": objects,
        "surface_distances_m": surface_distances(meshes),
    }
    (out / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")


def unproject(folder: Path, scan: dict[str, Any], frame: dict[str, Any]) -> tuple[np.ndarray, ...]:
    """Return a frame's depth, instance ids, rays (unit z-depth, in the world) and points in the world."""
    lens, pose = frame["intrinsics"], np.array(frame["world_from_camera"])
    depth = np.asarray(Image.open(folder / frame["depth"])) * scan["depth_scale_m"]
    ids = np.asarray(Image.open(folder / frame["instances"]))
    v, u = np.indices(depth.shape)
    x, y = (u - lens["cx"]) / lens["fx"], (v - lens["cy"]) / lens["fy"]
    rays = np.stack([x, y, np.ones_like(depth)], -1) @ pose[:3, :3].T
    return depth, ids, rays, rays * depth[..., None] + pose[:3, 3]


def shell_errors(scan: dict[str, Any], truth: dict[str, Any], folder: Path) -> dict[str, np.ndarray]:
    """Compare pixels without an instance to the room's own planes.

    Returns:
        Height above the true floor of floor pixels, and depth minus true depth of wall and ceiling pixels.
        Door, window, pictures and rug belong to no instance and stand out by up to 5 cm.
    """
    polygon, floor_z = np.array(truth["room"]["polygon_m"]), truth["room"]["floor_z_m"]
    sides = polygon[[1, 3]] - polygon[0]
    far = np.array([*np.linalg.norm(sides, axis=1), truth["room"]["height_m"]])
    axes = np.eye(3)
    axes[:2, :2] = (sides / far[:2, None]).T
    errors: dict[str, list[np.ndarray]] = {"floor": [], "walls": [], "ceiling": []}
    for frame in scan["frames"]:
        depth, ids, rays, points = unproject(folder, scan, frame)
        eye = (np.array(frame["world_from_camera"])[:3, 3] - [*polygon[0], floor_z]) @ axes
        rays = rays @ axes
        hits = np.where(rays > 0, far - eye, -eye) / np.where(rays == 0, 1e-12, rays)
        nearest, error = hits.argmin(-1), depth - hits.min(-1)
        bare, down = (ids == 0) & (depth > 0), rays[..., 2] < 0
        errors["floor"].append(points[bare & (nearest == 2) & down][:, 2] - floor_z)
        errors["ceiling"].append(error[bare & (nearest == 2) & ~down])
        errors["walls"].append(error[bare & (nearest != 2)])
    return {name: np.concatenate(parts) for name, parts in errors.items()}


def verify(folder: Path) -> None:
    """Check depth, poses and instances of a scan against its truth and print the figures."""
    scan, truth = (json.loads((folder / name).read_text()) for name in ("scan.json", "truth.json"))
    inside, total = Counter[int](), Counter[int]()
    for frame in scan["frames"]:
        depth, ids, _, points = unproject(folder, scan, frame)
        assert (depth[ids > 0] > 0).all(), "an instance without depth"
        for item in truth["objects"]:
            box = item["box"]
            local = (points[ids == item["id"]] - box["centre_m"]) @ np.array(box["world_from_box"])
            total[item["id"]] += len(local)
            inside[item["id"]] += int((abs(local) <= np.array(box["extent_m"]) / 2 + 0.02).all(1).sum())
    share = sum(inside.values()) / sum(total.values())
    print(f"instance pixels inside their box + 2 cm: {100 * share:.3f} % of {sum(total.values())}")
    for item in truth["objects"]:
        number, extent = item["id"], np.round(item["box"]["extent_m"], 3).tolist()
        part = 100 * inside[number] / max(1, total[number])
        seen = f"in {item['n_frames_visible']} frames from {item['first_seen_frame']}"
        print(f"  {number:2d} {item['label']:13s} {part:.2f} % of {total[number]}, {seen}, extent {extent}")
    for name, error in shell_errors(scan, truth, folder).items():
        if len(error):
            good, middle = 100 * (abs(error) <= 0.005).mean(), 1000 * np.median(abs(error))
            print(f"{name}: {len(error)} pixels, {good:.2f} % within 5 mm, median |error| {middle:.2f} mm")
