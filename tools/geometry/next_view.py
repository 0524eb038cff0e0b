"""Where to look from next: the reachable camera that shows most of what no frame has seen of some objects.

What was seen of an object is known by the share of each face of its box (`Provenance.face_coverage`). The
places on its faces that the cameras of the scene could not see, for other boxes hide them or they were out
of the picture, are those taken for unseen. A camera gains what it sees of them, each face counting as one,
because each face is one end of a measurement. Things hide one another as boxes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.geometry.free_floor import FreeFloor
from spatial_agent.tools.geometry.projection import in_view, project
from spatial_agent.tools.geometry.sight_lines import SightLines
from spatial_agent.tools.geometry.viewpoint import camera_towards
from spatial_agent.tools.scene import CameraIntrinsics, CameraPose, OrientedBox, SceneMap, SceneObject

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: Faces are asked about on a grid of this many places to a side, this far outside, metres: as mapping does.
FACE_CELLS, OUTSIDE_M = 7, 0.04
#: A camera sees nothing nearer or farther than this, metres.
NEAREST_M, FARTHEST_M = 0.3, 5.0
#: The best places of the first grid are looked round.
REFINED = 8
#: Views that gain this share of the best one are as good; the squarest to what is seen is taken.
AS_GOOD = 0.99
#: Places that reach as many faces to this many decimals are tried by how squarely they face them.
ALIKE = 2
#: Faces of which less is unseen than this are seen.
LEAST_UNSEEN = 0.03


@dataclass(frozen=True, eq=False)
class Unseen:
    """What was not seen of some objects: places just outside their faces.

    Attributes:
        items: The objects.
        places_m: Shape (N, 3).
        outward: Unit direction out of the face at each place, shape (N, 3).
        weight: Share of its face that each place stands for and that is unseen, shape (N,); 0 where seen.
        owner: Position in `items` of the object each place belongs to, shape (N,).
        face: Its face, 0 to 5 in the order of `Provenance.face_coverage`, shape (N,).
    """

    items: tuple[SceneObject, ...]
    places_m: Array
    outward: Array
    weight: Array
    owner: NDArray[np.int64]
    face: NDArray[np.int64]

    @property
    def total(self) -> float:
        """How many faces are unseen in all."""
        return float(self.weight.sum())

    def by_face(self, places: Flags) -> Array:
        """Return the unseen share of each face that lies at the given places, shape (items, 6)."""
        shares = np.zeros((len(self.items), 6))
        np.add.at(shares, (self.owner[places], self.face[places]), self.weight[places])
        return shares


@dataclass(frozen=True, eq=False)
class View:
    """A camera that could stand there, and what it would show.

    Attributes:
        pose: The camera, held upright.
        looking_at_m: What it has in the middle of its picture, shape (3,).
        gain: How many faces it would newly see.
        shown: Share of each face it would newly see, shape (items, 6).
        whole: Whether each object would be whole in the picture.
    """

    pose: CameraPose
    looking_at_m: Array
    gain: float
    shown: Array
    whole: tuple[bool, ...]


def unseen(scene: SceneMap, items: Sequence[SceneObject]) -> Unseen:
    """Return what no frame has seen of some objects; given boxes are known whole."""
    parts = []
    for number, item in enumerate(items):
        places_m, outward = face_places(item.box)
        face = np.repeat(np.arange(6), FACE_CELLS**2)
        weight = _unseen_weight(item, _predicted(scene, places_m), face)
        parts.append((places_m, outward, weight, np.full(len(face), number), face))
    joined = [np.concatenate(part) for part in zip(*parts, strict=True)]
    return Unseen(tuple(items), joined[0], joined[1], joined[2], joined[3], joined[4])


def best_view(
    scene: SceneMap, missing: Unseen, lens: CameraIntrinsics, *, eye_height_m: float
) -> View | None:
    """Return the reachable camera that sees most of what is unseen; None where none sees any of it.

    Args:
        scene: The scene; its up and the outline of its room must be known, and its scale metric.
        missing: What is to be seen.
        lens: The camera's pinhole.
        eye_height_m: How high it is held, metres.

    Raises:
        ViewpointError: If up is unknown, or there is no free floor to stand on.
        ScaleError: If the scale is only relative.
        InvalidValueError: If the room has no outline.
    """
    floor = FreeFloor(scene, eye_height_m)
    search = _Search(scene, missing, lens)
    found = search.among(floor.places_m(floor.coarse_m))
    for view in tuple(found):
        found += search.among(floor.round_m(view.pose.position_m), least=found[0].gain)
    if not found:
        return None
    most = max(view.gain for view in found)
    return max((view for view in found if view.gain >= AS_GOOD * most), key=search.squareness)


def face_places(box: OrientedBox) -> tuple[Array, Array]:
    """Return places just outside the faces of a box, shape (6 n, 3), and the outward directions there."""
    steps = (np.arange(FACE_CELLS) + 0.5) / FACE_CELLS - 0.5
    grid = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    places, outward = [], []
    for axis in range(3):
        for side in (-1, 1):
            local_m = np.insert(grid, axis, side / 2, axis=1) * box.extent_m
            local_m[:, axis] += side * OUTSIDE_M
            places.append(box.centre_m + local_m @ box.world_from_box.T)
            outward.append(np.tile(side * box.world_from_box[:, axis], (len(grid), 1)))
    return np.concatenate(places), np.concatenate(outward)


class _Search:
    """Judges places to look from."""

    def __init__(self, scene: SceneMap, missing: Unseen, lens: CameraIntrinsics) -> None:
        self._missing = missing
        self._lens = lens
        self._wanted = np.flatnonzero(missing.weight > 0.0)
        self._lines = SightLines(scene, missing.places_m[self._wanted])

    def among(self, eyes_m: Array, least: float = 0.0) -> list[View]:
        """Return the best views from some eyes, shape (N, 3), best first, that gain at least about `least`.

        An eye is tried only where all that is open to it, in one picture or not, could be among the best.
        """
        opened = [self._open(eye_m) for eye_m in eyes_m]
        bounds = np.array([float(self._missing.weight[open_].sum()) for open_ in opened])
        square = np.array([self._square(*pair) for pair in zip(eyes_m, opened, strict=True)])
        found: list[View] = []
        for place in np.lexsort((-square, -bounds.round(ALIKE))).tolist():
            worst = found[-1].gain if len(found) == REFINED else AS_GOOD * least
            if bounds[place] + 10.0**-ALIKE <= worst or bounds[place] <= 0.0:
                break
            view = self._from(eyes_m[place], opened[place])
            if view is not None and view.gain >= AS_GOOD * least:
                found = sorted([*found, view], key=lambda view: -view.gain)[:REFINED]
        return found

    def _from(self, eye_m: Array, open_: Flags) -> View | None:
        """Return the best view from an eye that reaches some unseen places; None where it shows none."""
        best: tuple[float, CameraPose, Array, Flags] | None = None
        for target_m in self._targets(open_):
            pose = camera_towards(eye_m, target_m)
            shown = open_.copy()
            shown[open_] = _in_picture(self._lens, pose, self._missing.places_m[open_])
            gain = float(self._missing.weight[shown].sum())
            if gain > 0.0 and (best is None or gain > best[0] + 1e-12):
                best = (gain, pose, target_m, shown)
            if shown.sum() == open_.sum():
                break
        if best is None:
            return None
        gain, pose, target_m, shown = best
        whole = tuple(
            bool(_in_picture(self._lens, pose, item.box.corners_m).all()) for item in self._missing.items
        )
        return View(pose, target_m, gain, self._missing.by_face(shown), whole)

    def squareness(self, view: View) -> float:
        """Return how squarely a view meets what it newly shows, 0 to 1."""
        open_ = self._open(view.pose.position_m)
        open_[open_] = _in_picture(self._lens, view.pose, self._missing.places_m[open_])
        return self._square(view.pose.position_m, open_)

    def _square(self, eye_m: Array, open_: Flags) -> float:
        if not open_.any():
            return 0.0
        ways_m = eye_m - self._missing.places_m[open_]
        square = np.sum(ways_m * self._missing.outward[open_], axis=1) / np.linalg.norm(ways_m, axis=1)
        return float(np.average(square, weights=self._missing.weight[open_]))

    def _open(self, eye_m: Array) -> Flags:
        """Return which unseen places an eye reaches, wherever it looks."""
        ranges_m = np.linalg.norm(self._missing.places_m[self._wanted] - eye_m, axis=1)
        open_ = np.zeros(len(self._missing.weight), bool)
        in_range = (ranges_m >= NEAREST_M) & (ranges_m <= FARTHEST_M)
        open_[self._wanted] = in_range & self._lines.reached(eye_m)
        return open_

    def _targets(self, open_: Flags) -> Iterator[Array]:
        """Give what to look at: the middle of all that is open, of each object's and of each face's part."""
        if not open_.any():
            return
        missing = self._missing
        owner, face = missing.owner[open_], missing.owner[open_] * 6 + missing.face[open_]
        places_m, weight = missing.places_m[open_], missing.weight[open_]
        groups = [np.ones(len(places_m), bool)]
        groups += [owner == number for number in np.unique(owner)]
        groups += [face == number for number in np.unique(face)]
        for group in groups:
            yield np.average(places_m[group], axis=0, weights=weight[group])


def _in_picture(lens: CameraIntrinsics, pose: CameraPose, xyz_m: Array) -> Flags:
    uv_px, z_m = project(lens, (xyz_m - pose.position_m) @ pose.rotation)
    return in_view(lens, uv_px, z_m)


def _predicted(scene: SceneMap, places_m: Array) -> Flags:
    """Return which places the cameras of the scene should have seen."""
    lines, seen = SightLines(scene, places_m), np.zeros(len(places_m), bool)
    for camera in scene.cameras:
        framed = _in_picture(camera.intrinsics, camera.pose, places_m)
        if (framed & ~seen).any():
            seen |= framed & lines.reached(camera.pose.position_m)
    return seen


def _unseen_weight(item: SceneObject, predicted: Flags, face: NDArray[np.int64]) -> Array:
    """Return how much of its face each place stands for that was not seen."""
    each = 1.0 / FACE_CELLS**2
    if item.provenance is None:
        # A box given without frames is known; of a surface without a record the cameras tell.
        known = predicted | (item.surface is None)
        return np.where(known, 0.0, each)
    weight = np.zeros(len(face))
    for number, coverage in enumerate(item.provenance.face_coverage):
        own = face == number
        missing = 1.0 - coverage
        if missing < LEAST_UNSEEN:
            continue
        hidden = own & ~predicted
        first = min(each, missing / max(hidden.sum(), 1))
        weight[hidden] = first
        # What the record lacks beyond that is anywhere on the rest of the face.
        rest = own & predicted
        left = missing - first * hidden.sum()
        if rest.any():
            weight[rest] = min(each, max(0.0, left / rest.sum()))
    return weight
