"""Tests of a module run in one process, however many there are."""

import pytest


def test_groups_of_tests_are_kept_together(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("loadgroup", default=False):
        pytest.skip("tests are not handed out by their groups")
    # By this end of a test's id pytest-xdist knows its group.
    assert request.node.nodeid.endswith("@test_groups.py")
