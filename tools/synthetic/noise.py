"""What real sensors and detectors do to perfect frames."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.scene import CameraPose

Array = NDArray[np.float64]
Ids = NDArray[np.uint16]
#: Depth steps above this share of the depth are occlusion edges.
EDGE = 0.04


@dataclass(frozen=True)
class SensorNoise:
    """Errors of a depth camera, its tracking and a detector; zero switches each one off.

    The defaults are those of consumer sensors: depth noise as measured on the Kinect, a scale error
    and drift as seen with Kinect- and phone-like tracking, masks a pixel or two too large.

    Attributes:
        depth_m: Standard deviation of a depth pixel close by, metres.
        depth_per_m2: What is added to it per square metre of depth: ``depth_m + depth_per_m2 * z**2``.
        depth_step_m: Depth is stored in steps of this.
        scale_error: Standard deviation of one relative depth error shared by the whole scan.
        drift_m: Standard deviation per axis and frame of a random walk of the camera position.
        drift_rad: The same for its orientation, per axis.
        bleed_px: Each mask grows by up to this many pixels over what lies behind or beside it.
        erosion_px: Each mask shrinks by up to this many pixels first.
        dropout: Share of pixels at depth edges without depth.
        flying: Share of pixels at depth edges that hang between the two surfaces.
        misses: Probability that the detector overlooks an object in a frame.

    Raises:
        InvalidValueError: If a number is negative or a share above 1.

    Source: K. Khoshelham and S. O. Elberink, "Accuracy and resolution of Kinect depth data" (2012)
    and C. Nguyen et al., "Modeling Kinect sensor noise" (2012) for noise growing with z squared.
    """

    depth_m: float = 0.0012
    depth_per_m2: float = 0.0019
    depth_step_m: float = 0.001
    scale_error: float = 0.01
    drift_m: float = 0.0015
    drift_rad: float = 0.0006
    bleed_px: int = 2
    erosion_px: int = 0
    dropout: float = 0.3
    flying: float = 0.1
    misses: float = 0.05

    def __post_init__(self) -> None:
        """Check that sizes are sizes and shares are shares."""
        for name, value in vars(self).items():
            limit = 1.0 if name in ("dropout", "flying", "misses") else np.inf
            if not 0 <= value <= limit:
                raise InvalidValueError(f"SensorNoise.{name}: expected 0 to {limit}, got {value!r}")

    def scan_scale(self, seed: int) -> float:
        """Return the factor by which this scan's depth is too long."""
        return float(1 + self.scale_error * _stream(seed, 0).standard_normal())

    def tracked_poses(self, poses: Sequence[CameraPose], seed: int) -> tuple[CameraPose, ...]:
        """Return where tracking believes the cameras stand; the first one is right."""
        from scipy.spatial.transform import Rotation

        draw = _stream(seed, 1).standard_normal((len(poses), 6))
        draw[:1] = 0.0
        walk = np.cumsum(draw, axis=0)
        turns = Rotation.from_rotvec(walk[:, :3] * self.drift_rad).as_matrix()
        tracked = np.array([pose.world_from_camera for pose in poses])
        tracked[:, :3, :3] = turns @ tracked[:, :3, :3]
        tracked[:, :3, 3] += walk[:, 3:] * self.drift_m
        return tuple(CameraPose(matrix) for matrix in tracked)

    def measured_depth(self, z_m: Array, seed: int, index: int) -> Array:
        """Return depth as the sensor would report it, 0 where it reports none; shape (H, W)."""
        rng = _stream(seed, 2, index)
        edge = depth_edges(z_m)
        z_m = _fly(z_m, edge & (rng.random(z_m.shape) < self.flying), rng)
        noisy = z_m * self.scan_scale(seed)
        noisy = noisy + rng.standard_normal(z_m.shape) * (self.depth_m + self.depth_per_m2 * z_m**2)
        noisy[edge & (rng.random(z_m.shape) < self.dropout)] = 0.0
        if self.depth_step_m > 0:
            noisy = np.rint(noisy / self.depth_step_m) * self.depth_step_m
        return np.maximum(noisy, 0.0)

    def detected_ids(self, ids: Ids, seed: int, index: int) -> Ids:
        """Return instance ids as a detector would draw them, shape (H, W)."""
        if not (self.bleed_px or self.erosion_px or self.misses):
            return ids
        rng = _stream(seed, 3, index)
        drawn = np.zeros_like(ids)
        for number in rng.permutation(np.unique(ids[ids > 0])):
            missed = rng.random() < self.misses
            shrink = int(rng.integers(0, self.erosion_px + 1))
            grow = int(rng.integers(0, self.bleed_px + 1))
            if not missed:
                drawn[_reshape(ids == number, shrink, grow)] = number
        return drawn


def depth_edges(z_m: Array) -> NDArray[np.bool_]:
    """Return which pixels touch a depth discontinuity, shape (H, W)."""
    edge = np.zeros(z_m.shape, bool)
    for axis in (0, 1):
        # A plane has no second difference in 1/z, however slanted it is seen; an occlusion edge has.
        curvature = np.abs(np.diff(1.0 / z_m, n=2, axis=axis))
        middle = tuple(slice(1, -1) if k == axis else slice(None) for k in (0, 1))
        edge[middle] |= curvature * z_m[middle] > EDGE
    return edge


def _fly(z_m: Array, flying: NDArray[np.bool_], rng: np.random.Generator) -> Array:
    from scipy.ndimage import maximum_filter, minimum_filter

    near, far = minimum_filter(z_m, 3), maximum_filter(z_m, 3)
    return np.where(flying, near + rng.random(z_m.shape) * (far - near), z_m)


def _reshape(mask: NDArray[np.bool_], shrink_px: int, grow_px: int) -> NDArray[np.bool_]:
    from scipy.ndimage import binary_dilation, binary_erosion

    if shrink_px:
        mask = binary_erosion(mask, iterations=shrink_px)
    return binary_dilation(mask, iterations=grow_px) if grow_px else mask


def _stream(*key: int) -> np.random.Generator:
    return np.random.default_rng(key)
