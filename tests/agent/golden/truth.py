"""What is true of a synthetic room, by formulae of the tests from the room's own parameters."""

from dataclasses import dataclass
from math import atan2, degrees
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.synthetic import SyntheticRoom
from spatial_agent.tools.synthetic.furniture import SyntheticObject
from spatial_agent.tools.synthetic.truth import upright_distance_m

#: Names of directions, counter-clockwise, the first centred straight ahead.
FOUR = ("front", "left", "back", "right")
EIGHT = ("front", "front-left", "left", "back-left", "back", "back-right", "right", "front-right")
QUADRANTS = ("front-left", "back-left", "back-right", "front-right")
#: A case nearer to the boundary of two answers is no golden one.
CLEAR_DEG, CLEAR_M = 4.0, 0.03


@dataclass(frozen=True)
class Truth:
    """A room, asked by ids such as ``"chair-2"``; whatever is too close to call raises `AssertionError`."""

    room: SyntheticRoom

    def piece(self, name: str) -> SyntheticObject:
        """Return a piece by its id, or by its label where it is the only one."""
        full = name if name in self.room.ids else f"{name}-1"
        assert name == full or self.room.counts[name] == 1, f"{name} is ambiguous"
        return self.room.objects[self.room.ids.index(full)]

    def gap_m(self, one: str, other: str) -> float:
        """Return the distance between the boxes of two pieces."""
        return upright_distance_m(self.piece(one).box, self.piece(other).box)

    def between_centres_m(self, one: str, other: str) -> float:
        """Return the distance between the middles of two pieces' boxes."""
        return float(np.linalg.norm(self.middle_m(one) - self.middle_m(other)))

    def middle_m(self, name: str) -> NDArray[np.float64]:
        """Return the middle of a piece, halfway between its extreme corners in its own axes."""
        return self.piece(name).box.centre_m

    def height_m(self, name: str) -> float:
        """Return how far the highest corner of a piece is above its lowest."""
        z_m = np.concatenate([part.corners_m[:, 2] for part in self.piece(name).parts])
        return float(z_m.max() - z_m.min())

    def edges_m(self, name: str) -> tuple[float, float]:
        """Return the longer and the shorter horizontal edge of a piece in its own axes."""
        item = self.piece(name)
        ahead = np.array([np.cos(item.yaw_rad), np.sin(item.yaw_rad)])
        corners = np.concatenate([part.corners_m[:, :2] for part in item.parts])
        spans = [np.ptp(corners @ axis) for axis in (ahead, ahead[::-1] * (-1, 1))]
        return float(max(spans)), float(min(spans))

    def nearest(self, anchor: str, *candidates: str) -> str:
        """Return which of several is nearest."""
        ranked = sorted(candidates, key=lambda name: self.gap_m(anchor, name))
        assert self.gap_m(anchor, ranked[1]) - self.gap_m(anchor, ranked[0]) > CLEAR_M
        return ranked[0]

    def turn_deg(self, at: str, facing: str, target: str) -> float:
        """Return how far one turns left who stands at a piece, faces a second and looks for a third."""
        here = self.middle_m(at)[:2]
        return _turn_deg(self.middle_m(facing)[:2] - here, self.middle_m(target)[:2] - here)

    def own_turn_deg(self, owner: str, target: str) -> float:
        """Return the same for whoever sits in a piece and looks where its front does."""
        yaw = self.piece(owner).yaw_rad
        ahead = np.array([np.cos(yaw), np.sin(yaw)])
        return _turn_deg(ahead, self.middle_m(target)[:2] - self.middle_m(owner)[:2])

    def side_of_picture(self, frame: int, target: str) -> str:
        """Return on which side of the middle of a frame a piece is."""
        world_from_camera = self.room.cameras[frame].world_from_camera
        seen = np.linalg.inv(world_from_camera) @ np.append(self.middle_m(target), 1.0)
        assert seen[2] > 0.3, f"{target} is behind the camera"
        assert abs(degrees(atan2(seen[0], seen[2]))) > CLEAR_DEG
        return "right" if seen[0] > 0 else "left"

    def seen_in_order(self, *kinds: str) -> list[str]:
        """Return kinds in the order in which their first piece comes into view."""
        firsts = {}
        for kind in kinds:
            owners = [n for n, item in enumerate(self.room.objects) if item.label == kind]
            frames = [self.room.first_seen[owner] for owner in owners]
            firsts[kind] = min(frame for frame in frames if frame is not None)
        assert len(set(firsts.values())) == len(kinds), f"seen together: {firsts}"
        return sorted(kinds, key=firsts.__getitem__)

    def turns(self, at: str, facing: str, *stops: str) -> list[str]:
        """Return the turn before each leg of a walk through the middles of pieces."""
        places = [self.middle_m(name)[:2] for name in (at, *stops)]
        heading = self.middle_m(facing)[:2] - places[0]
        taken = []
        for here, there in zip(places, places[1:], strict=False):
            turn = _turn_deg(heading, there - here)
            assert min(abs(abs(turn) - border) for border in (0.0, 135.0, 180.0)) > CLEAR_DEG
            taken.append("back" if abs(turn) > 135 else "left" if turn > 0 else "right")
            heading = there - here
        return [f"turn {turn}" for turn in taken]


def sector(turn_deg: float, names: tuple[str, ...], *, centred: bool = True) -> str:
    """Return the name of an angle, left positive, in equal sectors that go round to the left."""
    width = 360 / len(names)
    place = (turn_deg + (width / 2 if centred else 0.0)) / width
    assert min(place % 1, 1 - place % 1) * width > CLEAR_DEG, f"{turn_deg} degrees are on a boundary"
    return names[int(np.floor(place)) % len(names)]


def three(turn_deg: float) -> str:
    """Return left, right, or back for 135 degrees and more."""
    assert min(abs(abs(turn_deg) - border) for border in (0.0, 135.0)) > CLEAR_DEG
    return "back" if abs(turn_deg) >= 135 else "left" if turn_deg > 0 else "right"


def hour(turn_deg: float) -> str:
    """Return where the hand of a clock points that has 12 straight ahead."""
    return f"{sector(-turn_deg, tuple(map(str, (12, *range(1, 12)))))} o'clock"


def _turn_deg(ahead: NDArray[np.float64], towards: NDArray[np.float64]) -> float:
    cross = float(ahead[0] * towards[1] - ahead[1] * towards[0])
    return degrees(atan2(cross, float(ahead @ towards)))


def nearest_option(value: float, options: dict[str, float]) -> str:
    """Return the letter of the number that is nearest."""
    ranked: Any = sorted(options, key=lambda letter: abs(options[letter] - value))
    return str(ranked[0])
