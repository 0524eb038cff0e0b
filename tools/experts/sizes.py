"""How large things of a name usually are: a check for gross errors, and a rough ruler.

The table is ``sizes.toml``; it is judged, not measured, and says so. A typical size decides nothing by
itself: it tells when a measured object can hardly be what it is called, and gives the scale of a picture
that has none within some tens of percent.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatial_agent.tools.contract import Finding, Resources
from spatial_agent.tools.errors import NoSuchObjectError, ToolArgumentError
from spatial_agent.tools.labels import kinds_of, main_name, suggest
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import SceneObject, check_array

Array = NDArray[np.float64]
Section = Literal["upright", "loose", "rooms"]
Dimension = Literal["width", "depth", "height", "longest", "middle", "shortest", "area"]

#: Names of the three ranges of things, in the order of their edges.
UPRIGHT: tuple[Dimension, ...] = ("width", "depth", "height")
LOOSE: tuple[Dimension, ...] = ("longest", "middle", "shortest")
#: An edge is remarked on where all of its interval is this many times beyond its range.
REMARKABLE = 1.25
#: Edges whose range spans at most this factor serve as rulers, where both of their ends were seen.
RULER_SPAN, BOTH_ENDS_SEEN = 2.0, 0.5
#: Share of edges that lie within their range, as found on annotated boxes of real rooms (0.907 of 3459).
HELD_SHARE = 0.9


@dataclass(frozen=True)
class TypicalSize:
    """What is known of the size of a kind of thing or room.

    Attributes:
        name: Its name in the table.
        section: Which way its ranges are meant.
        ranges: Low and high by dimension, metres (`area`: square metres).
        source: The standard or data sheet that was read, or ``"judged"``.
    """

    name: str
    section: Section
    ranges: Mapping[Dimension, tuple[float, float]]
    source: str

    def range_of(self, dimension: Dimension) -> tuple[float, float] | None:
        """Return low and high of a dimension, or None where this thing has no such dimension.

        The sorted edges of a thing lie between its sorted lows and its sorted highs.
        """
        if dimension in LOOSE and self.section == "upright":
            lows_m, highs_m = self.sorted_edges
            place = LOOSE.index(dimension)
            return float(lows_m[place]), float(highs_m[place])
        return self.ranges.get(dimension)

    @property
    def sorted_edges(self) -> tuple[Array, Array]:
        """Lows and highs of the edges from the longest to the shortest, shape (3,) each; rooms have none."""
        edges_m = np.array([self.ranges[name] for name in (UPRIGHT if self.section == "upright" else LOOSE)])
        return np.sort(edges_m[:, 0])[::-1], np.sort(edges_m[:, 1])[::-1]


@cache
def size_table() -> Mapping[str, TypicalSize]:
    """Return the table by name, read once."""
    table = tomllib.loads(Path(__file__).with_name("sizes.toml").read_text("utf-8"))
    sizes: dict[str, TypicalSize] = {}
    for name, entry in table["upright"].items():
        edges = {dimension: _pair(entry[f"{dimension}_m"]) for dimension in UPRIGHT}
        sizes[name] = TypicalSize(name, "upright", edges, entry["source"])
    for name, entry in table["loose"].items():
        edges = dict(zip(LOOSE, map(_pair, entry["edges_m"]), strict=True))
        sizes[name] = TypicalSize(name, "loose", edges, entry["source"])
    for name, entry in table["rooms"].items():
        room: dict[Dimension, tuple[float, float]] = {
            "area": _pair(entry["area_m2"]),
            "height": _pair(entry["height_m"]),
        }
        sizes[name] = TypicalSize(name, "rooms", room, entry["source"])
    return sizes


def typical_size(label: str) -> TypicalSize | None:
    """Return the typical size of what a label names, else of the narrowest kind it belongs to.

    >>> typical_size("couches").name, typical_size("kitchen chair").name
    ('sofa', 'chair')
    """
    sizes = size_table()
    if (name := main_name(label)) in sizes:
        return sizes[name]
    kinds = [kind for kind in kinds_of(label) if kind in sizes]
    # The kind that itself belongs to most kinds is the narrowest one; names decide ties.
    return sizes[min(kinds, key=lambda kind: (-len(kinds_of(kind)), kind))] if kinds else None


def check_size(
    label: str, extent_m: ArrayLike, margins_m: ArrayLike = 0.0, vertical_axis: int | None = 2
) -> str | None:
    """Say what is odd about the size of an object; None where nothing is, or nothing is known.

    Args:
        label: Its class name.
        extent_m: Its full edges along the box axes, shape (3,), metres.
        margins_m: How wrong each edge may be, shape (3,) or one number, metres.
        vertical_axis: Which edge is the height (`OrientedBox.upright_axis`), or None for a tilted box.

    Raises:
        ShapeError: If the edges are not three numbers.

    >>> check_size("chair", (0.5, 0.5, 0.9)), check_size("chair", (0.5, 0.5, 2.7))
    (None, 'a chair is 0.60 to 1.35 m high, this one measures 2.70 m')
    """
    extents_m = check_array("extent_m", np.asarray(extent_m, float), (3,), np.float64)
    margins = np.broadcast_to(np.asarray(margins_m, float), (3,))
    typical = typical_size(label)
    if typical is None or typical.section == "rooms":
        return None
    order = _edge_order(typical, extents_m, vertical_axis)
    dimensions = UPRIGHT if _stands(typical, vertical_axis) else LOOSE
    odd = [
        _oddity(typical, dimension, float(extents_m[axis]), float(margins[axis]))
        for dimension, axis in zip(dimensions, order, strict=True)
    ]
    return next((text for text in odd if text), None)


def rulers(objects: Iterable[SceneObject]) -> list[tuple[float, float, float]]:
    """Return edges whose true length is roughly known: measured length, low and high, metres.

    Only edges whose range is narrow count, and of measured objects only those whose two ends were seen.

    Args:
        objects: Objects measured in any one unit of length.
    """
    found = []
    for item in objects:
        typical = typical_size(item.label)
        if typical is None or typical.section == "rooms":
            continue
        upright = item.box.upright_axis
        dimensions = UPRIGHT if _stands(typical, upright) else LOOSE
        order = _edge_order(typical, item.box.extent_m, upright)
        for dimension, axis in zip(dimensions, order, strict=True):
            low_m, high_m = typical.range_of(dimension) or (0.0, np.inf)
            length_m = float(item.box.extent_m[axis])
            if length_m > 0 and high_m <= RULER_SPAN * low_m and _both_ends_seen(item, axis):
                found.append((length_m, low_m, high_m))
    return found


@expert("sizes.typical", resources=Resources(in_caller=True))
def typical_sizes(of: str, dimension: Dimension = "longest") -> Finding:
    """Say how large things of a kind usually are; judged from general knowledge, not measured here.

    Args:
        of: Kind of thing or room, such as "office chair" or "bedroom".
        dimension: "width" (longer horizontal edge), "depth" (shorter one), "height", or "longest", "middle"
            and "shortest" edge; "area" of a room's floor.
    """
    typical = typical_size(of)
    if typical is None:
        raise NoSuchObjectError(
            f"no typical size is known of {of!r}; measure one instead", suggest(of, size_table())
        )
    ends = typical.range_of(dimension)
    if ends is None:
        known = ", ".join(typical.ranges if typical.section == "rooms" else (*typical.ranges, *LOOSE))
        raise ToolArgumentError(f"sizes.typical: a {typical.name} has no {dimension}; it has {known}")
    low, high = ends
    unit = "m2" if dimension == "area" else "m"
    return Finding(
        claim=f"The {dimension} of a {typical.name} is usually {low:g} to {high:g} {_UNIT_TEXT[unit]} "
        f"({typical.source}).",
        value=float(np.sqrt(low * high)),
        unit=unit,
        low=low,
        high=high,
        definition="size.typical",
        quality="weak",
        why_weak="a typical size of the kind, not a measurement of this one",
        details={"name": typical.name, "source": typical.source, "held_share": HELD_SHARE},
    )


_UNIT_TEXT = {"m": "m", "m2": "m²"}
_WORDS: dict[Dimension, str] = {
    "width": "wide",
    "depth": "deep",
    "height": "high",
    "longest": "long",
    "middle": "wide",
    "shortest": "thick",
}


def _stands(typical: TypicalSize, vertical_axis: int | None) -> bool:
    """Return whether edges are told apart by where they point, rather than by their length alone."""
    return typical.section == "upright" and vertical_axis is not None


def _edge_order(typical: TypicalSize, extents_m: Array, vertical_axis: int | None) -> tuple[int, int, int]:
    """Return the box axes in the order of the ranges."""
    first, second, third = (int(axis) for axis in np.argsort(-extents_m, kind="stable"))
    if not _stands(typical, vertical_axis) or vertical_axis is None:
        return first, second, third
    longer, shorter = (axis for axis in (first, second, third) if axis != vertical_axis)
    return longer, shorter, vertical_axis


def _oddity(typical: TypicalSize, dimension: Dimension, length_m: float, margin_m: float) -> str | None:
    low_m, high_m = typical.range_of(dimension) or (0.0, np.inf)
    if low_m / REMARKABLE - margin_m <= length_m <= high_m * REMARKABLE + margin_m:
        return None
    return (
        f"a {typical.name} is {low_m:.2f} to {high_m:.2f} m {_WORDS[dimension]}, "
        f"this one measures {length_m:.2f} m"
    )


def _both_ends_seen(item: SceneObject, axis: int) -> bool:
    if item.provenance is None:
        return True
    return min(item.provenance.face_coverage[2 * axis : 2 * axis + 2]) >= BOTH_ENDS_SEEN


def _pair(ends: list[float]) -> tuple[float, float]:
    low, high = ends
    return float(low), float(high)
