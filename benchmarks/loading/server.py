"""The service under load, in a process of its own."""

import http.client
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

MB = 2**20
#: Seconds that starting, measuring, an answer and ending may take.
PATIENCE_S = 300.0


@dataclass(frozen=True)
class Server:
    """The service.

    Attributes:
        url: Its address.
        process: Its process.
    """

    url: str
    process: psutil.Process

    @property
    def cpu_s(self) -> float:
        """Processor time that it has used."""
        return used_by(self.process)

    @property
    def rss_mb(self) -> float:
        """Memory that it holds."""
        return self.process.memory_info().rss / MB

    @property
    def queued(self) -> int:
        """Questions that wait for a worker."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=PATIENCE_S)
        try:
            connection.request("GET", "/readyz")
            return int(json.load(connection.getresponse())["queued"])
        finally:
            connection.close()


def used_by(process: psutil.Process) -> float:
    """Return the processor time of a process, seconds."""
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Serve from a folder, in a process of its own that is ended as an operator would."""
    command = ["env", "PYTHONUNBUFFERED=1", f"SPATIAL_AGENT_CACHE={folder / 'cache'}"]
    command += [str(Path(sys.executable).with_name("spatial-agent")), "serve", "--port", "0"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--folder", str(folder / "service")],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            # Ctrl+C is for the benchmark, which ends the service itself.
            start_new_session=True,
        )
        with process:
            assert process.stdout is not None
            found = re.match(r"serving at (http://\S+)", process.stdout.readline())
            try:
                if found is None:
                    raise SystemExit(f"the service did not start: {(folder / 'log').read_text()[-2000:]}")
                yield Server(found[1], psutil.Process(process.pid))
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(PATIENCE_S)
