"""Files of the service: fetched piece by piece, and from where it broke off."""

import io
from functools import partial
from pathlib import Path
from typing import BinaryIO

from spatial_agent.services.sdk.errors import ProtocolError, UnreachableError
from spatial_agent.services.sdk.pacing import Pace
from spatial_agent.services.sdk.requesting import paused, refusal, within
from spatial_agent.services.sdk.steps import Open, Plan, Receive, Reply, Request, Work

#: Bytes of a file that is wanted in memory; a larger one has to go to a file.
MOST_IN_MEMORY = 512 * 2**20


def fetched(pace: Pace, from_path: str) -> Plan[bytes]:
    """Plan to fetch a file into memory.

    Raises:
        ProtocolError: If it is larger than what fits there.
        UnreachableError: If the connection broke again and again without any progress.
        SpatialAgentError: If the service refuses.
    """
    memory = io.BytesIO()
    yield from _Fetching(pace, from_path, memory, MOST_IN_MEMORY).done()
    return memory.getvalue()


def saved(pace: Pace, from_path: str, target: Path) -> Plan[Path]:
    """Plan to fetch a file into one that is there only once it is whole; errors are those of `fetched`."""
    part = target.with_name(f".{target.name}.part")
    opened: BinaryIO = yield Work(partial(part.open, "wb"))
    try:
        yield from _Fetching(pace, from_path, opened, None).done()
        yield Work(opened.close)
        yield Work(partial(part.replace, target))
    finally:
        opened.close()
        part.unlink(missing_ok=True)
    return target


class _Fetching:
    """One file, over however many connections."""

    def __init__(self, pace: Pace, from_path: str, target: BinaryIO, most_bytes: int | None) -> None:
        self._pace = pace
        self._path = from_path
        self._target = target
        self._most = most_bytes
        self._version = ""
        self._here = 0

    def done(self) -> Plan[None]:
        """Plan to fetch all of it."""
        failures = 0
        while True:
            before = self._here
            request = self._request()
            try:
                reply = yield Open(within(request, self._pace, None))
                if reply.is_success:
                    yield from self._received(reply)
                    return
            except UnreachableError as lost:
                failures = 1 if self._here > before else failures + 1
                yield from paused(self._pace, failures, request, lost)
            else:
                failures += 1
                yield from paused(self._pace, failures, request, refusal(reply, self._pace))

    def _request(self) -> Request:
        """Return what asks for the rest, as long as the file is still the same one."""
        if not (self._here and self._version):
            return Request("GET", self._path)
        return Request("GET", self._path, {"Range": f"bytes={self._here}-", "If-Range": self._version})

    def _received(self, reply: Reply) -> Plan[None]:
        if reply.status != 206:
            yield Work(partial(self._target.truncate, 0))
            yield Work(partial(self._target.seek, 0))
            self._here = 0
        elif not reply.headers.get("content-range", "").startswith(f"bytes {self._here}-"):
            raise ProtocolError(f"expected the file from byte {self._here} on, got another part of it")
        etag = reply.headers.get("etag", "")
        self._version = "" if etag.startswith("W/") else etag
        while piece := (yield Receive()):
            self._here += len(piece)
            if self._most is not None and self._here > self._most:
                raise ProtocolError(
                    f"expected a file of at most {self._most} bytes; give a path to save it at"
                )
            yield Work(partial(self._target.write, piece))
