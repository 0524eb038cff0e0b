"""Photographs: depth from experts, its scale weighed against what is known, and what remains without."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from spatial_agent.services.perception import Perception, Route
from spatial_agent.services.scene_building import Measured, measure_scene
from spatial_agent.tools.errors import ScaleError, SourceError, ToolUnavailableError
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.registry import Registry, expert
from spatial_agent.tools.scene import DepthMap, Detections, Frame, FrameHeader, FrameSet
from spatial_agent.tools.synthetic import SyntheticRoom

ROOM = SyntheticRoom.example().resized(320, 240)
#: The frame in which most of the room is seen.
TAKEN = 0
TOO_FAR = 1.25


def _recorded() -> Frame:
    return ROOM.frames().load(TAKEN)


def _photo() -> FrameSet:
    """What is left of a frame when only its picture and its camera are known."""
    recorded = _recorded()
    header = FrameHeader(0, "photo", recorded.header.intrinsics)
    bare = Frame(header, recorded.rgb)
    return FrameSet("photo.jpg", "image", (header,), lambda i, rgb, depth, instances: bare, "a photo")


PHOTO = _photo()


def _depth(factor: float) -> DepthMap:
    depth = _recorded().depth
    assert depth is not None
    return DepthMap(depth.z_m * np.float32(factor), scale_error=0.15, shape_error=0.02)


@expert("depth.exact")
def exact(frame: Frame) -> DepthMap:
    """Know the depth.

    Args:
        frame: The photograph.
    """
    return _depth(1.0)


@expert("depth.too_far")
def too_far(frame: Frame) -> DepthMap:
    """Take everything for farther than it is.

    Args:
        frame: The photograph.
    """
    return _depth(TOO_FAR)


@expert("depth.gone")
def gone(frame: Frame) -> DepthMap:
    """Be unavailable.

    Args:
        frame: The photograph.
    """
    raise ToolUnavailableError("no room on the GPU")


@expert("instances.exact")
def instances(frame: Frame) -> Detections:
    """See everything.

    Args:
        frame: The photograph.
    """
    ids = _recorded().instance_ids
    assert ids is not None
    numbers = [int(k) for k in np.unique(ids) if k]
    masks = np.array([ids == k for k in numbers])
    boxes = [(c.min() - 0.5, r.min() - 0.5, c.max() + 0.5, r.max() + 0.5) for r, c in map(np.nonzero, masks)]
    labels = tuple(ROOM.frames().instance_labels[k].replace("chair", "dining chair") for k in numbers)
    return Detections(np.array(boxes, float), np.ones(len(numbers)), labels, masks)


def measure(perception: Perception, photo: FrameSet = PHOTO) -> Measured:
    registry = Registry()
    for target in (exact, too_far, gone, instances):
        registry.add(target)
    return asyncio.run(measure_scene(LocalRunner(registry), photo, perception))


def seen_by(*depth: str, **known: float) -> Perception:
    routes = (Route("exact", "instances.exact"),)
    return Perception(
        recorded=False, routes=routes, depth=depth, camera_height_m=known.get("camera_height_m")
    )


def camera_height_m() -> float:
    pose = _recorded().header.pose
    assert pose is not None
    return float(pose.position_m[2])


def heights_m(measured: Measured) -> dict[str, float]:
    return {item.label: float(item.box.extent_m[2]) for item in measured.scene.objects}


def test_a_photograph_with_depth_becomes_a_scene_with_its_floor_and_wide_margins() -> None:
    scene = measure(seen_by("depth.exact")).scene

    assert scene.up is not None
    assert float(scene.cameras[0].pose.position_m[2]) == pytest.approx(camera_height_m(), rel=0.15)
    assert scene.quality is not None
    assert scene.quality.scale_error > 0.03
    assert {item.label for item in scene.objects} == set(instances(_recorded()).labels)


def test_a_known_height_of_the_camera_corrects_a_wrong_scale() -> None:
    wrong = measure(seen_by("depth.too_far"))
    known = measure(seen_by("depth.too_far", camera_height_m=camera_height_m()))
    truth = measure(seen_by("depth.exact", camera_height_m=camera_height_m()))

    assert heights_m(wrong) != heights_m(known)
    for label in ("sofa", "bookshelf", "dining chair"):
        assert heights_m(known)[label] == pytest.approx(heights_m(truth)[label], rel=0.05)
    assert known.scene.quality is not None
    assert wrong.scene.quality is not None
    assert known.scene.quality.scale_error < wrong.scene.quality.scale_error
    assert any("height of the camera" in note for note in known.scene.notes)


def test_usual_sizes_pull_a_wrong_scale_towards_the_truth() -> None:
    scene = measure(seen_by("depth.too_far")).scene
    off = float(scene.cameras[0].pose.position_m[2]) / camera_height_m() - 1

    assert 0 < off < TOO_FAR - 1
    assert scene.quality is not None
    assert scene.quality.scale_error < too_far(_recorded()).scale_error
    assert any("typical size" in note for note in scene.notes)


def test_the_next_depth_expert_is_asked_when_one_is_lost() -> None:
    measured = measure(seen_by("depth.gone", "depth.exact"))

    assert measured.scene.scale == "metric"
    assert measured.degraded == ("depth.gone gave no depth: no room on the GPU",)


def test_without_depth_things_are_counted_and_nothing_is_measured() -> None:
    measured = measure(seen_by("depth.gone"))

    assert {item.label for item in measured.scene.objects} == set(instances(_recorded()).labels)
    assert "not how far or how big" in measured.degraded[-1]
    with pytest.raises(ScaleError):
        measured.scene.require_metric("a distance")


def test_a_profile_of_recordings_says_how_a_photograph_is_measured() -> None:
    with pytest.raises(SourceError, match="profile 'open'"):
        measure(Perception(recorded=True))


def test_a_photograph_with_its_own_depth_asks_no_expert() -> None:
    recorded = _recorded()
    header = replace(PHOTO.headers[0], has_depth=True)
    whole = Frame(header, recorded.rgb, recorded.depth)
    with_depth = replace(PHOTO, headers=(header,), loader=lambda i, rgb, depth, instances: whole)

    scene = measure(seen_by("depth.gone"), with_depth).scene
    assert scene.scale == "metric"
    assert float(scene.cameras[0].pose.position_m[2]) == pytest.approx(camera_height_m(), rel=0.05)
