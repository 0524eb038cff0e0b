"""Names of servers: the same after a restart, and never that of another one that lives."""

import fcntl
import os
import socket
from pathlib import Path

from spatial_agent.tools.errors import ConfigurationError

#: Servers on one folder, for each machine.
MOST_SERVERS = 256


class Slot:
    """A server's place among those that share a folder; the system frees it when the process dies.

    Attributes:
        name: Name of the server.
    """

    def __init__(self, folder: Path) -> None:
        """Take the first place that is free.

        Args:
            folder: The folder that the servers share; made where it does not exist.

        Raises:
            ConfigurationError: If none is free.
        """
        places = folder / "servers"
        places.mkdir(parents=True, exist_ok=True)
        host = socket.gethostname()
        for number in range(MOST_SERVERS):
            handle = os.open(places / f"{host}-{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                continue
            self._handle: int | None = handle
            self.name = f"{host}-{number}"
            return
        raise ConfigurationError(f"{MOST_SERVERS} servers share {folder} already; expected fewer")

    def close(self) -> None:
        """Free the place."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
