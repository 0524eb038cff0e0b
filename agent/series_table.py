"""A series as a table in plain text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from spatial_agent.tools.scene import Measurement
from spatial_agent.tools.skills.wording import UNIT_TEXT, decimals_of

if TYPE_CHECKING:
    from spatial_agent.agent.series import Row, Series

#: What stands where there is no value.
NONE = "-"


def table(series: "Series") -> str:
    """Return a series as a table: one line a row, units in the header, the reason where a row is empty."""
    numbers = [row for row in series.rows if is_number(row)]
    places = max((_decimals(row) for row in numbers), default=0)
    titles = [_place_title(series), *(["time (s)"] if series.timed and series.rows else [])]
    titles += _value_titles(series) if numbers else ["answer"]
    cells = [[*titles, "remark"]]
    for row in series.rows:
        said = _numbers(row, places) if numbers else [_said(row)]
        cells.append([*_place(series, row), *said, row.why or ""])
    if not any(line[-1] for line in cells[1:]):
        cells = [line[:-1] for line in cells]
    return "\n".join([series.question, *_aligned(cells), *_endings(series)])


def _place_title(series: "Series") -> str:
    return "frame" if all(row.first_frame == row.last_frame for row in series.rows) else "frames"


def _value_titles(series: "Series") -> list[str]:
    unit = UNIT_TEXT.get(series.unit or "", series.unit or "") or series.unit
    return [f"value ({unit})", f"margin ({unit})", f"90 % interval ({unit})"]


def _place(series: "Series", row: "Row") -> list[str]:
    same = row.first_frame == row.last_frame
    frames = str(row.first_frame) if same else f"{row.first_frame}-{row.last_frame}"
    if not series.timed or row.start_s is None or row.end_s is None:
        return [frames]
    return [frames, f"{row.start_s:.2f}" if same else f"{row.start_s:.2f}-{row.end_s:.2f}"]


def is_number(row: "Row") -> bool:
    """Return whether a row has a measured number."""
    return row.unit is not None and isinstance(row.value, int | float) and not isinstance(row.value, bool)


def _decimals(row: "Row") -> int:
    exact = row.low is not None and row.low == row.high
    return decimals_of(Measurement(float(row.value), row.unit or "", row.low, row.high, "", exact))


def _numbers(row: "Row", places: int) -> list[str]:
    if not is_number(row):
        return [_said(row), NONE, NONE]
    low, high = (NONE if end is None else f"{end:.{places}f}" for end in (row.low, row.high))
    margin = NONE if row.margin is None else f"± {row.margin:.{places}f}"
    return [f"{float(row.value):.{places}f}", margin, _interval(low, high)]


def _interval(low: str, high: str) -> str:
    if low == high == NONE:
        return NONE
    if high == NONE:
        return f"at least {low}"
    return f"at most {high}" if low == NONE else f"{low} to {high}"


def _said(row: "Row") -> str:
    if row.value is None:
        return NONE
    if isinstance(row.value, bool):
        return "yes" if row.value else "no"
    return ", ".join(map(str, row.value)) if isinstance(row.value, list | tuple) else str(row.value)


def _endings(series: "Series") -> list[str]:
    answered = sum(row.value is not None for row in series.rows)
    lines = [f"{answered} of {len(series.rows)} rows have a value."]
    if series.stopped:
        lines.append(f"Ended early, with {len(series.rows)} of {series.steps} steps: {series.stopped}.")
    return [*lines, *(f"Note: {note}." for note in series.notes)]


def _aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]
