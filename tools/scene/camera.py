"""Pinhole cameras: OpenCV axes (x right, y down, z forward), integer pixels are pixel centres."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.scene.arrays import check_rigid

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CameraIntrinsics:
    """A pinhole without distortion.

    Attributes:
        fx: Focal length along x, pixels.
        fy: Focal length along y, pixels.
        cx: Principal point x, pixels; 0 is the centre of the leftmost pixel.
        cy: Principal point y, pixels; 0 is the centre of the top pixel.
        width: Image width, pixels.
        height: Image height, pixels.

    Raises:
        InvalidValueError: If a size or focal length is not positive, or the principal point is
            more than one image away.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    def __post_init__(self) -> None:
        """Check that the numbers can belong to a camera."""
        numbers = (self.fx, self.fy, self.cx, self.cy)
        if not all(np.isfinite(numbers)) or self.fx <= 0 or self.fy <= 0:
            raise InvalidValueError(f"intrinsics: expected positive fx and fy in pixels, got {numbers}")
        if self.width <= 0 or self.height <= 0:
            raise InvalidValueError(f"intrinsics: expected a positive size, got {self.width}x{self.height}")
        if not (-self.width <= self.cx <= 2 * self.width and -self.height <= self.cy <= 2 * self.height):
            raise InvalidValueError(
                f"intrinsics: principal point ({self.cx}, {self.cy}) is far outside the "
                f"{self.width}x{self.height} image; expected pixels"
            )

    @property
    def matrix(self) -> Array:
        """The 3x3 matrix K, pixels."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    def resized(self, width: int, height: int) -> "CameraIntrinsics":
        """Return the intrinsics of the same view resampled to another size."""
        sx, sy = width / self.width, height / self.height
        return CameraIntrinsics(
            self.fx * sx,
            self.fy * sy,
            (self.cx + 0.5) * sx - 0.5,
            (self.cy + 0.5) * sy - 0.5,
            width,
            height,
        )


@dataclass(frozen=True, eq=False)
class CameraPose:
    """Where a camera stands: ``world_from_camera``, a rigid 4x4 transform in metres.

    Raises:
        ShapeError: If the matrix is not finite 4x4, not a proper rotation (1e-3), or its last row
            is not 0 0 0 1.
    """

    world_from_camera: Array

    def __post_init__(self) -> None:
        """Check that the transform is rigid."""
        transform = check_rigid("world_from_camera", self.world_from_camera)
        object.__setattr__(self, "world_from_camera", transform)

    @property
    def rotation(self) -> Array:
        """The 3x3 rotation; its columns are the camera's right, down and forward in the world."""
        return self.world_from_camera[:3, :3]

    @property
    def position_m(self) -> Array:
        """The camera centre in the world, shape (3,)."""
        return self.world_from_camera[:3, 3]

    @property
    def forward(self) -> Array:
        """The unit viewing direction in the world, shape (3,)."""
        return self.world_from_camera[:3, 2]

    @property
    def camera_from_world(self) -> Array:
        """The inverse transform, 4x4."""
        inverse = np.eye(4)
        inverse[:3, :3] = self.rotation.T
        inverse[:3, 3] = -self.rotation.T @ self.position_m
        return inverse

    def moved(self, target_from_world: Array) -> "CameraPose":
        """Return the same camera in another world, given the rigid 4x4 ``target_from_world``."""
        return CameraPose(target_from_world @ self.world_from_camera)
