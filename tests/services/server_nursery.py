"""Servers that start at once, and are killed.

Run as a program this is where they come from: it has everything imported, and each order makes it fork a
process that runs the command ``spatial-agent serve``, or begins anew with an interpreter of its own.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

#: After so long a server ends by itself, whatever becomes of those who should have ended it, seconds.
LONGEST_S = 900
PATIENCE_S = 120.0
COMMAND = (sys.executable, "-c", "from spatial_agent.services.cli import main; main()")
#: What servers import sooner or later.
IMPORTED = (
    "spatial_agent.agent.checkpoints",
    "openai.resources.chat",
    "spatial_agent.agent.graph",
    "spatial_agent.services.api.app",
    "spatial_agent.services.open_service",
    "uvloop",
)
PREFIX = "SPATIAL_AGENT_"
LISTENING = b"serving at http://127.0.0.1:"


class KillableServer:
    """A server in a process of its own."""

    def __init__(self, nursery: "Nursery", process: int, said: int) -> None:
        self._nursery = nursery
        self._said = said
        self._port: int | None = None
        self.process: int | None = process

    def port(self) -> int:
        """Wait until it answers, and return its port."""
        if self._port is not None:
            return self._port
        line = b""
        while not line.endswith(b"\n"):
            piece = os.read(self._said, 1000)
            assert piece, f"the server ended before it listened: {line!r}"
            line += piece
        assert line.startswith(LISTENING), line
        self._port = int(line.removeprefix(LISTENING).split()[0])
        return self._port

    def kill(self) -> None:
        """Kill it, whatever it does, and return once it is gone."""
        if self.process is not None:
            os.kill(self.process, signal.SIGKILL)
            self._nursery.reap(self.process)
            os.close(self._said)
            self.process = None


class Nursery:
    """Starts servers."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders

    def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        path: Path,
        log: Path,
        *,
        is_fresh: bool = False,
    ) -> KillableServer:
        """Start a server; it need not answer yet.

        Args:
            arguments: Of ``spatial-agent serve``.
            environment: Variables of the package, beside what every process has.
            path: Where else it finds modules and distributions.
            log: Where it logs.
            is_fresh: Whether it gets an interpreter of its own rather than one that has imported everything.
        """
        said, says = os.pipe()
        order: dict[str, Any] = {"arguments": list(arguments), "environment": dict(environment)}
        order |= {"path": str(path), "log": str(log), "is_fresh": is_fresh}
        socket.send_fds(self._orders, [json.dumps(order).encode()], [says])
        os.close(says)
        return KillableServer(self, int(self._orders.recv(100)), said)

    def reap(self, process: int) -> None:
        """Wait until a process is gone."""
        self._orders.send(json.dumps({"reap": process}).encode())
        assert int(self._orders.recv(100)) == process


@contextmanager
def nursery() -> Iterator[Nursery]:
    """Have where servers come from; they know none of this process's variables of the package."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(PATIENCE_S)
    with ours, theirs:
        command = [sys.executable, "-m", __name__, str(theirs.fileno())]
        root = Path(__file__).parents[2]
        with subprocess.Popen(command, cwd=root, env=environment, pass_fds=[theirs.fileno()]) as process:
            theirs.close()
            try:
                yield Nursery(ours)
            finally:
                ours.close()
                process.wait(PATIENCE_S)


def obey(orders: socket.socket) -> None:
    """Start and reap processes until nobody gives orders any more; kill those that are left then."""
    left: set[int] = set()
    while True:
        message, handles, _, _ = socket.recv_fds(orders, 65536, 1)
        if not message:
            break
        order = json.loads(message)
        if handles:
            process = os.fork()
            if process == 0:
                orders.close()
                become_server(order, handles[0])
            os.close(handles[0])
            left.add(process)
        else:
            process = order["reap"]
            os.waitpid(process, 0)
            left.discard(process)
        orders.send(str(process).encode())
    for process in left:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


def become_server(order: Mapping[str, Any], says: int) -> None:
    """Serve; never returns."""
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(says, 1)
    os.dup2(log, 2)
    signal.alarm(LONGEST_S)
    arguments = ["serve", *order["arguments"]]
    path = [order["path"], *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ.update(order["environment"], PYTHONPATH=os.pathsep.join(path))
    if order["is_fresh"]:
        os.execv(COMMAND[0], [*COMMAND, *arguments])
    from spatial_agent.services.cli import main

    sys.path.insert(0, order["path"])
    sys.argv = ["spatial-agent", *arguments]
    try:
        main()
    finally:
        os._exit(1)


if __name__ == "__main__":
    for module in IMPORTED:
        import_module(module)
    obey(socket.socket(fileno=int(sys.argv[1])))
