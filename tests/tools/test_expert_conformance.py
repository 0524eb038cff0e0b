"""Installed tools do what every expert must: those without weights, and those whose real weights are here."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from spatial_agent.services.model_store import ModelStore
from spatial_agent.tools.conformance import check_expert, failures
from spatial_agent.tools.registry import Registry
from spatial_agent.tools.synthetic import SyntheticRoom

EXAMPLE = SyntheticRoom.example()
ROOM = replace(EXAMPLE, cameras=EXAMPLE.cameras[:6])
#: Arguments of an ordinary call that the types do not tell.
ARGUMENTS: Mapping[str, Mapping[str, object]] = {
    "camera_direction": {"target": "sofa", "frame": 0},
    "depth_agreement": {"of": ["sofa"]},
    "draw": {"marks": [{"kind": "box", "xyxy_px": [20.0, 20.0, 90.0, 70.0], "label": "sofa"}]},
    "measure_by_reference": {
        "segment_px": [[40.0, 60.0], [40.0, 90.0]],
        "reference_px": [[90.0, 60.0], [90.0, 90.0]],
        "reference_m": 1.0,
    },
    "next_view": {"of": ["sofa"]},
    "novel_view": {"position_m": [1.5, 1.5, 1.5], "yaw_deg": 45.0},
    "novel_view.frame": {"position_m": [1.5, 1.5, 1.5], "yaw_deg": 45.0},
    "occlusion": {"of": "sofa", "frame": 0},
    "order": {"kinds": ["table", "tv", "trash can"]},
    "two_frames": {"of": "sofa", "measure": "height"},
}
SLOW = {"mesh", "text.rapidocr"}
REGISTRY = Registry.from_entry_points()


def cases(names: Iterable[str]) -> list[ParameterSet]:
    return [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in names]


@pytest.mark.parametrize("name", cases(name for name in REGISTRY if not REGISTRY.get(name).weights))
def test_it_does_what_every_tool_must(name: str) -> None:
    report = check_expert(REGISTRY.get(name), room=ROOM, arguments=ARGUMENTS.get(name))

    assert failures(report) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["detect.yolox"])
def test_it_does_so_with_its_real_weights(name: str, weights: Path) -> None:
    pytest.importorskip("ncnn")
    tool = REGISTRY.get(name)

    report = check_expert(tool, weights=ModelStore(weights).locate(tool.weights[0]), room=ROOM)

    assert failures(report) == {}
