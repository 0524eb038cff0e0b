"""Oriented boxes."""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import ShapeError
from spatial_agent.tools.scene.arrays import check_array, check_rotation

Array = NDArray[np.float64]
CORNER_SIGNS: Array = np.array(list(product((-0.5, 0.5), repeat=3)))


@dataclass(frozen=True, eq=False)
class OrientedBox:
    """A box of any orientation, kept exactly as given.

    Attributes:
        centre_m: Shape (3,), metres.
        extent_m: Full edge lengths along the box axes, shape (3,), metres; at least 0.
        world_from_box: Proper rotation, shape (3, 3); its columns are the box axes in the world.
    """

    centre_m: Array
    extent_m: Array
    world_from_box: Array

    def __post_init__(self) -> None:
        """Check that the edges are lengths and the axes a proper rotation."""
        centre_m = check_array("centre_m", self.centre_m, (3,), np.float64)
        extent_m = check_array("extent_m", self.extent_m, (3,), np.float64)
        axes = check_rotation("world_from_box", self.world_from_box)
        if extent_m.min() < 0:
            raise ShapeError(f"extent_m: expected full edges of at least 0 m, got {extent_m.tolist()}")
        for name, value in (("centre_m", centre_m), ("extent_m", extent_m), ("world_from_box", axes)):
            object.__setattr__(self, name, value)

    @classmethod
    def upright(cls, centre_m: Array, extent_m: Array, yaw_rad: float = 0.0) -> "OrientedBox":
        """Build a box standing on the ground, turned by `yaw_rad` counter-clockwise seen from above."""
        cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
        axes = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        return cls(np.asarray(centre_m, float), np.asarray(extent_m, float), axes)

    @cached_property
    def corners_m(self) -> Array:
        """The eight corners in the world, shape (8, 3)."""
        corners_m = self.centre_m + (CORNER_SIGNS * self.extent_m) @ self.world_from_box.T
        return check_array("corners_m", corners_m, (8, 3), np.float64)

    @property
    def volume_m3(self) -> float:
        """The volume, cubic metres."""
        return float(np.prod(self.extent_m))

    @property
    def upright_axis(self) -> int | None:
        """The index of the box axis along world Z (within 0.5 degrees), or None for a tilted box."""
        vertical = np.abs(self.world_from_box[2])
        axis = int(vertical.argmax())
        return axis if vertical[axis] > np.cos(np.radians(0.5)) else None

    def local(self, xyz_m: Array) -> Array:
        """Return points of the world in box coordinates (origin at the centre), shape (N, 3)."""
        points: Array = (xyz_m - self.centre_m) @ self.world_from_box
        return points

    def contains(self, xyz_m: Array, margin_m: float = 0.0) -> NDArray[np.bool_]:
        """Return which of the points, shape (N, 3), lie inside or within `margin_m` of each face."""
        within: NDArray[np.bool_] = np.abs(self.local(xyz_m)) <= self.extent_m / 2 + margin_m
        inside: NDArray[np.bool_] = np.all(within, axis=1)
        return inside

    def moved(self, target_from_world: Array) -> "OrientedBox":
        """Return the box in another world, given the rigid 4x4 ``target_from_world``."""
        rotation = target_from_world[:3, :3]
        centre_m = rotation @ self.centre_m + target_from_world[:3, 3]
        return OrientedBox(centre_m, self.extent_m, rotation @ self.world_from_box)
