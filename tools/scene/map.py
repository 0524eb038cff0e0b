"""What is known about a scene: objects, cameras, room, surfaces, in one gravity-aligned world."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError, ScaleError, ViewpointError
from spatial_agent.tools.scene.arrays import check_array, check_direction, check_rigid, check_score
from spatial_agent.tools.scene.box import OrientedBox
from spatial_agent.tools.scene.camera import CameraIntrinsics, CameraPose
from spatial_agent.tools.scene.cloud import PointCloud

Array = NDArray[np.float64]
#: What lengths of a scene mean, see `SceneMap`.
SceneScale = Literal["metric", "relative", "directions"]


@dataclass(frozen=True)
class Provenance:
    """What stands behind an object, and how well it agrees with itself.

    Attributes:
        frames: Indices of the frames that saw it.
        pixels: Depth pixels in all.
        points: Cleaned surface points kept.
        spread_m: Robust standard deviation of where single frames put its surface.
        face_coverage: Share of each box face that was observed, in the order -x, +x, -y, +y, -z, +z
            of the box axes.
        cut_off: Whether the image border cut it in every frame that saw it.
    """

    frames: tuple[int, ...]
    pixels: int
    points: int
    spread_m: float
    face_coverage: tuple[float, float, float, float, float, float]
    cut_off: bool = False


@dataclass(frozen=True, eq=False)
class SceneObject:
    """One thing in the scene.

    Attributes:
        id: Unique in the scene, such as ``"chair-2"``.
        label: Class name, lower case.
        box: Its oriented box.
        surface: Observed surface points, or None in a scene of boxes.
        facing: Unit direction of its front in the scene, shape (3,), or None where undefined.
        facing_error_rad: Standard deviation of a measured `facing`; 0 where it was given.
        first_seen_frame: Index of the first frame in which it covers at least 0.1 % of the pixels.
        first_seen_s: Time of that frame where frames have times.
        score: Confidence of the detector, 0 to 1.
        provenance: What stands behind it; None for given boxes.
    """

    id: str
    label: str
    box: OrientedBox
    surface: PointCloud | None = None
    facing: Array | None = None
    facing_error_rad: float = 0.0
    first_seen_frame: int | None = None
    first_seen_s: float | None = None
    score: float = 1.0
    provenance: Provenance | None = None

    def __post_init__(self) -> None:
        """Check names and make the facing a unit vector."""
        if not self.id or not self.label:
            raise InvalidValueError(f"object: expected an id and a label, got {self.id!r}, {self.label!r}")
        check_score(f"{self.id}: score", self.score)
        if not 0.0 <= self.facing_error_rad < np.inf:
            raise InvalidValueError(
                f"{self.id}: facing_error_rad: expected radians of at least 0, got {self.facing_error_rad!r}"
            )
        if self.facing is not None:
            object.__setattr__(self, "facing", check_direction(f"{self.id}: facing", self.facing))


@dataclass(frozen=True, eq=False)
class Room:
    """The floor plan.

    Attributes:
        area_m2: Floor area, square metres.
        polygon_m: Outline on the floor, shape (N, 2), counter-clockwise, or None.
        area_low_m2: 5 % end of the area; None when unknown or given.
        area_high_m2: 95 % end of the area; None when open, unknown or given.
        exact: Whether the area was given rather than measured.
    """

    area_m2: float
    polygon_m: Array | None = None
    area_low_m2: float | None = None
    area_high_m2: float | None = None
    exact: bool = True

    def __post_init__(self) -> None:
        """Check that the area is an area and the outline an outline."""
        if not (np.isfinite(self.area_m2) and self.area_m2 > 0):
            raise InvalidValueError(f"room: expected an area above 0 m2, got {self.area_m2!r}")
        low = 0.0 if self.area_low_m2 is None else self.area_low_m2
        high = np.inf if self.area_high_m2 is None else self.area_high_m2
        if not low <= self.area_m2 <= high:
            raise InvalidValueError(
                f"room: expected low <= area <= high, got {self.area_low_m2}, {self.area_m2}, "
                f"{self.area_high_m2} m2"
            )
        if self.polygon_m is not None:
            polygon_m = check_array("polygon_m", self.polygon_m, ("N", 2), np.float64)
            object.__setattr__(self, "polygon_m", polygon_m)


@dataclass(frozen=True)
class SceneCamera:
    """Where one frame was taken from, in scene coordinates."""

    index: int
    intrinsics: CameraIntrinsics
    pose: CameraPose
    time_s: float | None = None


@dataclass(frozen=True)
class SceneQuality:
    """How well the scene's parts agree, which decides the margins.

    Attributes:
        depth_noise_m: Robust standard deviation of single depth pixels about the fused surface.
        pose_drift_m: Robust disagreement between where different frames put the same surface.
        up_error_rad: Standard deviation of the gravity direction.
        scale_error: Relative standard deviation of the metric scale.
        shape_error: Relative standard deviation of single depths after the best scale, where depth was
            estimated from pictures; 0 for a sensor.
        focal_error: Relative standard deviation of the focal length; 0 for calibrated cameras.
    """

    depth_noise_m: float
    pose_drift_m: float
    up_error_rad: float
    scale_error: float
    shape_error: float = 0.0
    focal_error: float = 0.0


@dataclass(frozen=True, eq=False)
class SceneMap:
    """A scene in one world: +Z up and floor at z = 0 where gravity is known.

    Attributes:
        objects: All objects, ids unique.
        scale: ``"metric"``; ``"relative"`` where lengths have no unit; ``"directions"`` where nothing is
            known but which way things are from the one camera: every object then lies at a z-depth of 1
            in the axes of that camera, and `up` is None.
        up: Unit up direction, shape (3,): (0, 0, 1) where gravity is known, else None.
        room: Floor plan, or None.
        cameras: Where the frames were taken from.
        cloud: Fused surface points, or None.
        scan_from_scene: Rigid 4x4 transform back into the source's own world, or None.
        quality: Self-consistency; None for given scenes.
        scene_id: Content hash, or a name for given scenes.
        notes: What was found, detected or assumed, one sentence each.
    """

    objects: tuple[SceneObject, ...]
    scale: SceneScale = "metric"
    up: Array | None = field(default_factory=lambda: np.array([0.0, 0.0, 1.0]))
    room: Room | None = None
    cameras: tuple[SceneCamera, ...] = ()
    cloud: PointCloud | None = None
    scan_from_scene: Array | None = None
    quality: SceneQuality | None = None
    scene_id: str = "given"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that ids are unique and up is +Z."""
        ids = [item.id for item in self.objects]
        repeated = sorted({name for name in ids if ids.count(name) > 1})
        if repeated:
            raise InvalidValueError(f"scene: object ids must be unique, repeated: {', '.join(repeated)}")
        if self.up is not None:
            up = check_direction("up", self.up)
            if np.abs(up - (0, 0, 1)).max() > 1e-6:
                raise InvalidValueError(
                    f"scene: up must be +Z (0, 0, 1) or None, got {up.tolist()}; rotate the scene first"
                )
            object.__setattr__(self, "up", check_direction("up", (0, 0, 1)))
        if self.scale == "directions" and (self.up is not None or len(self.cameras) != 1):
            raise InvalidValueError(
                "scene: a scene of directions has one camera, in whose axes it is, and no up; got "
                f"{len(self.cameras)} cameras, up {self.up}"
            )
        if self.scan_from_scene is not None:
            transform = check_rigid("scan_from_scene", self.scan_from_scene)
            object.__setattr__(self, "scan_from_scene", transform)

    def object(self, object_id: str) -> SceneObject:
        """Return the object of that id.

        Raises:
            InvalidValueError: If there is none.
        """
        for item in self.objects:
            if item.id == object_id:
                return item
        raise InvalidValueError(
            f"scene: no object {object_id!r}; there are {', '.join(item.id for item in self.objects)}"
        )

    def require_metric(self, what: str) -> None:
        """Refuse `what` unless the scale is metric.

        Raises:
            ScaleError: If the scale is relative, or only directions are known.
        """
        self.require_places(what)
        if self.scale != "metric":
            raise ScaleError(f"{what} needs metres, but the scale of this scene is only relative")

    @property
    def has_places(self) -> bool:
        """Whether it is known where things are, rather than only which way from the camera."""
        return self.scale != "directions"

    def require_places(self, what: str) -> None:
        """Refuse `what` unless it is known where things are.

        Raises:
            ScaleError: If only directions from the camera are known.
        """
        if not self.has_places:
            raise ScaleError(
                f"{what} needs depth, but this scene comes from one picture without it: only which way "
                "things are from the camera is known; give weights for depth, or a scan"
            )

    def require_up(self, what: str) -> None:
        """Refuse `what` unless gravity is known.

        Raises:
            ViewpointError: If up is unknown.
            ScaleError: If only directions from the camera are known.
        """
        self.require_places(what)
        if self.up is None:
            raise ViewpointError(f"{what} needs to know which way is up, and this scene does not say")
