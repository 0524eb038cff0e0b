"""The command `spatial-agent serve` in a process of its own, with small limits, and what it has in use."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import psutil
from PIL import Image

from spatial_agent.services.store.records import SCOPES, Allowance
from spatial_agent.services.store.store import Store
from tests.services.api.hostile.requests import Case, Reply, reply_of
from tests.services.scene_files.making import everything_below, picture, scan

MIB = 2**20
COMMAND = (sys.executable, "-c", "from spatial_agent.services.cli import main; main()", "serve", "--config")
PIXELS = 4_000_000
REQUEST_BYTES = 256 * 1024
HEADER_BYTES = 8000
CONFIG = f"""
folder = "{{folder}}"
port = 0
keys_required = true
[limits]
request_bytes = {REQUEST_BYTES}
upload_bytes = {32 * MIB}
file_bytes = {8 * MIB}
files = 40
pixels = {PIXELS}
frames = 30
video_seconds = 5
chat_pictures = 4
header_bytes = {HEADER_BYTES}
body_seconds = 1.0
"""
ROOM = {
    "format": "spatial-agent/scene@1",
    "scale": "metric",
    "up": [0.0, 0.0, 1.0],
    "objects": [
        {"id": f"{label}-1", "label": label, "box": {"centre_m": centre, "extent_m": extent}}
        for label, centre, extent in (
            ("sofa", (0.0, 4.0, 0.4), (2.0, 0.9, 0.8)),
            ("table", (2.5, 4.0, 0.4), (1.0, 1.0, 0.8)),
        )
    ],
}
QUESTION = "How far is the sofa from the table in meters?"
#: Their nearest sides are at x = 1.0 m and x = 2.0 m.
DISTANCE_M = 1.0


@dataclass(frozen=True)
class InUse:
    """What a server has in use.

    Attributes:
        bytes: Memory, resident.
        most_bytes: The most it has ever had.
        files: Open files and sockets.
        threads: Threads.
    """

    bytes: int
    most_bytes: int
    files: int
    threads: int


@dataclass
class Served:
    """A server that runs, and what a well-behaved client has put there.

    Attributes:
        folder: Its folder, its log, and its folder of temporary files.
        http: A client with a key.
        process: The server.
        known: What stands for ``@scene@`` and the like in requests.
        sent: Names of the cases that were sent.
    """

    folder: Path
    http: httpx.Client
    process: psutil.Process
    known: dict[str, str] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)

    def send(self, case: Case) -> Reply:
        """Send a request, whatever it is."""
        self.sent.add(case.name)
        parts = urlsplit(str(self.http.base_url))
        return reply_of((parts.hostname or "", parts.port or 0), case.written(self.known), method=case.method)

    def upload(self, files: Mapping[str, bytes]) -> str:
        """Make a scene, and wait until it is measured or cannot be."""
        sent = [("files", (name, content, "application/octet-stream")) for name, content in files.items()]
        made = self.http.post("/v1/scenes", files=sent)
        assert made.status_code == 202, made.text
        scene = str(made.json()["id"])
        deadline = time.monotonic() + 60
        while self.http.get(f"/v1/scenes/{scene}").json()["state"] not in ("ready", "failed"):
            assert time.monotonic() < deadline
        return scene

    def ask(self) -> dict[str, Any]:
        """Ask how far the sofa is from the table."""
        asked = {"scene": self.known["scene"], "question": QUESTION}
        answered = self.http.post("/v1/questions", json=asked, headers={"Prefer": "wait=60"})
        assert answered.status_code == 200, answered.text
        view: dict[str, Any] = answered.json()
        return view

    def in_use(self) -> InUse:
        """Return what it has in use now."""
        memory = self.process.memory_info().rss
        status = Path(f"/proc/{self.process.pid}/status")
        most = int(re.findall(r"VmHWM:\s+(\d+)", status.read_text())[0]) * 1024
        return InUse(memory, most, self.process.num_fds(), self.process.num_threads())

    def kept(self) -> dict[str, list[str]]:
        """Return what lies on its disk, and what its store knows, but for jobs that are done."""
        scenes = self.http.get("/v1/scenes").json()["scenes"]
        health = self.http.get("/readyz").json()
        return {
            # Traces go in their time, as those of questions do.
            "files": [
                name
                for name in everything_below(self.folder / "kept")
                if "sqlite" not in name and not name.startswith("runs/")
            ],
            "temporary": everything_below(self.folder / "tmp"),
            "scenes": sorted(scene["id"] for scene in scenes),
            "sessions": sorted(item["id"] for item in self.http.get("/v1/sessions").json()["sessions"]),
            "at work": [f"{health['queued']} queued, {health['running']} running"],
            "processes": [child.name() for child in self.process.children(recursive=True)],
        }

    def troubles(self) -> list[str]:
        """Return what its log tells of that should not have happened."""
        lines = (self.folder / "log").read_text().splitlines()
        # The web server warns of what is no HTTP, and of upgrades.
        usual = ('"level": "info"', '"level": "warning", "logger": "uvicorn.error"')
        return [line for line in lines if '"exception": ' in line or not any(map(line.count, usual))]


def recorded_scan() -> dict[str, bytes]:
    """Return the files of a scan of one frame that shows a sofa."""
    files = scan(instances="instances/0.png")
    manifest = json.loads(files["scan.json"]) | {"instances": {"1": "sofa"}, "gravity": [0, 0, -1]}
    shown = np.zeros((48, 64), np.uint16)
    shown[10:40, 10:50] = 1
    written = io.BytesIO()
    Image.fromarray(shown).save(written, format="PNG")
    return files | {"scan.json": json.dumps(manifest).encode(), "instances/0.png": written.getvalue()}


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Run the command; it must end well."""
    (folder / "tmp").mkdir()
    config = folder / "service.toml"
    config.write_text(CONFIG.format(folder=folder / "kept"))
    token = _key(folder / "kept", "anna")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*COMMAND, str(config)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=_environment(folder),
        )
    with process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            found = re.search(r"http://\S+", line)
            assert found, (line, (folder / "log").read_text())
            headers = {"Authorization": f"Bearer {token}"}
            with httpx.Client(base_url=found[0], headers=headers, timeout=120) as http:
                running = Served(folder, http, psutil.Process(process.pid))
                _settle(running, token, _key(folder / "kept", "bert"))
                yield running
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
    assert process.returncode == 0


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "SPATIAL_AGENT_DATABASE"}
    own = {"TMPDIR": str(folder / "tmp"), "SPATIAL_AGENT_CACHE": str(folder / "cache")}
    return kept | own | {"PYTHONUNBUFFERED": "1"}


def _key(folder: Path, tenant: str) -> str:
    folder.mkdir(exist_ok=True)
    with Store.open(f"sqlite:///{folder / 'service.sqlite'}") as store:
        allowance = Allowance(requests_per_minute=10**6)
        return str(store.keys.create(tenant, "test", frozenset(SCOPES), allowance)[1])


def _settle(running: Served, token: str, other_token: str) -> None:
    """Use everything once, so that what is loaded on first use is loaded."""
    http, known = running.http, running.known
    known |= {"host": http.base_url.netloc.decode(), "key": token, "folder": str(running.folder)}
    known["scene"] = running.upload({"room.json": json.dumps(ROOM).encode()})
    known["photos"] = running.upload({"a.png": picture(), "b.png": picture(seed=1)})
    known["scan"] = running.upload(recorded_scan())
    known["session"] = http.post("/v1/sessions", json={"scene": known["scene"]}).json()["id"]
    known["question"] = running.ask()["id"]
    assert http.get(f"/v1/questions/{known['question']}/picture.png").status_code == 200
    begun = http.post("/v1/uploads", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "10"})
    known["upload"] = begun.json()["id"]
    http.post("/v1/tools/size", json={"scene": known["scene"], "arguments": {"of": "sofa"}})
    bert = {"Authorization": f"Bearer {other_token}"}
    others = http.post("/v1/scenes", json={"sample": "nothing"}, headers=bert)
    assert others.status_code == 422
    begun = http.post("/v1/uploads", headers=bert | {"Tus-Resumable": "1.0.0", "Upload-Length": "10"})
    known["theirs"] = begun.json()["id"]
