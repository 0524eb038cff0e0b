"""Fronts of synthetic furniture, whose yaw is known, from all round and from single cameras."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_agent.tools.errors import ViewpointError
from spatial_agent.tools.geometry.facing import Facing, facing_from_back_rest
from spatial_agent.tools.scene import OrientedBox
from spatial_agent.tools.synthetic import FURNITURE, SyntheticObject, SyntheticRoom
from spatial_agent.tools.synthetic.layout import look_at
from spatial_agent.tools.synthetic.perfect_scan import perfect_scan

WITH_BACK_REST = ("bed", "chair", "sofa")
WITHOUT = ("cabinet", "desk", "stool", "table", "trash can", "lamp")
YAW = st.floats(-np.pi, np.pi)


def surface(item: SyntheticObject, step_m: float = 0.025) -> np.ndarray:
    """Return points of every face of every part."""
    return np.concatenate([faces(part, step_m) for part in item.parts])


def faces(box: OrientedBox, step_m: float) -> np.ndarray:
    axes = [np.linspace(-edge / 2, edge / 2, max(2, int(edge / step_m))) for edge in box.extent_m]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    outside = (np.abs(points) > box.extent_m / 2 - 1e-9).any(axis=1)
    return np.asarray(box.centre_m + points[outside] @ box.world_from_box.T)


def off_deg(facing: Facing, yaw_rad: float) -> float:
    return float(abs((facing.yaw_deg - np.degrees(yaw_rad) + 180) % 360 - 180))


@pytest.mark.parametrize("kind", WITH_BACK_REST)
@settings(max_examples=20)
@given(yaw=YAW, scale=st.floats(0.85, 1.15))
def test_what_has_a_back_rest_faces_away_from_it(kind: str, yaw: float, scale: float) -> None:
    depth, width, height = FURNITURE[kind].size_m
    item = SyntheticObject.placed(kind, (1.0, -2.0), yaw, (depth * scale, width / scale, height))
    facing = facing_from_back_rest(surface(item), item.box)

    assert off_deg(facing, yaw) < facing.margin_deg
    assert np.linalg.norm(facing.direction) == pytest.approx(1.0)
    assert facing.direction[2] == 0.0


@pytest.mark.parametrize("kind", WITHOUT)
@settings(max_examples=10)
@given(yaw=YAW)
def test_what_has_no_back_rest_is_refused(kind: str, yaw: float) -> None:
    item = SyntheticObject.placed(kind, (0.0, 0.0), yaw)
    with pytest.raises(ViewpointError):
        facing_from_back_rest(surface(item), item.box)


@pytest.mark.parametrize("kind", WITH_BACK_REST)
def test_a_mirror_turns_a_front_round_as_it_turns_directions(kind: str) -> None:
    item = SyntheticObject.placed(kind, (0.4, 0.2), 0.7)
    mirrored = OrientedBox.upright(item.box.centre_m * (-1, 1, 1), item.box.extent_m, np.pi - 0.7)
    facing = facing_from_back_rest(surface(item) * (-1, 1, 1), mirrored)

    assert off_deg(facing, np.pi - 0.7) < facing.margin_deg


def test_arms_as_high_as_the_back_leave_the_axis_of_symmetry() -> None:
    low, high = (-0.4, -0.4, 0.0), (0.4, 0.4, 0.45)
    parts = [(low, high), ((-0.4, -0.4, 0.45), (-0.25, 0.4, 0.8))]
    parts += [((-0.25, side, 0.45), (0.4, side + 0.12, 0.8)) for side in (-0.4, 0.28)]
    boxes = [OrientedBox.upright((np.array(a) + b) / 2, np.subtract(b, a)) for a, b in parts]
    points = np.concatenate([faces(box, 0.025) for box in boxes])
    facing = facing_from_back_rest(
        points, OrientedBox.upright(np.array([0, 0, 0.4]), np.array([0.8, 0.8, 0.8]))
    )

    assert facing.how == "symmetry"
    assert off_deg(facing, 0.0) < facing.margin_deg


def test_a_corner_sofa_a_panel_and_a_handful_of_points_are_refused() -> None:
    base = OrientedBox.upright(np.array([0, 0, 0.2]), np.array([2.0, 2.0, 0.4]))
    backs = [
        OrientedBox.upright(np.array([-0.9, 0, 0.6]), np.array([0.2, 2.0, 0.4])),
        OrientedBox.upright(np.array([0, -0.9, 0.6]), np.array([2.0, 0.2, 0.4])),
    ]
    corner = np.concatenate([faces(box, 0.03) for box in (base, *backs)])
    whole = OrientedBox.upright(np.array([0, 0, 0.4]), np.array([2.0, 2.0, 0.8]))
    with pytest.raises(ViewpointError, match="round a corner"):
        facing_from_back_rest(corner, whole)

    panel = OrientedBox.upright(np.array([0, 0, 0.5]), np.array([0.05, 1.0, 1.0]))
    with pytest.raises(ViewpointError):
        facing_from_back_rest(faces(panel, 0.03), panel)
    with pytest.raises(ViewpointError, match="only 20 points"):
        facing_from_back_rest(corner[:20], whole)


def test_a_tilted_box_is_refused() -> None:
    tilted = OrientedBox(np.zeros(3), np.ones(3), np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]]))
    with pytest.raises(ViewpointError, match="tilted"):
        facing_from_back_rest(np.zeros((100, 3)), tilted)


def seen_by(kind: str, yaw: float, angles: list[float]) -> Facing | None:
    """Return what is told of a piece seen by cameras at some angles round it; None where it abstains."""
    item = SyntheticObject.placed(kind, (3.0, 3.0), yaw)
    middle = np.array([3.0, 3.0, 0.4])
    poses = tuple(
        look_at(middle + (2.0 * np.cos(angle), 2.0 * np.sin(angle), 1.1), middle) for angle in angles
    )
    found = perfect_scan(SyntheticRoom(6, 6, 2.6, (item,), poses)).objects[0]
    assert found.surface is not None
    try:
        return facing_from_back_rest(found.surface.xyz_m, found.box)
    except ViewpointError:
        return None


@pytest.mark.parametrize("kind", WITH_BACK_REST)
def test_partial_views_give_the_true_front_or_none(kind: str) -> None:
    """From twelve sides: one camera may abstain (from behind), two opposite ones may not."""
    told = 0
    for step in range(12):
        yaw, angle = 0.4 + step, 2 * np.pi * step / 12
        single, both = seen_by(kind, yaw, [angle]), seen_by(kind, yaw, [angle, angle + 2.6])
        assert both is not None
        assert off_deg(both, yaw) < 10
        if single is not None:
            told += 1
            assert off_deg(single, yaw) < 10
    assert told >= 7


def test_a_chair_seen_only_from_behind_is_not_told() -> None:
    assert seen_by("sofa", 0.0, [np.pi]) is None
