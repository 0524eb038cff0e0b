"""One warm sandbox for all tests of a process, and what they share."""

from collections.abc import Iterator

import pytest

from spatial_agent.sandbox.environment import Sandbox
from spatial_agent.sandbox.zygote import open_zygote_sandbox
from spatial_agent.tools.errors import SandboxUnavailableError


@pytest.fixture(scope="session")
def zygote() -> Iterator[Sandbox]:
    sandbox = open_zygote_sandbox()
    try:
        sandbox.layers  # noqa: B018 - to know its walls it has to be up
    except SandboxUnavailableError as error:
        pytest.skip(str(error))
    yield sandbox
    sandbox.close()
