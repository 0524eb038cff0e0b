"""The focal length of a photograph, from what its camera wrote into the file.

Two ways of writing it are understood: as that of a 35 mm camera with the same angle of view, and in
millimetres together with how many pixels a millimetre of the sensor has.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from spatial_agent.tools.media.pixels import ImageHeader, read_exif, read_image_header
from spatial_agent.tools.scene import CameraIntrinsics

FOCAL_MM, FOCAL_35 = 0x920A, 0xA405
PLANE_X, PLANE_Y, PLANE_UNIT = 0xA20E, 0xA20F, 0xA210
WIDTH_PX, HEIGHT_PX = 0xA002, 0xA003
#: Millimetres in a unit of the focal plane resolution: inch, centimetre, millimetre, micrometre.
UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
#: Diagonal of a 35 mm film frame, 36 mm by 24 mm.
FILM_DIAGONAL_MM = math.hypot(36.0, 24.0)
#: Judged: whole millimetres of about 26; some cameras mean the width and not the diagonal (4 % on 4:3), and
#: stabilised pictures are cropped a little. Sensor figures are exact where they are right.
ERROR_35, ERROR_PLANE = 0.05, 0.03
#: Pictures resized without changing their shape differ at most this much in it.
SAME_SHAPE = 0.01
#: Horizontal fields of view that photographs of rooms have, degrees; outside the tags are wrong.
FIELDS_DEG = (10.0, 150.0)


@dataclass(frozen=True)
class FocalLength:
    """The focal length of an upright photograph.

    Attributes:
        px: In pixels of the photograph.
        error: Relative standard deviation.
        how: Where it comes from, for people.
    """

    px: float
    error: float
    how: str

    def intrinsics(self, width: int, height: int) -> CameraIntrinsics:
        """Return a pinhole of square pixels with its axis in the middle of the image."""
        return CameraIntrinsics(self.px, self.px, (width - 1) / 2, (height - 1) / 2, width, height)


def focal_length(path: Path) -> FocalLength | None:
    """Return the focal length that a photograph tells, or None where it tells none that can be right.

    Args:
        path: An image file.

    Raises:
        SourceError: If it is no image.
    """
    header = read_image_header(path)
    tags = {name: number for name, value in read_exif(path).items() if (number := _number(value))}
    for found in (_from_35(tags, header), _from_plane(tags, header)):
        if found is not None and FIELDS_DEG[0] < _field_deg(found, header) < FIELDS_DEG[1]:
            return found
    return None


def _from_35(tags: dict[int, float], header: ImageHeader) -> FocalLength | None:
    if FOCAL_35 not in tags:
        return None
    diagonal_px = math.hypot(header.width, header.height)
    px = tags[FOCAL_35] / FILM_DIAGONAL_MM * diagonal_px
    return FocalLength(px, ERROR_35, f"read from EXIF ({tags[FOCAL_35]:g} mm on 35 mm film)")


def _from_plane(tags: dict[int, float], header: ImageHeader) -> FocalLength | None:
    unit_mm = UNIT_MM.get(int(tags.get(PLANE_UNIT, 2)))
    if not {FOCAL_MM, PLANE_X} <= tags.keys() or unit_mm is None:
        return None
    taken = (tags.get(WIDTH_PX, header.width), tags.get(HEIGHT_PX, header.height))
    shrunk = header.width / taken[0]
    # Cropped pictures no longer say what they were cropped from.
    if abs(shrunk * taken[1] / header.height - 1) > SAME_SHAPE:
        return None
    px = tags[FOCAL_MM] * tags[PLANE_X] / unit_mm * shrunk
    how = f"read from EXIF ({tags[FOCAL_MM]:g} mm at {tags[PLANE_X] / unit_mm:.0f} pixels a millimetre)"
    return FocalLength(px, ERROR_PLANE, how)


def _field_deg(found: FocalLength, header: ImageHeader) -> float:
    return math.degrees(2 * math.atan(header.upright_size[0] / 2 / found.px))


def _number(value: object) -> float | None:
    """Return a tag as a number above 0, or None; cameras write all sorts of things."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) and number > 0 else None
