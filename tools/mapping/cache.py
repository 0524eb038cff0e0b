"""Measured scenes on disk, by content: the second question about a scan does no perception.

One ``.npz`` file a scene: the scene file as JSON text plus arrays, read without pickle. Files appear
whole or not at all, so two processes can share a folder; the least recently used go first when the
folder outgrows its limit.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.bounded_folder import BoundedFolder
from spatial_agent.tools.errors import SpatialAgentError
from spatial_agent.tools.mapping.scene_file import scene_from_json, scene_to_json
from spatial_agent.tools.scene import PointCloud, SceneMap

#: Changes whenever the same frames would be measured differently, or the file layout changes.
PIPELINE_VERSION = "2"
SUFFIX = ".scene.npz"
CLOUD_PARTS = ("xyz_m", "rgb", "weight")


class SceneCache:
    """A folder of measured scenes.

    Attributes:
        folder: Where they are; made on first use.
        limit_bytes: Size at which the least recently used go.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        """Use `folder`, which need not exist yet."""
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._files = BoundedFolder(folder, (SUFFIX,), limit_bytes)

    def key(self, content_hash: str, segmenter: str) -> str:
        """Return the key of what a segmenter makes of a source."""
        text = "\n".join((PIPELINE_VERSION, content_hash, segmenter))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def get(self, key: str) -> SceneMap | None:
        """Return a scene, or None where it is not cached or its file is damaged, which then goes."""
        data = self._files.read(f"{key}{SUFFIX}")
        if data is None:
            return None
        try:
            return scene_from_bytes(data)
        except (EOFError, ValueError, KeyError, zipfile.BadZipFile, SpatialAgentError):
            self._files.remove(f"{key}{SUFFIX}")
            return None

    def put(self, key: str, scene: SceneMap) -> None:
        """Keep a scene, then make room if the folder has outgrown its limit."""
        self._files.write(f"{key}{SUFFIX}", scene_to_bytes(scene))


def scene_to_bytes(scene: SceneMap) -> bytes:
    """Return a whole scene, surfaces included, as the bytes of an ``.npz`` file."""
    text = json.dumps(scene_to_json(scene)).encode()
    arrays: dict[str, NDArray[Any]] = {"scene": np.frombuffer(text, np.uint8)}
    arrays |= _cloud_arrays("cloud", scene.cloud)
    for number, item in enumerate(scene.objects):
        arrays |= _cloud_arrays(f"object{number}", item.surface)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def scene_from_bytes(data: bytes) -> SceneMap:
    """Build a scene from what `scene_to_bytes` returned."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        scene = scene_from_json(json.loads(bytes(arrays["scene"])), "cached scene")
        objects = tuple(
            replace(item, surface=_cloud(arrays, f"object{number}"))
            for number, item in enumerate(scene.objects)
        )
        return replace(scene, objects=objects, cloud=_cloud(arrays, "cloud"))


def _cloud_arrays(name: str, cloud: PointCloud | None) -> dict[str, NDArray[Any]]:
    if cloud is None:
        return {}
    parts = {part: getattr(cloud, part) for part in CLOUD_PARTS}
    # Single precision is 0.1 micrometres at room size, and halves the file.
    return {
        f"{name}/{part}": value.astype(np.float32) if value.dtype == np.float64 else value
        for part, value in parts.items()
        if value is not None
    }


def _cloud(arrays: Mapping[str, NDArray[Any]], name: str) -> PointCloud | None:
    if f"{name}/xyz_m" not in arrays:
        return None
    parts: dict[str, Any] = {
        part: arrays[f"{name}/{part}"] for part in CLOUD_PARTS if f"{name}/{part}" in arrays
    }
    return PointCloud(
        **{
            part: value.astype(np.float64) if value.dtype == np.float32 else value
            for part, value in parts.items()
        }
    )
