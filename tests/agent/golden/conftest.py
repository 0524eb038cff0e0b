"""One agent for all golden questions of a module; its model is changed from question to question."""

from collections.abc import Iterator

import pytest

from tests.agent.golden.harness import Golden, golden


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Golden]:
    with golden(tmp_path_factory.mktemp("golden")) as opened:
        yield opened


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Golden]:
    """An agent whose models act by writing programs."""
    with golden(tmp_path_factory.mktemp("programs"), interface="code") as opened:
        yield opened
