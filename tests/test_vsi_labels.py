"""Official VSI-Bench rows asked of scenes built from the released boxes, through the whole agent."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from spatial_agent.services.runtime import build_agent
from spatial_agent.services.settings import Settings
from spatial_agent.tools.mapping.scene_file import scene_from_json, scene_to_json
from spatial_agent.tools.scene.vsi_metadata import read_vsi_metadata


def official_rows(folder: Path) -> Iterator[dict[str, object]]:
    for line in (folder / "official_rows.jsonl").read_text("utf-8").splitlines():
        yield json.loads(line)


def test_the_agent_gives_every_official_label(test_data: Path, tmp_path: Path) -> None:
    folder = test_data / "vsi_meta"
    scenes = read_vsi_metadata(folder / "scannet_excerpt_meta_info_val.json")
    rows = list(official_rows(folder))
    with build_agent(settings=Settings(cache_folder=tmp_path)) as agent:
        answers = [
            agent.ask(scenes[str(row["scene_name"])], str(row["question"]), options=row["options"])  # type: ignore[arg-type]
            for row in rows
        ]

    assert len(rows) == 10
    assert [answer.text for answer in answers] == [row["ground_truth"] for row in rows]


def test_a_scene_file_of_released_boxes_gives_the_same_answers(test_data: Path, tmp_path: Path) -> None:
    folder = test_data / "vsi_meta"
    scenes = read_vsi_metadata(folder / "scannet_excerpt_meta_info_val.json")
    row = next(official_rows(folder))
    scene = scene_from_json(json.loads(json.dumps(scene_to_json(scenes[str(row["scene_name"])]))))
    with build_agent(settings=Settings(cache_folder=tmp_path)) as agent:
        answer = agent.ask(scene, str(row["question"]), options=row["options"])  # type: ignore[arg-type]

    assert answer.choice == row["ground_truth"]


#: Published for row 957: centres of three boxes of an ARKitScenes room, metres.
ROW_957 = {"stove": (-0.735, -0.935), "sofa": (-2.368, 2.951), "tv": (-3.847, 0.824)}


@pytest.mark.parametrize("at_height_m", [0.5, 1.5])
def test_row_957_is_front_left_at_38_degrees(tmp_path: Path, at_height_m: float) -> None:
    objects = [
        {
            "id": f"{label}-1",
            "label": label,
            "box": {"centre_m": [*xy, at_height_m], "extent_m": [0.6, 0.6, 0.6]},
        }
        for label, xy in ROW_957.items()
    ]
    scene = scene_from_json({"scale": "metric", "up": [0, 0, 1], "objects": objects})
    question = (
        "If I am standing by the stove and facing the sofa, is the tv to my front-left, front-right, "
        "back-left, or back-right?\nThe directions refer to the quadrants of a Cartesian plane (if I am "
        "standing at the origin and facing along the positive y-axis)."
    )
    options = ["A. back-left", "B. front-right", "C. back-right", "D. front-left"]
    with build_agent(settings=Settings(cache_folder=tmp_path)) as agent:
        answer = agent.ask(scene, question, options=options)

    assert answer.text == "D"
    assert answer.evidence[0]["details"]["degrees"] == pytest.approx(37.7, abs=0.05)
