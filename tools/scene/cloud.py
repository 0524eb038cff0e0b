"""Point clouds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.scene.arrays import check_array


@dataclass(frozen=True, eq=False)
class PointCloud:
    """Points on observed surfaces.

    Attributes:
        xyz_m: Shape (N, 3) float64, metres.
        rgb: Shape (N, 3) uint8, or None.
        weight: Shape (N,) float64, how many depth pixels stand behind each point, or None.
    """

    xyz_m: NDArray[np.float64]
    rgb: NDArray[np.uint8] | None = None
    weight: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Check that all parts speak of the same N points."""
        xyz_m = check_array("xyz_m", self.xyz_m, ("N", 3), np.float64)
        object.__setattr__(self, "xyz_m", xyz_m)
        if self.rgb is not None:
            object.__setattr__(self, "rgb", check_array("rgb", self.rgb, (len(xyz_m), 3), np.uint8))
        if self.weight is not None:
            weight = check_array("weight", self.weight, (len(xyz_m),), np.float64)
            object.__setattr__(self, "weight", weight)

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.xyz_m)

    def moved(self, target_from_world: NDArray[np.float64]) -> "PointCloud":
        """Return the cloud in another world, given the rigid 4x4 ``target_from_world``."""
        xyz_m = self.xyz_m @ target_from_world[:3, :3].T + target_from_world[:3, 3]
        return PointCloud(xyz_m, self.rgb, self.weight)
