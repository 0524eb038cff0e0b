import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.scene.vsi_metadata import read_vsi_metadata

# Rows are the axes: the first points up, the second along x, the third along y.
ROWS = [0.0, 0, 1, 1, 0, 0, 0, 1, 0]


def a_box(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON)
    box = {
        "centroid": [1.0, 2.0, 3.0],
        "axesLengths": [0.6, 2.0, 0.4],
        "normalizedAxes": ROWS,
        "min": [0.0, 1.8, 2.7],
        "max": [2.0, 2.2, 3.3],
    }
    return {key: value for key, value in (box | changes).items() if value is not None}


def a_file(folder: Path, **changes: Any) -> Path:  # noqa: ANN401 (JSON)
    entry = {
        "dataset": "scannetpp",
        "room_size": 18.25,
        "object_counts": {"computer mouse": 2, "bed": 1},
        "object_bbox": {
            "computer mouse": [a_box(), a_box(centroid=[0.0, 0, 0], min=None, max=None)],
            "bed": [a_box()],
        },
    }
    path = folder / "meta_info.json"
    path.write_text(json.dumps({"scene0001": entry | changes}))
    return path


def test_boxes_counts_and_area_are_read_as_given(tmp_path: Path) -> None:
    scene = read_vsi_metadata(a_file(tmp_path))["scene0001"]
    assert [item.id for item in scene.objects] == ["computer mouse-1", "computer mouse-2", "bed-1"]
    assert [item.label for item in scene.objects] == ["computer mouse", "computer mouse", "bed"]
    assert scene.room is not None
    assert (scene.room.area_m2, scene.room.exact, scene.scale) == (18.25, True, "metric")
    assert scene.up is not None
    assert scene.scene_id == "scene0001"
    assert len(scene.notes) == 1


def test_rows_of_the_file_are_axes_of_the_box(tmp_path: Path) -> None:
    box = read_vsi_metadata(a_file(tmp_path))["scene0001"].objects[0].box
    assert_allclose(box.world_from_box[:, 0], [0, 0, 1])
    assert_allclose(box.corners_m.min(axis=0), [0.0, 1.8, 2.7])
    assert_allclose(box.corners_m.max(axis=0), [2.0, 2.2, 3.3])
    assert box.upright_axis == 0


def test_a_mirrored_box_is_made_proper_without_moving_a_corner(tmp_path: Path) -> None:
    mirrored = a_box(normalizedAxes=[0.0, 0, 1, -1, 0, 0, 0, 1, 0])
    path = a_file(tmp_path, object_bbox={"bed": [mirrored]}, object_counts={"bed": 1})
    scene = read_vsi_metadata(path)["scene0001"]
    assert np.linalg.det(scene.objects[0].box.world_from_box) == pytest.approx(1.0)
    assert_allclose(scene.objects[0].box.corners_m.max(axis=0), [2.0, 2.2, 3.3])
    assert len(scene.notes) == 1


def test_counts_that_the_boxes_do_not_bear_out_are_noted(tmp_path: Path) -> None:
    path = a_file(tmp_path, object_counts={"computer mouse": 3, "bed": 1, "lamp": 2})
    notes = " ".join(read_vsi_metadata(path)["scene0001"].notes)
    assert "counts 3 of 'computer mouse', but gives 2 boxes" in notes
    assert "counts 2 of 'lamp', but gives 0 boxes" in notes
    assert "'bed'" not in notes


def test_bounds_that_are_not_the_boxes_own_are_noted(tmp_path: Path) -> None:
    boxes = {"bed": [a_box(min=[0.0, 1.5, 2.7])]}
    scene = read_vsi_metadata(a_file(tmp_path, object_bbox=boxes, object_counts={"bed": 1}))["scene0001"]
    assert any("bed-1 do not end at its stated bounds" in note for note in scene.notes)


@pytest.mark.parametrize("area", [None, 0.0])
def test_a_scene_may_have_no_area(tmp_path: Path, area: float | None) -> None:
    assert read_vsi_metadata(a_file(tmp_path, room_size=area))["scene0001"].room is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"object_bbox": None}, "object_bbox"),
        ({"object_bbox": {"bed": {}}}, "list of boxes"),
        ({"object_bbox": {"bed": [a_box(centroid=None)]}}, "scene0001, bed-1: .*'centroid' is missing"),
        ({"object_bbox": {"bed": [a_box(normalizedAxes=[1, 0, 0])]}}, "scene0001, bed-1: not a box"),
        ({"object_bbox": {"bed": [a_box(normalizedAxes=[2, 0, 0, 0, 1, 0, 0, 0, 1])]}}, "orthonormal"),
        ({"object_bbox": {"bed": [a_box(axesLengths=[1, -1, 1])]}}, "at least 0"),
        ({"object_bbox": {"bed": ["box"]}}, "scene0001, bed-1: not a box"),
        ({"room_size": "large"}, "room_size"),
        ({"room_size": -4.0}, "room_size"),
    ],
)
def test_a_file_of_another_form_is_refused_where_it_is_wrong(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        read_vsi_metadata(a_file(tmp_path, **changes))


@pytest.mark.parametrize("text", ["[1, 2]", "{", ""])
def test_what_is_no_metadata_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(SourceError, match=r"other\.json"):
        read_vsi_metadata(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="absent"):
        read_vsi_metadata(tmp_path / "absent.json")


def test_every_released_box_ends_at_its_stated_bounds(test_data: Path) -> None:
    scenes = read_vsi_metadata(test_data / "vsi_meta" / "scannetpp_meta_info_val.json")
    assert len(scenes) == 50
    assert sum(len(scene.objects) for scene in scenes.values()) == 1119
    assert all(len(scene.notes) == 1 for scene in scenes.values())
    assert sum(item.box.upright_axis is None for scene in scenes.values() for item in scene.objects) == 202
