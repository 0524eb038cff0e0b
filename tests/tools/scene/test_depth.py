import numpy as np
import pytest

from spatial_agent.tools.errors import InvalidValueError, ShapeError
from spatial_agent.tools.scene import DepthMap


@pytest.mark.parametrize(("unit_m", "stored"), [(0.001, 2500), (1 / 5000, 12500), (1.0, 2.5)])
def test_stored_units_become_metres(unit_m: float, stored: float) -> None:
    dtype = np.uint16 if stored > 100 else np.float32
    depth = DepthMap.from_units(np.array([[0, stored]], dtype), unit_m)
    np.testing.assert_allclose(depth.z_m, [[0.0, 2.5]], rtol=1e-6)
    assert depth.z_m.dtype == np.float32
    assert depth.valid.tolist() == [[False, True]]
    assert depth.scale == "metric"


def test_holes_of_any_kind_become_nothing_measured() -> None:
    raw = np.array([[np.nan, np.inf, -np.inf, 1.0]], np.float32)
    assert DepthMap.from_units(raw, 1.0).valid.tolist() == [[False, False, False, True]]


@pytest.mark.parametrize("unit_m", [0.0, -0.001, float("nan"), float("inf")])
def test_a_unit_has_a_length(unit_m: float) -> None:
    with pytest.raises(InvalidValueError, match="depth_scale_m: expected metres per unit > 0"):
        DepthMap.from_units(np.ones((1, 1), np.uint16), unit_m)


@pytest.mark.parametrize(
    ("z_m", "message"),
    [
        (np.array([[-1.0]], np.float32), r"expected depth of at least 0 \(0 = none\), got negative"),
        (np.array([[np.nan]], np.float32), "z_m: expected finite numbers"),
        (np.zeros((0, 4), np.float32), r"z_m: expected at least one pixel, got an array of shape \(0, 4\)"),
        (np.ones((2, 2, 1), np.float32), r"z_m: expected shape \(H, W\), got \(2, 2, 1\)"),
    ],
)
def test_depth_that_cannot_be_is_refused(z_m: np.ndarray, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        DepthMap(z_m)
