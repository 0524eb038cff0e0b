"""Make the sample scan `living_room`: a furnished room with colour, exact depth, instances and poses.

The furniture is generated with Infinigen and rendered with Blender's Python module; nothing is downloaded.
Neither tests nor users run this script: the scan is kept in the repository. To make it again, use a virtual
environment of its own (Python 3.11, two minutes to set up)::

    python3.11 -m venv /tmp/render-venv
    /tmp/render-venv/bin/pip install --no-deps -r requirements-render.txt
    /tmp/render-venv/bin/python make_living_room.py --work /tmp/living_room --out living_room

`--no-deps` matters: Infinigen's own pins start a long source build. On two idle cores the assets take two
minutes, a colour frame about 20 s, depth and instances 3 s a frame and the truth a few minutes. Everything
slow is kept under `--work` and skipped when it is there already, so an interrupted run goes on where it
stopped; after a change of the furniture, the walk or the looks, remove what it made. `--preview` renders at
160x120 with one sample, to look at the walk (give it a work and an output folder of its own).
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

import living_room_files
import living_room_truth
import numpy as np
from living_room_layout import (
    DECORATION,
    FOCAL_PX,
    ITEMS,
    ROOM_M,
    SEED,
    SIZE_PX,
    WORLD_SHIFT_M,
    Item,
    camera_poses,
    world_from_room,
)

if TYPE_CHECKING:
    import bpy
    from mathutils import Matrix

SENSOR_MM = 36.0
SAMPLES = 2


def seed_everything(seed: int) -> None:
    """Seed the generators Infinigen draws from."""
    random.seed(seed)
    np.random.seed(seed)


def spawn(
    module: str,
    factory: str,
    seed: int,
    dimensions: tuple[float, float, float] | None = None,
    params: tuple[tuple[str, int], ...] = (),
) -> bpy.types.Object:
    """Generate an asset and return it as one mesh object without children or modifiers."""
    import bpy

    seed_everything(seed)
    kind = getattr(importlib.import_module(f"infinigen.assets.objects.{module}"), factory)
    maker = kind(seed, dimensions=dimensions) if dimensions else kind(seed)
    if params:
        maker.params.update(params)
    root = maker.spawn_asset(i=0, loc=(0, 0, 0), rot=(0, 0, 0))
    try:
        maker.finalize_assets([root])
    except Exception as error:  # some factories' wear and tear does not run in this Blender; looks only
        print(f"  {factory}: finish skipped ({type(error).__name__})")
    for child in list(root.children_recursive):
        bpy.data.objects.remove(child)
    mesh = bpy.data.meshes.new_from_object(root.evaluated_get(bpy.context.evaluated_depsgraph_get()))
    mesh.transform(root.matrix_world)
    result = bpy.data.objects.new(factory, mesh)
    bpy.context.scene.collection.objects.link(result)
    bpy.data.objects.remove(root)
    return result


def thin_out(thing: bpy.types.Object, keep: float) -> None:
    """Reduce an object's mesh to part of its faces."""
    import bpy

    modifier = thing.modifiers.new("thin", "DECIMATE")
    modifier.ratio = keep
    thin = bpy.data.meshes.new_from_object(thing.evaluated_get(bpy.context.evaluated_depsgraph_get()))
    thing.modifiers.clear()
    thing.data = thin


def vertices(mesh: bpy.types.Mesh) -> np.ndarray:
    """Return a Blender mesh's vertices as an (N, 3) array."""
    flat = np.empty(3 * len(mesh.vertices))
    mesh.vertices.foreach_get("co", flat)
    return flat.reshape(-1, 3)


def fill_with_books(shelf: bpy.types.Object, shelves: int) -> bpy.types.Object:
    """Stand rows of books on the lowest shelves and return shelf and books as one object."""
    import bpy
    from mathutils import Matrix, Vector

    bpy.context.view_layer.update()
    low, high = vertices(shelf.data).min(0), vertices(shelf.data).max(0)
    middle = (low + high) / 2
    boards: list[float] = []
    z = float(high[2]) - 0.05
    while True:  # cast a ray down through the shelves
        hit, where, normal, _ = shelf.ray_cast(Vector((middle[0], middle[1], z)), (0, 0, -1))
        if not hit:
            break
        if normal.z > 0.9:
            boards.append(where.z)
        z = where.z - 0.005
    parts = [shelf]
    for k, board in enumerate(boards[-shelves:]):
        row = spawn("table_decorations", "BookColumnFactory", 11 + k)
        points = vertices(row.data)
        size = points.max(0) - points.min(0)
        scale = min(0.85 * (high[0] - low[0]) / size[1], 0.24 / size[2], 0.55 * (high[1] - low[1]) / size[0])
        side = 1 if k % 2 else -1
        foot = Vector([*((points.min(0) + points.max(0)) / 2)[:2], points[:, 2].min()])
        gap = (high[1] - low[1]) / 2 - scale * size[0] / 2 - 0.05
        stand = Vector((middle[0], middle[1] + side * gap, board + 0.001))
        turn = Matrix.Rotation(math.pi / 2, 4, "Z")
        row.data.transform(
            Matrix.Translation(stand) @ turn @ Matrix.Scale(scale, 4) @ Matrix.Translation(-foot)
        )
        parts.append(row)
    with bpy.context.temp_override(active_object=shelf, selected_editable_objects=parts):
        bpy.ops.object.join()
    return shelf


def make_asset(item: Item, path: Path) -> None:
    """Generate one asset, put its origin at the centre of its base, and keep it as a Blender file."""
    import bpy
    from mathutils import Matrix

    bpy.ops.wm.read_factory_settings(use_empty=True)
    thing = spawn(item.module, item.factory, item.seed, item.dimensions, item.params)
    if item.keep_faces < 1:
        thin_out(thing, item.keep_faces)
    if item.books:
        thing = fill_with_books(thing, item.books)
    points = vertices(thing.data)
    low, high = points.min(0), points.max(0)
    scale = [want / has if want else 1.0 for want, has in zip(item.extent, high - low, strict=True)]
    base = np.array([*(low + high)[:2] / 2, low[2]])
    thing.data.transform(Matrix.Diagonal((*scale, 1.0)) @ Matrix.Translation((-base).tolist()))
    thing.name = thing.data.name = item.asset
    bpy.data.libraries.write(str(path), {thing}, fake_user=True)


def material(
    name: str, colour: tuple[float, float, float], emission: float = 0.0, planks: bool = False
) -> bpy.types.Material:
    """Return a plain material: diffuse colour, optional emission, optional wooden planks."""
    import bpy

    result = bpy.data.materials.new(name)
    result.use_nodes = True
    nodes, links = result.node_tree.nodes, result.node_tree.links
    shader = nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*colour, 1)
    shader.inputs["Roughness"].default_value = 0.45 if planks else 0.85
    shader.inputs["Emission Color"].default_value = (*colour, 1)
    shader.inputs["Emission Strength"].default_value = emission
    if planks:
        brick, place = nodes.new("ShaderNodeTexBrick"), nodes.new("ShaderNodeTexCoord")
        brick.inputs["Color1"].default_value = (*colour, 1)
        brick.inputs["Color2"].default_value = (*(0.62 * c for c in colour), 1)
        brick.inputs["Mortar"].default_value = (*(0.25 * c for c in colour), 1)
        sizes = {"Scale": 1.0, "Mortar Size": 0.0025, "Brick Width": 1.3, "Row Height": 0.14}
        for key, value in sizes.items():
            brick.inputs[key].default_value = value
        links.new(place.outputs["Object"], brick.inputs["Vector"])
        links.new(brick.outputs["Color"], shader.inputs["Base Color"])
    return result


def add_box(
    name: str, low: tuple[float, ...], high: tuple[float, ...], look: bpy.types.Material, motion: Matrix
) -> None:
    """Add an axis-aligned box of the room frame (flat where low equals high)."""
    import bpy

    corners = [[(low, high)[(k >> a) & 1][a] for a in range(3)] for k in range(8)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    flat = [a for a in range(3) if low[a] == high[a]]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(corners, [], [faces[(4, 2, 0)[flat[0]]]] if flat else faces)
    mesh.materials.append(look)
    box = bpy.data.objects.new(name, mesh)
    box.matrix_world = motion
    bpy.context.scene.collection.objects.link(box)


def add_light(kind: str, watts: float, at: tuple[float, ...], size: float, motion: Matrix) -> None:
    """Add a lamp's bulb (POINT), or a panel (AREA) that shines down or, where it is low, along +x."""
    import bpy
    from mathutils import Matrix, Vector

    data = bpy.data.lights.new("light", kind)
    data.energy = watts
    daylight = kind == "AREA" and at[2] < 2
    data.color = (0.85, 0.93, 1.0) if daylight else (1.0, 0.9, 0.78)
    if kind == "AREA":
        data.size = size
    else:
        data.shadow_soft_size = size
    lamp = bpy.data.objects.new("light", data)
    turn = Vector((1, 0, 0) if daylight else (0, 0, -1)).to_track_quat("-Z", "Y").to_matrix().to_4x4()
    lamp.matrix_world = motion @ Matrix.Translation(at) @ turn
    lamp.visible_camera = False
    bpy.context.scene.collection.objects.link(lamp)


def build_shell(motion: Matrix) -> None:
    """Add walls, floor, ceiling, a door, a window and the lights."""
    x, y, z = ROOM_M
    white = material("white", (0.8, 0.79, 0.76))
    add_box("floor", (0, 0, 0), (x, y, 0), material("planks", (0.42, 0.24, 0.12), planks=True), motion)
    add_box("ceiling", (0, 0, z), (x, y, z), white, motion)
    add_box("south", (0, 0, 0), (x, 0, z), material("south", (0.72, 0.68, 0.6)), motion)
    add_box("north", (0, y, 0), (x, y, z), material("north", (0.62, 0.66, 0.66)), motion)
    add_box("west", (0, 0, 0), (0, y, z), material("west", (0.74, 0.72, 0.68)), motion)
    add_box("east", (x, 0, 0), (x, y, z), material("east", (0.5, 0.57, 0.5)), motion)
    wood, brass = material("door", (0.55, 0.5, 0.44)), material("handle", (0.25, 0.2, 0.1))
    add_box("frame", (3.2, 0, 0), (4.2, 0.012, 2.12), white, motion)
    add_box("leaf", (3.27, 0, 0.01), (4.13, 0.02, 2.05), wood, motion)
    add_box("handle", (3.34, 0.02, 1.0), (3.46, 0.05, 1.03), brass, motion)
    add_box("pane", (0, 1.1, 0.95), (0.006, 2.4, 2.15), material("sky", (0.75, 0.87, 1.0), 2.2), motion)
    for low, high in (((1.04, 0.89), (1.1, 2.21)), ((2.4, 0.89), (2.46, 2.21)), ((1.72, 0.95), (1.78, 2.15))):
        add_box("post", (0, *low), (0.03, *high), white, motion)
    for low, high in (((1.04, 0.85), (2.46, 0.95)), ((1.04, 2.15), (2.46, 2.21))):
        add_box("rail", (0, *low), (0.03, *high), white, motion)
    add_light("AREA", 45, (1.7, 2.25, 2.55), 1.2, motion)
    add_light("AREA", 45, (4.0, 2.25, 2.55), 1.2, motion)
    add_light("AREA", 60, (0.08, 1.75, 1.6), 1.2, motion)
    for item in ITEMS:
        if item.label == "lamp":
            add_light("POINT", 12, (*item.at[:2], 1.32 if item.extent[2] else 1.22), 0.04, motion)


def build_scene(work: Path) -> None:
    """Build the room from the kept assets, and write what the truth needs: meshes and `scene.json`."""
    import bpy
    from mathutils import Matrix

    bpy.ops.wm.read_factory_settings(use_empty=True)
    room = world_from_room()
    motion = Matrix(room.tolist())
    (work / "meshes").mkdir(parents=True, exist_ok=True)
    facts = []
    for number, item in enumerate((*ITEMS, *DECORATION), start=1):
        with bpy.data.libraries.load(str(work / "assets" / f"{item.asset}.blend")) as (source, target):
            target.objects = source.objects
        thing = target.objects[0]
        bpy.context.scene.collection.objects.link(thing)
        thing.matrix_world = (
            motion @ Matrix.Translation(item.at) @ Matrix.Rotation(math.radians(item.yaw_deg), 4, "Z")
        )
        for slot in thing.material_slots:
            if slot.material:
                slot.material.displacement_method = "BUMP"  # the mesh must stay what is rendered
        if not item.label:
            continue
        thing.pass_index = number
        bpy.context.view_layer.update()
        mesh = thing.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
        mesh.calc_loop_triangles()
        triangles = np.empty(3 * len(mesh.loop_triangles), dtype=np.int32)
        mesh.loop_triangles.foreach_get("vertices", triangles)
        pose = np.array(thing.matrix_world)
        points = vertices(mesh) @ pose[:3, :3].T + pose[:3, 3]
        np.savez_compressed(
            work / "meshes" / f"{number}.npz", vertices=points, triangles=triangles.reshape(-1, 3)
        )
        facing = (
            [round(float(v), 6) for v in pose[:3, 0] / np.linalg.norm(pose[:3, 0])]
            if item.has_front
            else None
        )
        facts.append({"id": number, "label": item.label, "facing": facing})
    build_shell(motion)
    corners = [(0, 0, 0), (ROOM_M[0], 0, 0), (ROOM_M[0], ROOM_M[1], 0), (0, ROOM_M[1], 0)]
    polygon = [(room[:3, :3] @ corner + room[:3, 3])[:2].tolist() for corner in corners]
    shell = {"polygon_m": polygon, "floor_z_m": WORLD_SHIFT_M[2], "height_m": ROOM_M[2]}
    (work / "scene.json").write_text(json.dumps({"objects": facts, "room": shell}))


def set_up_camera(preview: bool) -> bpy.types.Object:
    """Set what both passes share and return the camera."""
    import bpy

    scene = bpy.context.scene
    scale = 4 if preview else 1
    scene.render.engine = "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y = SIZE_PX[0] // scale, SIZE_PX[1] // scale
    scene.render.use_persistent_data = True
    scene.cycles.seed = SEED
    scene.cycles.max_bounces = scene.cycles.diffuse_bounces = 3
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.look = "AgX - Medium High Contrast"
    scene.view_settings.exposure = 0.15
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.data.sensor_fit, camera.data.sensor_width = "HORIZONTAL", SENSOR_MM
    camera.data.lens = FOCAL_PX * SENSOR_MM / SIZE_PX[0]
    camera.data.clip_start = 0.02
    scene.collection.objects.link(camera)
    scene.camera = camera
    return camera


def set_up_pass(geometry: bool, samples: int, flat: bpy.types.Material) -> None:
    """Set up the exact pass (one ray through each pixel centre, no materials) or the colour pass."""
    import bpy

    scene, layer = bpy.context.scene, bpy.context.view_layer
    layer.use_pass_z = layer.use_pass_object_index = geometry
    layer.material_override = flat if geometry else None
    scene.cycles.use_denoising = not geometry
    scene.cycles.samples = 1 if geometry else samples
    scene.cycles.filter_width = 0.01 if geometry else 1.5
    scene.render.image_settings.file_format = "OPEN_EXR_MULTILAYER" if geometry else "PNG"
    scene.render.image_settings.color_depth = "32" if geometry else "8"


def render_frames(work: Path, preview: bool) -> None:
    """Render every frame twice: depth with instances, and colour."""
    import bpy
    from mathutils import Matrix

    camera = set_up_camera(preview)
    flat = material("flat", (0.5, 0.5, 0.5))
    poses = camera_poses()
    for name, ending in (("geometry", "exr"), ("color", "png")):
        (work / name).mkdir(exist_ok=True)
        set_up_pass(name == "geometry", 1 if preview else SAMPLES, flat)
        for k, pose in enumerate(poses):
            done = work / name / f"{k:04d}.{ending}"
            if done.exists():
                continue
            start = time.monotonic()
            camera.matrix_world = Matrix((pose @ np.diag([1.0, -1.0, -1.0, 1.0])).tolist())
            part = work / name / f"part.{ending}"
            bpy.context.scene.render.filepath = str(part)
            bpy.ops.render.render(write_still=True)
            part.replace(done)
            print(f"{name} {k + 1}/{len(poses)}: {time.monotonic() - start:.1f} s", flush=True)


def main() -> None:
    """Run all stages, skipping what is there already."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for assets and raw passes")
    parser.add_argument("--out", type=Path, required=True, help="folder of the scan")
    parser.add_argument("--preview", action="store_true", help="render at 160x120 with one sample")
    given = parser.parse_args()
    import bpy  # noqa: F401  (must be imported before Infinigen)

    (given.work / "assets").mkdir(parents=True, exist_ok=True)
    for item in (*ITEMS, *DECORATION):
        path = given.work / "assets" / f"{item.asset}.blend"
        if not path.exists():
            start = time.monotonic()
            make_asset(item, path)
            print(f"asset {item.asset}: {time.monotonic() - start:.1f} s", flush=True)
    build_scene(given.work)
    render_frames(given.work, given.preview)
    living_room_files.pack(given.work, given.out)
    living_room_truth.write_truth(given.work, given.out)
    living_room_truth.verify(given.out)


if __name__ == "__main__":
    main()
