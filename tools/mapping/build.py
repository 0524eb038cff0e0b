"""The scene map of a recording: surfaces, up, room and objects, from one pass over the frames."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import UnmeasurableError
from spatial_agent.tools.experts.instances import Segmenter
from spatial_agent.tools.mapping.association import Track, associate
from spatial_agent.tools.mapping.cameras import scene_cameras
from spatial_agent.tools.mapping.fusion import fuse_cloud
from spatial_agent.tools.mapping.gravity import find_floor
from spatial_agent.tools.mapping.lifting import Sighting, lift
from spatial_agent.tools.mapping.objects import is_ghost, scene_object
from spatial_agent.tools.mapping.room import estimate_room
from spatial_agent.tools.mapping.views import CoarseView
from spatial_agent.tools.progress import Progress, report
from spatial_agent.tools.scene import Frame, FrameSet, SceneMap, SceneObject, SceneQuality

Array = NDArray[np.float64]

#: Points kept in all sightings together, however many frames there are, and per sighting.
ALL_POINTS, LEAST_POINTS, MOST_POINTS = 400_000, 400, 4000


def build_scene(frames: FrameSet, segmenter: Segmenter, *, progress: Progress | None = None) -> SceneMap:
    """Measure a recording.

    Args:
        frames: An opened source with depth and poses.
        segmenter: Finds the objects of single frames.
        progress: Called with (what, done, total); the context's listener where left out.

    Raises:
        UnmeasurableError: If no frame has depth, pose and intrinsics.
        SourceError: If the segmenter cannot use the frames.
    """
    tell = progress or report
    _require_depth_and_poses(frames)
    watch = _Watch(frames, segmenter)
    fused = fuse_cloud(
        replace(frames, loader=watch.load),
        threads=max(2, segmenter.at_once),
        progress=lambda done, total: tell("frames", done, total),
    )
    floor = find_floor(fused.cloud, scene_cameras(frames), frames.gravity)
    scene_from_scan = floor.scene_from_scan
    cameras = scene_cameras(frames, scene_from_scan)
    cloud = fused.cloud.moved(scene_from_scan)
    objects, notes = watch.objects(scene_from_scan, cloud.xyz_m, up_known=floor.up is not None, tell=tell)
    quality = SceneQuality(
        fused.depth_noise_m,
        fused.pose_drift_m,
        floor.up_error_rad,
        watch.scale_error,
        watch.shape_error,
        max(header.focal_error for header in frames.headers),
    )
    room, room_note = None, "up is unknown, so there is no room outline"
    if floor.up is not None:
        estimate = estimate_room(cloud, cameras, drift_m=max(fused.pose_drift_m, 0.01))
        room, room_note = estimate.room, estimate.note
    return SceneMap(
        objects=objects,
        scale="relative" if watch.relative else "metric",
        up=None if floor.up is None else np.array([0.0, 0.0, 1.0]),
        room=room,
        cameras=cameras,
        cloud=cloud,
        scan_from_scene=np.asarray(np.linalg.inv(scene_from_scan), np.float64),
        quality=quality,
        scene_id=scene_id(frames, segmenter),
        notes=(*frames.notes, *fused.notes, floor.note, room_note, *notes),
    )


def scene_id(frames: FrameSet, segmenter: Segmenter) -> str:
    """Return what a segmenter's map of a source is known by."""
    return f"{frames.content_hash}-{segmenter.name}-{segmenter.version}"


@dataclass(eq=False)
class _Watch:
    """Looks at every frame on its way to the fusion, so that it is decoded once."""

    frames: FrameSet
    segmenter: Segmenter
    sightings: dict[int, list[Sighting]] = field(default_factory=dict)
    views: dict[int, CoarseView] = field(default_factory=dict)
    relative: bool = False
    scale_error: float = 0.0
    shape_error: float = 0.0

    def load(self, index: int, rgb: bool, depth: bool, instances: bool) -> Frame:
        """Decode a frame and lift its masks."""
        frame = self.frames.load(index)
        header = frame.header
        if frame.depth is not None and header.pose is not None and header.intrinsics is not None:
            masks = self.segmenter.segment(frame, self.frames)
            most = int(np.clip(ALL_POINTS // len(self.frames), LEAST_POINTS, MOST_POINTS))
            self.sightings[index] = [lift(mask, frame, most) for mask in masks]
            self.views[index] = CoarseView.of(
                index, frame.depth, header.intrinsics, header.pose.camera_from_world
            )
            self.relative |= frame.depth.scale == "relative"
            self.scale_error = max(self.scale_error, frame.depth.scale_error)
            self.shape_error = max(self.shape_error, frame.depth.shape_error)
        return frame

    def objects(
        self, scene_from_scan: Array, around_m: Array, *, up_known: bool, tell: Progress
    ) -> tuple[tuple[SceneObject, ...], list[str]]:
        """Return the objects in scene coordinates, and what there is to say about those left out."""
        sightings = [
            _moved(s, scene_from_scan) for index in sorted(self.sightings) for s in self.sightings[index]
        ]
        views = [_moved_view(self.views[index], scene_from_scan) for index in sorted(self.views)]
        found: list[SceneObject] = []
        notes: list[str] = []
        tracks = associate(sightings, views)
        for done, track in enumerate(tracks, start=1):
            if is_ghost(track, views):
                notes.append(_left_out(track, "most frames that looked there did not see it"))
            elif (
                item := scene_object(track, views, self.frames.headers, around_m, up_known=up_known)
            ) is None:
                notes.append(_left_out(track, "too little of it has depth"))
            else:
                found.append(item)
            tell("objects", done, len(tracks))
        return named(found), notes


def named(objects: Sequence[SceneObject]) -> tuple[SceneObject, ...]:
    """Number the objects of each label in order of first appearance, the biggest first in one frame."""
    count: dict[str, int] = {}
    result = []
    for item in sorted(objects, key=_appearance):
        count[item.label] = count.get(item.label, 0) + 1
        result.append(replace(item, id=f"{item.label}-{count[item.label]}"))
    return tuple(result)


def _appearance(item: SceneObject) -> tuple[float, ...]:
    frame = np.inf if item.first_seen_frame is None else item.first_seen_frame
    pixels = item.provenance.pixels if item.provenance else 0
    return (frame, -pixels, *item.box.centre_m.tolist())


def _left_out(track: Track, why: str) -> str:
    frames = ", ".join(str(frame) for frame in track.frames)
    return f"a possible {track.label} (frame {frames}) was left out: {why}"


def _moved(sighting: Sighting, target_from_source: Array) -> Sighting:
    xyz_m = sighting.xyz_m @ target_from_source[:3, :3].T + target_from_source[:3, 3]
    return replace(sighting, xyz_m=xyz_m)


def _moved_view(view: CoarseView, target_from_source: Array) -> CoarseView:
    return replace(view, camera_from_world=view.camera_from_world @ np.linalg.inv(target_from_source))


def _require_depth_and_poses(frames: FrameSet) -> None:
    if any(h.has_depth and h.pose is not None and h.intrinsics is not None for h in frames.headers):
        return
    lacks = {
        "depth": any(header.has_depth for header in frames.headers),
        "camera poses": any(header.pose is not None for header in frames.headers),
        "camera intrinsics": any(header.intrinsics is not None for header in frames.headers),
    }
    missing = (
        " and ".join(name for name, there in lacks.items() if not there) or "depth with a pose in one frame"
    )
    raise UnmeasurableError(
        f"{frames.name} ({frames.layout}) has no {missing}; measuring from such a source is not built yet. "
        "Expected a posed RGB-D scan"
    )
