"""A way to a service on which connections break, after as many bytes as a test says."""

import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from selectors import EVENT_READ, DefaultSelector
from urllib.parse import urlsplit

#: Closing a socket so set tells the other side that the connection was reset.
AT_ONCE = struct.pack("ii", 1, 0)
PATIENCE_S = 60.0


class BreakingWay:
    """Passes bytes on between a client and a service.

    Attributes:
        broken: How many connections were broken.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._upload: list[int] = []
        self._download: list[int] = []
        self._threads: list[threading.Thread] = []
        self.broken = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def breaks(self, *, upload: Sequence[int] = (), download: Sequence[int] = ()) -> None:
        """Let connections break: each entry is the bytes that one of them, in order, still carries."""
        self._upload, self._download = list(upload), list(download)

    def accept(self) -> None:
        """Take connections until it is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                thread = threading.Thread(target=self._carry, args=(client,))
                self._threads.append(thread)
                thread.start()

    def close(self) -> None:
        """Take no more connections, and wait for those there are."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _carry(self, client: socket.socket) -> None:
        """Pass bytes on, both ways, until one side ends or the connection has to break."""
        with client, socket.create_connection(self._target) as service, DefaultSelector() as selector:
            selector.register(client, EVENT_READ, (service, self._upload))
            selector.register(service, EVENT_READ, (client, self._download))
            with suppress(OSError):
                while ready := selector.select(PATIENCE_S):
                    for key, _ in ready:
                        source = key.fileobj
                        assert isinstance(source, socket.socket)
                        if not self._passed_on(source, *key.data):
                            return

    def _passed_on(self, source: socket.socket, target: socket.socket, budgets: list[int]) -> bool:
        data = source.recv(65536)
        if budgets:
            data = data[: budgets[0]]
            budgets[0] -= len(data)
        target.sendall(data)
        if budgets and budgets[0] <= 0:
            budgets.pop(0)
            self.broken += 1
            for side in (source, target):
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            return False
        return bool(data)


@contextmanager
def breaking_way(url: str) -> Iterator[BreakingWay]:
    """A way to the service at an address; whole until a test lets it break."""
    address = urlsplit(url)
    way = BreakingWay((str(address.hostname), int(address.port or 80)))
    accepting = threading.Thread(target=way.accept)
    accepting.start()
    try:
        yield way
    finally:
        way.close()
        accepting.join(PATIENCE_S)
