"""A picture to draw on in scene metres or pixels: text with a halo, thick lines, arrows."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Point = tuple[float, float]

INK: Colour = (32, 34, 38)
PAPER: Colour = (252, 252, 250)
MEASURED: Colour = (214, 40, 40)
OBSERVER: Colour = (24, 90, 188)
#: Okabe and Ito's palette: told apart by people with any colour vision.
PALETTE: tuple[Colour, ...] = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (213, 94, 0),
    (170, 160, 30),
    (120, 94, 240),
)


@dataclass
class Canvas:
    """An image with drawing helpers; coordinates are pixels.

    Attributes:
        image: The picture so far.
        taken: Boxes of the labels placed so far, so that labels do not cover each other.
    """

    image: Image.Image
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the picture drawable."""
        self.image = self.image.convert("RGB")
        self._draw = ImageDraw.Draw(self.image, "RGBA")

    @classmethod
    def blank(cls, width: int, height: int) -> "Canvas":
        """Return an empty canvas."""
        return cls(Image.new("RGB", (width, height), PAPER))

    def line(self, points: Sequence[Point], colour: Colour, width: int = 2, dashed: bool = False) -> None:
        """Draw an open line."""
        if len(points) < 2:
            return
        if not dashed:
            self._draw.line([tuple(point) for point in points], fill=colour, width=width, joint="curve")
            return
        for start, end in zip(points, points[1:], strict=False):
            for dash_start, dash_end in _dashes(start, end):
                self._draw.line([dash_start, dash_end], fill=colour, width=width)

    def polygon(self, points: Sequence[Point], colour: Colour, fill_alpha: int = 0, width: int = 2) -> None:
        """Draw a closed outline, filled with some of its colour."""
        corners = [tuple(point) for point in points]
        if fill_alpha:
            self._draw.polygon(corners, fill=(*colour, fill_alpha))
        if width:
            self._draw.line([*corners, corners[0]], fill=colour, width=width, joint="curve")

    def dot(self, at: Point, colour: Colour, radius: float = 4) -> None:
        """Draw a filled dot with a light rim."""
        x, y = at
        box = (x - radius, y - radius, x + radius, y + radius)
        self._draw.ellipse(box, fill=colour, outline=PAPER, width=1)

    def arrow(self, start: Point, end: Point, colour: Colour, width: int = 3) -> None:
        """Draw an arrow."""
        along = np.subtract(end, start)
        length = float(np.hypot(*along))
        if length < 1:
            return
        unit = along / length
        side = np.array([-unit[1], unit[0]])
        head = min(14.0, length / 2)
        base = np.asarray(end) - unit * head
        self.line([start, (base[0], base[1])], colour, width)
        tip = [end, tuple(base + side * head * 0.45), tuple(base - side * head * 0.45)]
        self._draw.polygon([(float(x), float(y)) for x, y in tip], fill=colour)

    def label(self, at: Point, text: str, colour: Colour = INK, size: int = 15) -> None:
        """Write text centred near a point, moved down where another label already stands."""
        font = ImageFont.load_default(size)
        left, top, right, bottom = self._draw.textbbox((0, 0), text, font=font)
        width, height = right - left, bottom - top
        x = min(max(at[0] - width / 2, 3), self.image.width - width - 3)
        y = min(max(at[1] - height / 2, 3), self.image.height - height - 3)
        for _ in range(12):
            box = (x - 2, y - 2, x + width + 2, y + height + 2)
            if not any(_overlap(box, other) for other in self.taken):
                break
            y += height + 4
        self.taken.append((x - 2, y - 2, x + width + 2, y + height + 2))
        self._draw.text(
            (x - left, y - top), text, font=font, fill=colour, stroke_width=3, stroke_fill=(*PAPER, 235)
        )

    def points(self, xy_px: NDArray[np.float64], colours: NDArray[np.uint8]) -> None:
        """Set single pixels, shape (N, 2), to colours, shape (N, 3)."""
        pixels = np.array(self.image)
        ij = np.rint(xy_px).astype(int)
        inside = ((ij >= 0) & (ij < (self.image.width, self.image.height))).all(axis=1)
        pixels[ij[inside, 1], ij[inside, 0]] = colours[inside]
        self.image = Image.fromarray(pixels)
        self._draw = ImageDraw.Draw(self.image, "RGBA")


def _dashes(start: Point, end: Point, dash_px: float = 8.0) -> list[tuple[Point, Point]]:
    along = np.subtract(end, start)
    length = float(np.hypot(*along))
    count = max(int(length / dash_px), 1)
    stops = [np.add(start, along * (index / count)) for index in range(count + 1)]
    return [
        ((float(a[0]), float(a[1])), (float(b[0]), float(b[1])))
        for a, b in zip(stops[::2], stops[1::2], strict=False)
    ]


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
