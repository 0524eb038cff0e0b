"""The coverage benchmark: its bookkeeping by hand, and the real pipeline on rooms it was not fitted to."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from spatial_agent.tools.scene import Measurement, OrientedBox, SceneMap
from spatial_agent.tools.synthetic import SyntheticRoom

SOURCE = Path(__file__).parents[2] / "benchmarks" / "coverage.py"


@pytest.fixture(scope="module")
def coverage() -> ModuleType:
    spec = importlib.util.spec_from_file_location("coverage_benchmark", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their own module up by name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def measured(value: float, low: float | None, high: float | None) -> Measurement:
    return Measurement(value, "m", low, high, "by hand")


def test_an_interval_covers_what_lies_between_its_ends_an_open_one_all_beyond(
    coverage: ModuleType,
) -> None:
    def covers(truth: float, low: float | None, high: float | None) -> bool:
        trial = coverage.Trial("x", 0, "", measured(1.0, low, high), truth)
        return bool(trial.is_covered)

    assert covers(1.1, 0.8, 1.2)
    assert not covers(1.3, 0.8, 1.2)
    assert not covers(0.7, 0.8, None)
    assert covers(99.0, 0.8, None)


def test_the_table_counts_what_is_covered(coverage: ModuleType) -> None:
    trials = [
        coverage.Trial("distance m", 0, "", measured(1.0, 0.9, 1.1), truth) for truth in (1, 1.05, 1.2, 0.95)
    ]
    text = coverage.table(trials)
    assert "75.0%" in text
    assert "0.200" in text


def test_mapped_objects_are_matched_by_label_and_place_once_each(coverage: ModuleType) -> None:
    room = SyntheticRoom.example()
    truth = room.scene_map()
    table, first, second = truth.objects[:3]
    ghost = replace(first, id="chair-9", box=first.box.moved(shift(0.1)))
    scene = SceneMap((second, ghost, first, replace(table, label="bed")))
    found = coverage.match(room, scene, np.eye(4))
    assert {position: item.id for position, item in found.items()} == {1: "chair-1", 2: "chair-2"}


def shift(x_m: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    moved = np.eye(4)
    moved[0, 3] = x_m
    return moved


def test_the_benchmark_distance_is_that_of_two_shells_of_grid_points(
    coverage: ModuleType,
) -> None:
    a = OrientedBox.upright(np.zeros(3), np.array([1.0, 1.0, 1.0]))
    b = OrientedBox.upright(np.array([3.0, 0.0, 0.0]), np.array([1.0, 1.0, 1.0]))
    assert coverage.sampled_distance_m(a, b) == pytest.approx(2.0)


def test_one_held_out_room_is_measured_within_centimetres_and_mostly_within_its_margins(
    coverage: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coverage, "WIDTH_PX", 160)
    monkeypatch.setattr(coverage, "HEIGHT_PX", 120)
    trials = list(coverage.measure_room(coverage.FIRST_HELD_OUT))
    sizes = [abs(t.error) for t in trials if t.kind in ("height m", "width m", "depth m")]
    assert len(trials) > 40
    assert np.median(sizes) < 0.04
    assert coverage.coverage(trials) > 0.7
    widths = [t.width for t in trials if t.kind == "distance m"]
    assert np.median(widths) < 0.4


@pytest.mark.slow
def test_nine_of_ten_intervals_hold_the_truth_on_held_out_rooms(coverage: ModuleType) -> None:
    trials = [
        trial
        for seed in range(coverage.FIRST_HELD_OUT, coverage.FIRST_HELD_OUT + 16)
        for trial in coverage.measure_room(seed)
    ]
    assert len(trials) >= 300
    assert 0.85 <= coverage.coverage(trials) <= 0.95
