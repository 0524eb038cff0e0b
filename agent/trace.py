"""What happened in a run, one JSON object a line, written as it happens."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import SourceError

FORMAT = "spatial-agent/trace@1"


@dataclass(frozen=True)
class Step:
    """One line of a trace.

    Attributes:
        number: Position in the run, from 0.
        seconds: Time since the run began.
        kind: What happened: ``question``, ``load``, ``formalise``, ``plan``, ``call``, ``result``,
            ``execute``, ``verify``, ``compose``, ``answer``, ``finished``.
        data: The facts, plain JSON.
    """

    number: int
    seconds: float
    kind: str
    data: Mapping[str, Json]


class Trace:
    """Appends steps to a file; every line is on disk before the next step starts."""

    def __init__(
        self, run_id: str, path: Path, on_step: Callable[[str, Mapping[str, Any]], None] | None = None
    ) -> None:
        """Append to `path`, continuing the numbering of a resumed run; `on_step` gets every step, too."""
        self.run_id = run_id
        self.path = path
        self._on_step = on_step
        path.parent.mkdir(parents=True, exist_ok=True)
        self._number = _whole_lines(path) if path.exists() else 0
        self._started = time.perf_counter()

    def record(self, kind: str, data: Mapping[str, Any]) -> None:
        """Append one step."""
        line = {
            "format": FORMAT,
            "run": self.run_id,
            "number": self._number,
            "seconds": round(time.perf_counter() - self._started, 6),
            "kind": kind,
            "data": data,
        }
        written = json.dumps(line, ensure_ascii=False) + "\n"
        with self.path.open("ab", buffering=0) as file:
            file.write(written.encode())
        self._number += 1
        if self._on_step is not None:
            self._on_step(kind, data)


def _whole_lines(path: Path) -> int:
    """Return the number of lines, after cutting off one that a killed process left unfinished."""
    written = path.read_bytes()
    end = written.rfind(b"\n") + 1
    if end < len(written):
        with path.open("r+b") as file:
            file.truncate(end)
    return written.count(b"\n")


def read_trace(path: Path) -> Iterator[Step]:
    """Yield the steps of a trace file.

    Raises:
        SourceError: If a line is not a trace step; the message names the line.
    """
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            data = json.loads(line)
            if data["format"] != FORMAT:
                raise ValueError(f"format is {data['format']!r}")
            yield Step(data["number"], data["seconds"], data["kind"], data["data"])
        except (ValueError, KeyError, TypeError) as error:
            raise SourceError(f"{path.name}, line {number}: expected a {FORMAT} step ({error})") from None
