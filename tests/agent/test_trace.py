"""Traces: on disk line by line, readable by whoever finds them."""

from pathlib import Path

import pytest

from spatial_agent.agent.trace import Trace, read_trace
from spatial_agent.tools.errors import SourceError


def test_steps_come_back_in_order_and_a_resumed_run_goes_on_counting(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    Trace("run", path).record("question", {"question": "Wie weit ist »das Sofa«?"})
    Trace("run", path).record("answer", {"value": 2})
    steps = list(read_trace(path))

    assert [(step.number, step.kind) for step in steps] == [(0, "question"), (1, "answer")]
    assert steps[0].data["question"] == "Wie weit ist »das Sofa«?"


def test_a_line_that_a_killed_process_left_unfinished_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    Trace("run", path).record("question", {})
    path.write_text(path.read_text("utf-8") + '{"format": "spatial-ag', encoding="utf-8")

    Trace("run", path).record("answer", {"value": 2})

    assert [(step.number, step.kind) for step in read_trace(path)] == [(0, "question"), (1, "answer")]


@pytest.mark.parametrize("line", ["{", '{"format": "other"}', "[]", '{"format": "spatial-agent/trace@1"}'])
def test_a_line_that_is_no_step_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "run.jsonl"
    Trace("run", path).record("question", {})
    path.write_text(path.read_text("utf-8") + line + "\n", encoding="utf-8")

    with pytest.raises(SourceError, match=r"run\.jsonl, line 2"):
        list(read_trace(path))
