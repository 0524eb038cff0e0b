"""Which sightings in different frames are one object: two chairs are two, one chair seen twice is one."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.mapping.lifting import Sighting, distinct_cells
from spatial_agent.tools.mapping.views import CoarseView

Array = NDArray[np.float64]

#: Surfaces are compared in cells of this size, with their neighbours.
CELL_M = 0.05
#: Two sightings may be one object where this share of the smaller one lies on the other.
SAME_SHARE = 0.3
#: Two masks of one frame are only one object where they share this much; else they are two things.
FRAGMENT_SHARE = 0.5
#: Parts of one label continue each other where a few of their points are this close: metres, and share
#: of the longer part.
TOUCHING_M, TOUCHING_SHARE, TOUCHING_POINTS = 0.1, 0.1, 5
#: They stay apart where a frame of one shows enough of the other, and took less than this share of it
#: for the one.
SEEN_AS_SHARE, LEAST_SEEN = 0.5, 0.05
#: A detection that never shows this share of an image is none.
LEAST_SHARE = 0.001
#: Different labels on one volume are one object where the larger share and the smaller reach these; of one
#: label both must nearly be the whole.
RIVAL_SHARE, RIVAL_BACK_SHARE, SAME_LABEL_SHARE = 0.6, 0.3, 0.8


@dataclass(frozen=True, eq=False)
class Track:
    """All sightings of one object.

    Attributes:
        label: The label with the most score behind it.
        sightings: In order of frame.
    """

    label: str
    sightings: tuple[Sighting, ...]

    @property
    def frames(self) -> tuple[int, ...]:
        """The frames that saw it, sorted."""
        return tuple(sorted({sighting.frame for sighting in self.sightings}))

    @property
    def support(self) -> float:
        """Score added up over the frames, best sighting of each."""
        best: dict[int, float] = defaultdict(float)
        for sighting in self.sightings:
            best[sighting.frame] = max(best[sighting.frame], sighting.score)
        return sum(best.values())

    @property
    def xyz_m(self) -> Array:
        """All points of all sightings, shape (N, 3)."""
        return np.concatenate([sighting.xyz_m for sighting in self.sightings])


def associate(sightings: Sequence[Sighting], views: Sequence[CoarseView] = ()) -> list[Track]:
    """Group sightings into objects; the order of the frames does not matter.

    Known identities are kept as they are. Others are joined label by label, best overlap first,
    never joining two separate things of one frame; then parts of one thing seen in different frames
    are joined, and objects of different labels in one place reduced to the better supported one.

    Args:
        sightings: Any order, with points in one world.
        views: What each frame saw, in the same world.
    """
    known, unknown = defaultdict(list), defaultdict(list)
    for sighting in sightings:
        if sighting.instance_id is not None:
            known[sighting.instance_id].append(sighting)
        elif len(sighting.xyz_m):
            unknown[sighting.label].append(sighting)
    tracks = [_track(group) for group in known.values()]
    found = [_track(group) for label in sorted(unknown) for group in _joined(unknown[label])]
    shown = [track for track in found if max(s.kept_share for s in track.sightings) >= LEAST_SHARE]
    return tracks + _without_rivals(_without_fragments(shown, {view.frame: view for view in views}))


def shares(clouds: Sequence[Array]) -> Array:
    """Return which share of each cloud lies on each other one, within a cell or two, shape (N, N).

    Args:
        clouds: N point arrays (n, 3), metres; entry [i, j] is the share of cloud i found on cloud j.
    """
    from scipy.sparse import coo_array, eye_array
    from scipy.spatial import cKDTree

    cells = [distinct_cells(np.floor(cloud / CELL_M).astype(np.int64))[0] for cloud in clouds]
    counts = np.array([len(cell) for cell in cells])
    distinct, column = distinct_cells(np.concatenate(cells))
    row = np.repeat(np.arange(len(clouds)), counts)
    size = (len(clouds), len(distinct))
    occupied: Any = coo_array((np.ones(len(row)), (row, column)), shape=size).tocsr()
    pairs = cKDTree(distinct).query_pairs(1.0, p=np.inf, output_type="ndarray")
    near: Any = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(distinct), len(distinct))).tocsr()
    reached = occupied @ (near + near.T + eye_array(len(distinct)).tocsr())
    reached.data[:] = 1.0
    found: Array = (occupied @ reached.T).toarray() / np.maximum(counts, 1)[:, None]
    return found


def _joined(sightings: Sequence[Sighting]) -> list[list[Sighting]]:
    """Join the sightings of one label, best overlap first."""
    # Sorting by place makes the outcome independent of the order of frames, also among equal overlaps.
    ordered = sorted(sightings, key=lambda sighting: (-sighting.pixels, *sighting.xyz_m.mean(axis=0)))
    mutual = shares([sighting.xyz_m for sighting in ordered])
    overlap = np.maximum(mutual, mutual.T)
    frames = np.array([sighting.frame for sighting in ordered])
    apart = (frames[:, None] == frames) & (overlap < FRAGMENT_SHARE)
    groups: Mapping[int, list[int]] = {index: [index] for index in range(len(ordered))}
    group_of = list(range(len(ordered)))
    first, second = np.triu_indices(len(ordered), 1)
    for pair in np.argsort(-overlap[first, second], kind="stable"):
        if overlap[first[pair], second[pair]] < SAME_SHARE:
            break
        into, other = group_of[first[pair]], group_of[second[pair]]
        if into != other and not apart[np.ix_(groups[into], groups[other])].any():
            groups[into].extend(groups[other])
            for member in groups[other]:
                group_of[member] = into
    return [[ordered[member] for member in groups[index]] for index in sorted(set(group_of))]


def _without_fragments(tracks: list[Track], views: Mapping[int, CoarseView]) -> list[Track]:
    """Join parts of one thing that no frame saw whole, biggest first, until nothing changes."""
    ordered = sorted(tracks, key=lambda track: (track.label, -sum(s.pixels for s in track.sightings)))
    for one, other in combinations(ordered, 2):
        if one.label == other.label and _parts_of_one(one, other, views):
            rest = [track for track in ordered if track is not one and track is not other]
            return _without_fragments([*rest, _track(one.sightings + other.sightings)], views)
    return ordered


def _parts_of_one(one: Track, other: Track, views: Mapping[int, CoarseView]) -> bool:
    if set(one.frames) & set(other.frames) or not _touch(one.xyz_m, other.xyz_m):
        return False
    seen = [_seen_as(one, other, views), _seen_as(other, one, views)]
    return all(share is None or share >= SEEN_AS_SHARE for share in seen)


def _touch(one_m: Array, other_m: Array) -> bool:
    from scipy.spatial import cKDTree

    longest_m = max(float(np.ptp(cloud_m, axis=0).max()) for cloud_m in (one_m, other_m))
    reach_m = max(TOUCHING_M, TOUCHING_SHARE * longest_m)
    between_m = np.maximum(one_m.min(axis=0) - other_m.max(axis=0), other_m.min(axis=0) - one_m.max(axis=0))
    if (between_m > reach_m).any():
        return False
    gap_m = cKDTree(other_m).query(one_m, distance_upper_bound=reach_m)[0]
    return int(np.isfinite(gap_m).sum()) >= TOUCHING_POINTS


def _seen_as(part: Track, other: Track, views: Mapping[int, CoarseView]) -> float | None:
    """Return how much of what the other's frames saw of a part they took for the other; None if unseen."""
    sample = part.xyz_m[:: max(1, len(part.xyz_m) // 500)]
    seen = [sample[views[frame].shows(sample)] for frame in other.frames if frame in views]
    points = np.concatenate(seen) if seen else sample[:0]
    if len(points) < LEAST_SEEN * len(sample):
        return None
    return float(shares([points, other.xyz_m])[0, 1])


def _track(group: Sequence[Sighting]) -> Track:
    votes: dict[str, float] = defaultdict(float)
    for sighting in group:
        votes[sighting.label] += sighting.score
    label = min(votes, key=lambda name: (-votes[name], name))
    return Track(label, tuple(sorted(group, key=lambda sighting: (sighting.frame, -sighting.pixels))))


def _without_rivals(tracks: list[Track]) -> list[Track]:
    """Keep the best supported object where several claim the same surface."""
    if len(tracks) < 2:
        return tracks
    best_first = sorted(tracks, key=lambda track: (-track.support, track.label))
    mutual = shares([t.xyz_m for t in best_first])
    more, less = np.maximum(mutual, mutual.T), np.minimum(mutual, mutual.T)
    labels = np.array([track.label for track in best_first])
    back_share = np.where(labels[:, None] == labels, SAME_LABEL_SHARE, RIVAL_BACK_SHARE)
    rival = (more >= RIVAL_SHARE) & (less >= back_share)
    kept: list[int] = []
    for index in range(len(best_first)):
        if not rival[index, kept].any():
            kept.append(index)
    return [best_first[index] for index in kept]
