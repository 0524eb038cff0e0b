"""Providers pass the conformance suite; for every check there is a sandbox that fails just that one."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from spatial_agent.sandbox import Sandbox, SandboxSession
from spatial_agent.sandbox.bubblewrap import BubblewrapLauncher
from spatial_agent.sandbox.conformance import CHECKS, check_sandbox
from spatial_agent.sandbox.kernel import bwrap
from spatial_agent.sandbox.process import ProcessSandbox
from spatial_agent.sandbox.zygote import open_zygote_sandbox
from tests.sandbox.faults import of_lifetimes, of_limits, of_programs, of_tools, of_walls
from tests.sandbox.faults.faulty import Fault, LeftOpen
from tests.sandbox.faults.of_lifetimes import LeavesProcesses, StaysOpenUnused, WithoutWatch

OpenSandbox = Callable[[], Sandbox]
FAULTS = {
    name: fault
    for module in (of_programs, of_tools, of_limits, of_lifetimes, of_walls)
    for name, fault in module.FAULTS.items()
}
#: What only attacks on the operating system find; what else leads out is shut by how a process is started.
WALLS = {"files read", "files written", "network", "processes"}
#: Checks that open sandboxes of their own, and have to close them.
OPENING = {"closed sandbox", "closed unused"}
#: Checks that wait for time to pass, or look at many processes.
PATIENT = (
    OPENING
    | WALLS
    | {
        name
        for name in CHECKS
        if name.startswith(("wall", "cpu", "session time", "memory", "idle", "output until"))
    }
    | {"neighbours", "nothing left", "environment", "descriptors", "several loops", "at once", "images"}
)


@pytest.fixture(autouse=True)
def _impatient(zygote: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a faulty sandbox never does is not waited for long; without a sound one there is nothing to do."""
    be_patient(monkeypatch, grace_s=3.0, gone_s=1.0)
    yield
    while StaysOpenUnused.opened:
        StaysOpenUnused.opened.pop().sound.close()


def be_patient(monkeypatch: pytest.MonkeyPatch, grace_s: float, gone_s: float) -> None:
    for module in ("bench", "lifetime", "limits"):
        monkeypatch.setattr(f"spatial_agent.sandbox.conformance.{module}.GRACE_S", grace_s)
    monkeypatch.setattr("spatial_agent.sandbox.conformance.processes.GONE_S", gone_s)


def failures(open_sandbox: OpenSandbox, only: str = "") -> dict[str, str]:
    found = asyncio.run(check_sandbox(open_sandbox, only=only))
    return {failure.check: failure.reason for failure in found}


def test_every_check_has_a_fault_to_find() -> None:
    assert set(FAULTS) == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_finds_its_fault(check: str, zygote: Sandbox) -> None:
    fault = FAULTS[check]
    # Starting a warm process takes longer than most checks.
    sound = open_zygote_sandbox if check in OPENING else lambda: LeftOpen(zygote)
    found = failures(lambda: fault.around(sound()), check)
    assert set(found) == {check}


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS)
def test_no_other_check_finds_it(check: str, zygote: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    others = {name: each for name, each in CHECKS.items() if name not in PATIENT | {check}}
    monkeypatch.setattr("spatial_agent.sandbox.conformance.suite.CHECKS", others)
    found = failures(lambda: FAULTS[check].around(LeftOpen(zygote)))
    # Two threads have two loops.
    assert set(found) == ({"two threads"} if check == "several loops" else set())


@pytest.mark.slow
def test_the_zygote_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    be_patient(monkeypatch, grace_s=10.0, gone_s=5.0)
    assert failures(open_zygote_sandbox) == {}


@pytest.mark.slow
def test_bubblewrap_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    if (reason := bwrap.why_not()) is not None:
        pytest.skip(reason)
    # Each of its sessions starts an interpreter.
    be_patient(monkeypatch, grace_s=20.0, gone_s=10.0)
    assert failures(lambda: ProcessSandbox(BubblewrapLauncher())) == {}


@pytest.mark.parametrize("check", sorted(WALLS))
def test_without_walls_programs_get_out(check: str) -> None:
    assert set(failures(lambda: open_zygote_sandbox(frozenset()), check)) == {check}


def test_forgotten_processes_are_found(zygote: Sandbox) -> None:
    fault = Fault(session=LeavesProcesses)
    opened = [fault.around(LeftOpen(zygote))]
    assert "process" in failures(lambda: opened[0], "nothing left")["nothing left"]
    asyncio.run(closed(opened[0].forgotten))


async def closed(sessions: list[SandboxSession]) -> None:
    for session in sessions:
        await session.close()


def test_a_sandbox_that_nobody_watches_is_found(zygote: Sandbox) -> None:
    fault = Fault(sandbox=WithoutWatch)
    assert set(failures(lambda: fault.around(LeftOpen(zygote)), "named")) == {"named"}


def test_a_check_that_is_not_there_is_an_error(zygote: Sandbox) -> None:
    with pytest.raises(ValueError, match="expected a part of one of empty, printing"):
        failures(lambda: LeftOpen(zygote), "nothing of this name")
