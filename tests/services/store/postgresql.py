"""Debian's PostgreSQL on a Unix socket in a temporary folder, as a user that is not root."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

USER = "tester"
#: Nothing of it has to survive the machine, and little of the machine is its own.
OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "80",
}

#: What a cluster takes whose modules each make some dozens of databases.
ROOM_BYTES = 4 * 2**30


class PostgreSQL:
    """A cluster of databases that can be started and stopped.

    Attributes:
        folder: Its data, its log, and its socket.
    """

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        self.folder = folder

    def make(self) -> None:
        """Initialise the cluster."""
        self._run("initdb", "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")

    @contextmanager
    def running(self) -> Iterator["PostgreSQL"]:
        """Serve it for as long as the block runs."""
        options = {**OPTIONS, "unix_socket_directories": self.folder}
        chosen = " ".join(f"-c {name}='{value}'" for name, value in options.items())
        self._run("pg_ctl", "start", "-w", "-s", "-l", str(self.folder / "log"), "-o", chosen)
        try:
            yield self
        finally:
            self._run("pg_ctl", "stop", "-w", "-s", "-m", "immediate")

    def url(self, database: str = "postgres") -> str:
        """Return the URL of one of its databases."""
        return f"postgresql://{USER}@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """Make an empty database, and return its URL."""
        name = f"test_{uuid4().hex}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} STRATEGY wal_log".encode())
        return self.url(name)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), "-D", str(self.folder / "data"), *arguments]
        user = "postgres" if os.geteuid() == 0 else None
        done = subprocess.run(
            command, user=user, group=user, extra_groups=[] if user else None, cwd="/",
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def in_memory() -> Path | None:
    """Return a folder that is kept in memory, where there is one with room for the databases of all tests."""
    folder = Path("/dev/shm")
    has_room = folder.is_dir() and shutil.disk_usage(folder).free >= ROOM_BYTES
    return folder if has_room else None


@contextmanager
def postgresql_cluster() -> Iterator[PostgreSQL]:
    """Make a cluster that does not run yet; skips the test where PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed here (looked in /usr/lib/postgresql)")
    # The folders of tests belong to whoever runs them, and let no other user in.
    folder = Path(tempfile.mkdtemp(prefix="postgresql-", dir=in_memory()))
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    try:
        cluster = PostgreSQL(found[-1].parent, folder)
        cluster.make()
        yield cluster
    finally:
        shutil.rmtree(folder)
