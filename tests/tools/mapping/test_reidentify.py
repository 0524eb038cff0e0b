"""Things that leave the view and come back, filmed in rooms where a ray says whose every pixel is."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.experts.reidentification import reidentify
from spatial_agent.tools.mapping.reidentify import reidentified
from spatial_agent.tools.scene import CameraPose, DepthMap, Frame, InstanceMask, Tracks
from spatial_agent.tools.synthetic import SensorNoise, SyntheticRoom

LEAST_PX = 60


def looking(at_m: tuple[float, float, float], towards_m: tuple[float, float, float]) -> CameraPose:
    forward = np.subtract(towards_m, at_m)
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right = right / np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([right, np.cross(forward, right), forward])
    pose[:3, 3] = at_m
    return CameraPose(pose)


def tracked(room: SyntheticRoom, frames: list[Frame]) -> tuple[Tracks, dict[int, int]]:
    """Follow everything as a tracker that never forgets nor recognises: a new number at each return.

    Returns the tracks, and which of the room's objects each number is.
    """
    truth: dict[int, int] = {}
    current: dict[int, int] = {}
    masks: list[tuple[InstanceMask, ...]] = []
    for frame in frames:
        assert frame.instance_ids is not None
        pixels = np.bincount(frame.instance_ids.ravel(), minlength=len(room.objects) + 1)
        seen = [thing for thing in range(1, len(pixels)) if pixels[thing] >= LEAST_PX]
        current = {thing: number for thing, number in current.items() if thing in seen}
        for thing in seen:
            if thing not in current:
                current[thing] = len(truth) + 1
                truth[current[thing]] = thing
        masks.append(
            tuple(
                InstanceMask(frame.instance_ids == thing, room.objects[thing - 1].label, 0.8, current[thing])
                for thing in seen
            )
        )
    return Tracks(tuple(frame.header.index for frame in frames), tuple(masks)), truth


def numbers_of(joined: Tracks, tracks: Tracks, truth: dict[int, int]) -> dict[int, set[int]]:
    """Return the numbers each of the room's objects goes by, told by whose pixels they cover."""
    numbers: dict[int, set[int]] = defaultdict(set)
    for before, after in zip(tracks.masks, joined.masks, strict=True):
        for mask in before:
            assert mask.instance_id is not None
            (number,) = {k.instance_id for k in after if (k.pixels & mask.pixels).sum() == mask.pixels.sum()}
            assert number is not None
            numbers[truth[mask.instance_id]].add(number)
    return numbers


def glancing_room() -> SyntheticRoom:
    """A room whose camera looks at one chair, turns away to the other, and comes back elsewhere."""
    room = SyntheticRoom.example()
    chairs = [item.box.centre_m for item in room.objects if item.label == "chair"]
    first, second = ((float(x), float(y), 0.5) for x, y, _ in chairs)
    cameras = (
        looking((0.9, 3.3, 1.4), first),
        looking((1.0, 3.2, 1.5), first),
        looking((4.4, 1.6, 1.4), second),
        looking((4.4, 0.8, 1.5), second),
        looking((3.6, 3.4, 1.4), first),
        looking((3.2, 3.5, 1.5), first),
        looking((1.5, 0.4, 1.4), second),
    )
    return replace(room, cameras=cameras)


def test_a_chair_that_comes_back_is_the_same_chair_and_the_other_is_not() -> None:
    room = glancing_room()
    frames = list(room.frames())
    tracks, truth = tracked(room, frames)
    chairs = [k for k, item in enumerate(room.objects, start=1) if item.label == "chair"]
    # Both were lost and found: the test tests something.
    assert all(list(truth.values()).count(chair) == 2 for chair in chairs)

    joined = reidentified(tracks, frames)
    numbers = numbers_of(joined, tracks, truth)
    assert all(len(numbers[chair]) == 1 for chair in chairs)
    assert numbers[chairs[0]] != numbers[chairs[1]]
    assert joined.frames == tracks.frames


@pytest.mark.parametrize("seed", range(4))
def test_no_two_things_of_a_room_ever_become_one(seed: int) -> None:
    room = SyntheticRoom.random(seed)
    frames = list(room.frames(noise=SensorNoise(), seed=seed))
    tracks, truth = tracked(room, frames)
    numbers = numbers_of(reidentified(tracks, frames), tracks, truth)
    owners: dict[int, set[int]] = defaultdict(set)
    for thing, carried in numbers.items():
        for number in carried:
            owners[number].add(thing)
    assert all(len(things) == 1 for things in owners.values())
    lost = len(truth) - len(set(truth.values()))
    found_again = len(truth) - sum(len(carried) for carried in numbers.values())
    assert found_again >= 0.8 * lost


def test_two_tracks_of_one_mask_become_one_and_of_two_masks_in_a_frame_never() -> None:
    room = glancing_room()
    frames = list(room.frames())[:2]
    tracks, truth = tracked(room, frames)
    chair = next(number for number, thing in truth.items() if room.objects[thing - 1].label == "chair")
    twice, halves = [], []
    for masks in tracks.masks:
        (mask,) = [mask for mask in masks if mask.instance_id == chair]
        middle = int(np.median(np.nonzero(mask.pixels)[0]))
        upper, lower = mask.pixels.copy(), mask.pixels.copy()
        upper[middle:], lower[:middle] = False, False
        twice.append((mask, replace(mask, instance_id=90)))
        halves.append((replace(mask, pixels=upper), replace(mask, pixels=lower, instance_id=90)))
    assert reidentified(Tracks(tracks.frames, tuple(twice)), frames).ids == (chair,)
    assert reidentified(Tracks(tracks.frames, tuple(halves)), frames).ids == (chair, 90)


def test_what_shows_no_surface_keeps_its_number() -> None:
    room = glancing_room()
    frames = [
        replace(frame, depth=DepthMap(np.zeros((120, 160), np.float32))) for frame in list(room.frames())[:3]
    ]
    tracks, _ = tracked(room, list(room.frames())[:3])
    assert reidentified(tracks, frames).ids == tracks.ids


def test_frames_without_depth_or_missing_are_refused() -> None:
    room = glancing_room()
    frames = list(room.frames())
    tracks, _ = tracked(room, frames)
    with pytest.raises(SourceError, match="expected depth, pose and intrinsics"):
        reidentify(tracks, tuple(replace(frame, depth=None) for frame in frames))
    with pytest.raises(SourceError, match=r"missing are \[6\]"):
        reidentify(tracks, tuple(frames[:6]))
