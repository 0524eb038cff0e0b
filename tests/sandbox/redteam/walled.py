"""Running attacks in the sandbox, with any walls up or down, and seeing what became of everybody."""

import asyncio
import ctypes
import json
import os
import signal
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spatial_agent.sandbox import ProgramResult, Sandbox, SandboxSession
from spatial_agent.sandbox.environment import Layer
from spatial_agent.sandbox.zygote import open_zygote_sandbox
from spatial_agent.tools.errors import SandboxClosedError, SandboxUnavailableError
from tests.sandbox.redteam import processes_seen
from tests.sandbox.redteam.attack import IDLE_S, QUICK, Attack, Observation
from tests.sandbox.redteam.forged import frames
from tests.sandbox.redteam.ground import Ground
from tests.sandbox.redteam.runner import Shelf
from tests.sandbox.redteam.watch import Watch, forget_own_peak

_LOOK_S = 0.02
_SUBREAPER = 36
#: What a neighbour holds in its memory, and tells where.
_NEIGHBOUR = """\
import random
ctypes = __import__("numpy")._core._internal.ctypes
kept = ctypes.create_string_buffer(secret.encode())
print(ctypes.addressof(kept))
"""
_NEIGHBOUR_CHECK = "print(kept.value.decode())\n"


@dataclass(frozen=True)
class Outcome:
    """What came of an attack in the sandbox.

    Attributes:
        seen: What was seen of it.
        result: What its session returned; None where it did not come back.
        has_begun: Whether the program ran at all, so that there was something to hold.
        harm: What was not as it has to be afterwards: the parent, the next program, or the next cell.
    """

    seen: Observation
    result: ProgramResult | None
    has_begun: bool
    harm: tuple[str, ...]


class Walled:
    """Sandboxes with every set of walls, opened when they are needed and kept warm.

    Args:
        ground: What is attacked.
    """

    def __init__(self, ground: Ground) -> None:
        """Open none yet; what attacks leave behind comes to this process."""
        self._ground = ground
        self._sandboxes: dict[frozenset[Layer], Sandbox] = {}
        self._loop = asyncio.Runner()
        # Waits for new sandboxes in threads; those are there from the start, so that they can be counted.
        self._loop.run(asyncio.to_thread(int))
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)

    def sandbox(self, layers: frozenset[Layer]) -> Sandbox:
        """Return the warm sandbox with exactly these walls.

        Raises:
            SandboxUnavailableError: If this machine cannot put them up.
        """
        if layers not in self._sandboxes:
            opened = open_zygote_sandbox(layers)
            if opened.layers != layers:
                missing = ", ".join(sorted(layers - opened.layers))
                opened.close()
                raise SandboxUnavailableError(f"this machine cannot put up {missing}")
            self._sandboxes[layers] = opened
        return self._sandboxes[layers]

    def run(self, attack: Attack, layers: frozenset[Layer], patience_s: float) -> Outcome:
        """Run an attack behind some walls, look at everything, and make it what it was."""
        sandbox = self.sandbox(layers)
        self._loop.run(_settled(self._infrastructure()))
        before = _Parent()
        aim = self._ground.aim()
        try:
            outcome = self._loop.run(self._attacked(sandbox, attack, aim, patience_s, before))
        finally:
            self._clear()
            self._ground.restore(aim)
        harm = (*outcome.harm, *before.differences())
        return Outcome(outcome.seen, outcome.result, outcome.has_begun, harm)

    async def _attacked(
        self, sandbox: Sandbox, attack: Attack, aim: dict[str, Any], patience_s: float, before: "_Parent"
    ) -> Outcome:
        neighbour = await _Neighbour.of(sandbox, self._ground) if attack.neighbour else None
        if neighbour is not None:
            aim["victim"] = neighbour.place
        shelf = Shelf(self._ground.secrets)
        family = _Family(before.processes | ({neighbour.pid} if neighbour else set()))
        watch = Watch(self._ground, family.pids, [os.getpid(), *_zygotes(sandbox)])
        inputs = {"aim": aim | {"frames": frames(aim)}}
        session = sandbox.session(inputs=inputs, tools=shelf, policy=attack.policy)
        result = await _watched(session, attack, watch, patience_s)
        victim = await neighbour.harm() if neighbour else self._ground.victim_harm()
        seen = watch.observe(
            aim,
            said=_said(result),
            answer=result.answer.value if result and result.answer else None,
            stuck=result is None,
            victim=victim,
            calls=shelf.calls + len(result.images if result else ()),
        )
        harm = [] if result is None else await _next_cell(session, attack)
        await session.close()
        seen = await _left(seen, family)
        if neighbour is not None:
            await neighbour.session.close()
        harm += await _next_program(sandbox) if seen.broken is None else []
        return Outcome(seen, result, _has_begun(attack, result), tuple(harm))

    def _infrastructure(self) -> set[int]:
        zygotes = (_zygotes(sandbox) for sandbox in self._sandboxes.values())
        return set().union({self._ground.victim_pid}, *zygotes)

    def _clear(self) -> None:
        """End whatever is left, and let those go on that were stopped."""
        for pid in _living(os.getpid()):
            if processes_seen.is_stopped(pid):
                os.kill(pid, signal.SIGCONT)
        processes_seen.end(_living(os.getpid()) - self._infrastructure())

    def close(self) -> None:
        """Close every sandbox."""
        for sandbox in self._sandboxes.values():
            sandbox.close()
        ctypes.CDLL(None).prctl(_SUBREAPER, 0, 0, 0, 0)
        self._loop.close()


class _Parent:
    """What a parent has, to be compared with what it has later."""

    def __init__(self) -> None:
        forget_own_peak()
        self.processes = _living(os.getpid())
        self._descriptors = _descriptors()
        self._threads = threading.active_count()

    def differences(self) -> list[str]:
        """Return what is not as it was; processes are given a moment to go."""
        found = []
        if _descriptors() != self._descriptors:
            found.append(f"descriptors: {sorted(_descriptors() ^ self._descriptors)}")
        if threading.active_count() > self._threads:
            found.append(f"threads: {threading.active_count()} instead of {self._threads}")
        return found


class _Family:
    """The processes that came to be since an attack began."""

    def __init__(self, before: set[int]) -> None:
        self._before = before

    def pids(self) -> list[int]:
        return sorted(_living(os.getpid()) - self._before)


@dataclass(frozen=True)
class _Neighbour:
    """Another session of the same sandbox, with something to hide."""

    session: SandboxSession
    pid: int
    place: Mapping[str, int]
    secret: str
    limits: str

    @classmethod
    async def of(cls, sandbox: Sandbox, ground: Ground) -> "_Neighbour":
        before = _living(os.getpid())
        secret = ground.secrets["victim"]
        session = sandbox.session(inputs={"secret": secret}, policy=QUICK)
        result = await session.run(_NEIGHBOUR)
        (pid,) = _living(os.getpid()) - before
        place = {"pid": processes_seen.inner_pid(pid), "address": int(result.output), "descriptor": 3}
        return cls(session, pid, place, secret, processes_seen.limits(pid))

    async def harm(self) -> frozenset[str]:
        found = {
            "traced": processes_seen.status(self.pid).get("TracerPid", "0") != "0",
            "stopped": processes_seen.is_stopped(self.pid),
            "limited": processes_seen.limits(self.pid) != self.limits,
            "slowed": processes_seen.is_alive(self.pid) and os.getpriority(os.PRIO_PROCESS, self.pid) != 0,
        }
        if not found["stopped"]:
            found["killed"] = not await self._is_well()
        return frozenset(name for name, is_so in found.items() if is_so)

    async def _is_well(self) -> bool:
        try:
            return (await self.session.run(_NEIGHBOUR_CHECK)).output.strip() == self.secret
        except SandboxClosedError:
            return False


async def _watched(
    session: SandboxSession, attack: Attack, watch: Watch, patience_s: float
) -> ProgramResult | None:
    """Run the program and look at it meanwhile; None if it does not come back."""
    running = asyncio.create_task(session.run(attack.program))
    deadline = time.monotonic() + patience_s
    while not running.done() and time.monotonic() < deadline and watch.broken is None:
        await asyncio.wait({running}, timeout=_LOOK_S)
        watch.glance()
    if not running.done():
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        return None
    if attack.lingers:
        await asyncio.sleep(IDLE_S[0])
        watch.begin_idle()
        await asyncio.sleep(IDLE_S[1] - IDLE_S[0])
        watch.end_idle()
    try:
        return running.result()
    except SandboxUnavailableError:
        return None


async def _next_cell(session: SandboxSession, attack: Attack) -> list[str]:
    """Return what is wrong with the session, if it says that it can go on."""
    if session.closed is not None or attack.ruins_session or attack.neighbour:
        return []
    result = await session.run("answer(2 + 2)")
    if result.answer is not None and result.answer.value == 4:
        return []
    return [f"the next cell: {result.answer}, {result.error}"]


async def _next_program(sandbox: Sandbox) -> list[str]:
    """Return what is wrong with the next program in the same sandbox."""
    result = await sandbox.run("answer(2 + 2)", policy=QUICK)
    if result.answer is not None and result.answer.value == 4 and result.error is None:
        return []
    return [f"the next program: {result.answer}, {result.error}"]


async def _left(seen: Observation, family: _Family) -> Observation:
    """Add how many processes are left; those that were killed are given time to go."""
    deadline = time.monotonic() + 1
    while family.pids() and time.monotonic() < deadline:
        await asyncio.sleep(0.002)
    return Observation(**(vars(seen) | {"left": len(family.pids())}))


def _said(result: ProgramResult | None) -> str:
    if result is None:
        return ""
    answer = "" if result.answer is None else json.dumps(result.answer.value, default=repr)
    captions = [image.caption for image in result.images]
    return " ".join([result.output, answer, result.error.message if result.error else "", *captions])


def _has_begun(attack: Attack, result: ProgramResult | None) -> bool:
    if result is None or not attack.uses_way_in:
        return True
    was_ended = result.error is not None and result.error.kind in ("limit", "crash", "violation")
    return was_ended or "began" in result.output


def _living(pid: int) -> set[int]:
    return {child for child in processes_seen.descendants(pid) if processes_seen.is_alive(child)}


def _zygotes(sandbox: Sandbox) -> set[int]:
    """Return the zygote's processes: where it has namespaces, a second one is the first inside of them."""
    pid: int = sandbox._launcher.pid  # type: ignore[attr-defined]
    return {pid} | (processes_seen.children(pid) if Layer.NAMESPACES in sandbox.layers else set())


async def _settled(processes: set[int]) -> None:
    """Wait until the processes of sessions before are gone."""
    deadline = time.monotonic() + 2
    while _living(os.getpid()) - processes and time.monotonic() < deadline:
        await asyncio.sleep(0.001)


def _descriptors() -> set[tuple[int, str]]:
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.add((int(link.name), os.readlink(link).split(":")[0]))
    return found
