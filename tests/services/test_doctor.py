"""What the doctor says of weights: how many there are, and which need something done."""

from pathlib import Path

import pytest

from spatial_agent.services.doctor import Finding, examine


def weights_lines(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    monkeypatch.setenv("SPATIAL_AGENT_WEIGHTS", str(folder))
    monkeypatch.setattr("spatial_agent.services.doctor.CORE", ())  # seconds of imports
    return [finding for finding in examine() if finding.what.startswith("weights")]


def test_weights_that_are_here_are_listed_with_their_licence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("yolox-nano.param", "yolox-nano.bin"):
        (tmp_path / name).write_bytes(b"\0" * 1_000_000)

    summary, line = weights_lines(tmp_path, monkeypatch)

    assert summary.status == "ok"
    assert summary.detail.startswith("1 of ")
    assert (line.what, line.status) == ("weights yolox-nano.param", "ok")
    assert line.detail == "2.0 MB, licence Apache-2.0, not checked: spatial-agent models verify"


def test_incomplete_weights_are_broken_and_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "yolox-nano.param").write_bytes(b"\0")

    _, line = weights_lines(tmp_path, monkeypatch)

    assert line.status == "broken"
    assert line.detail == "incomplete; spatial-agent models pull yolox-nano.param"


def test_a_folder_without_weights_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [line] = weights_lines(tmp_path, monkeypatch)

    assert line.status == "missing"
    assert line.detail.startswith("0 of ")


def test_a_folder_that_is_not_there_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [line] = weights_lines(tmp_path / "nowhere", monkeypatch)

    assert line.status == "broken"
    assert "which is not a folder" in line.detail


def test_a_damaged_lock_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights.lock.json").write_text("{")

    [line] = weights_lines(tmp_path, monkeypatch)

    assert line.status == "broken"
    assert "weights.lock.json" in line.detail
