"""A furnished room of which everything is known exactly."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.scene import (
    CameraIntrinsics,
    CameraPose,
    DepthMap,
    Frame,
    FrameHeader,
    FrameSet,
    OrientedBox,
    Room,
    SceneCamera,
    SceneMap,
    SceneObject,
)
from spatial_agent.tools.synthetic import layout, raycast
from spatial_agent.tools.synthetic.furniture import SyntheticObject
from spatial_agent.tools.synthetic.noise import SensorNoise
from spatial_agent.tools.synthetic.truth import parts_distance_m

Array = NDArray[np.float64]
QUIET = SensorNoise(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
SECONDS_PER_FRAME = 0.5
#: An object counts as seen in a frame where it covers this share of the pixels.
SEEN_SHARE = 0.001


def camera_of(width: int, height: int, across_deg: float = 70.0) -> CameraIntrinsics:
    """Return a pinhole of square pixels with the given horizontal field of view."""
    focal_px = width / 2 / np.tan(np.radians(across_deg) / 2)
    return CameraIntrinsics(focal_px, focal_px, (width - 1) / 2, (height - 1) / 2, width, height)


@dataclass(frozen=True, eq=False)
class SyntheticRoom:
    """A box room with furniture and cameras; +Z is up, the floor is z = 0, a corner is the origin.

    Attributes:
        width_m: Length along x.
        depth_m: Length along y.
        height_m: From floor to ceiling.
        objects: What stands in it.
        cameras: One per frame, in the room's world; a walk round the room where none are given.
        intrinsics: The pinhole of all cameras.

    >>> room = SyntheticRoom.example()
    >>> room.counts["chair"], round(room.area_m2, 2)
    (2, 20.0)
    """

    width_m: float = 5.0
    depth_m: float = 4.0
    height_m: float = 2.6
    objects: tuple[SyntheticObject, ...] = ()
    cameras: tuple[CameraPose, ...] = ()
    intrinsics: CameraIntrinsics = camera_of(160, 120)

    def __post_init__(self) -> None:
        """Check that everything is inside, and walk round the room where no cameras are given."""
        size_m = (self.width_m, self.depth_m, self.height_m)
        if min(size_m) <= 0:
            raise InvalidValueError(f"SyntheticRoom: expected a size above 0 m, got {size_m}")
        for item in self.objects:
            if not self.shell.contains(item.box.corners_m, 1e-6).all():
                raise InvalidValueError(f"SyntheticRoom: {item.label} reaches outside the {size_m} m room")
        if not self.cameras:
            object.__setattr__(self, "cameras", layout.walk_round(size_m, self.objects))
        if not self.shell.contains(np.array([camera.position_m for camera in self.cameras])).all():
            raise InvalidValueError("SyntheticRoom: every camera must stand inside the room")

    @classmethod
    @cache
    def example(cls) -> "SyntheticRoom":
        """Return the living room that examples use: 5 m by 4 m with eight pieces of furniture."""
        place = SyntheticObject.placed
        return cls(
            objects=(
                place("table", (2.6, 1.9)),
                place("chair", (2.0, 2.75), -np.pi / 2),
                place("chair", (3.1, 1.0), np.pi / 2),
                place("sofa", (0.6, 2.0)),
                place("tv", (4.7, 2.0), np.pi),
                place("bookshelf", (1.2, 3.8), -np.pi / 2),
                place("lamp", (0.35, 3.5)),
                place("trash can", (4.3, 0.5), 0.5),
            )
        )

    @classmethod
    def random(cls, seed: int, *, width_px: int = 160, height_px: int = 120) -> "SyntheticRoom":
        """Return another room for every seed: at least six objects, two of them chairs, none touching.

        Args:
            seed: At least 0.
            width_px: Width of the frames.
            height_px: Height of the frames.
        """
        rng = np.random.default_rng((seed, 7))
        width_m, depth_m, height_m = rng.uniform((4.2, 3.6, 2.4), (6.2, 5.2, 2.8)).tolist()
        objects: tuple[SyntheticObject, ...] = ()
        while len(objects) < 6 or [item.label for item in objects].count("chair") < 2:
            objects = layout.furnish(width_m, depth_m, rng)
        return cls(width_m, depth_m, height_m, objects, intrinsics=camera_of(width_px, height_px))

    @cached_property
    def shell(self) -> OrientedBox:
        """The room itself as a box."""
        size_m = np.array([self.width_m, self.depth_m, self.height_m])
        return OrientedBox.upright(size_m / 2, size_m)

    @property
    def area_m2(self) -> float:
        """Floor area."""
        return self.width_m * self.depth_m

    @property
    def polygon_m(self) -> Array:
        """Outline of the floor, counter-clockwise, shape (4, 2)."""
        return np.array([[0, 0], [self.width_m, 0], [self.width_m, self.depth_m], [0, self.depth_m]], float)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many objects there are of each label."""
        labels = [item.label for item in self.objects]
        return {label: labels.count(label) for label in sorted(set(labels))}

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """A readable id for each object, such as ``"chair-2"``."""
        labels = [item.label for item in self.objects]
        return tuple(f"{label}-{labels[: k + 1].count(label)}" for k, label in enumerate(labels))

    def distance_m(self, first: int, second: int) -> float:
        """Return the exact distance between the surfaces of two objects, given by position."""
        return parts_distance_m(self.objects[first].parts, self.objects[second].parts)

    @cached_property
    def first_seen(self) -> tuple[int | None, ...]:
        """The first frame in which each object covers at least 0.1 % of the pixels, or None."""
        views = [raycast.render(self.shell, self.objects, self.intrinsics, pose).ids for pose in self.cameras]
        pixels = np.array([np.bincount(ids.ravel(), minlength=len(self.objects) + 1) for ids in views])
        seen = pixels[:, 1:] >= SEEN_SHARE * self.intrinsics.width * self.intrinsics.height
        return tuple(int(column.argmax()) if column.any() else None for column in seen.T)

    def scene_map(self) -> SceneMap:
        """Return the truth as a scene of boxes."""
        objects = tuple(
            SceneObject(
                name,
                item.label,
                item.box,
                facing=item.facing,
                first_seen_frame=frame,
                first_seen_s=None if frame is None else frame * SECONDS_PER_FRAME,
            )
            for name, item, frame in zip(self.ids, self.objects, self.first_seen, strict=True)
        )
        cameras = tuple(
            SceneCamera(index, self.intrinsics, pose, index * SECONDS_PER_FRAME)
            for index, pose in enumerate(self.cameras)
        )
        return SceneMap(objects, room=Room(self.area_m2, self.polygon_m), cameras=cameras)

    def resized(self, width_px: int, height_px: int) -> "SyntheticRoom":
        """Return the same room and walk, filmed with another number of pixels."""
        return replace(self, intrinsics=self.intrinsics.resized(width_px, height_px))

    def frames(
        self,
        *,
        noise: SensorNoise = QUIET,
        seed: int = 0,
        scan_from_room: Array | None = None,
        with_gravity: bool = True,
        with_instances: bool = True,
    ) -> FrameSet:
        """Film the room; frames are rendered when they are loaded.

        Args:
            noise: What sensor, tracking and detector do wrong; perfect where left out.
            seed: Decides the errors, at least 0.
            scan_from_room: Rigid 4x4 transform to the world the scan is written in; the room's own
                where None.
            with_gravity: Whether the scan says which way is down.
            with_instances: Whether the scan comes with instance masks.
        """
        moved = np.eye(4) if scan_from_room is None else np.asarray(scan_from_room, float)
        tracked = [pose.moved(moved) for pose in noise.tracked_poses(self.cameras, seed)]
        headers = tuple(
            FrameHeader(
                index, f"{index:06d}", self.intrinsics, pose, index * SECONDS_PER_FRAME, True, with_instances
            )
            for index, pose in enumerate(tracked)
        )
        settings = repr((noise, seed, moved.tolist(), with_gravity, with_instances))
        shown = self.objects if with_instances else ()

        def load(index: int, rgb: bool, depth: bool, instances: bool) -> Frame:
            return self._film(headers[index], noise, seed, (rgb, depth, instances and with_instances))

        return FrameSet(
            f"synthetic room {self.width_m:.1f} m x {self.depth_m:.1f} m",
            "synthetic",
            headers,
            load,
            hashlib.sha256((self._fingerprint + settings).encode()).hexdigest(),
            {number: item.label for number, item in enumerate(shown, start=1)},
            gravity=moved[:3, :3] @ (0.0, 0.0, -1.0) if with_gravity else None,
        )

    def _film(
        self, header: FrameHeader, noise: SensorNoise, seed: int, wanted: tuple[bool, bool, bool]
    ) -> Frame:
        index, pose = header.index, self.cameras[header.index]
        seen = raycast.render(self.shell, self.objects, self.intrinsics, pose)
        rgb = depth = instance_ids = None
        if wanted[0]:
            rays = raycast.ray_directions(self.intrinsics, pose)
            rgb = raycast.paint(seen, self.shell, self.objects, rays, pose.position_m)
        if wanted[1]:
            depth = DepthMap(noise.measured_depth(seen.z_m, seed, index).astype(np.float32))
        if wanted[2]:
            instance_ids = noise.detected_ids(seen.ids, seed, index)
        return Frame(header, rgb, depth, instance_ids)

    @property
    def _fingerprint(self) -> str:
        boxes = [
            (item.label, item.yaw_rad, part.centre_m.tolist(), part.extent_m.tolist())
            for item in self.objects
            for part in item.parts
        ]
        poses = [pose.world_from_camera.tolist() for pose in self.cameras]
        return repr((self.width_m, self.depth_m, self.height_m, boxes, poses, self.intrinsics))
