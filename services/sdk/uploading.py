"""Scenes on their way to the service: small ones in one request, large ones resumably (tus 1.0.0)."""

import base64
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from spatial_agent.services.api.schemas import SceneReference, SceneView
from spatial_agent.services.sdk.errors import ApiError, ProtocolError, UnreachableError
from spatial_agent.services.sdk.pacing import Pace
from spatial_agent.services.sdk.payload import Payload, archive, multipart, source_files
from spatial_agent.services.sdk.requesting import document, json_request, path, paused, refusal, send
from spatial_agent.services.sdk.steps import Pause, Plan, Reply, Request, Send, Work
from spatial_agent.tools.errors import SpatialAgentError

#: Told how many bytes have arrived or gone out, and how many there are.
Progress = Callable[[int, int], None]
#: Letters of a scene's name.
MOST_NAME = 120
#: From this size on an upload is resumable, bytes.
RESUMABLE_BYTES = 16 * 2**20
#: Bytes that are sent in one go of a resumable upload; so many are lost at most where it breaks.
CHUNK_BYTES = 4 * 2**20
#: The service unpacks and checks what came before it replies, seconds.
TAKEN_IN_S = 600.0
TUS = {"Tus-Resumable": "1.0.0"}
#: The service still has the connection that broke, or has another idea of how far it got.
ELSEWHERE = frozenset({409, 423})


@dataclass(frozen=True)
class Upload:
    """What is uploaded as a scene.

    Attributes:
        paths: A folder, or files.
        name: What to call the scene.
        profile: Which experts measure it; the service's first where None.
    """

    paths: tuple[Path, ...]
    name: str
    profile: str | None = None

    @property
    def fields(self) -> dict[str, str]:
        """What the scene is called and who measures it, as far as that is said."""
        return {"name": self.name} | ({} if self.profile is None else {"profile": self.profile})


def upload_of(source: str | Path | Sequence[str | Path], name: str | None, profile: str | None) -> Upload:
    """Return what is uploaded where somebody names a folder, a file or files."""
    paths = tuple(
        Path(item).expanduser() for item in ([source] if isinstance(source, str | Path) else source)
    )
    return Upload(paths, name or (paths[0].absolute().name[:MOST_NAME] if paths else "scene"), profile)


def uploaded(pace: Pace, upload: Upload, progress: Progress | None) -> Plan[SceneView]:
    """Plan to upload a scene.

    Raises:
        SourceError: If a file cannot be read, or the service cannot read it as what it claims to be.
        UnreachableError: If the connection broke again and again without any progress.
        SpatialAgentError: If the service refuses.
    """
    files = yield Work(partial(source_files, upload.paths))
    tell = progress or (lambda _sent, _total: None)
    if sum(file.size for file in files) < RESUMABLE_BYTES:
        kind, body = multipart(files, upload.fields)
        return (yield from _sent_whole(pace, kind, body, tell))
    single = files[0] if len(files) == 1 else None
    body = archive(files) if single is None else Payload([single])
    file_name = f"{upload.name}.tar" if single is None else single.name
    id = yield from _Resumable(pace, body, tell).sent(file_name)
    fields = upload.fields | {"upload": id}
    return (yield from referred(pace, SceneReference.model_validate(fields)))


def referred(pace: Pace, reference: SceneReference) -> Plan[SceneView]:
    """Plan to make a scene of what is with the service already."""
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    request = json_request("POST", path("scenes"), reference, headers=headers, patience_s=TAKEN_IN_S)
    reply = yield from send(pace, request)
    return document(reply, SceneView)


def sampled(pace: Pace, name: str) -> Plan[SceneView]:
    """Plan to make a scene of a sample."""
    return (yield from referred(pace, SceneReference.model_validate({"sample": name})))


def _sent_whole(pace: Pace, kind: str, body: Payload, tell: Progress) -> Plan[SceneView]:
    headers = {"Content-Type": kind, "Idempotency-Key": uuid.uuid4().hex}
    request = Request(
        "POST",
        path("scenes"),
        headers,
        body=body,
        patience_s=TAKEN_IN_S,
        sent=lambda sent: tell(sent, body.length),
    )
    reply = yield from send(pace, request)
    return document(reply, SceneView)


class _Resumable:
    """One resumable upload; how far it got is asked of the service whenever the connection broke."""

    def __init__(self, pace: Pace, body: Payload, tell: Progress) -> None:
        self._pace = pace
        self._body = body
        self._tell = tell
        self._offset = 0
        self._failures = 0

    def sent(self, file_name: str) -> Plan[str]:
        """Plan to send it; returns its id."""
        id = yield from self._created(file_name)
        self._tell(0, self._body.length)
        while self._offset < self._body.length:
            chunk = yield Work(partial(self._body.read, self._offset, CHUNK_BYTES))
            request = self._patch(id, chunk)
            try:
                reply = yield Send(request)
            except UnreachableError as lost:
                yield from self._resumed(id, request, lost)
                continue
            if reply.is_success:
                self._arrived(reply, self._offset + len(chunk))
            else:
                yield from self._resumed(id, request, refusal(reply, self._pace))
        return id

    def _created(self, file_name: str) -> Plan[str]:
        encoded = base64.b64encode(file_name.encode()).decode()
        headers = TUS | {"Upload-Length": str(self._body.length), "Upload-Metadata": f"filename {encoded}"}
        reply = yield from send(self._pace, Request("POST", path("uploads"), headers))
        # Only the id of it: the key goes to no other place than the client was given.
        id = reply.headers.get("location", "").rstrip("/").rpartition("/")[2]
        if not id:
            raise ProtocolError("expected the place of the upload from the service, got none")
        return id

    def _patch(self, id: str, chunk: bytes) -> Request:
        headers = TUS | {
            "Upload-Offset": str(self._offset),
            "Content-Type": "application/offset+octet-stream",
        }
        to = path("uploads", id)
        return Request("PATCH", to, headers, body=chunk, patience_s=self._pace.timeout_s)

    def _arrived(self, reply: Reply, most: int) -> None:
        offset = self._offset_in(reply)
        if not self._offset < offset <= most:
            raise ProtocolError(
                f"expected an upload beyond byte {self._offset}, at most {most}, got {offset}"
            )
        self._failures = 0
        self._offset = offset
        self._tell(offset, self._body.length)

    def _resumed(self, id: str, request: Request, error: SpatialAgentError) -> Plan[None]:
        """Plan to wait, and to ask how far it got; raises the error where that makes no sense."""
        self._failures += 1
        if isinstance(error, ApiError) and error.status in ELSEWHERE:
            pause_s = self._pace.pause_s(self._failures)
            if pause_s is None:
                raise error
            yield Pause(pause_s)
        else:
            yield from paused(self._pace, self._failures, request, error)
        head = yield from send(self._pace, Request("HEAD", path("uploads", id), TUS))
        offset = self._offset_in(head)
        if offset > self._body.length:
            raise ProtocolError(f"expected at most {self._body.length} bytes to have come, got {offset}")
        if offset > self._offset:
            self._failures = 0
        self._offset = offset
        self._tell(offset, self._body.length)

    def _offset_in(self, reply: Reply) -> int:
        given = reply.headers.get("upload-offset", "")
        if not given.isdecimal():
            raise ProtocolError(f"expected Upload-Offset from the service, got {given[:40]!r}")
        return int(given)
