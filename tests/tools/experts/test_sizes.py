"""Typical sizes: a sound table, found through synonyms and kinds, and borne out by real boxes."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from spatial_agent.tools.errors import NoSuchObjectError, ToolArgumentError
from spatial_agent.tools.experts.sizes import (
    LOOSE,
    UPRIGHT,
    check_size,
    rulers,
    size_table,
    typical_size,
    typical_sizes,
)
from spatial_agent.tools.labels import main_name
from spatial_agent.tools.scene import OrientedBox, Provenance, SceneObject
from spatial_agent.tools.scene.vsi_metadata import read_vsi_metadata


def thing(
    label: str, extent_m: tuple[float, float, float], provenance: Provenance | None = None
) -> SceneObject:
    box = OrientedBox.upright(np.zeros(3), np.array(extent_m), 0.3)
    return SceneObject(f"{label}-1", label, box, provenance=provenance)


def test_the_table_has_over_a_hundred_sizes_each_with_a_source() -> None:
    table = size_table()

    assert len(table) >= 100
    assert sum(entry.section == "rooms" for entry in table.values()) >= 10
    assert all(entry.source for entry in table.values())


@pytest.mark.parametrize("name", size_table())
def test_an_entry_is_a_main_name_with_ranges_in_order(name: str) -> None:
    entry = size_table()[name]

    assert main_name(name) == name
    assert all(0 < low < high for low, high in entry.ranges.values())
    if entry.section != "rooms":
        order = UPRIGHT[:2] if entry.section == "upright" else LOOSE
        lows, highs = zip(*(entry.ranges[dimension] for dimension in order), strict=True)
        assert list(lows) == sorted(lows, reverse=True)
        assert list(highs) == sorted(highs, reverse=True)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("couch", "sofa"),
        ("Fridges", "refrigerator"),
        ("swivel chair", "office chair"),
        ("kitchen chair", "chair"),
        ("heater", "radiator"),
        ("keyboard", "computer keyboard"),
        ("living room", "living room"),
    ],
)
def test_a_label_is_found_by_synonym_or_by_the_narrowest_kind(label: str, name: str) -> None:
    found = typical_size(label)
    assert found is not None
    assert found.name == name


def test_nothing_is_said_of_what_is_not_in_the_table() -> None:
    assert typical_size("flux capacitor") is None
    assert check_size("flux capacitor", (9.0, 9.0, 9.0)) is None


def test_an_impossible_size_is_remarked_on_and_a_wide_margin_excuses_it() -> None:
    assert check_size("refrigerator", (0.7, 0.6, 1.8)) is None
    assert "high" in str(check_size("refrigerator", (0.7, 0.6, 4.0)))
    assert check_size("refrigerator", (0.7, 0.6, 4.0), (0.0, 0.0, 2.0)) is None


def test_edges_are_compared_by_where_they_point_unless_the_box_is_tilted() -> None:
    lying_door = (2.0, 0.9, 0.05)

    assert "deep" in str(check_size("door", lying_door))
    assert check_size("door", lying_door, vertical_axis=None) is None
    assert check_size("book", (0.02, 0.2, 0.3)) is None


def test_rulers_are_narrow_ranges_of_edges_seen_to_both_ends() -> None:
    seen = Provenance((0,), 900, 900, 0.005, (1.0, 1.0, 1.0, 1.0, 1.0, 1.0))
    half_seen = Provenance((0,), 900, 900, 0.005, (1.0, 1.0, 1.0, 1.0, 0.0, 1.0))
    door_height = size_table()["door"].ranges["height"]

    assert (1.1, *door_height) in rulers([thing("door", (0.5, 0.04, 1.1), seen)])
    assert rulers([thing("door", (0.5, 0.04, 1.1), half_seen)]) == []
    assert rulers([thing("plant", (0.5, 0.4, 1.1), seen)]) == []


def test_the_expert_answers_with_a_range_that_decides_nothing_by_itself() -> None:
    found = typical_sizes("beds", "width")

    assert found.unit == "m"
    assert found.low is not None
    assert found.high is not None
    assert found.low < 2.0 < found.high
    assert found.quality == "weak"
    assert "judged" in found.claim
    assert typical_sizes("bedroom", "area").unit == "m2"


def test_the_expert_refuses_unknown_things_and_dimensions() -> None:
    with pytest.raises(NoSuchObjectError) as caught:
        typical_sizes("refrigeratr")
    assert caught.value.suggestions == ("refrigerator",)
    with pytest.raises(ToolArgumentError, match="has no area; it has width"):
        typical_sizes("bed", "area")


def edges_within(folder: Path) -> dict[str, list[list[bool]]]:
    """Return, by name in the table, which of the three edges of each real box are within their range."""
    found: dict[str, list[list[bool]]] = defaultdict(list)
    for file in ("scannetpp_meta_info_val.json", "scannet_excerpt_meta_info_val.json"):
        for scene in read_vsi_metadata(folder / "vsi_meta" / file).values():
            for item in scene.objects:
                if (typical := typical_size(item.label)) is not None:
                    found[typical.name].append(within(typical.name, item.box))
    return found


def within(name: str, box: OrientedBox) -> list[bool]:
    """Compare the edges of a box with the table, by code of its own."""
    ranges, upright = size_table()[name].ranges, box.upright_axis
    edges = sorted(box.extent_m.tolist(), reverse=True)
    lows, highs = (sorted(ends, reverse=True) for ends in zip(*ranges.values(), strict=True))
    if "width" in ranges and upright is not None:
        height = float(box.extent_m[upright])
        edges.remove(height)
        edges = [*edges, height]
        lows, highs = (list(ends) for ends in zip(*(ranges[name] for name in UPRIGHT), strict=True))
    return [low <= edge <= high for low, edge, high in zip(lows, edges, highs, strict=True)]


def test_most_real_boxes_are_as_large_as_the_table_says(test_data: Path) -> None:
    found = edges_within(test_data)
    boxes = np.concatenate([np.array(edges) for edges in found.values()])
    usual = [np.mean(edges) for edges in found.values() if len(edges) >= 10]

    assert len(boxes) > 1000
    # The ranges were judged before these boxes were looked at, and stay as they are.
    assert boxes.mean() >= 0.9
    assert boxes.all(axis=1).mean() >= 0.75
    assert min(usual) >= 0.7


def test_few_real_boxes_are_remarked_on(test_data: Path) -> None:
    scenes = read_vsi_metadata(test_data / "vsi_meta" / "scannetpp_meta_info_val.json").values()
    objects = [item for scene in scenes for item in scene.objects]
    remarks = [
        check_size(item.label, item.box.extent_m, vertical_axis=item.box.upright_axis) for item in objects
    ]

    assert np.mean([remark is not None for remark in remarks]) < 0.13
