"""Triangle meshes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import ShapeError
from spatial_agent.tools.scene.arrays import check_array


@dataclass(frozen=True, eq=False)
class TriangleMesh:
    """A surface made of triangles.

    Attributes:
        vertices_m: Shape (V, 3) float64, metres.
        faces: Shape (F, 3) int64: three vertices each, counter-clockwise seen from outside.
        rgb: Colour of each vertex, shape (V, 3) uint8, or None.
    """

    vertices_m: NDArray[np.float64]
    faces: NDArray[np.int64]
    rgb: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        """Check that faces speak of vertices that exist."""
        vertices_m = check_array("vertices_m", self.vertices_m, ("V", 3), np.float64)
        faces = check_array("faces", self.faces, ("F", 3), np.int64)
        if faces.size and (faces.min() < 0 or faces.max() >= len(vertices_m)):
            raise ShapeError(f"faces: expected vertex numbers from 0 to {len(vertices_m) - 1}")
        object.__setattr__(self, "vertices_m", vertices_m)
        object.__setattr__(self, "faces", faces)
        if self.rgb is not None:
            object.__setattr__(self, "rgb", check_array("rgb", self.rgb, (len(vertices_m), 3), np.uint8))

    def moved(self, target_from_world: NDArray[np.float64]) -> "TriangleMesh":
        """Return the mesh in another world, given the rigid 4x4 ``target_from_world``."""
        vertices_m = self.vertices_m @ target_from_world[:3, :3].T + target_from_world[:3, 3]
        return TriangleMesh(vertices_m, self.faces, self.rgb)
