"""Values of every scene type, seen in one synthetic room: ordinary ones, and ones that ask for trouble."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.geometry.projection import unproject
from spatial_agent.tools.scene import (
    DepthMap,
    Detections,
    Frame,
    FrameSet,
    InstanceMask,
    OrientedBox,
    Picture,
    PointCloud,
    SceneMap,
    SceneQuality,
    SemanticMap,
    Tracks,
    TriangleMesh,
)
from spatial_agent.tools.synthetic import SyntheticRoom

UNICODE = "\u6c99\u53d1 \u202e\x00"
FRAMES = 3
FAR_M = 1e6


class Samples:
    """What an expert can be given, all of one room so that it fits together.

    Args:
        room: The room.
    """

    def __init__(self, room: SyntheticRoom) -> None:
        """Film the room when something of it is asked for."""
        self._room = room

    @staticmethod
    @lru_cache(maxsize=2)
    def of(room: SyntheticRoom) -> "Samples":
        """Return the samples of a room, which is filmed once however many experts are checked in it."""
        return Samples(room)

    def ordinary(self, type_name: str) -> tuple[object, ...]:
        """Return a few values of a type, those of one position belonging together; none if unknown."""
        single: dict[str, Callable[[], object]] = {
            "FrameSet": lambda: self._film,
            "SceneMap": lambda: self._scene,
            "Room": lambda: self._scene.room,
            "SceneQuality": lambda: self._scene.quality,
            "Tracks": lambda: self._tracks,
        }
        many: dict[str, Callable[[], Iterable[object]]] = {
            "Frame": lambda: self._frames,
            "FrameHeader": lambda: tuple(frame.header for frame in self._frames),
            "CameraIntrinsics": lambda: tuple(frame.header.intrinsics for frame in self._frames),
            "CameraPose": lambda: tuple(frame.header.pose for frame in self._frames),
            "DepthMap": lambda: tuple(frame.depth for frame in self._frames),
            "Detections": lambda: tuple(map(self._detections, self._frames)),
            "InstanceMask": lambda: tuple(self._detections(f).instance_masks()[0] for f in self._frames),
            "SemanticMap": lambda: map(self._semantic, self._frames),
            "Picture": lambda: tuple(Picture(_rgb(frame), "The room.") for frame in self._frames),
            "PointCloud": lambda: tuple(self._cloud(frame) for frame in self._frames),
            "TriangleMesh": lambda: tuple(_mesh(item.box) for item in self._scene.objects[:FRAMES]),
            "OrientedBox": lambda: tuple(item.box for item in self._scene.objects[:FRAMES]),
            "SceneObject": lambda: self._scene.objects[:FRAMES],
            "SceneCamera": lambda: self._scene.cameras[:FRAMES],
        }
        if type_name in single:
            return (single[type_name](),) * FRAMES
        return tuple(many[type_name]()) if type_name in many else ()

    def hostile(self, type_name: str) -> Mapping[str, object]:
        """Return values of a type that its class allows and that still ask for trouble, by what they are."""
        makers: dict[str, Callable[[], dict[str, object]]] = {
            "Frame": self._hostile_frames,
            "DepthMap": self._hostile_depths,
            "Detections": self._hostile_detections,
            "InstanceMask": self._hostile_masks,
            "Picture": _hostile_pictures,
            "PointCloud": _hostile_clouds,
            "TriangleMesh": _hostile_meshes,
            "OrientedBox": _hostile_boxes,
            "SceneMap": self._hostile_scenes,
            "FrameSet": self._hostile_films,
            "Tracks": self._hostile_tracks,
            "SemanticMap": self._hostile_semantics,
        }
        return makers[type_name]() if type_name in makers else {}

    @cached_property
    def _film(self) -> FrameSet:
        return self._room.frames()

    @cached_property
    def _frames(self) -> tuple[Frame, ...]:
        return tuple(self._film.load(index) for index in range(min(FRAMES, len(self._film))))

    @cached_property
    def _scene(self) -> SceneMap:
        """The truth as a scan would give it: with the surface points that the frames saw."""
        truth = self._room.scene_map()
        clouds = [self._cloud(frame) for frame in self._film]
        numbers = np.concatenate([_ids(frame)[_valid(frame)] for frame in self._film])
        cloud = PointCloud(
            np.concatenate([part.xyz_m for part in clouds]),
            np.concatenate([part.rgb for part in clouds if part.rgb is not None]),
        )
        objects = tuple(
            replace(item, surface=PointCloud(cloud.xyz_m[numbers == number]))
            if (numbers == number).any()
            else item
            for number, item in enumerate(truth.objects, start=1)
        )
        return replace(
            truth,
            objects=objects,
            cloud=cloud,
            quality=SceneQuality(0.005, 0.005, 0.01, 0.01),
            scene_id="sample",
        )

    def _cloud(self, frame: Frame) -> PointCloud:
        camera, pose = frame.header.intrinsics, frame.header.pose
        assert camera is not None  # a synthetic frame has all
        assert pose is not None
        points = unproject(camera, _z(frame))[_valid(frame)]
        return PointCloud(points, _rgb(frame)[_valid(frame)]).moved(pose.world_from_camera)

    def _detections(self, frame: Frame) -> Detections:
        ids = _ids(frame)
        numbers = [number for number in np.unique(ids) if number]
        masks = np.array([ids == number for number in numbers], bool).reshape(-1, *ids.shape)
        edges = [(np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))) for mask in masks]
        boxes = [(x[0] - 0.5, y[0] - 0.5, x[-1] + 0.5, y[-1] + 0.5) for x, y in edges]
        labels = tuple(self._film.instance_labels[int(number)] for number in numbers)
        return Detections(np.array(boxes, float).reshape(-1, 4), np.full(len(labels), 0.9), labels, masks)

    @property
    def _tracks(self) -> Tracks:
        names = self._film.instance_labels
        masks = [
            tuple(
                InstanceMask(_ids(frame) == number, names[int(number)], 0.9, int(number))
                for number in np.unique(_ids(frame))
                if number
            )
            for frame in self._frames
        ]
        return Tracks(tuple(frame.header.index for frame in self._frames), tuple(masks))

    def _semantic(self, frame: Frame) -> SemanticMap:
        return SemanticMap(_ids(frame), ("wall", *self._film.instance_labels.values()))

    def _hostile_frames(self) -> dict[str, object]:
        frame = self._frames[0]
        bare = replace(frame.header, intrinsics=None, pose=None, has_depth=False, has_instances=False)
        black = np.zeros((1, 1, 3), np.uint8)
        noise = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)
        return {
            "without pixels": Frame(bare),
            "without colour": replace(frame, rgb=None),
            "without depth": replace(frame, depth=None),
            "without camera": Frame(bare, frame.rgb),
            "of one pixel": Frame(bare, black),
            "one pixel high": Frame(bare, np.zeros((1, 53, 3), np.uint8)),
            "of noise": Frame(bare, noise),
            "all white, 8 megapixels": Frame(bare, np.full((2448, 3264, 3), 255, np.uint8)),
            "named in unicode": replace(frame, header=replace(frame.header, name=UNICODE)),
            "whose depth is nowhere": replace(frame, depth=DepthMap(np.zeros_like(_z(frame)))),
        }

    def _hostile_depths(self) -> dict[str, object]:
        z_m = _z(self._frames[0])
        return {
            "nowhere": DepthMap(np.zeros_like(z_m)),
            "of one pixel": DepthMap(np.ones((1, 1), np.float32)),
            "without scale": DepthMap(z_m, "relative"),
            "very far": DepthMap(np.full_like(z_m, FAR_M)),
            "very near": DepthMap(np.full_like(z_m, 1e-6)),
            "of no certainty": DepthMap(z_m, scale_error=10.0, shape_error=10.0),
        }

    def _hostile_detections(self) -> dict[str, object]:
        usual = self._detections(self._frames[0])
        box = {
            "of nothing": (5.0, 5.0, 5.0, 5.0),
            "turned round": (20.0, 20.0, 5.0, 5.0),
            "beside the picture": (-FAR_M, -FAR_M, -FAR_M + 1, -FAR_M + 1),
            "far beyond it": (-FAR_M, -FAR_M, FAR_M, FAR_M),
        }
        no_box, one = np.zeros((0, 4)), np.ones(1)
        shape = _ids(self._frames[0]).shape
        return {
            "empty": Detections(no_box, np.zeros(0), ()),
            "empty, with masks": Detections(no_box, np.zeros(0), (), np.zeros((0, *shape), bool)),
            "without masks": replace(usual, masks=None),
            "with empty masks": replace(usual, masks=np.zeros((len(usual), *shape), bool)),
            "with masks of another size": replace(usual, masks=np.ones((len(usual), 3, 5), bool)),
            "named in unicode": replace(usual, labels=(UNICODE,) * len(usual)),
            **{f"a box {what}": Detections(np.array([at]), one, ("chair",)) for what, at in box.items()},
        }

    def _hostile_masks(self) -> dict[str, object]:
        shape = _ids(self._frames[0]).shape
        return {
            "empty": InstanceMask(np.zeros(shape, bool), "chair"),
            "full": InstanceMask(np.ones(shape, bool), "chair"),
            "of another size": InstanceMask(np.ones((3, 5), bool), "chair"),
            "of no pixel": InstanceMask(np.ones((0, 0), bool), UNICODE),
        }

    def _hostile_tracks(self) -> dict[str, object]:
        frames = self._tracks.frames
        small = InstanceMask(np.ones((3, 5), bool), UNICODE, instance_id=1)
        return {
            "of no frame": Tracks((), ()),
            "of nothing": Tracks(frames, ((),) * len(frames)),
            "of other frames": Tracks(tuple(index + 10_000 for index in frames), self._tracks.masks),
            "of another size": Tracks(frames, ((small,),) * len(frames)),
        }

    def _hostile_semantics(self) -> dict[str, object]:
        return {
            "of one pixel": SemanticMap(np.zeros((1, 1), np.uint16), (UNICODE,)),
            "of walls alone": SemanticMap(np.zeros_like(_ids(self._frames[0])), ("wall",)),
        }

    def _hostile_scenes(self) -> dict[str, object]:
        scene = self._scene
        return {
            "empty": SceneMap(()),
            "of boxes only": self._room.scene_map(),
            "without up": replace(scene, up=None),
            "without scale": replace(scene, scale="relative"),
            "without cameras": replace(scene, cameras=()),
            "without room": replace(scene, room=None),
            "without objects": replace(scene, objects=()),
            "without points": replace(scene, cloud=PointCloud(np.zeros((0, 3)))),
            "labelled in unicode": replace(
                scene, objects=tuple(replace(item, label=UNICODE) for item in scene.objects)
            ),
            "of nothing but points": replace(
                scene,
                objects=tuple(
                    replace(item, box=OrientedBox.upright(item.box.centre_m, np.zeros(3)))
                    for item in scene.objects
                ),
            ),
        }

    def _hostile_films(self) -> dict[str, object]:
        film = self._film
        bare = tuple(
            replace(header, intrinsics=None, pose=None, has_depth=False, has_instances=False)
            for header in film.headers[:FRAMES]
        )

        def no_frame(index: int, rgb: bool, depth: bool, instances: bool) -> Frame:
            raise SourceError(f"frame {index} cannot be decoded")

        def bare_frame(index: int, rgb: bool, depth: bool, instances: bool) -> Frame:
            return Frame(bare[index], film.load(index).rgb)

        return {
            "of one frame": replace(film, headers=film.headers[:1]),
            "of colour alone": replace(film, headers=bare, loader=bare_frame, gravity=None),
            "that cannot be decoded": replace(film, loader=no_frame),
        }


def _z(frame: Frame) -> NDArray[np.float32]:
    assert frame.depth is not None  # a synthetic frame has all
    return frame.depth.z_m


def _valid(frame: Frame) -> NDArray[np.bool_]:
    return _z(frame) > 0


def _rgb(frame: Frame) -> NDArray[np.uint8]:
    assert frame.rgb is not None  # a synthetic frame has all
    return frame.rgb


def _ids(frame: Frame) -> NDArray[np.uint16]:
    assert frame.instance_ids is not None  # a synthetic frame has all
    return frame.instance_ids


def _mesh(box: OrientedBox) -> TriangleMesh:
    """The convex hull of a box, two triangles a face."""
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [triangle for a, b, c, d in quads for triangle in ((a, b, c), (a, c, d))]
    return TriangleMesh(box.corners_m, np.array(faces))


def _hostile_pictures() -> dict[str, object]:
    return {
        "of one pixel": Picture(np.zeros((1, 1, 3), np.uint8), UNICODE),
        "of no pixel": Picture(np.zeros((0, 0, 3), np.uint8), ""),
    }


def _hostile_clouds() -> dict[str, object]:
    return {
        "empty": PointCloud(np.zeros((0, 3))),
        "of one point": PointCloud(np.ones((1, 3))),
        "all in one place": PointCloud(np.ones((500, 3))),
        "on a line": PointCloud(np.linspace(0, 1, 500)[:, None] * np.ones(3)),
        "very far": PointCloud(np.random.default_rng(0).uniform(-FAR_M, FAR_M, (500, 3))),
    }


def _hostile_meshes() -> dict[str, object]:
    return {
        "empty": TriangleMesh(np.zeros((0, 3)), np.zeros((0, 3), np.int64)),
        "of no area": TriangleMesh(np.ones((3, 3)), np.array([[0, 1, 2]])),
    }


def _hostile_boxes() -> dict[str, object]:
    return {
        "of no size": OrientedBox.upright(np.zeros(3), np.zeros(3)),
        "very large": OrientedBox.upright(np.zeros(3), np.full(3, FAR_M)),
        "very far": OrientedBox.upright(np.full(3, FAR_M), np.ones(3)),
    }
