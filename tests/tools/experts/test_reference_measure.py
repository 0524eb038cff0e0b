"""Lengths by reference against a ray-cast wall and what stands before it, whose sizes are known exactly."""

import dataclasses

import numpy as np
import pytest

from spatial_agent.tools.conformance import check_expert, failures
from spatial_agent.tools.contract import Finding
from spatial_agent.tools.errors import NoSuchObjectError, ToolArgumentError, ToolFailedError
from spatial_agent.tools.experts.reference_measure import measure_by_reference
from spatial_agent.tools.scene import CameraIntrinsics, CameraPose, DepthMap, Frame
from spatial_agent.tools.synthetic import SyntheticObject, SyntheticRoom
from spatial_agent.tools.synthetic.layout import look_at

#: Pixels that are not square, and a wall x = 5 m that is looked at squarely, with a cabinet before it.
LENS = CameraIntrinsics(260.0, 240.0, 159.5, 99.5, 320, 200)
EYE = look_at(np.array([1.0, 2.2, 1.3]), np.array([5.0, 2.2, 1.3]))
ROOM = SyntheticRoom(
    5.0, 4.4, 2.6, (SyntheticObject.placed("cabinet", (3.0, 2.9), np.pi, (0.4, 0.8, 1.6)),), (EYE,), LENS
)
FRAME = ROOM.frames().load(0)
Point = tuple[float, float, float]
#: Two segments of the wall: 1.5 m along y, and 1.2 m along z.
WALL_REFERENCE = ((5.0, 0.5, 0.8), (5.0, 2.0, 0.8))
WALL_SEGMENT = ((5.0, 1.2, 0.9), (5.0, 1.2, 2.1))
#: The upper front edge of the cabinet, 0.8 m wide, 1.8 m before the eye; the wall is 4 m from it.
CABINET_EDGE = ((2.8, 2.5, 1.6), (2.8, 3.3, 1.6))


def pixels(points: tuple[Point, Point], pose: CameraPose = EYE) -> list[list[float]]:
    found = []
    for point in points:
        x, y, z, _ = pose.camera_from_world @ (*point, 1.0)
        found.append([260 * x / z + 159.5, 240 * y / z + 99.5])
    return found


def measure(
    frame: Frame, segment: tuple[Point, Point], reference: tuple[Point, Point], known_m: float
) -> Finding:
    return measure_by_reference(frame, pixels(segment), pixels(reference), known_m)


def without_depth(frame: Frame) -> Frame:
    return dataclasses.replace(frame, depth=None)


def bounds(finding: Finding) -> tuple[float, float]:
    assert finding.low is not None
    assert finding.high is not None
    return finding.low, finding.high


@pytest.mark.parametrize("frame", [FRAME, without_depth(FRAME)], ids=["depth", "picture alone"])
def test_in_one_plane_it_is_the_ratio_of_angles(frame: Frame) -> None:
    found = measure(frame, WALL_SEGMENT, WALL_REFERENCE, 1.5)
    low, high = bounds(found)

    assert found.value == pytest.approx(1.2, rel=0.01)
    assert low < 1.2 < high
    assert found.quality == "weak"
    assert "the reference of 1.5 m (± 0.075 m)" in (found.why_weak or "")
    assert "equally far from the camera" in found.claim


def test_what_depth_says_of_the_plane_makes_the_margin_narrower_than_an_assumption() -> None:
    seen = measure(FRAME, WALL_SEGMENT, WALL_REFERENCE, 1.5)
    assumed = measure(without_depth(FRAME), WALL_SEGMENT, WALL_REFERENCE, 1.5)

    assert seen.margin is not None
    assert assumed.margin is not None
    assert 2 * seen.margin < assumed.margin
    assert "assuming that both" in assumed.claim
    assert "and by depth both" in seen.claim
    assert seen.details["by_depth_m"] == pytest.approx(1.2, rel=0.01)
    assert assumed.details["by_depth_m"] is None


def test_what_is_nearer_than_the_reference_is_put_right_with_a_wider_margin() -> None:
    """By pixels alone the edge would be 0.8 m times 4 / 1.8."""
    found = measure(FRAME, CABINET_EDGE, WALL_REFERENCE, 1.5)
    low, high = bounds(found)
    same_plane = measure(FRAME, WALL_SEGMENT, WALL_REFERENCE, 1.5)

    assert found.value == pytest.approx(0.8, rel=0.02)
    assert low < 0.8 < high
    assert (high - low) / found.value > 1.5 * (same_plane.margin or 0.0) / same_plane.value * 2
    assert found.details["depth_ratio"] == pytest.approx(1.8 / 4.0, rel=0.01)
    assert "the segment is 1.80 m from the camera, the reference 4.00 m" in found.claim


def test_depth_of_unknown_scale_puts_right_as_well() -> None:
    assert FRAME.depth is not None
    thirds = DepthMap(FRAME.depth.z_m / np.float32(3), "relative")
    found = measure(dataclasses.replace(FRAME, depth=thirds), CABINET_EDGE, WALL_REFERENCE, 1.5)

    assert found.value == pytest.approx(0.8, rel=0.02)
    assert found.details["by_depth_m"] is None
    assert "0.60 units from the camera" in found.claim


def test_without_the_lens_other_depths_are_refused_and_one_plane_is_not() -> None:
    square = CameraIntrinsics(260.0, 260.0, 159.5, 99.5, 320, 200)
    frame = dataclasses.replace(ROOM, intrinsics=square).frames().load(0)
    bare = dataclasses.replace(frame, header=dataclasses.replace(frame.header, intrinsics=None))
    wall = [[180.0, 80.0], [230.0, 80.0]]

    assert measure_by_reference(bare, [[250.0, 60.0], [250.0, 80.0]], wall, 1.0).value == pytest.approx(0.4)
    with pytest.raises(ToolFailedError, match=r"segment is 1.80 m .* reference 4.00 m; without the lens"):
        measure_by_reference(bare, [[30.0, 80.0], [80.0, 80.0]], wall, 1.0)


def test_a_length_along_a_wall_seen_from_the_side_is_put_right() -> None:
    """Both lie on one wall that runs away from the camera, so nothing about it is square on."""
    eye = look_at(np.array([1.0, 0.6, 1.3]), np.array([4.0, 4.4, 1.3]))
    frame = dataclasses.replace(ROOM, objects=(), cameras=(eye,)).frames().load(0)
    segment, reference = ((3.2, 4.4, 1.3), (4.6, 4.4, 1.3)), ((2.0, 4.4, 0.6), (2.0, 4.4, 1.6))
    found = measure_by_reference(frame, pixels(segment, eye), pixels(reference, eye), 1.0)
    plain = measure_by_reference(without_depth(frame), pixels(segment, eye), pixels(reference, eye), 1.0)
    low, high = bounds(found)

    assert found.value == pytest.approx(1.4, rel=0.03)
    assert low < 1.4 < high
    assert abs(plain.value - 1.4) > 0.15


def test_an_end_at_the_border_of_a_thing_is_at_the_depth_of_the_thing() -> None:
    """The pixels beyond the edge of the cabinet show the wall 2.2 m behind it."""
    beyond = pixels(CABINET_EDGE)
    beyond[0][0], beyond[1][0] = beyond[0][0] + 1.0, beyond[1][0] - 1.0
    found = measure_by_reference(FRAME, beyond, pixels(WALL_REFERENCE), 1.5)

    assert found.details["depth_ratio"] == pytest.approx(1.8 / 4.0, rel=0.02)


def test_usual_sizes_serve_as_references_with_all_of_their_range() -> None:
    """A door is judged to be 1.9 to 2.2 m or so high: its range is in the margin, and it is said."""
    found = measure_by_reference(
        FRAME,
        pixels(WALL_SEGMENT),
        pixels(WALL_REFERENCE),
        reference_of="door",
        dimension="height",
        unit="cm",
    )
    given = measure_by_reference(
        FRAME, pixels(WALL_SEGMENT), pixels(WALL_REFERENCE), found.details["reference_m"], 0.001
    )
    low, high = bounds(found)

    assert found.unit == "cm"
    assert found.value == pytest.approx(100 * float(given.value))
    assert high - low > 100 * sum(np.diff(bounds(given)))
    assert "the usual height of a door" in found.claim


def test_pixels_are_those_of_the_picture_where_depth_is_smaller() -> None:
    assert FRAME.rgb is not None
    larger = dataclasses.replace(FRAME, rgb=np.repeat(np.repeat(FRAME.rgb, 2, axis=0), 2, axis=1))
    segment, reference = (
        [[2 * x + 0.5, 2 * y + 0.5] for x, y in pixels(ends)] for ends in (CABINET_EDGE, WALL_REFERENCE)
    )

    assert measure_by_reference(larger, segment, reference, 1.5).value == pytest.approx(0.8, rel=0.02)


def test_what_cannot_be_measured_is_named() -> None:
    segment, reference = pixels(WALL_SEGMENT), pixels(WALL_REFERENCE)
    with pytest.raises(ToolArgumentError, match="either reference_m or reference_of"):
        measure_by_reference(FRAME, segment, reference)
    with pytest.raises(ToolArgumentError, match="either reference_m or reference_of"):
        measure_by_reference(FRAME, segment, reference, 1.0, reference_of="door")
    with pytest.raises(ToolArgumentError, match="segment_px: .* not inside the 320x200 picture"):
        measure_by_reference(FRAME, [[0, 0], [900, 3]], reference, 1.0)
    with pytest.raises(ToolArgumentError, match="reference_px: expected at least 6 pixels"):
        measure_by_reference(FRAME, segment, [[5, 5], [6, 6]], 1.0)
    with pytest.raises(ToolArgumentError, match="expected start and end"):
        measure_by_reference(FRAME, [[1.0, 2.0]], reference, 1.0)
    with pytest.raises(ToolArgumentError, match="reference_m: expected 0.001 to 1000 m"):
        measure_by_reference(FRAME, segment, reference, float("nan"))
    with pytest.raises(NoSuchObjectError, match="no usual size"):
        measure_by_reference(FRAME, segment, reference, reference_of="zeppelin")
    with pytest.raises(ToolArgumentError, match="area is no length"):
        measure_by_reference(FRAME, segment, reference, reference_of="bedroom", dimension="area")
    with pytest.raises(ToolFailedError, match="neither picture nor depth"):
        measure_by_reference(Frame(FRAME.header), segment, reference, 1.0)


def test_it_does_what_every_expert_must() -> None:
    """Two segments inside the frames of the room that conformance uses, 160 x 120 pixels."""
    given = {"segment_px": [[40.0, 60.0], [40.0, 90.0]], "reference_px": [[90.0, 60.0], [90.0, 90.0]]}
    room = dataclasses.replace(SyntheticRoom.example(), cameras=SyntheticRoom.example().cameras[:3])
    report = check_expert(measure_by_reference, room=room, arguments={**given, "reference_m": 1.0})

    assert failures(report) == {}
