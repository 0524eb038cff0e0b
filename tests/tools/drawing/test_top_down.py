"""Top-down maps: things are where geometry says, north is up."""

import dataclasses

import numpy as np
import pytest

from spatial_agent.tools.drawing.canvas import MEASURED, PALETTE
from spatial_agent.tools.drawing.top_down import draw_top_down
from spatial_agent.tools.errors import ViewpointError
from spatial_agent.tools.scene import OrientedBox, SceneMap, SceneObject


def box_at(name: str, x: float, y: float) -> SceneObject:
    return SceneObject(name, name, OrientedBox.upright(np.array([x, y, 0.5]), np.array([0.5, 0.5, 1.0])))


SCENE = SceneMap((box_at("west", -2, 0), box_at("east", 2, 0), box_at("north", 0, 2), box_at("south", 0, -2)))


def centre_of(pixels: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    found = np.argwhere((np.abs(pixels.astype(int) - colour) < 6).all(axis=2))
    assert len(found), f"{colour} is nowhere"
    return np.asarray(found.mean(axis=0)[::-1])


def test_a_map_has_east_to_the_right_and_north_up() -> None:
    pixels = np.asarray(draw_top_down(SCENE, size_px=400))
    west, east, north, south = (centre_of(pixels, PALETTE[number]) for number in range(4))

    assert west[0] < north[0] < east[0]
    assert north[1] < west[1] < south[1]
    np.testing.assert_allclose((west + east) / 2, (200, 200), atol=3)


def test_a_measured_line_is_drawn_to_scale() -> None:
    mark = {"kind": "segment", "from_m": [-1, 0, 0], "to_m": [1, 0, 0], "label": ""}
    pixels = np.asarray(draw_top_down(SCENE, [mark], size_px=400)).astype(int)
    red = np.argwhere((np.abs(pixels - MEASURED) < 6).all(axis=2))

    # 4.5 m of objects and 0.4 m round them fill 400 px; the dots at the ends are 5 px in radius.
    assert np.ptp(red[:, 1]) == pytest.approx(2 * 400 / 5.3 + 10, abs=4)


def test_a_map_needs_to_know_which_way_is_up() -> None:
    with pytest.raises(ViewpointError, match="which way is up"):
        draw_top_down(dataclasses.replace(SCENE, up=None))
