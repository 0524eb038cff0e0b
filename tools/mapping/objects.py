"""From the sightings of one thing to an object with a box, a surface and what stands behind them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.mapping.association import Track
from spatial_agent.tools.mapping.extents import fitted_box
from spatial_agent.tools.mapping.first_seen import first_seen
from spatial_agent.tools.mapping.lifting import Sighting
from spatial_agent.tools.mapping.surfaces import Surface, merged
from spatial_agent.tools.mapping.views import CoarseView, seen_by_any
from spatial_agent.tools.scene import FrameHeader, OrientedBox, Provenance, SceneObject

Array = NDArray[np.float64]
Coverage = tuple[float, float, float, float, float, float]

#: An object needs this many depth pixels and surface points.
LEAST_PIXELS, LEAST_POINTS = 40, 12
#: Surface within this many times the noise of the floor is the floor's, within limits in metres, unless
#: all of the object lies that low.
FLOOR_SIGMA, FLOOR_M, FLAT_M = 2.5, (0.005, 0.03), 0.06
#: An object ends on the floor where it was seen down to this, plus its noise and the border taken off.
STANDING_M = 0.08
#: An object higher up than this is not thought to reach down to the floor unseen, nor one whose underside
#: was seen.
MOST_HIDDEN_M, UNDERSIDE_SEEN = 0.8, 0.5
#: What carries an object covers this share of the floor plan under and round it, in cells, just below it.
CARRIER_SHARE, CARRIER_CELL_M, CARRIER_M = 0.15, 0.05, 0.08
#: Detections are believed from this much score per frame that looked, or from one as sure as this.
BELIEVED_SUPPORT, SURE_SCORE = 0.15, 0.6
#: A frame looked at an object where it saw this share of it.
LOOKED_SHARE = 0.5
#: Faces are asked about on a grid of this many places to a side, this far outside, metres.
FACE_CELLS, OUTSIDE_M = 7, 0.04


def is_ghost(track: Track, views: Sequence[CoarseView]) -> bool:
    """Return whether too few of the frames that looked at a detected thing saw it.

    Recorded identities are never ghosts.
    """
    if track.sightings[0].instance_id is not None:
        return False
    if max(sighting.score for sighting in track.sightings) >= SURE_SCORE:
        return False
    sample = track.xyz_m[:: max(1, len(track.xyz_m) // 300)]
    looked = {view.frame for view in views if view.bounds(sample).mean() >= LOOKED_SHARE}
    return track.support < BELIEVED_SUPPORT * len(looked | set(track.frames))


def scene_object(
    track: Track,
    views: Sequence[CoarseView],
    headers: Sequence[FrameHeader],
    around_m: Array,
    *,
    up_known: bool,
) -> SceneObject | None:
    """Build one object, named after its label alone; None where too little of it was measured.

    Args:
        track: Its sightings, in scene coordinates.
        views: All frames, in scene coordinates.
        headers: Those of the source.
        around_m: Surface points of the whole scene, shape (N, 3).
        up_known: Whether +Z is up and z = 0 the floor.
    """
    measured = [sighting for sighting in track.sightings if len(sighting.xyz_m)]
    if sum(sighting.pixels for sighting in measured) < LEAST_PIXELS:
        return None
    surface = merged(measured)
    if up_known:
        surface = _off_the_floor(surface)
    if len(surface.xyz_m) < LEAST_POINTS:
        return None
    box = fitted_box(surface.xyz_m, np.sqrt(surface.precision), surface.noise_m, upright=up_known)
    standing = up_known and _stands(box, surface, measured)
    coverage = face_coverage(box, views, standing=standing)
    if standing or (up_known and _hidden_below(box, coverage, around_m)):
        box = _down_to_floor(box)
    cloud = surface.cloud
    frame, seconds = first_seen(track.sightings, headers)
    return SceneObject(
        id=track.label,
        label=track.label,
        box=box,
        surface=cloud,
        first_seen_frame=frame,
        first_seen_s=seconds,
        score=min(1.0, track.support / len(track.frames)),
        provenance=Provenance(
            frames=track.frames,
            pixels=sum(sighting.pixels for sighting in measured),
            points=len(cloud),
            spread_m=surface.spread_m,
            face_coverage=coverage,
            cut_off=all(sighting.cut_off for sighting in track.sightings),
        ),
    )


def face_coverage(box: OrientedBox, views: Sequence[CoarseView], *, standing: bool = False) -> Coverage:
    """Return which share of each face, -x, +x, -y, +y, -z, +z, some frame saw the outside of.

    A place counts where a frame saw a surface just outside the face, or looked through there: the
    object then surely ends at the face. The floor bounds what stands on it, so that counts as well.

    Args:
        box: An object's box.
        views: All frames, in the same world.
        standing: Whether the lower end is the floor.
    """
    steps = (np.arange(FACE_CELLS) + 0.5) / FACE_CELLS - 0.5
    grid = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    faces = [_face_places(box, axis, side, grid) for axis in range(3) for side in (-1, 1)]
    seen = seen_by_any(np.concatenate(faces), views).reshape(6, -1).mean(axis=1)
    shares = [float(share) for share in seen]
    shares[4] = 1.0 if standing else shares[4]
    return (shares[0], shares[1], shares[2], shares[3], shares[4], shares[5])


def _face_places(box: OrientedBox, axis: int, side: int, grid: Array) -> Array:
    local_m = np.insert(grid, axis, side / 2, axis=1) * box.extent_m
    local_m[:, axis] += side * OUTSIDE_M
    places: Array = box.centre_m + local_m @ box.world_from_box.T
    return places


def _off_the_floor(surface: Surface) -> Surface:
    """Leave out what bled in from the floor, unless the object is as flat as a rug."""
    heights_m = surface.xyz_m[:, 2]
    if np.quantile(heights_m, 0.9) < FLAT_M:
        return surface
    return surface.only(heights_m > np.clip(FLOOR_SIGMA * surface.noise_m, *FLOOR_M))


def _stands(box: OrientedBox, surface: Surface, sightings: Sequence[Sighting]) -> bool:
    border_m = float(np.median([sighting.border_m for sighting in sightings]))
    low_m = float(box.centre_m[2] - box.extent_m[2] / 2)
    return low_m <= STANDING_M + 2 * surface.noise_m + border_m


def _hidden_below(box: OrientedBox, coverage: Coverage, around_m: Array) -> bool:
    """Return whether its foot is only hidden: nobody looked under it, and nothing else there carries it.

    What stands on the floor behind a table shows only its upper half, and still reaches the floor.
    """
    low_m = float(box.centre_m[2] - box.extent_m[2] / 2)
    if coverage[4] >= UNDERSIDE_SEEN or low_m > MOST_HIDDEN_M:
        return False
    below_m = low_m - around_m[:, 2]
    near_m = around_m[(np.abs(below_m - CARRIER_M / 2) < CARRIER_M) & (around_m[:, 2] > FLAT_M)]
    across_m = box.local(near_m)[:, :2]
    reach_m = box.extent_m[:2] / 2 + CARRIER_M
    below = across_m[(np.abs(across_m) < reach_m).all(axis=1)]
    cells = len(np.unique(np.floor(below / CARRIER_CELL_M).astype(int), axis=0))
    return bool(cells * CARRIER_CELL_M**2 < CARRIER_SHARE * 4 * np.prod(reach_m))


def _down_to_floor(box: OrientedBox) -> OrientedBox:
    top_m = max(float(box.centre_m[2] + box.extent_m[2] / 2), 0.0)
    centre_m = np.array([*box.centre_m[:2], top_m / 2])
    return OrientedBox(centre_m, np.array([*box.extent_m[:2], top_m]), box.world_from_box)
