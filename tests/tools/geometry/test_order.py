import pytest

from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.geometry.order import first_appearance_order


def test_names_are_sorted_by_when_they_were_first_seen() -> None:
    seen = {"sofa": 3.2, "door": 0.0, "lamp": 12.0, "table": 3.1}
    assert first_appearance_order(seen) == ("door", "table", "sofa", "lamp")


def test_what_was_never_seen_is_named() -> None:
    with pytest.raises(InvalidValueError, match="lamp, rug"):
        first_appearance_order({"rug": None, "door": 1.0, "lamp": None})


def test_a_tie_is_not_decided_by_name() -> None:
    with pytest.raises(InvalidValueError, match=r"door and sofa .* same time \(4\)"):
        first_appearance_order({"sofa": 4.0, "lamp": 1.0, "door": 4.0})
