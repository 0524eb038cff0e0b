"""Sockets that wait for whoever gets through to them."""

import os
import socket
from contextlib import suppress
from pathlib import Path

CHUNK_BYTES = 4096


class Listeners:
    """One socket of each kind; the kernel takes connections by itself, so that no thread has to wait.

    Args:
        folder: Where the socket with a path lies.
        name: Name of the abstract sockets.
    """

    def __init__(self, folder: Path, name: str) -> None:
        """Open them all."""
        self.path = folder / "listener.sock"
        self._tcp = _bound(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        self._udp = _bound(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        self._unix = _bound(socket.AF_UNIX, socket.SOCK_STREAM, str(self.path))
        self._abstract = _bound(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{name}")
        self._datagrams = _bound(socket.AF_UNIX, socket.SOCK_DGRAM, f"\0{name}-datagrams")
        self._tcp6 = self._bound_tcp6()
        os.chmod(self.path, 0o777)
        self.tcp_port: int = self._tcp.getsockname()[1]
        self.udp_port: int = self._udp.getsockname()[1]
        self.tcp6_port: int = self._tcp6.getsockname()[1] if self._tcp6 else 0

    @staticmethod
    def _bound_tcp6() -> socket.socket | None:
        try:
            return _bound(socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0))
        except OSError:
            return None

    def received(self) -> list[bytes]:
        """Return what came in since the last time, and hang up on whoever sent it."""
        found = []
        for listener in (self._tcp, self._unix, self._abstract, self._tcp6):
            while listener is not None and (data := _taken(listener)) is not None:
                found.append(data)
        for listener in (self._udp, self._datagrams):
            with suppress(BlockingIOError):
                while True:
                    found.append(listener.recv(CHUNK_BYTES))
        return found

    def close(self) -> None:
        """Close them all."""
        for listener in (self._tcp, self._udp, self._unix, self._abstract, self._datagrams, self._tcp6):
            if listener is not None:
                listener.close()


def free_port() -> int:
    """Return a port nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers_at(port: int) -> bool:
    """Whether somebody listens at a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _bound(family: int, kind: int, address: tuple[str, int] | str) -> socket.socket:
    listener = socket.socket(family, kind)
    try:
        listener.bind(address)
        if kind == socket.SOCK_STREAM:
            listener.listen(16)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _taken(listener: socket.socket) -> bytes | None:
    try:
        caller, _ = listener.accept()
    except BlockingIOError:
        return None
    with caller:
        # What was sent before hanging up is there already; nobody is waited for long.
        caller.settimeout(0.2)
        with suppress(OSError):
            return caller.recv(CHUNK_BYTES)
    return b""
