"""Which tracks are one thing: what left the view and came back lies where it lay before."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.mapping.association import FRAGMENT_SHARE, associate
from spatial_agent.tools.mapping.lifting import Sighting, lift
from spatial_agent.tools.mapping.views import CoarseView
from spatial_agent.tools.scene import Frame, InstanceMask, Tracks


def reidentified(tracks: Tracks, frames: Sequence[Frame]) -> Tracks:
    """Give tracks of one label whose surfaces lie in one place one number.

    Every mask is lifted into the world by depth and pose, and surfaces are associated as those of single
    detections are; tracks whose surfaces mostly went to one object become one, unless a frame shows them
    as two things. What moved while out of view stays apart; a single track is never split.

    Args:
        tracks: Any order of frames.
        frames: At least the frames of the tracks, with depth, pose and intrinsics in one world.

    Returns:
        The same masks; joined tracks carry the smallest of their numbers.

    Raises:
        SourceError: If a frame of the tracks is missing, or lacks depth, pose or intrinsics.
    """
    by_index = {frame.header.index: frame for frame in frames}
    missing = [index for index in tracks.frames if index not in by_index]
    if missing:
        raise SourceError(f"tracks: expected their frames too, missing are {missing}; pass all of them")
    views = [_view(by_index[index]) for index in tracks.frames]
    lifted = {
        number: [_lifted(mask, by_index[index]) for index, mask in tracks.of(number).items()]
        for number in tracks.ids
    }
    places = _places(lifted, views)
    numbers: dict[int, int] = {}
    groups: dict[int, list[list[int]]] = defaultdict(list)
    for number in tracks.ids:
        place = places.get(number)
        if place is None:
            continue
        fitting = (group for group in groups[place] if not any(_apart(tracks, number, k) for k in group))
        group = next(fitting, None)
        if group is None:
            groups[place].append(group := [])
        group.append(number)
        numbers[number] = group[0]
    return tracks.renumbered(numbers)


def _view(frame: Frame) -> CoarseView:
    header = frame.header
    if frame.depth is None or header.pose is None or header.intrinsics is None:
        raise SourceError(
            f"frame {header.name}: expected depth, pose and intrinsics to find tracks again by where they are"
        )
    return CoarseView.of(header.index, frame.depth, header.intrinsics, header.pose.camera_from_world)


def _lifted(mask: InstanceMask, frame: Frame) -> Sighting:
    # A network drew the outline, whatever number it goes by: it is as unsure as any detector's.
    return lift(replace(mask, instance_id=None), frame)


def _places(lifted: Mapping[int, Sequence[Sighting]], views: Sequence[CoarseView]) -> dict[int, int]:
    """Return at which object most of each track's surface lies; tracks without surface are left out."""
    objects = associate([sighting for sightings in lifted.values() for sighting in sightings], views)
    object_of = {id(sighting): k for k, found in enumerate(objects) for sighting in found.sightings}
    places: dict[int, int] = {}
    for number, sightings in lifted.items():
        pixels: Counter[int] = Counter()
        for sighting in sightings:
            if id(sighting) in object_of:
                pixels[object_of[id(sighting)]] += sighting.pixels
        if pixels:
            places[number] = min(pixels, key=lambda k: (-pixels[k], k))
    return places


def _apart(tracks: Tracks, one: int, other: int) -> bool:
    """Return whether some frame shows two tracks as two things."""
    first, second = tracks.of(one), tracks.of(other)
    for frame in first.keys() & second.keys():
        both = np.count_nonzero(first[frame].pixels & second[frame].pixels)
        smaller = min(np.count_nonzero(masks[frame].pixels) for masks in (first, second))
        if both < FRAGMENT_SHARE * smaller:
            return True
    return False
