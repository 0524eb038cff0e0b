import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.transform import Rotation

from spatial_agent.tools.errors import InvalidValueError, ShapeError
from spatial_agent.tools.scene.arrays import (
    check_array,
    check_direction,
    check_rigid,
    check_rotation,
    check_score,
)

finite = st.floats(-1e6, 1e6)
seeds = st.integers(0, 2**32 - 1)


@given(hnp.arrays(np.float64, st.tuples(st.integers(0, 5), st.just(3)), elements=finite))
def test_a_checked_array_keeps_its_numbers_and_cannot_be_written(value: np.ndarray) -> None:
    before = value.copy()
    checked = check_array("xyz_m", value, ("N", 3), np.float64)
    np.testing.assert_array_equal(checked, before)
    assert value.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        checked[...] = 0


def test_lists_of_integers_become_the_wanted_kind_of_number() -> None:
    checked = check_array("xyz_m", [[1, 2, 3]], ("N", 3), np.float64)
    assert checked.dtype == np.float64


def test_the_result_is_contiguous_even_where_the_input_was_not() -> None:
    checked = check_array("xyz_m", np.zeros((3, 4)).T, ("N", 3), np.float64)
    assert checked.flags.c_contiguous


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        ([[1.0, 2.0]], np.float64, r"xyz_m: expected shape \(N, 3\), got \(1, 2\)"),
        ([1.0, 2.0, 3.0], np.float64, r"xyz_m: expected shape \(N, 3\), got \(3,\)"),
        ([[1.0, 2.0, 3.0], [1.0]], np.float64, "xyz_m: expected an array of float64, got rows of different"),
        ([[1.0, np.nan, 3.0]], np.float64, "xyz_m: expected finite numbers, got NaN"),
        ([[1.0, np.inf, 3.0]], np.float64, "xyz_m: expected finite numbers"),
        ([[1e300, 0.0, 0.0]], np.float32, "xyz_m: expected finite numbers"),
        ([["a", "b", "c"]], np.float64, "xyz_m: expected floating point numbers"),
        ([[1.5, 2.0, 3.0]], np.uint8, r"xyz_m: expected unsigned integer numbers \(uint8\), got float64"),
        ([[1, 2, 3]], np.bool_, r"xyz_m: expected boolean numbers \(bool\), got int64"),
        (np.array([[0, 1, 256]], np.uint16), np.uint8, "expected numbers that fit uint8, got 0 to 256"),
    ],
)
def test_a_wrong_array_is_refused_with_what_was_expected(
    value: object, dtype: type[np.generic], message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        check_array("xyz_m", value, ("N", 3), dtype)  # type: ignore[arg-type]


def test_one_letter_stands_for_one_size() -> None:
    assert check_array("square", np.eye(2), ("N", "N"), np.float64).shape == (2, 2)
    with pytest.raises(ShapeError, match=r"expected shape \(N, N\), got \(2, 3\)"):
        check_array("square", np.ones((2, 3)), ("N", "N"), np.float64)


def test_holes_are_allowed_where_asked_for() -> None:
    checked = check_array("z_m", [[np.nan]], ("H", "W"), np.float64, finite=False)
    assert np.isnan(checked).all()


def test_shape_errors_are_also_value_errors() -> None:
    assert issubclass(ShapeError, InvalidValueError)
    assert issubclass(ShapeError, ValueError)


@given(st.tuples(finite, finite, finite), st.floats(1e-3, 1e3))
def test_a_direction_forgets_its_length(vector: tuple[float, float, float], factor: float) -> None:
    length = np.hypot(np.hypot(vector[0], vector[1]), vector[2])
    if length < 1e-5:
        return
    unit = check_direction("facing", vector)
    assert np.hypot(np.hypot(unit[0], unit[1]), unit[2]) == pytest.approx(1.0)
    np.testing.assert_allclose(check_direction("facing", np.multiply(vector, factor)), unit, atol=1e-9)
    assert np.dot(unit, vector) == pytest.approx(length)
    assert not unit.flags.writeable


def test_a_zero_vector_is_no_direction() -> None:
    with pytest.raises(ShapeError, match="facing: expected a direction, got a zero vector"):
        check_direction("facing", [0.0, 0.0, 0.0])


@given(seeds)
def test_every_proper_rotation_is_accepted(seed: int) -> None:
    rotation = Rotation.random(random_state=seed).as_matrix()
    np.testing.assert_array_equal(check_rotation("axes", rotation), rotation)


@given(seeds, st.sampled_from([0.99, 1.01, 2.0, 1000.0]))
def test_a_scaled_rotation_is_refused(seed: int, factor: float) -> None:
    with pytest.raises(ShapeError, match="axes: not rigid"):
        check_rotation("axes", Rotation.random(random_state=seed).as_matrix() * factor)


@given(seeds, st.integers(0, 2))
def test_a_mirror_is_refused(seed: int, column: int) -> None:
    mirrored = Rotation.random(random_state=seed).as_matrix()
    mirrored[:, column] *= -1
    with pytest.raises(ShapeError, match="axes: the rotation mirrors"):
        check_rotation("axes", mirrored)


def test_a_transform_needs_a_last_row_of_0_0_0_1() -> None:
    transform = np.eye(4)
    transform[3, 0] = 0.5
    with pytest.raises(ShapeError, match="pose: last row must be 0 0 0 1, got"):
        check_rigid("pose", transform)


@pytest.mark.parametrize("score", [-0.01, 1.01, float("nan")])
def test_a_score_is_a_share(score: float) -> None:
    with pytest.raises(ShapeError, match="score: expected a confidence from 0 to 1"):
        check_score("score", score)


def test_a_vector_too_long_to_have_a_length_is_no_direction() -> None:
    with pytest.raises(ShapeError, match="too long to be measured"):
        check_direction("facing", (1.7e308, 1.7e308, 0.0))
    np.testing.assert_allclose(check_direction("facing", (1e200, 0.0, 0.0)), (1.0, 0.0, 0.0))
