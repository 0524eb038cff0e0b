"""A series as a picture: the value over time with its margin as a band, and where there is none."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

import numpy as np
from PIL import Image

from spatial_agent.agent.series import Row, Series
from spatial_agent.agent.series_table import is_number
from spatial_agent.tools.drawing.canvas import INK, PALETTE, Canvas, Colour, Point
from spatial_agent.tools.skills.wording import UNIT_TEXT
from spatial_agent.tools.whole_file import write_whole

WIDTH_PX, HEIGHT_PX = 960, 540
LEFT_PX, RIGHT_PX, BOTTOM_PX, LINE_PX = 96, 28, 76, 24
GRID: Colour = (222, 222, 218)
QUIET: Colour = (120, 122, 126)
LINE = PALETTE[0]
#: About this many numbers stand along an axis.
TICKS = 6
#: Room left above and below what is drawn, as a share of it.
HEADROOM = 0.08
#: Names that a row of words may show; the rest stand together.
MOST_NAMES = 10


@dataclass(frozen=True)
class Plot:
    """How values become pixels.

    Attributes:
        x: Lowest and highest place along the recording.
        y: Lowest and highest value.
        top_px: Upper edge of the plot.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    top_px: int

    def at(self, x: float, y: float) -> Point:
        """Return the pixel of a value at a place."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        bottom_px = HEIGHT_PX - BOTTOM_PX
        return (
            LEFT_PX + across * (WIDTH_PX - LEFT_PX - RIGHT_PX),
            bottom_px - up * (bottom_px - self.top_px),
        )


def series_picture(series: Series) -> Image.Image:
    """Return the picture of a series.

    Numbers are a line with their 90 % interval as a band, which is open at the edge of the picture where an
    end is; names are dots in rows of their own. Steps without a value are marked at the foot.
    """
    canvas = Canvas.blank(WIDTH_PX, HEIGHT_PX)
    numbers = [row for row in series.rows if is_number(row)]
    top_px = _headed(canvas, series, "band: 90 % interval; " if numbers else "")
    if numbers:
        _draw_numbers(canvas, series, numbers, top_px)
    else:
        _draw_names(canvas, series, top_px)
    _label(canvas, (WIDTH_PX / 2, HEIGHT_PX - 16), "time (s)" if series.timed else "frame")
    return canvas.image


def write_series_picture(series: Series, path: Path) -> None:
    """Write the picture of a series as PNG; the file appears whole or not at all."""
    picture = series_picture(series)
    write_whole(path, lambda partial: picture.save(partial, format="PNG"))


def _headed(canvas: Canvas, series: Series, key: str) -> int:
    """Write the question and what the picture shows; return where the plot begins."""
    lines = wrap(series.question, 84)[:3]
    for number, line in enumerate(lines):
        _label(canvas, (WIDTH_PX / 2, 20 + LINE_PX * number), line, INK, 18)
    answered = sum(row.value is not None for row in series.rows)
    shown = f"{key}{answered} of {series.steps} steps have a value"
    _label(canvas, (WIDTH_PX / 2, 20 + LINE_PX * len(lines)), shown)
    return 44 + LINE_PX * len(lines)


def _draw_numbers(canvas: Canvas, series: Series, numbers: Sequence[Row], top_px: int) -> None:
    ends = [float(end) for row in numbers for end in (row.value, row.low, row.high) if end is not None]
    low, high = min(ends), max(ends)
    room = max((high - low) * HEADROOM, 1e-6 + 0.01 * abs(high))
    # Nothing that is measured in lengths or counts is below zero.
    floor = 0.0 if low >= 0.0 and low - room < 0.0 else low - room
    plot = Plot(_span(series.rows), (floor, high + room), top_px)
    _draw_frame(canvas, plot, _ticks(*plot.y))
    for run in _runs(series.rows):
        _draw_run(canvas, plot, run)
    _draw_missing(canvas, plot, series.rows)
    unit = UNIT_TEXT.get(series.unit or "", series.unit or "") or series.unit or ""
    _label(canvas, (LEFT_PX / 2, top_px - 14), unit, INK, 16)


def _draw_run(canvas: Canvas, plot: Plot, run: Sequence[Row]) -> None:
    """Draw rows that follow one another without a gap."""
    highs = [plot.at(row.at, plot.y[1] if row.high is None else row.high) for row in run]
    lows = [plot.at(row.at, plot.y[0] if row.low is None else row.low) for row in run]
    if len(run) > 1:
        canvas.polygon([*highs, *reversed(lows)], LINE, fill_alpha=60, width=0)
    middle = [plot.at(row.at, float(row.value)) for row in run]
    canvas.line(middle, LINE, 3)
    for row, low, high, point in zip(run, lows, highs, middle, strict=True):
        canvas.line([low, high], LINE, 1)
        canvas.dot(point, LINE, 4)
        # An open end goes on to the edge of the plot, and says so.
        if row.high is None:
            canvas.arrow(point, high, LINE, 2)
        if row.low is None:
            canvas.arrow(point, low, LINE, 2)


def _draw_names(canvas: Canvas, series: Series, top_px: int) -> None:
    """Draw each name in a row of its own, the first that came at the top."""
    said = {id(row): _name(row) for row in series.rows if row.value is not None}
    names = list(dict.fromkeys(said.values()))[:MOST_NAMES]
    plot = Plot(_span(series.rows), (-0.5, max(len(names), 1) - 0.5), top_px)
    _draw_frame(canvas, plot, [])
    heights = {name: len(names) - 1 - place for place, name in enumerate(names)}
    for name, height in heights.items():
        start, end = plot.at(plot.x[0], height), plot.at(plot.x[1], height)
        canvas.line([start, end], GRID, 1)
        _label(canvas, (LEFT_PX / 2 - 4, start[1]), name if len(name) <= 14 else f"{name[:13]}…", INK)
    for row in series.rows:
        if said.get(id(row)) in heights:
            height = heights[said[id(row)]]
            canvas.dot(plot.at(row.at, height), PALETTE[height % len(PALETTE)], 6)
    _draw_missing(canvas, plot, series.rows)


def _name(row: Row) -> str:
    if isinstance(row.value, bool):
        return "yes" if row.value else "no"
    return ", ".join(map(str, row.value)) if isinstance(row.value, list | tuple) else str(row.value)


def _draw_frame(canvas: Canvas, plot: Plot, values: Sequence[float]) -> None:
    for value in values:
        start, end = plot.at(plot.x[0], value), plot.at(plot.x[1], value)
        canvas.line([start, end], GRID, 1)
        _label(canvas, (LEFT_PX - 34, start[1]), f"{value:g}")
    for place in _ticks(*plot.x):
        foot = plot.at(place, plot.y[0])
        canvas.line([foot, (foot[0], foot[1] + 6)], QUIET, 1)
        _label(canvas, (foot[0], foot[1] + 32), f"{place:g}")
    canvas.line([plot.at(plot.x[0], plot.y[1]), plot.at(plot.x[0], plot.y[0])], QUIET, 1)
    canvas.line([plot.at(plot.x[0], plot.y[0]), plot.at(plot.x[1], plot.y[0])], QUIET, 1)


def _draw_missing(canvas: Canvas, plot: Plot, rows: Sequence[Row]) -> None:
    """Mark the steps without a value by crosses at the foot."""
    missing = [plot.at(row.at, plot.y[0]) for row in rows if row.value is None]
    for x, y in missing:
        canvas.line([(x - 4, y + 9), (x + 4, y + 17)], PALETTE[5], 2)
        canvas.line([(x - 4, y + 17), (x + 4, y + 9)], PALETTE[5], 2)
    if missing:
        _label(canvas, (WIDTH_PX - 90, HEIGHT_PX - 16), "x: no value", PALETTE[5])


def _runs(rows: Sequence[Row]) -> list[list[Row]]:
    """Return the numbers in stretches without a gap, so that no line is drawn where nothing is known."""
    runs: list[list[Row]] = [[]]
    for row in rows:
        if is_number(row):
            runs[-1].append(row)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _span(rows: Sequence[Row]) -> tuple[float, float]:
    places = [row.at for row in rows]
    if not places:
        return (0.0, 1.0)
    low, high = min(places), max(places)
    room = 0.02 * (high - low) or 0.5
    return (low - room, high + room)


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two ends, about `TICKS` of them."""
    raw = (high - low) / TICKS
    power = 10.0 ** float(np.floor(np.log10(raw)))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    first = int(np.ceil(low / step - 1e-9))
    last = int(np.floor(high / step + 1e-9))
    return [round(step * number, 10) for number in range(first, last + 1)]


def _label(canvas: Canvas, at: Point, text: str, colour: Colour = QUIET, size: int = 14) -> None:
    canvas.label(at, text, colour, size)
