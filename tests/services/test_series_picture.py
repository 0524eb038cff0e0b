"""Pictures of series: values and bands are where the numbers say, gaps are gaps."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from spatial_agent.agent.series import Row, Series
from spatial_agent.services.series_picture import (
    BOTTOM_PX,
    HEIGHT_PX,
    LEFT_PX,
    LINE,
    RIGHT_PX,
    WIDTH_PX,
    series_picture,
    write_series_picture,
)


def made_of(*rows: tuple[float | None, float | None, float | None]) -> Series:
    """Return a series of one row each second: value, low, high."""
    taken = tuple(
        Row(k, k, float(k), float(k), value, "m" if value is not None else None, low, high)
        for k, (value, low, high) in enumerate(rows)
    )
    return Series("How far is the chair from the table?", "scan", "hash", "frame", taken, len(taken))


def column(x_px: float, series: Series) -> NDArray[np.int_]:
    """Return the rows of one column of the picture that are neither paper nor grid, inside the plot."""
    pixels = np.asarray(series_picture(series)).astype(int)
    band = pixels[: HEIGHT_PX - BOTTOM_PX, round(x_px)]
    blue = (band[:, 2] - band[:, 0]) > 15
    found: NDArray[np.int_] = np.flatnonzero(blue)
    return found


def x_of(step: int, steps: int) -> float:
    """Where step k of n stands: the plot goes 2 % beyond the first and the last."""
    share = (step + 0.02 * (steps - 1)) / (1.04 * (steps - 1))
    return LEFT_PX + share * (WIDTH_PX - LEFT_PX - RIGHT_PX)


def test_the_band_is_as_wide_as_the_interval_and_the_line_lies_in_it() -> None:
    series = made_of((1.0, 0.9, 1.1), (1.0, 0.8, 1.2), (1.0, 0.6, 1.4), (1.0, 0.6, 1.4))
    narrow, wide = (np.ptp(column(x_of(step, 4) + 1, series)) for step in (0, 2))

    assert wide / narrow == pytest.approx(4.0, rel=0.08)
    middle = column(x_of(2, 4) + 6, series)
    pixels = np.asarray(series_picture(series)).astype(int)
    line = np.flatnonzero(np.abs(pixels[:, round(x_of(2, 4) + 6)] - LINE).max(axis=1) < 40)
    assert abs(line.mean() - (middle.min() + middle.max()) / 2) < 3


def test_nothing_is_drawn_across_a_gap() -> None:
    series = made_of((1.0, 0.9, 1.1), (1.1, 1.0, 1.2), (None, None, None), (1.3, 1.2, 1.4), (1.4, 1.3, 1.5))

    assert len(column(x_of(2, 5), series)) == 0
    assert len(column(x_of(1, 5), series)) > 0
    assert len(column(x_of(3, 5), series)) > 0


def test_an_open_end_reaches_the_edge_of_the_plot() -> None:
    closed = made_of((1.0, 0.9, 1.1), (1.0, 0.9, 1.1), (1.0, 0.9, 1.1))
    open_above = replace(closed, rows=(closed.rows[0], replace(closed.rows[1], high=None), closed.rows[2]))

    assert column(x_of(1, 3), open_above).min() < column(x_of(1, 3), closed).min() - 15
    assert column(x_of(1, 3), open_above).max() == column(x_of(1, 3), closed).max()


def test_words_have_a_row_each() -> None:
    rows = [Row(k, k, None, None, word) for k, word in enumerate(["left", "left", "right", "left"])]
    picture = series_picture(Series("Is the chair left or right?", "scan", "hash", "frame", tuple(rows), 4))
    pixels = np.asarray(picture).astype(int)
    heights = [
        np.flatnonzero(np.ptp(pixels[100 : HEIGHT_PX - BOTTOM_PX, round(x_of(k, 4))], axis=1) > 60).mean()
        for k in range(4)
    ]

    assert heights[0] == pytest.approx(heights[1], abs=1)
    assert heights[0] == pytest.approx(heights[3], abs=1)
    assert heights[2] > heights[0] + 50


@pytest.mark.parametrize("rows", [(), ((2.0, 2.0, 2.0),), ((None, None, None),), ((0.0, 0.0, 0.0),) * 2])
def test_a_series_of_hardly_anything_has_a_picture(
    rows: tuple[tuple[float | None, float | None, float | None], ...], tmp_path: Path
) -> None:
    path = tmp_path / "series.png"
    write_series_picture(made_of(*rows), path)

    assert Image.open(io.BytesIO(path.read_bytes())).size == (WIDTH_PX, HEIGHT_PX)
