"""Running attacks in the sandbox, with any walls up or down, and seeing what became of everybody."""

import asyncio
import ctypes
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
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
kept = np.array([ord(letter) for letter in secret], np.uint8)
print(kept.ctypes.data)
"""
_NEIGHBOUR_CHECK = "print(''.join(map(chr, kept)))\n"


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
        self._loop.run(self._settled())
        before = _Parent()
        aim = self._ground.aim()
        try:
            outcome = self._loop.run(self._attacked(sandbox, attack, aim, patience_s))
        finally:
            self._ground.restore(aim)
        return replace(outcome, harm=(*outcome.harm, *before.differences()))

    async def _attacked(
        self, sandbox: Sandbox, attack: Attack, aim: dict[str, Any], patience_s: float
    ) -> Outcome:
        neighbour = await _Neighbour.of(sandbox, self._ground) if attack.neighbour else None
        if neighbour is not None:
            aim["victim"] = neighbour.place
        shelf = Shelf()
        inputs = {"aim": aim | {"frames": frames(aim)}}
        session = sandbox.session(inputs=inputs, tools=shelf, policy=attack.policy)
        program = await _started(session, sandbox)
        family = _family(sandbox, program)
        watch = Watch(self._ground, family, [os.getpid(), *_zygotes(sandbox)])
        result = await _watched(session, attack, watch, patience_s)
        victim = await neighbour.harm() if neighbour else self._ground.victim_harm()
        seen = replace(
            watch.observe(aim),
            said=_said(result),
            answer=result.answer.value if result and result.answer else None,
            stuck=result is None or _ran_to_the_last(result, attack),
            victim=victim,
            calls=shelf.calls + len(result.images if result else ()),
        )
        harm = [] if result is None else await _next_cell(session, attack)
        await session.close()
        seen = replace(seen, left=await _end_what_is_left(family))
        if neighbour is not None:
            await neighbour.session.close()
        if seen.broken is not None:
            _let_go_on(_zygotes(sandbox))
        harm += await _next_program(sandbox)
        return Outcome(seen, result, _has_begun(attack, result), tuple(harm))

    async def _settled(self) -> None:
        """Wait until the processes of sessions before are gone, and each zygote has its spare one."""
        deadline = time.monotonic() + 5
        while not self._is_quiet() and time.monotonic() < deadline:
            await asyncio.sleep(0.001)

    def _is_quiet(self) -> bool:
        forkers = [_forker(sandbox) for sandbox in self._sandboxes.values()]
        return all(sum(map(processes_seen.is_alive, processes_seen.children(pid))) == 1 for pid in forkers)

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
        secret = ground.secrets["victim"]
        session = sandbox.session(inputs={"secret": secret}, policy=QUICK)
        pid = await _started(session, sandbox)
        result = await session.run(_NEIGHBOUR)
        place = {"pid": processes_seen.inner_pid(pid), "address": int(result.output), "descriptor": 3}
        return cls(session, pid, place, secret, processes_seen.limits(pid))

    async def harm(self) -> frozenset[str]:
        found = {
            "traced": processes_seen.is_traced(self.pid),
            "stopped": processes_seen.is_stopped(self.pid),
            "limited": processes_seen.limits(self.pid) != self.limits,
            "slowed": processes_seen.is_alive(self.pid) and _priority(self.pid) > _priority(os.getpid()),
        }
        if not found["stopped"]:
            found["killed"] = not await self._is_well()
        return frozenset(name for name, is_so in found.items() if is_so)

    async def _is_well(self) -> bool:
        try:
            return (await self.session.run(_NEIGHBOUR_CHECK)).output.strip() == self.secret
        except SandboxClosedError:
            return False


def _priority(pid: int) -> int:
    return os.getpriority(os.PRIO_PROCESS, pid)


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
    if _is_closed(session) or attack.ruins_session or attack.neighbour:
        return []
    result = await session.run("answer(2 + 2)")
    if result.answer is not None and result.answer.value == 4:
        return []
    if _is_closed(session) and result.error is not None:
        # Clearly closed will do as well.
        return []
    return [f"the next cell: {result.answer}, {result.error}"]


def _is_closed(session: SandboxSession) -> bool:
    return session.closed is not None


async def _next_program(sandbox: Sandbox) -> list[str]:
    """Return what is wrong with the next program in the same sandbox."""
    result = await sandbox.run("answer(2 + 2)", policy=QUICK)
    if result.answer is not None and result.answer.value == 4 and result.error is None:
        return []
    return [f"the next program: {result.answer}, {result.error}"]


async def _started(session: SandboxSession, sandbox: Sandbox) -> int:
    """Start a session and return the number of its process, once the next one waits beside it."""
    before = processes_seen.children(_forker(sandbox))
    await session.run("0")
    deadline = time.monotonic() + 5
    while not processes_seen.children(_forker(sandbox)) - before and time.monotonic() < deadline:
        await asyncio.sleep(0.001)
    program: int = session._process._pid  # type: ignore[attr-defined]
    return program


async def _end_what_is_left(family: Callable[[], list[int]]) -> int:
    """Return how many processes are left after those that were killed had time to go."""
    deadline = time.monotonic() + 1
    while family() and time.monotonic() < deadline:
        await asyncio.sleep(0.002)
    left = family()
    processes_seen.end(left)
    return len(left)


def _let_go_on(stopped: Collection[int]) -> None:
    for pid in stopped:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _ran_to_the_last(result: ProgramResult, attack: Attack) -> bool:
    # Who ended it, and what that is called, is a matter of milliseconds by then.
    return result.error is not None and result.seconds > attack.policy.session_s - 0.3


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


def _family(sandbox: Sandbox, program: int) -> Callable[[], list[int]]:
    """Return what tells the processes of a program: itself, and all that came to be after it.

    They are below it or, where their parents are gone, below the zygote or below this process.
    """
    forker = _forker(sandbox)
    others = (processes_seen.children(forker) | processes_seen.children(os.getpid())) - {program}

    def family() -> list[int]:
        heads = (processes_seen.children(forker) | processes_seen.children(os.getpid())) - others
        everybody = {below for head in heads for below in (head, *processes_seen.descendants(head))}
        return sorted(pid for pid in everybody if processes_seen.is_alive(pid))

    return family


def _zygotes(sandbox: Sandbox) -> set[int]:
    """Return the zygote's processes: where it has namespaces, a second one is the first inside of them."""
    pid: int = sandbox._launcher.pid  # type: ignore[attr-defined]
    return {pid, _forker(sandbox)}


def _forker(sandbox: Sandbox) -> int:
    """Return the process that sessions are forked from."""
    pid: int = sandbox._launcher.pid  # type: ignore[attr-defined]
    inner = processes_seen.children(pid) if Layer.NAMESPACES in sandbox.layers else set()
    return next(iter(inner), pid)


def _descriptors() -> set[tuple[int, str]]:
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.add((int(link.name), os.readlink(link).split(":")[0]))
    return found
