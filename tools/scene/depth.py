"""Depth maps: z-depth along the optical axis, never ray length."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError, ShapeError
from spatial_agent.tools.scene.arrays import check_image

Scale = Literal["metric", "relative"]


@dataclass(frozen=True, eq=False)
class DepthMap:
    """Z-depth of every pixel; 0 where nothing was measured.

    Attributes:
        z_m: Depth along the optical axis, shape (H, W) float32, metres (or scene units where the
            scale is relative); 0 = none. NaN, infinity and negative numbers are refused, and
            so is a map without pixels.
        scale: Whether `z_m` is really in metres.
        scale_error: Relative standard deviation of the metric scale; 1 % is what the calibration of a
            depth sensor is trusted to.
        shape_error: Relative standard deviation of single depths after the best scale, 0 for a sensor,
            whose noise is measured from its frames instead.
    """

    z_m: NDArray[np.float32]
    scale: Scale = "metric"
    scale_error: float = 0.01
    shape_error: float = 0.0

    def __post_init__(self) -> None:
        """Check shape and content."""
        for name in ("scale_error", "shape_error"):
            if not 0.0 <= getattr(self, name) < np.inf:
                raise InvalidValueError(
                    f"{name}: expected a share of at least 0, got {getattr(self, name)!r}"
                )
        z_m = check_image("z_m", self.z_m, ("H", "W"), np.float32)
        if z_m.min() < 0:
            raise ShapeError("z_m: expected depth of at least 0 (0 = none), got negative numbers")
        object.__setattr__(self, "z_m", z_m)

    @classmethod
    def from_units(cls, raw: NDArray[np.generic], depth_scale_m: float) -> "DepthMap":
        """Build a metric depth map from stored units.

        Args:
            raw: Depth units as stored, shape (H, W); 0 = none. Non-finite numbers become 0.
            depth_scale_m: Metres per unit.
        """
        if not (np.isfinite(depth_scale_m) and depth_scale_m > 0):
            raise InvalidValueError(f"depth_scale_m: expected metres per unit > 0, got {depth_scale_m!r}")
        z_m = raw.astype(np.float32)
        if raw.dtype.kind == "f":
            z_m = np.nan_to_num(z_m, nan=0.0, posinf=0.0, neginf=0.0)
        z_m *= np.float32(depth_scale_m)
        return cls(z_m)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Where a depth was measured, shape (H, W)."""
        valid: NDArray[np.bool_] = self.z_m > 0
        return valid
