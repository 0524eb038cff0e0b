"""A value never changes once it exists, whichever part of it one gets hold of."""

import dataclasses

import numpy as np
import pytest

from spatial_agent.tools.scene import (
    CameraIntrinsics,
    CameraPose,
    DepthMap,
    Detections,
    Frame,
    FrameHeader,
    FrameSet,
    InstanceMask,
    Measurement,
    OrientedBox,
    PointCloud,
    Provenance,
    Room,
    SceneCamera,
    SceneMap,
    SceneObject,
    SceneQuality,
)

HEADER = FrameHeader(0, "0001")
INTRINSICS = CameraIntrinsics(4.0, 4.0, 1.5, 1.0, 4, 3)
BOX = OrientedBox.upright(np.zeros(3), np.ones(3), 0.3)
VALUES = [
    INTRINSICS,
    CameraPose(np.eye(4)),
    PointCloud(np.zeros((2, 3)), np.zeros((2, 3), np.uint8), np.ones(2)),
    DepthMap(np.ones((3, 4), np.float32)),
    InstanceMask(np.zeros((3, 4), bool), "chair"),
    Detections(np.zeros((1, 4)), np.ones(1), ("chair",), np.zeros((1, 3, 4), bool)),
    HEADER,
    Frame(HEADER, np.zeros((3, 4, 3), np.uint8), None, np.zeros((3, 4), np.uint16)),
    FrameSet(
        "kitchen", "video", (HEADER,), lambda *_: Frame(HEADER), "c0ffee", gravity=np.array([0, 0, -2.0])
    ),
    Measurement(1.0, "m", 0.9, 1.1, "test"),
    BOX,
    Provenance((0,), 10, 5, 0.01, (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)),
    SceneObject("chair-1", "chair", BOX, facing=np.array([1.0, 1.0, 0.0])),
    Room(20.0, np.array([[0.0, 0.0], [5.0, 0.0], [5.0, 4.0], [0.0, 4.0]])),
    SceneCamera(0, INTRINSICS, CameraPose(np.eye(4))),
    SceneQuality(0.01, 0.01, 0.01, 0.01),
    SceneMap((), scan_from_scene=np.eye(4)),
]


def name_of(value: object) -> str:
    return type(value).__name__


@pytest.mark.parametrize("value", VALUES, ids=name_of)
def test_no_field_can_be_replaced(value: object) -> None:
    for field in dataclasses.fields(value):  # type: ignore[arg-type]
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field.name, None)


@pytest.mark.parametrize("value", VALUES, ids=name_of)
def test_no_array_inside_can_be_written(value: object) -> None:
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}  # type: ignore[arg-type]
    arrays = {name: part for name, part in fields.items() if isinstance(part, np.ndarray)}
    assert [name for name, array in arrays.items() if array.flags.writeable] == []


def test_the_remembered_corners_of_a_box_cannot_be_written() -> None:
    assert not BOX.corners_m.flags.writeable
