"""Scene files: written by hand or by us, read exactly, refused by name of the field."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.mapping.scene_file import (
    read_scene,
    scene_from_json,
    scene_schema,
    scene_to_json,
    write_scene,
)
from spatial_agent.tools.synthetic import SyntheticRoom

MINIMAL: dict[str, Any] = {
    "format": "spatial-agent/scene@1",
    "scale": "metric",
    "up": [0, 0, 1],
    "objects": [
        {"id": "sofa-1", "label": "Sofa", "box": {"centre_m": [1, 2, 0.4], "extent_m": [2, 0.9, 0.8]}}
    ],
}


def test_nothing_but_boxes_is_a_scene() -> None:
    scene = scene_from_json(MINIMAL)

    assert scene.objects[0].label == "sofa"
    np.testing.assert_array_equal(scene.objects[0].box.world_from_box, np.eye(3))
    assert scene.objects[0].provenance is None


def test_a_scene_survives_its_file(tmp_path: Path) -> None:
    scene = SyntheticRoom.example().scene_map()
    write_scene(scene, tmp_path / "scene.json")
    back = read_scene(tmp_path / "scene.json")

    assert scene_to_json(back) == scene_to_json(scene)
    assert [path.name for path in tmp_path.iterdir()] == ["scene.json"]


def test_a_tilted_box_is_kept_as_given() -> None:
    turn = [[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]]
    box = MINIMAL["objects"][0]["box"] | {"world_from_box": turn}
    scene = scene_from_json(MINIMAL | {"objects": [MINIMAL["objects"][0] | {"box": box}]})

    np.testing.assert_array_equal(scene.objects[0].box.world_from_box, turn)


def test_a_scene_with_y_up_is_turned_upright() -> None:
    box = {"centre_m": [1, 2, 3], "extent_m": [0.5, 1.8, 0.6]}
    scene = scene_from_json(
        MINIMAL | {"up": [0, 1, 0], "objects": [{"id": "lamp-1", "label": "lamp", "box": box}]}
    )
    item = scene.objects[0]

    assert item.box.centre_m[2] == pytest.approx(2.0)
    assert np.ptp(item.box.corners_m[:, 2]) == pytest.approx(1.8)
    assert np.linalg.norm(item.box.centre_m) == pytest.approx(np.sqrt(14))


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"format": "spatial-agent/scene@9"}, "format"),
        ({"scale": "feet"}, "scale"),
        ({"up": [0, 0]}, "up"),
        ({"colour": "red"}, "colour"),
        ({"objects": [{"id": "a", "label": "a", "box": {"centre_m": [0, 0, 0]}}]}, "objects.0.box.extent_m"),
        ({"objects": MINIMAL["objects"] * 2}, "repeated: sofa-1"),
        ({"room": {"area_m2": -3}}, "room.area_m2"),
        ({"objects": [MINIMAL["objects"][0] | {"facing": [0, 0, 0]}]}, "facing"),
        ({"up": [0, 1, 0], "room": {"area_m2": 3, "polygon_m": [[0, 0], [1, 0], [1, 1]]}}, "polygon_m"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], part: str) -> None:
    with pytest.raises(SourceError, match="kitchen is not a spatial-agent/scene@1 file") as error:
        scene_from_json(MINIMAL | change, "kitchen")

    assert part in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"objects": NaN}'])
def test_a_file_that_is_not_json_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "scene.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(SourceError, match=r"scene\.json"):
        read_scene(path)


def test_the_published_schema_names_the_format_and_every_field() -> None:
    schema = scene_schema()

    assert schema["properties"]["format"]["const"] == "spatial-agent/scene@1"
    assert set(MINIMAL) <= set(schema["properties"])
    json.dumps(schema)
