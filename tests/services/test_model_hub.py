"""Weights from a hub: one on this machine that has the few endpoints asked, and fails as hubs fail."""

import hashlib
import json
import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from spatial_agent.services.model_store import ModelStore
from spatial_agent.tools.contract import Weights
from spatial_agent.tools.errors import ConfigurationError, SourceError, StoppedError, ToolUnavailableError
from spatial_agent.tools.progress import listening, stopping

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """One repository, ``owner/tiny``, and how it behaves.

    Attributes:
        files: Its content; names ending in ``.safetensors`` are kept outside git.
        commit: Its newest commit.
        cut_at: Bytes of a file after which the connection breaks.
        broken: Files that are answered with 503.
        served: What is sent instead of a file's true content.
        status: Answer to every request, where set.
        requests: Path and headers of each request so far.
    """

    files: dict[str, bytes]
    commit: str = COMMIT
    cut_at: dict[str, int] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    served: dict[str, bytes] = field(default_factory=dict)
    status: int | None = None
    gated: bool = False
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def ranges(self, name: str) -> list[str | None]:
        """The ranges asked of a file so far, in order."""
        return [headers.get("range") for path, headers in self.requests if path.endswith(f"/{name}")]

    def listing(self, revision: str) -> bytes:
        siblings = []
        for name, content in self.files.items():
            entry: dict[str, Any] = {"rfilename": name, "size": len(content)}
            blob = b"blob %d\0" % len(content) + content
            entry["blobId"] = hashlib.sha1(blob).hexdigest()
            if name.endswith(".safetensors"):
                sha256 = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
            siblings.append(entry)
        return json.dumps({"id": "owner/tiny", "sha": revision, "siblings": siblings}).encode()


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.hub.requests.append((path, {key.lower(): value for key, value in self.headers.items()}))
        if self.hub.status is not None or self.hub.gated:
            self._send(self.hub.status or 403, b"no", {"X-Error-Code": "GatedRepo"} if self.hub.gated else {})
        elif path.startswith("/api/models/owner/tiny"):
            revision = path.partition("/revision/")[2] or self.hub.commit
            self._send(200, self.hub.listing(revision), {"Content-Type": "application/json"})
        elif path.startswith("/owner/tiny/resolve/"):
            self._file(path.removeprefix("/owner/tiny/resolve/").partition("/")[2])
        else:
            self._send(404, b"nothing here", {})

    def _file(self, name: str) -> None:
        if name in self.hub.broken:
            self._send(503, b"busy", {})
            return
        content = self.hub.served.get(name, self.hub.files[name])
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        if name not in self.hub.cut_at:
            self._send(206 if start else 200, content[start:], headers)
            return
        self._send(200, content[: self.hub.cut_at.pop(name)], {"Content-Length": str(len(content))})
        self.hub.broken.add(name)
        self.close_connection = True

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Hub]:
    """Serve a repository on a free port."""
    hub = Hub(files)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("TheHub", (Handler,), {"hub": hub}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


CONTENT = {
    "config.json": b'{"model_type": "tiny"}',
    "model.safetensors": bytes(range(256)) * 12_000,
    "README.md": b"# not needed",
    "onnx/config.json": b"{}",
}
BLOCK = 65_536
HALF = 23 * BLOCK
TINY = Weights("tiny", "hf:owner/tiny", "Apache-2.0")
SECRET = "hf_neverToBeSeenAnywhere"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    # What arrived of a block is lost with the connection; blocks are 10 MB, more than these files.
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", BLOCK)
    monkeypatch.setenv("HF_TOKEN", SECRET)
    with serving(dict(CONTENT)) as hub:
        yield hub


@pytest.fixture
def store(hub: Hub, tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "weights", endpoint=hub.url)


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


WHOLE = {"tiny/config.json", "tiny/model.safetensors", "weights.lock.json"}


def test_a_pull_brings_what_is_needed_and_pins_commit_and_digests(store: ModelStore) -> None:
    path = store.pull(TINY)

    assert path == store.folder / "tiny" == store.locate(TINY)
    assert everything(store.folder) == WHOLE
    assert (path / "model.safetensors").read_bytes() == CONTENT["model.safetensors"]
    lock = json.loads((store.folder / "weights.lock.json").read_text())["weights"]["tiny"]
    assert (lock["source"], lock["revision"]) == ("hf:owner/tiny", COMMIT)
    config = lock["files"]["config.json"]
    assert config["sha256"] == hashlib.sha256(CONTENT["config.json"]).hexdigest()
    assert config["size"] == len(CONTENT["config.json"])
    assert set(store.verify(TINY).values()) == {"verified"}


def test_a_broken_connection_leaves_nothing_in_place_and_the_next_pull_goes_on(
    hub: Hub, store: ModelStore
) -> None:
    hub.cut_at["model.safetensors"] = HALF
    with pytest.raises(ToolUnavailableError, match="503 for owner/tiny"):
        store.pull(TINY)
    assert store.state(TINY) == "missing"
    [partial] = store.folder.rglob("model.safetensors")
    assert partial.read_bytes() == CONTENT["model.safetensors"][:HALF]

    hub.broken.clear()
    store.pull(TINY)

    assert hub.ranges("model.safetensors")[-1] == f"bytes={HALF}-"
    assert (store.folder / "tiny" / "model.safetensors").read_bytes() == CONTENT["model.safetensors"]
    assert hub.ranges("config.json") == [None]
    assert everything(store.folder) == WHOLE


def test_a_pull_that_nobody_waits_for_stops_and_goes_on_later(hub: Hub, store: ModelStore) -> None:
    stop = threading.Event()

    def give_up(what: str, done: int, total: int) -> None:
        if what.startswith("model.safetensors"):
            stop.set()

    with pytest.raises(StoppedError), listening(give_up), stopping(stop):
        store.pull(TINY)
    [partial] = store.folder.rglob("model.safetensors")
    arrived = partial.stat().st_size
    assert 0 < arrived < len(CONTENT["model.safetensors"])

    store.pull(TINY)

    assert hub.ranges("model.safetensors") == [None, f"bytes={arrived}-"]
    assert set(store.verify(TINY).values()) == {"verified"}
    assert everything(store.folder) == WHOLE


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_that_arrives_altered_is_thrown_away(hub: Hub, store: ModelStore, name: str) -> None:
    content = CONTENT[name]
    hub.served[name] = content[:-1] + b"?"

    with pytest.raises(SourceError, match=f"{name} did not arrive as it is at its source"):
        store.pull(TINY)

    assert not list(store.folder.rglob(name))
    assert store.state(TINY) == "missing"
    hub.served.clear()
    store.pull(TINY)
    assert everything(store.folder) == WHOLE


def test_a_damaged_file_is_found_and_a_pull_mends_only_that(hub: Hub, store: ModelStore) -> None:
    path = store.pull(TINY) / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"!" + whole[101:])
    before = len(hub.requests)

    assert store.verify(TINY) == {"config.json": "verified", "model.safetensors": "changed"}
    assert store.state(TINY) == "present"
    store.pull(TINY)

    assert path.read_bytes() == whole
    assert [request.rpartition("/")[2] for request, _ in hub.requests[before:]] == [
        COMMIT,
        "model.safetensors",
    ]


def test_a_later_pull_asks_for_the_pinned_commit(hub: Hub, store: ModelStore) -> None:
    store.pull(TINY)
    (store.folder / "tiny" / "config.json").unlink()
    hub.commit = "f" * 40

    store.pull(TINY)

    listings = [path for path, _ in hub.requests if path.startswith("/api/")]
    assert listings == ["/api/models/owner/tiny", f"/api/models/owner/tiny/revision/{COMMIT}"]


def test_a_commit_whose_content_changed_is_refused(hub: Hub, store: ModelStore) -> None:
    path = store.pull(TINY) / "model.safetensors"
    path.unlink()
    hub.files["model.safetensors"] = b"other numbers"

    with pytest.raises(SourceError, match="pinned with sha256 .*, the source has"):
        store.pull(TINY)

    assert not path.exists()
    assert everything(store.folder) == WHOLE - {"tiny/model.safetensors"}


def test_another_commit_than_the_pinned_one_is_refused(store: ModelStore) -> None:
    store.pull(TINY)

    with pytest.raises(ConfigurationError, match=f"pins revision {COMMIT}, the expert declares aaaa"):
        store.pull(Weights("tiny", "hf:owner/tiny", "Apache-2.0", revision="aaaa"))


def test_a_declared_digest_holds_against_the_hub(store: ModelStore) -> None:
    declared = Weights("tiny", "hf:owner/tiny", "Apache-2.0", sha256={"model.safetensors": "0" * 64})

    with pytest.raises(SourceError, match="declared with sha256 0000"):
        store.pull(declared)

    assert everything(store.folder) == set()


def test_a_file_the_hub_lacks_is_named(store: ModelStore) -> None:
    with pytest.raises(SourceError, match=r"has no file tokenizer\.json"):
        store.pull(Weights("tiny", "hf:owner/tiny", "Apache-2.0", files=("*.json", "tokenizer.json")))


@pytest.mark.parametrize(
    ("status", "gated", "part"),
    [(503, False, "503 for owner/tiny"), (None, True, "accept it at .*owner/tiny.*hf auth login")],
)
def test_refusals_say_what_to_do_and_never_the_token(
    hub: Hub,
    store: ModelStore,
    status: int | None,
    gated: bool,
    part: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    hub.status, hub.gated = status, gated

    with pytest.raises(ToolUnavailableError, match=part) as error:
        store.pull(TINY)

    said = "".join(traceback.format_exception(error.value)) + caplog.text + "".join(capfd.readouterr())
    assert hub.requests[0][1]["authorization"] == f"Bearer {SECRET}"
    assert SECRET not in said


def test_a_hub_that_is_not_there_is_said_so(tmp_path: Path, hub: Hub) -> None:
    with serving({}) as gone:
        pass

    with pytest.raises(ToolUnavailableError, match="connection to the hub broke"):
        ModelStore(tmp_path, endpoint=gone.url).pull(TINY)


def test_a_machine_set_offline_names_the_other_way(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    with pytest.raises(ToolUnavailableError, match="HF_HUB_OFFLINE is set.*--from FOLDER"):
        store.pull(TINY)


def test_without_the_hubs_library_the_extra_is_named(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)

    with pytest.raises(ConfigurationError, match=r"spatial-reasoning-agent\[models\].*--from FOLDER"):
        store.pull(TINY)


def test_a_path_out_of_the_folder_is_never_taken(hub: Hub, store: ModelStore) -> None:
    hub.files["../../outside.json"] = b"{}"
    wide = Weights("tiny", "hf:owner/tiny", "Apache-2.0", files=("*.json", "*/*.json", "*.safetensors"))

    store.pull(wide)

    assert everything(store.folder) == WHOLE | {"tiny/onnx/config.json"}
    assert not (store.folder.parent / "outside.json").exists()
