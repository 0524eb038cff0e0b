"""The file format ``spatial-agent/scene@1``: a scene as JSON that people can write by hand.

A file with nothing but boxes and an area answers all that follows from them. Measured scenes carry
more: how each object was seen, the intervals of the room, where cameras stood. Surfaces and clouds
are not part of the file; they are kept by the scene cache and exported as ``.ply``.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spatial_agent.tools.errors import InvalidValueError, SourceError
from spatial_agent.tools.geometry.transforms import rigid, rotation_to_align
from spatial_agent.tools.scene.box import OrientedBox
from spatial_agent.tools.scene.camera import CameraIntrinsics, CameraPose
from spatial_agent.tools.scene.map import (
    Provenance,
    Room,
    SceneCamera,
    SceneMap,
    SceneObject,
    SceneQuality,
)
from spatial_agent.tools.whole_file import write_whole

FORMAT: Literal["spatial-agent/scene@1"] = "spatial-agent/scene@1"
LARGEST_FILE_MB = 64
Matrix = NDArray[np.float64]

Number = Annotated[float, Field(allow_inf_nan=False)]
Vector = Annotated[list[Number], Field(min_length=3, max_length=3)]
Matrix3 = Annotated[list[Vector], Field(min_length=3, max_length=3)]
Row4 = Annotated[list[Number], Field(min_length=4, max_length=4)]
Matrix4 = Annotated[list[Row4], Field(min_length=4, max_length=4)]
Point2 = Annotated[list[Number], Field(min_length=2, max_length=2)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class BoxModel(_Model):
    """A box of any orientation, kept as given."""

    centre_m: Vector = Field(description="Centre, metres.")
    extent_m: Vector = Field(description="Full edge lengths along the box axes, metres.")
    world_from_box: Matrix3 = Field(
        default=[[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        description="Proper rotation by rows; its columns are the box axes in the scene.",
    )


class ProvenanceModel(_Model):
    """What stands behind a measured object."""

    frames: list[int]
    pixels: int
    points: int
    spread_m: Number
    face_coverage: Annotated[list[Number], Field(min_length=6, max_length=6)]
    cut_off: bool = False


class ObjectModel(_Model):
    """One thing in the scene."""

    id: str = Field(min_length=1)
    label: str = Field(min_length=1)
    box: BoxModel
    facing: Vector | None = Field(default=None, description="Direction of its front.")
    facing_error_rad: float = Field(default=0.0, ge=0.0, description="Its standard deviation, radians.")
    first_seen_frame: int | None = Field(default=None, ge=0)
    first_seen_s: Number | None = None
    score: Number = Field(default=1.0, ge=0, le=1)
    provenance: ProvenanceModel | None = None


class RoomModel(_Model):
    """The floor plan."""

    area_m2: Number = Field(gt=0)
    polygon_m: list[Point2] | None = None
    area_low_m2: Number | None = None
    area_high_m2: Number | None = None
    exact: bool = Field(default=True, description="Given rather than measured.")


class CameraModel(_Model):
    """Where a frame was taken from."""

    index: int = Field(ge=0)
    fx: Number
    fy: Number
    cx: Number
    cy: Number
    width: int
    height: int
    world_from_camera: Matrix4
    time_s: Number | None = None


class QualityModel(_Model):
    """How well a measured scene agrees with itself."""

    depth_noise_m: Number
    pose_drift_m: Number
    up_error_rad: Number
    scale_error: Number
    shape_error: Number = 0.0
    focal_error: Number = 0.0


class SceneModel(_Model):
    """A scene: +Z up, floor at z = 0, metres."""

    format: Literal["spatial-agent/scene@1"] = FORMAT
    scale: Literal["metric", "relative", "directions"]
    up: Vector | None = Field(
        description="Up direction, or null where gravity is unknown; a scene is turned until it is +Z."
    )
    room: RoomModel | None = None
    objects: list[ObjectModel]
    cameras: list[CameraModel] = []
    scan_from_scene: Matrix4 | None = None
    quality: QualityModel | None = None
    scene_id: str = "given"
    notes: list[str] = []


def scene_schema() -> dict[str, Any]:
    """Return the JSON schema of the file format."""
    return SceneModel.model_json_schema()


def scene_to_json(scene: SceneMap) -> dict[str, Any]:
    """Return a scene as plain JSON of the file format."""
    model = SceneModel(
        scale=scene.scale,
        up=None if scene.up is None else scene.up.tolist(),
        room=None if scene.room is None else _room_model(scene.room),
        objects=[_object_model(item) for item in scene.objects],
        cameras=[_camera_model(camera) for camera in scene.cameras],
        scan_from_scene=None if scene.scan_from_scene is None else scene.scan_from_scene.tolist(),
        quality=None if scene.quality is None else QualityModel(**vars(scene.quality)),
        scene_id=scene.scene_id,
        notes=list(scene.notes),
    )
    return model.model_dump(exclude_none=False)


def scene_from_json(data: object, name: str = "scene") -> SceneMap:
    """Build a scene from plain JSON.

    Args:
        data: What `scene_to_json` returns, or the same written by hand.
        name: How messages call it.

    Raises:
        SourceError: If a field is missing, unknown or impossible; the message names it.
    """
    try:
        model = SceneModel.model_validate(data)
        return _scene(model)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}"
            for fault in error.errors(include_url=False)
        ]
        more = f" (and {len(faults) - 5} more)" if len(faults) > 5 else ""
        raise SourceError(f"{name} is not a {FORMAT} file: {'; '.join(faults[:5])}{more}") from None
    except InvalidValueError as error:
        raise SourceError(f"{name} is not a {FORMAT} file: {error}") from None


def read_scene(path: Path) -> SceneMap:
    """Read a scene file.

    Raises:
        SourceError: If it cannot be read as one.
    """
    if path.stat().st_size > LARGEST_FILE_MB * 2**20:
        raise SourceError(f"{path.name}: expected a scene file of at most {LARGEST_FILE_MB} MB")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path.name}: expected JSON of the format {FORMAT} ({error})") from None
    return scene_from_json(data, path.name)


def write_scene(scene: SceneMap, path: Path) -> None:
    """Write a scene file; an interrupted write leaves the old file as it was."""
    text = json.dumps(scene_to_json(scene), indent=1)
    write_whole(path, lambda partial: partial.write_text(text + "\n", encoding="utf-8"))


def _object_model(item: SceneObject) -> ObjectModel:
    box = BoxModel(
        centre_m=item.box.centre_m.tolist(),
        extent_m=item.box.extent_m.tolist(),
        world_from_box=item.box.world_from_box.tolist(),
    )
    return ObjectModel(
        id=item.id,
        label=item.label,
        box=box,
        facing=None if item.facing is None else item.facing.tolist(),
        facing_error_rad=item.facing_error_rad,
        first_seen_frame=item.first_seen_frame,
        first_seen_s=item.first_seen_s,
        score=item.score,
        provenance=None if item.provenance is None else ProvenanceModel(**vars(item.provenance)),
    )


def _room_model(room: Room) -> RoomModel:
    polygon_m = None if room.polygon_m is None else room.polygon_m.tolist()
    return RoomModel(**(vars(room) | {"polygon_m": polygon_m}))


def _camera_model(camera: SceneCamera) -> CameraModel:
    return CameraModel(
        index=camera.index,
        **vars(camera.intrinsics),
        world_from_camera=camera.pose.world_from_camera.tolist(),
        time_s=camera.time_s,
    )


def _scene(model: SceneModel) -> SceneMap:
    upright = _upright_from_file(model)
    return SceneMap(
        objects=tuple(_object(item, upright) for item in model.objects),
        scale=model.scale,
        up=None if model.up is None else np.array([0.0, 0.0, 1.0]),
        room=None if model.room is None else _room(model.room),
        cameras=tuple(_camera(camera, upright) for camera in model.cameras),
        scan_from_scene=None if model.scan_from_scene is None else np.array(model.scan_from_scene),
        quality=None if model.quality is None else SceneQuality(**model.quality.model_dump()),
        scene_id=model.scene_id,
        notes=tuple(model.notes),
    )


def _upright_from_file(model: SceneModel) -> Matrix | None:
    """Return the rotation that makes up +Z, 4x4, or None where nothing needs to turn."""
    if model.up is None or np.allclose(model.up, (0, 0, 1), atol=1e-9):
        return None
    if model.scan_from_scene is not None or (model.room and model.room.polygon_m):
        raise InvalidValueError("polygon_m and scan_from_scene need up = [0, 0, 1]; turn the scene first")
    return rigid(rotation_to_align(model.up, (0.0, 0.0, 1.0)))


def _object(model: ObjectModel, upright: Matrix | None) -> SceneObject:
    box = OrientedBox(*(np.array(part, dtype=float) for part in model.box.model_dump().values()))
    provenance = None
    if model.provenance is not None:
        fields = model.provenance.model_dump()
        fields["frames"], fields["face_coverage"] = tuple(fields["frames"]), tuple(fields["face_coverage"])
        provenance = Provenance(**fields)
    facing = None if model.facing is None else np.array(model.facing)
    if upright is not None:
        box = box.moved(upright)
        facing = None if facing is None else upright[:3, :3] @ facing
    return SceneObject(
        id=model.id,
        label=model.label.lower(),
        box=box,
        facing=facing,
        facing_error_rad=model.facing_error_rad,
        first_seen_frame=model.first_seen_frame,
        first_seen_s=model.first_seen_s,
        score=model.score,
        provenance=provenance,
    )


def _room(model: RoomModel) -> Room:
    fields = model.model_dump()
    if fields["polygon_m"] is not None:
        fields["polygon_m"] = np.array(fields["polygon_m"], dtype=float).reshape(-1, 2)
    return Room(**fields)


def _camera(model: CameraModel, upright: Matrix | None) -> SceneCamera:
    intrinsics = CameraIntrinsics(model.fx, model.fy, model.cx, model.cy, model.width, model.height)
    pose = CameraPose(np.array(model.world_from_camera))
    return SceneCamera(
        model.index, intrinsics, pose if upright is None else pose.moved(upright), model.time_s
    )
