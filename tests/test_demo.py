"""The demonstration on the sample scan: every answer against its exact truth."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
SCAN = ROOT / "examples" / "scans" / "living_room"
DEMO = ROOT / "examples" / "demo.py"


def run_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(DEMO), *arguments],
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
        env={**os.environ, "COLUMNS": "160"},
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    out = tmp_path_factory.mktemp("demo")
    done = run_demo("--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, out


def test_every_answer_is_right(demo: tuple[str, Path]) -> None:
    questions = json.loads((SCAN / "questions.json").read_text("utf-8"))

    assert demo[0].count("right │") == len(questions)
    assert "WRONG" not in demo[0]


def test_all_kinds_of_the_benchmark_are_asked() -> None:
    kinds = {item["kind"] for item in json.loads((SCAN / "questions.json").read_text("utf-8"))}

    assert {
        "object_counting",
        "object_abs_distance",
        "object_size_estimation",
        "room_size_estimation",
        "object_rel_distance",
        "object_rel_direction_hard",
        "object_rel_direction_medium",
        "object_rel_direction_easy",
        "obj_appearance_order",
        "route_planning",
    } <= kinds


def test_the_map_and_a_picture_of_each_answer_are_drawn(demo: tuple[str, Path]) -> None:
    _, out = demo
    with Image.open(out / "map.png") as image:
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 50
    assert len(list(out.glob("answer-*.png"))) == len(
        json.loads((SCAN / "questions.json").read_text("utf-8"))
    )


def test_a_wrong_answer_is_called_wrong(tmp_path: Path) -> None:
    scan = tmp_path / "room"
    shutil.copytree(SCAN, scan)
    wrong = [{"kind": "object_counting", "question": "How many chair(s) are in this room?", "truth": 5}]
    (scan / "questions.json").write_text(json.dumps(wrong), encoding="utf-8")
    done = run_demo("--scan", str(scan), "--out", str(tmp_path / "out"))

    assert done.returncode == 1
    assert "WRONG" in done.stdout
