"""Running attacks in a plain Python process, to see that they work where nothing holds them."""

import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.sandbox.redteam import processes_seen
from tests.sandbox.redteam.attack import IDLE_S, Attack, Observation
from tests.sandbox.redteam.ground import Ground
from tests.sandbox.redteam.watch import Watch

_NAIVE = Path(__file__).with_name("naive.py")
#: How often the listeners are looked at while a program runs; some programs wait for them.
_LOOK_S = 0.02


class Plain:
    """A warm process that forks parents of the usual kind; see `naive`.

    Args:
        ground: What the programs attack.
    """

    def __init__(self, ground: Ground) -> None:
        """Start it."""
        self._ground = ground
        self.secret = ground.secrets["victim"]
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        descriptors = [theirs.fileno(), ground.open_secret]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(_NAIVE), *map(str, descriptors), self.secret],
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={"API_KEY": self.secret, "PATH": os.defpath},
            )

    def run(self, attack: Attack) -> Observation:
        """Run an attack, see what it does, and make everything what it was."""
        aim = self._ground.aim()
        ours, theirs = os.pipe()
        order = json.dumps({"source": attack.program, "aim": aim, "as_root": attack.needs_root}).encode()
        socket.send_fds(self._control, [order], [theirs])
        os.close(theirs)
        parent = int(self._control.recv(100))
        try:
            return self._observe(attack, aim, parent, ours)
        finally:
            os.close(ours)
            self._clear()
            self._ground.restore(aim)

    def _observe(self, attack: Attack, aim: Mapping[str, Any], parent: int, report_fd: int) -> Observation:
        watch = Watch(self._ground, lambda: self._programs(parent), [parent])
        report = self._until_it_comes_back(watch, report_fd, attack.patience_s)
        if report is not None and attack.lingers:
            time.sleep(IDLE_S[0])
            watch.begin_idle()
            time.sleep(IDLE_S[1] - IDLE_S[0])
            watch.end_idle()
        told = report or {"answer": None, "calls": 0, "images": 0}
        seen = replace(
            watch.observe(aim),
            said=" ".join(str(part) for part in told.values()),
            answer=told["answer"],
            stuck=report is None and processes_seen.is_alive(parent),
            victim=self._ground.victim_harm(),
            calls=told["calls"] + told["images"],
        )
        return replace(seen, left=self._left(parent))

    def _programs(self, parent: int) -> list[int]:
        return [pid for pid in processes_seen.descendants(self._process.pid) if pid != parent]

    @staticmethod
    def _until_it_comes_back(watch: Watch, report_fd: int, patience_s: float) -> dict[str, Any] | None:
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline and watch.broken is None:
            if select.select([report_fd], [], [], _LOOK_S)[0]:
                report = _report(report_fd)
                if report is not None:
                    return report
                # A process closes its files a moment before it is seen to have ended.
                time.sleep(0.001)
            watch.glance()
        return None

    def _left(self, parent: int) -> int:
        """Return how many processes are there after the parent has killed its program."""
        programs = processes_seen.descendants(parent)[:1]
        processes_seen.end(programs)
        return len(
            [pid for pid in processes_seen.descendants(self._process.pid) if self._counts(pid, parent)]
        )

    @staticmethod
    def _counts(pid: int, parent: int) -> bool:
        return pid != parent and processes_seen.is_alive(pid)

    def _clear(self) -> None:
        """Kill whatever the attack left behind, and what that started meanwhile."""
        while pids := [
            pid for pid in processes_seen.descendants(self._process.pid) if processes_seen.is_alive(pid)
        ]:
            processes_seen.end(pids)
        self._control.send(b"collect")
        self._control.recv(100)

    def close(self) -> None:
        """Stop the warm process."""
        self._control.close()
        self._process.wait()


def _report(report_fd: int) -> dict[str, Any] | None:
    with os.fdopen(os.dup(report_fd), "rb") as stream:
        header = stream.read(4)
        if len(header) < 4:
            return None
        report: dict[str, Any] = json.loads(stream.read(struct.unpack("<I", header)[0]))
        return report
