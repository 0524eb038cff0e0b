"""Images with what is known about their camera, decoded only when asked for."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError, ShapeError
from spatial_agent.tools.scene.arrays import check_direction, check_image
from spatial_agent.tools.scene.camera import CameraIntrinsics, CameraPose
from spatial_agent.tools.scene.depth import DepthMap


@dataclass(frozen=True)
class FrameHeader:
    """What is known of a frame without decoding a pixel.

    Attributes:
        index: Position in its set, from 0.
        name: What its file or time stamp calls it.
        intrinsics: The pinhole, or None where unknown.
        pose: Where the camera stands in the source's own world, or None where unknown.
        time_s: Seconds since the recording's first frame, or None where the source has no times.
        has_depth: Whether a depth map belongs to it.
        has_instances: Whether an instance image belongs to it.
        focal_error: Relative standard deviation of the focal length; 0 for a calibrated camera.
    """

    index: int
    name: str
    intrinsics: CameraIntrinsics | None = None
    pose: CameraPose | None = None
    time_s: float | None = None
    has_depth: bool = False
    has_instances: bool = False
    focal_error: float = 0.0

    def __post_init__(self) -> None:
        """Check that the error is a share."""
        if not 0.0 <= self.focal_error < np.inf:
            raise InvalidValueError(f"focal_error: expected a share of at least 0, got {self.focal_error!r}")


@dataclass(frozen=True, eq=False)
class Frame:
    """One decoded image; parts that were not asked for or do not exist are None.

    Attributes:
        header: What is known besides pixels.
        rgb: Shape (H, W, 3) uint8.
        depth: Z-depth of the same size as the intrinsics say.
        instance_ids: Shape (H, W) uint16; 0 = no object.

    Raises:
        ShapeError: If an array has another shape or type, no pixel, or not the size of the others.
    """

    header: FrameHeader
    rgb: NDArray[np.uint8] | None = None
    depth: DepthMap | None = None
    instance_ids: NDArray[np.uint16] | None = None

    def __post_init__(self) -> None:
        """Check that depth, instances and intrinsics have one size."""
        if self.rgb is not None:
            object.__setattr__(self, "rgb", check_image("rgb", self.rgb, ("H", "W", 3), np.uint8))
        if self.instance_ids is not None:
            ids = check_image("instance_ids", self.instance_ids, ("H", "W"), np.uint16)
            object.__setattr__(self, "instance_ids", ids)
            if self.depth is not None and ids.shape != self.depth.z_m.shape:
                raise ShapeError(
                    f"{self.header.name}: instance image is {ids.shape}, depth is {self.depth.z_m.shape} "
                    "(height, width); expected the same size"
                )
        camera = self.header.intrinsics
        if self.depth is not None and camera and self.depth.z_m.shape != (camera.height, camera.width):
            raise ShapeError(
                f"{self.header.name}: depth is {self.depth.z_m.shape}, intrinsics say "
                f"{(camera.height, camera.width)} (height, width)"
            )


#: ``load(index, rgb, depth, instances) -> Frame``: decodes the wanted parts of one frame.
FrameLoader = Callable[[int, bool, bool, bool], Frame]


@dataclass(frozen=True, eq=False)
class FrameSet:
    """An opened source: headers at once, pixels on demand, so memory does not grow with length.

    Attributes:
        name: What a person calls the source (a file or folder name).
        layout: Which layout it was recognised as, such as ``"TUM RGB-D"``.
        headers: One per frame, in recording order.
        loader: Decodes one frame.
        content_hash: Hex digest of everything that decides what is measured.
        instance_labels: Label of every recorded instance id.
        gravity: Unit vector along which things fall, in the source's world, or None.
        notes: What was found, detected or assumed, one sentence each, for the user.
    """

    name: str
    layout: str
    headers: tuple[FrameHeader, ...]
    loader: FrameLoader
    content_hash: str
    instance_labels: Mapping[int, str] = field(default_factory=dict)
    gravity: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that there is something to look at."""
        if not self.headers:
            raise ShapeError(f"{self.name}: expected at least one frame, got none")
        if self.gravity is not None:
            object.__setattr__(self, "gravity", check_direction("gravity", self.gravity))

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.headers)

    def __iter__(self) -> Iterator[Frame]:
        """Decode one frame after the other."""
        return (self.load(index) for index in range(len(self)))

    def load(self, index: int, *, rgb: bool = True, depth: bool = True, instances: bool = True) -> Frame:
        """Decode the wanted parts of one frame."""
        return self.loader(index, rgb, depth, instances)

    @property
    def has_depth(self) -> bool:
        """Whether every frame has a depth map."""
        return all(header.has_depth for header in self.headers)

    @property
    def has_poses(self) -> bool:
        """Whether every frame has a pose and intrinsics."""
        return all(header.pose is not None and header.intrinsics is not None for header in self.headers)

    @property
    def has_instances(self) -> bool:
        """Whether any frame has recorded instances."""
        return any(header.has_instances for header in self.headers)
