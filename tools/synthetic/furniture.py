"""Furniture made of upright boxes: tops and legs, seats and backs, so that surfaces are not their boxes.

Every piece is built about the centre of its footprint on the floor, its front along +x, in metres.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.scene import OrientedBox

Array = NDArray[np.float64]
#: Lowest and highest corner of a part about the piece's own origin: (x0, y0, z0), (x1, y1, z1).
Part = tuple[tuple[float, float, float], tuple[float, float, float]]


def table(depth_m: float, width_m: float, height_m: float) -> list[Part]:
    """Build a top on four legs standing at its corners."""
    return [_block(depth_m, width_m, height_m - 0.04, height_m), *_legs(depth_m, width_m, height_m - 0.04)]


def desk(depth_m: float, width_m: float, height_m: float) -> list[Part]:
    """Build a top on two side panels, with a panel at the back."""
    x, y, under = depth_m / 2, width_m / 2, height_m - 0.04
    return [
        _block(depth_m, width_m, under, height_m),
        ((-x, -y, 0.0), (x, -y + 0.04, under)),
        ((-x, y - 0.04, 0.0), (x, y, under)),
        ((-x, -y + 0.04, under - 0.35), (-x + 0.03, y - 0.04, under)),
    ]


def chair(depth_m: float, width_m: float, height_m: float) -> list[Part]:
    """Build a seat on four legs with a back."""
    seat = 0.5 * height_m
    x, y = depth_m / 2, width_m / 2
    return [
        _block(depth_m, width_m, seat - 0.05, seat),
        ((-x, -y, seat), (-x + 0.04, y, height_m)),
        *_legs(depth_m, width_m, seat - 0.05, 0.04),
    ]


def stool(depth_m: float, width_m: float, height_m: float) -> list[Part]:
    """Build a thick seat on four legs."""
    return [_block(depth_m, width_m, height_m - 0.06, height_m), *_legs(depth_m, width_m, height_m - 0.06)]


def sofa(depth_m: float, width_m: float, height_m: float) -> list[Part]:
    """Build a base with a back and two arms."""
    x, y, seat, arm = depth_m / 2, width_m / 2, 0.5 * height_m, 0.72 * height_m
    return [
        _block(depth_m, width_m, 0.0, seat),
        ((-x, -y, seat), (-x + 0.2, y, height_m)),
        ((-x + 0.2, -y, seat), (x, -y + 0.18, arm)),
        ((-x + 0.2, y - 0.18, seat), (x, y, arm)),
    ]


def bed(depth_m: float, width_m: float, height_m: float) -> list[Part]:
    """Build a mattress with a headboard."""
    x, y = depth_m / 2, width_m / 2
    return [
        _block(depth_m, width_m, 0.0, 0.5 * height_m),
        ((-x, -y, 0.5 * height_m), (-x + 0.06, y, height_m)),
    ]


def cabinet(depth_m: float, width_m: float, height_m: float) -> list[Part]:
    """Build a closed box."""
    return [_block(depth_m, width_m, 0.0, height_m)]


def bookshelf(depth_m: float, width_m: float, height_m: float) -> list[Part]:
    """Build two sides, a back and four boards, open to the front."""
    x, y, thick = depth_m / 2, width_m / 2, 0.03
    boards = np.linspace(0.0, height_m - thick, 4)
    inner = [((-x, -y + thick, z), (x, y - thick, z + thick)) for z in boards.tolist()]
    sides: list[Part] = [((-x, -y, 0.0), (x, -y + thick, height_m)), ((-x, y - thick, 0.0), (x, y, height_m))]
    return [*sides, *inner, ((-x, -y + thick, thick), (-x + 0.02, y - thick, height_m - thick))]


def lamp(depth_m: float, width_m: float, height_m: float) -> list[Part]:
    """Build a foot, a pole and a shade."""
    shade = 0.8 * height_m
    return [
        _block(depth_m, width_m, 0.0, 0.04),
        _block(0.04, 0.04, 0.04, shade),
        _block(depth_m, width_m, shade, height_m),
    ]


def television(depth_m: float, width_m: float, height_m: float) -> list[Part]:
    """Build a screen on a low rack."""
    rack = 0.45 * height_m
    return [
        _block(depth_m, width_m, 0.0, rack),
        ((-0.03, -0.1, rack), (0.03, 0.1, rack + 0.06)),
        ((-0.03, -0.45 * width_m, rack + 0.06), (0.03, 0.45 * width_m, height_m)),
    ]


@dataclass(frozen=True)
class Furniture:
    """A kind of furniture.

    Attributes:
        parts: Builds the parts from depth (along the front direction), width and height.
        size_m: Usual depth, width and height, metres.
        has_front: Whether its front is defined.
    """

    parts: Callable[[float, float, float], Sequence[Part]]
    size_m: tuple[float, float, float]
    has_front: bool = True


#: Label to kind; the labels are those of common detectors and of VSI-Bench.
FURNITURE: dict[str, Furniture] = {
    "bed": Furniture(bed, (2.0, 1.5, 0.95)),
    "bookshelf": Furniture(bookshelf, (0.32, 0.9, 1.6)),
    "cabinet": Furniture(cabinet, (0.45, 0.9, 0.85)),
    "chair": Furniture(chair, (0.46, 0.45, 0.9)),
    "desk": Furniture(desk, (0.65, 1.3, 0.74)),
    "lamp": Furniture(lamp, (0.34, 0.34, 1.45), has_front=False),
    "refrigerator": Furniture(cabinet, (0.65, 0.62, 1.7)),
    "sofa": Furniture(sofa, (0.9, 1.9, 0.82)),
    "stool": Furniture(stool, (0.38, 0.38, 0.48), has_front=False),
    "table": Furniture(table, (0.85, 1.4, 0.74), has_front=False),
    "trash can": Furniture(cabinet, (0.28, 0.3, 0.4), has_front=False),
    "tv": Furniture(television, (0.38, 1.2, 1.15)),
}


@dataclass(frozen=True, eq=False)
class SyntheticObject:
    """One piece of furniture standing in a room.

    Attributes:
        label: Class name, lower case.
        parts: Upright boxes with one common yaw, in the room's world.
        yaw_rad: Direction of the front, counter-clockwise from +x seen from above.
        has_front: Whether a front is defined.
    """

    label: str
    parts: tuple[OrientedBox, ...]
    yaw_rad: float
    has_front: bool = True

    def __post_init__(self) -> None:
        """Check that there is something to see, and that all of it is upright."""
        if not self.label or not self.parts:
            raise InvalidValueError(f"synthetic object: expected a label and parts, got {self.label!r}")
        axes = _yaw_matrix(self.yaw_rad)
        if any(np.abs(part.world_from_box - axes).max() > 1e-9 for part in self.parts):
            raise InvalidValueError(f"{self.label}: every part must be upright with the yaw of the object")

    @classmethod
    def placed(
        cls,
        label: str,
        xy_m: tuple[float, float],
        yaw_rad: float = 0.0,
        size_m: tuple[float, float, float] | None = None,
        base_m: float = 0.0,
    ) -> "SyntheticObject":
        """Stand a known kind of furniture somewhere.

        Args:
            label: One of `FURNITURE`.
            xy_m: Centre of its footprint.
            yaw_rad: Direction of its front, counter-clockwise from +x.
            size_m: Depth (along the front), width and height; its usual size where None.
            base_m: Height of what it stands on.

        Raises:
            InvalidValueError: If the kind is unknown.
        """
        if label not in FURNITURE:
            raise InvalidValueError(f"no furniture {label!r}; expected one of {', '.join(FURNITURE)}")
        kind = FURNITURE[label]
        origin = np.array([*xy_m, base_m])
        parts = [_place(part, origin, yaw_rad) for part in kind.parts(*(size_m or kind.size_m))]
        return cls(label, tuple(parts), yaw_rad, kind.has_front)

    @cached_property
    def box(self) -> OrientedBox:
        """The tight box with the object's own yaw."""
        axes = _yaw_matrix(self.yaw_rad)
        corners = np.concatenate([part.corners_m for part in self.parts]) @ axes
        low, high = corners.min(axis=0), corners.max(axis=0)
        return OrientedBox.upright(axes @ (low + high) / 2, high - low, self.yaw_rad)

    @property
    def facing(self) -> Array | None:
        """Unit direction of the front, shape (3,), or None where there is none."""
        return _yaw_matrix(self.yaw_rad)[:, 0] if self.has_front else None


def _block(depth_m: float, width_m: float, low_m: float, high_m: float) -> Part:
    return (-depth_m / 2, -width_m / 2, low_m), (depth_m / 2, width_m / 2, high_m)


def _legs(depth_m: float, width_m: float, height_m: float, thick_m: float = 0.05) -> list[Part]:
    xs = (-depth_m / 2, depth_m / 2 - thick_m)
    ys = (-width_m / 2, width_m / 2 - thick_m)
    return [((x, y, 0.0), (x + thick_m, y + thick_m, height_m)) for x in xs for y in ys]


def _place(part: Part, origin_m: Array, yaw_rad: float) -> OrientedBox:
    low, high = np.array(part[0]), np.array(part[1])
    centre_m = origin_m + _yaw_matrix(yaw_rad) @ ((low + high) / 2)
    return OrientedBox.upright(centre_m, high - low, yaw_rad)


def _yaw_matrix(yaw_rad: float) -> Array:
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
