import numpy as np
import pytest

from spatial_agent.tools.errors import ShapeError
from spatial_agent.tools.scene import CameraIntrinsics, CameraPose, DepthMap, Frame, FrameHeader, FrameSet

SMALL = CameraIntrinsics(fx=4.0, fy=4.0, cx=1.5, cy=1.0, width=4, height=3)
DEPTH = DepthMap(np.ones((3, 4), np.float32))
COMPLETE = FrameHeader(0, "0001", SMALL, CameraPose(np.eye(4)), 0.0, has_depth=True, has_instances=True)
BARE = FrameHeader(1, "0002")


def decode_nothing(index: int, rgb: bool, depth: bool, instances: bool) -> Frame:
    return Frame(FrameHeader(index, f"{rgb}-{depth}-{instances}"))


def frames(*headers: FrameHeader) -> FrameSet:
    return FrameSet("kitchen", "TUM RGB-D", headers, decode_nothing, "c0ffee")


def test_parts_of_one_size_make_a_frame() -> None:
    frame = Frame(COMPLETE, np.zeros((6, 8, 3), np.uint8), DEPTH, np.zeros((3, 4), np.uint16))
    assert frame.depth is DEPTH


@pytest.mark.parametrize(
    ("header", "ids", "message"),
    [
        (BARE, np.zeros((4, 3), np.uint16), r"0002: instance image is \(4, 3\), depth is \(3, 4\)"),
        (
            FrameHeader(2, "0003", SMALL.resized(8, 6)),
            None,
            r"0003: depth is \(3, 4\), intrinsics say \(6, 8\) \(height, width\)",
        ),
        (BARE, np.zeros((3, 4), np.float32), "instance_ids: expected unsigned integer numbers"),
    ],
)
def test_parts_of_different_sizes_are_refused(
    header: FrameHeader, ids: np.ndarray | None, message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        Frame(header, depth=DEPTH, instance_ids=ids)


def test_colour_has_three_channels_of_bytes() -> None:
    with pytest.raises(ShapeError, match=r"rgb: expected shape \(H, W, 3\), got \(3, 4, 4\)"):
        Frame(BARE, rgb=np.zeros((3, 4, 4), np.uint8))


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (3, 0)])
def test_an_image_without_pixels_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ShapeError, match="rgb: expected at least one pixel"):
        Frame(BARE, rgb=np.zeros((*shape, 3), np.uint8))
    with pytest.raises(ShapeError, match="instance_ids: expected at least one pixel"):
        Frame(BARE, instance_ids=np.zeros(shape, np.uint16))


def test_a_source_without_frames_is_refused() -> None:
    with pytest.raises(ShapeError, match="kitchen: expected at least one frame, got none"):
        frames()


def test_frames_are_decoded_one_by_one_and_only_the_wanted_parts() -> None:
    source = frames(COMPLETE, BARE)
    assert source.load(1, depth=False).header == FrameHeader(1, "True-False-True")
    assert [frame.header.index for frame in source] == [0, 1]


def test_a_source_says_what_all_of_its_frames_have() -> None:
    complete, mixed = frames(COMPLETE), frames(COMPLETE, BARE)
    assert (len(complete), complete.has_depth, complete.has_poses, complete.has_instances) == (
        1,
        True,
        True,
        True,
    )
    assert (len(mixed), mixed.has_depth, mixed.has_poses, mixed.has_instances) == (2, False, False, True)


def test_a_pose_without_intrinsics_is_not_enough() -> None:
    assert not frames(FrameHeader(0, "0001", None, CameraPose(np.eye(4)))).has_poses


def test_gravity_becomes_a_unit_vector() -> None:
    source = FrameSet(
        "kitchen", "scan.json", (BARE,), decode_nothing, "c0ffee", gravity=np.array([0, 0, -9.81])
    )
    assert source.gravity is not None
    np.testing.assert_allclose(source.gravity, [0, 0, -1])
