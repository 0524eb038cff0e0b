"""How far the metric scale of estimated depth can be trusted, and by what it should be corrected.

A network's depth is right up to about one factor for the whole picture. Whatever else tells how long
something is gives that factor too: a depth sensor that saw some of the same pixels, things whose size is
roughly known, the height at which the camera was held. Each such cue is a factor with an error; all are
weighed by their precision, in logarithms, where too large by 2 and too small by 2 are equally wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError, ShapeError
from spatial_agent.tools.scene import DepthMap

Array = NDArray[np.float64]

#: Half-width of a 90 % interval of a normal distribution in standard deviations.
Z90 = 1.645
#: A cue further than this many standard deviations from the others counts less.
#: Source: Huber 1964, with the usual constant for 95 % efficiency where there are no outliers.
HUBER = 1.345
STEPS = 20
#: Sides of the image are cut into this many tiles where a sensor is compared; a tile speaks from this many
#: pixels on.
TILES, LEAST_PIXELS = 8, 20
#: Tiles next to each other are wrong together: this many make one independent comparison. Fitted on exact
#: rooms bent by smooth fields, of which a sensor saw a part.
TILES_PER_CUE = 4.0
#: From the median absolute deviation to the standard deviation of a normal distribution.
MAD = 1.4826
#: Sizes of one table are judged by one judge: all together they are no better than this.
TABLE_ERROR = 0.05


@dataclass(frozen=True)
class ScaleCue:
    """What one source says estimated lengths must be multiplied by.

    Attributes:
        factor: True length over estimated length.
        error: Relative standard deviation of the factor.
        source: Where it comes from, a short noun phrase such as ``"the depth sensor"``.
        at_most: Whether the factor is only an upper bound, as from an object of which part was never seen.
    """

    factor: float
    error: float
    source: str
    at_most: bool = False

    def __post_init__(self) -> None:
        """Check that the factor is one, and the error a share."""
        if not (np.isfinite(self.factor) and self.factor > 0):
            raise InvalidValueError(f"{self.source}: expected a scale factor above 0, got {self.factor!r}")
        if not (np.isfinite(self.error) and self.error > 0):
            raise InvalidValueError(f"{self.source}: expected an error above 0, got {self.error!r}")


@dataclass(frozen=True)
class ScaleCheck:
    """What all cues together say.

    Attributes:
        factor: What estimated lengths must be multiplied by.
        error: Relative standard deviation of lengths corrected so.
        agrees: Whether the cues agree with one another within their errors.
        note: One sentence for people: what was compared, the correction, and any disagreement.
    """

    factor: float
    error: float
    agrees: bool
    note: str


def cue_from_sensor(
    estimated: DepthMap, measured: DepthMap, *, source: str = "the depth sensor"
) -> ScaleCue | None:
    """Compare estimated depth with a sensor's on the same pixels.

    The median over tiles of the image is taken, so neither one object nor holes of the sensor decide alone.

    Args:
        estimated: What is to be checked.
        measured: What it is checked against, of the same size; pixels without depth do not count.
        source: What messages call it.

    Returns:
        The cue, or None where too few pixels have both.

    Raises:
        ShapeError: If the two are not of one size.
    """
    if estimated.z_m.shape != measured.z_m.shape:
        raise ShapeError(
            f"expected two depth maps of one size, got {estimated.z_m.shape} and {measured.z_m.shape}"
        )
    logs = _tile_medians(estimated, measured)
    if not len(logs):
        return None
    middle = float(np.median(logs))
    scatter = MAD * float(np.median(np.abs(logs - middle))) if len(logs) > 1 else estimated.shape_error
    # Few tiles may agree by chance; nothing is better known than the shape of the estimate allows.
    spread = max(scatter, estimated.shape_error / 2)
    error = float(np.hypot(measured.scale_error, spread / np.sqrt(max(len(logs) / TILES_PER_CUE, 1.0))))
    return ScaleCue(float(np.exp(middle)), max(error, 1e-3), source)


def cue_from_size(
    length_m: float, low_m: float, high_m: float, *, source: str, length_error: float = 0.0, cut: bool = False
) -> ScaleCue:
    """Compare an estimated length with the range in which it usually lies.

    Args:
        length_m: As estimated, metres.
        low_m: Nine of ten such things are at least and
        high_m: at most this long, metres.
        source: What messages call it, such as ``"the height of the door"``.
        length_error: Relative standard deviation of the estimate besides its scale.
        cut: Whether part of it was not seen: it is then at least so long, and the factor at most so large.

    Raises:
        InvalidValueError: If a length is not above 0, or low above high.
    """
    if not (0 < length_m < np.inf and 0 < low_m <= high_m < np.inf):
        raise InvalidValueError(
            f"{source}: expected lengths above 0 and low <= high, got {length_m}, {low_m} to {high_m} m"
        )
    error = float(np.hypot(np.log(high_m / low_m) / (2 * Z90), length_error))
    return ScaleCue(float(np.sqrt(low_m * high_m)) / length_m, max(error, 1e-3), source, at_most=cut)


def cue_from_camera_height(height_m: float, known_m: float, margin_m: float) -> ScaleCue:
    """Compare the estimated height of the camera above the floor with a known one.

    Args:
        height_m: As estimated, metres.
        known_m: As known, metres.
        margin_m: Half-width of the 90 % interval of what is known, metres.

    Raises:
        InvalidValueError: If a height or margin is not above 0.
    """
    if not (0 < height_m < np.inf and 0 < known_m < np.inf and 0 < margin_m < np.inf):
        raise InvalidValueError(
            f"camera height: expected heights and a margin above 0, got {height_m}, {known_m}, {margin_m} m"
        )
    return ScaleCue(known_m / height_m, margin_m / Z90 / known_m, "the height of the camera")


def check_scale(
    prior_error: float,
    cues: Sequence[ScaleCue],
    *,
    table: Sequence[ScaleCue] = (),
    table_error: float = TABLE_ERROR,
) -> ScaleCheck:
    """Weigh the scale of estimated depth against everything else that tells it.

    Args:
        prior_error: Relative standard deviation that the estimate states for its own scale.
        cues: Independent cues.
        table: Cues that share one judge, such as typical sizes; together they count as one cue.
        table_error: Relative standard deviation of what they have in common.

    Raises:
        InvalidValueError: If the stated error is not above 0.
    """
    if not (np.isfinite(prior_error) and prior_error > 0):
        raise InvalidValueError(f"expected the error of the scale to be above 0, got {prior_error!r}")
    own = ScaleCue(1.0, prior_error, "the estimate itself")
    sizes = _as_one(table, table_error)
    weighed = _binding([own, *cues, *([sizes] if sizes else [])])
    if len(weighed) == 1:
        return ScaleCheck(1.0, prior_error, True, _unchecked(prior_error))
    factor, error, strain = _combined(weighed)
    agrees = strain <= Z90
    return ScaleCheck(factor, error, agrees, _note(weighed[1:], factor, error, agrees))


def rescaled(depth: DepthMap, check: ScaleCheck) -> DepthMap:
    """Return depth with its scale corrected and the error of what it then is."""
    z_m = (depth.z_m * np.float32(check.factor)).astype(np.float32)
    return replace(depth, z_m=z_m, scale_error=check.error)


def _tile_medians(estimated: DepthMap, measured: DepthMap) -> Array:
    """Return the median logarithm of measured over estimated depth for each tile that has enough of both."""
    both = estimated.valid & measured.valid
    rows, columns = np.nonzero(both)
    height, width = both.shape
    tile = (rows * TILES // height) * TILES + columns * TILES // width
    logs = np.log(measured.z_m[both].astype(np.float64) / estimated.z_m[both])
    parts = (logs[tile == number] for number in range(TILES * TILES))
    return np.array([np.median(part) for part in parts if len(part) >= LEAST_PIXELS])


def _as_one(cues: Sequence[ScaleCue], common_error: float) -> ScaleCue | None:
    """Return what cues of one judge say together: robust against single ones, never better than the judge."""
    bounded = _binding(cues)
    if not bounded:
        return None
    factor, error, _ = _combined(bounded, robust=True)
    names = bounded[0].source if len(bounded) == 1 else f"{len(bounded)} typical sizes"
    at_most = all(cue.at_most for cue in bounded)
    return ScaleCue(factor, float(np.hypot(error, common_error)), names, at_most)


def _binding(cues: Sequence[ScaleCue]) -> list[ScaleCue]:
    """Leave out upper bounds above what the other cues say anyway; of nothing but bounds keep the lowest."""
    firm = [cue for cue in cues if not cue.at_most]
    if not firm:
        return sorted(cues, key=lambda cue: cue.factor)[:1]
    factor = _combined(firm)[0]
    return firm + [cue for cue in cues if cue.at_most and cue.factor < factor]


def _combined(cues: Sequence[ScaleCue], *, robust: bool = False) -> tuple[float, float, float]:
    """Return the weighted mean factor, its relative error, and how much more cues differ than they should.

    Where they differ more (beyond 1), the error is that many times larger. Among few cues every one counts
    for that; among many of one kind (`robust`) what half of them do, since single ones are mistaken.
    Source: the scale factor of the Particle Data Group's averages; Huber's weights against outliers.
    """
    logs = np.log([cue.factor for cue in cues])
    sigmas = np.array([cue.error for cue in cues])
    weights = sigmas**-2.0
    mean = float(np.median(logs))
    for _ in range(STEPS):
        pulls = np.abs(logs - mean) / sigmas
        kept = weights * np.minimum(1.0, HUBER / np.maximum(pulls, HUBER))
        mean = float(np.average(logs, weights=kept))
    pulls = np.abs(logs - mean) / sigmas
    typical = MAD * np.median(pulls) if robust else np.sqrt(np.mean(pulls**2))
    strain = float(typical * np.sqrt(len(cues) / max(len(cues) - 1, 1)))
    return float(np.exp(mean)), float(kept.sum() ** -0.5) * max(1.0, strain), strain


def _unchecked(error: float) -> str:
    return (
        f"nothing in the picture confirms the scale of its depth: lengths may be off by {Z90 * error:.0%} "
        "all together"
    )


def _note(cues: Sequence[ScaleCue], factor: float, error: float, agrees: bool) -> str:
    sources = ", ".join(f"{cue.source} ({_says(cue)})" for cue in cues)
    text = (
        f"the scale of the depth was checked against {sources}: lengths were multiplied by {factor:.2f} "
        f"(± {Z90 * error:.0%})"
    )
    return text if agrees else f"{text}; these do not agree within their errors, so the margin is wider"


def _says(cue: ScaleCue) -> str:
    return f"{'at most ' if cue.at_most else ''}{cue.factor:.2f}"
