"""Fronts measured in the sample scan, beside those its makers know."""

import json
from pathlib import Path

import numpy as np

from spatial_agent.services.runtime import build_agent
from spatial_agent.services.settings import Settings

SAMPLE = Path(__file__).parents[2] / "examples" / "scans" / "living_room"


def test_seats_of_the_sample_scan_face_where_they_were_put(tmp_path: Path) -> None:
    truths = json.loads((SAMPLE / "truth.json").read_text("utf-8"))["objects"]
    with build_agent(settings=Settings(cache_folder=tmp_path)) as agent:
        objects = agent.scene(SAMPLE).scene.objects

    facing = [item for item in objects if item.facing is not None]
    assert len(facing) >= 6
    for item in facing:
        centres = np.array([truth["box"]["centre_m"] for truth in truths])
        truth = truths[int(np.argmin(np.linalg.norm(centres - item.box.centre_m, axis=1)))]
        assert truth["label"] == item.label
        assert item.facing is not None
        off_deg = np.degrees(np.arccos(np.clip(item.facing @ np.array(truth["facing"]), -1, 1)))
        assert off_deg <= 3 * np.degrees(item.facing_error_rad)
