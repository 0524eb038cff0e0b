"""Frozen values that everything speaks in: one module per noun, validated on construction."""

if __name__ != "spatial_agent.tools.scene":
    raise ImportError(f"import spatial_agent.tools.scene, not {__name__}")

from spatial_agent.tools.scene.arrays import check_array
from spatial_agent.tools.scene.box import OrientedBox
from spatial_agent.tools.scene.camera import CameraIntrinsics, CameraPose
from spatial_agent.tools.scene.cloud import PointCloud
from spatial_agent.tools.scene.depth import DepthMap, Scale
from spatial_agent.tools.scene.detections import Detections, InstanceMask
from spatial_agent.tools.scene.frame import Frame, FrameHeader, FrameLoader, FrameSet
from spatial_agent.tools.scene.map import (
    Provenance,
    Room,
    SceneCamera,
    SceneMap,
    SceneObject,
    SceneQuality,
    SceneScale,
)
from spatial_agent.tools.scene.measurement import UNITS, Measurement, convert
from spatial_agent.tools.scene.mesh import TriangleMesh
from spatial_agent.tools.scene.picture import Picture
from spatial_agent.tools.scene.semantic import SemanticMap
from spatial_agent.tools.scene.tracks import Tracks

__all__ = [
    "UNITS",
    "CameraIntrinsics",
    "CameraPose",
    "DepthMap",
    "Detections",
    "Frame",
    "FrameHeader",
    "FrameLoader",
    "FrameSet",
    "InstanceMask",
    "Measurement",
    "OrientedBox",
    "Picture",
    "PointCloud",
    "Provenance",
    "Room",
    "Scale",
    "SceneCamera",
    "SceneMap",
    "SceneObject",
    "SceneQuality",
    "SceneScale",
    "SemanticMap",
    "Tracks",
    "TriangleMesh",
    "check_array",
    "convert",
]
