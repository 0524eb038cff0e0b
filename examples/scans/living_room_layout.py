"""Layout of the sample scan: the furniture, where it stands, and the walk of the camera.

The room is laid out in a frame of its own (origin in a corner of the floor, x along the long wall, z up) and
moved to the scan's world, in which the walls are not parallel to the axes and the floor is not at z = 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

SEED = 7
ROOM_M = (5.5, 4.5, 2.6)
WORLD_YAW_DEG = 23.0
WORLD_SHIFT_M = (-1.85, 0.94, -0.37)
FRAME_STEP_S = 2.0
LAP_STEPS = 24
LEFT_OUT = (5, 8, 17)  # views of the lap that add next to nothing
TABLE_VIEWS = (  # (eye, target) in the room frame: the far side of the dining table
    ((3.7, 3.6, 1.6), (4.95, 1.9, 0.35)),
    ((4.35, 3.3, 1.55), (4.85, 1.5, 0.35)),
    ((4.25, 0.75, 1.6), (4.95, 2.6, 0.3)),
)
SIZE_PX = (640, 480)
FOCAL_PX = 420.0


@dataclass(frozen=True)
class Item:
    """One piece of furniture and where it stands in the room frame.

    Attributes:
        label: Everyday name; also the label in the scan. Empty for decoration that belongs to no instance.
        module: Infinigen module below `infinigen.assets.objects`.
        factory: Name of the asset factory in that module.
        seed: Seed of the factory.
        at: Centre of the footprint (x, y) and height of the base, in metres.
        yaw_deg: Rotation about the vertical; the front of an asset is its +x before rotation.
        has_front: Whether the object has a front of its own.
        extent: Extents in metres before rotation to scale to; zero or missing keeps the asset's own.
        dimensions: Passed to the factory where it takes dimensions.
        params: Generator parameters to override, as (name, value) pairs.
        keep_faces: Part of the faces to keep, for assets that are needlessly dense.
        books: Number of shelves to fill with books (bookshelf only).
    """

    label: str
    module: str
    factory: str
    seed: int
    at: tuple[float, float, float]
    yaw_deg: float = 0.0
    has_front: bool = False
    extent: tuple[float, float, float] = (0.0, 0.0, 0.0)
    dimensions: tuple[float, float, float] | None = None
    params: tuple[tuple[str, int], ...] = ()
    keep_faces: float = 1.0
    books: int = 0

    @property
    def asset(self) -> str:
        """Name under which the generated asset is kept."""
        size = "_".join(f"{round(1000 * e)}" for e in (*self.extent, *(self.dimensions or ())))
        return f"{self.factory}_{self.seed}_{size}"


TABLE, COFFEE = (1.6, 0.9, 0.75), (1.1, 0.6, 0.42)
PLAIN = (("Count", 4),)  # a seat without a footrest
CHAIR = ("chair", "seating", "ChairFactory", 1)
ITEMS = (
    Item("sofa", "seating", "SofaFactory", 4, (1.95, 0.68, 0), 90, True, (0.95, 2.0, 0.88), params=PLAIN),
    Item(
        "armchair",
        "seating",
        "ArmChairFactory",
        7,
        (0.72, 2.8, 0),
        -15,
        True,
        (0.9, 0.98, 0.84),
        params=PLAIN,
    ),
    Item("coffee table", "tables", "CoffeeTableFactory", 2, (1.95, 2.0, 0.004), 0, dimensions=COFFEE),
    Item(
        "books", "table_decorations", "BookStackFactory", 1, (1.7, 2.0, 0.426), 25, extent=(0.27, 0.29, 0.17)
    ),
    Item("tv stand", "shelves", "TVStandFactory", 1, (1.95, 4.2, 0), -90, True, (0.36, 1.5, 0.48)),
    Item("tv", "appliances", "TVFactory", 2, (1.95, 4.22, 0.482), -90, True, (0.15, 1.05, 0.7)),
    Item("plant", "tableware", "LargePlantContainerFactory", 3, (0.5, 3.98, 0), 40, keep_faces=0.08),
    Item("bookshelf", "shelves", "LargeShelfFactory", 2, (3.55, 4.24, 0), -90, True, books=4),
    Item("dining table", "tables", "TableDiningFactory", 2, (4.08, 2.05, 0), 90, dimensions=TABLE),
    Item(*CHAIR, (3.42, 1.68, 0), 4, True),
    Item(*CHAIR, (3.36, 2.45, 0), -6, True),
    Item(*CHAIR, (4.74, 1.65, 0), 177, True),
    Item(*CHAIR, (4.82, 2.5, 0), 192, True),
    Item("vase", "table_decorations", "VaseFactory", 2, (4.05, 2.2, 0.752), 0),
    Item("fridge", "appliances", "BeverageFridgeFactory", 2, (5.05, 0.48, 0), 180, True, (0.64, 0.6, 1.5)),
    Item("cabinet", "shelves.single_cabinet", "SingleCabinetFactory", 1, (5.24, 3.5, 0), 180, True),
    Item("lamp", "lamp", "FloorLampFactory", 3, (0.5, 0.5, 0), 0),
    Item("lamp", "lamp", "FloorLampFactory", 1, (4.6, 4.15, 0), 0, extent=(0.36, 0.36, 1.45)),
)
DECORATION = (
    Item("", "elements.rug", "RugFactory", 1, (1.95, 2.1, 0), 0, extent=(2.3, 1.7, 0.003)),
    Item("", "wall_decorations", "WallArtFactory", 6, (1.95, 0.02, 1.3), 90, extent=(0.03, 1.2, 0.5)),
    Item("", "wall_decorations", "WallArtFactory", 8, (5.48, 2.05, 1.2), 180, extent=(0.03, 0.75, 0.8)),
)


def world_from_room() -> np.ndarray:
    """Return the rigid motion from the room frame to the scan's world."""
    c, s = math.cos(math.radians(WORLD_YAW_DEG)), math.sin(math.radians(WORLD_YAW_DEG))
    motion = np.eye(4)
    motion[:2, :2] = [[c, -s], [s, c]]
    motion[:3, 3] = WORLD_SHIFT_M
    return motion


def camera_pose(eye: np.ndarray, target: np.ndarray, roll: float) -> np.ndarray:
    """Return the world-from-camera pose (OpenCV axes) of a camera in the room that looks at a point in it."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    pose = np.eye(4)
    pose[:3, 0] = math.cos(roll) * right + math.sin(roll) * down
    pose[:3, 1] = math.cos(roll) * down - math.sin(roll) * right
    pose[:3, 2], pose[:3, 3] = forward, eye
    return world_from_room() @ pose


def camera_poses() -> list[np.ndarray]:
    """Return the walk: once around the room, looking across its middle, then around the dining table."""
    rng = np.random.default_rng(SEED)
    middle = np.array([2.75, 2.3])
    poses = []
    for k in range(LAP_STEPS):
        angle = math.radians(62.0 - 360.0 * k / LAP_STEPS)
        offset = np.array([1.75 * math.cos(angle), 1.25 * math.sin(angle)])
        eye = np.array([*(middle + offset + rng.normal(0, 0.03, 2)), 1.55 + 0.1 * math.sin(3 * angle)])
        target = np.array([*(middle - 0.6 * offset + rng.normal(0, 0.1, 2)), 0.62 + rng.normal(0, 0.05)])
        roll = math.radians(rng.normal(0, 1.2))
        if k not in LEFT_OUT:
            poses.append(camera_pose(eye, target, roll))
    return poses + [camera_pose(np.array(eye), np.array(target), 0.01) for eye, target in TABLE_VIEWS]
