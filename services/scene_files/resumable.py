"""Resumable uploads: files that come in pieces, over any number of connections."""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from spatial_agent.services.api.config import Limits
from spatial_agent.services.scene_files.errors import (
    QuotaExceededError,
    TooLargeError,
    UploadConflictError,
    UploadError,
)
from spatial_agent.services.scene_files.names import clean_name
from spatial_agent.services.scene_files.room import GIB, no_room
from spatial_agent.services.scene_files.tree import MIB, disk_errors
from spatial_agent.services.store.ids import new_id
from spatial_agent.services.store.records import UploadRecord
from spatial_agent.services.store.store import Store

#: Pieces are written, and where they end is remembered, this often: a server that dies loses no more.
WRITE_BYTES = MIB
REMEMBER_BYTES = 16 * MIB
#: Uploads that one tenant may have begun.
MOST_UPLOADS = 100


class NoSuchUploadError(UploadError):
    """There is no such upload, or it is another tenant's."""


class ResumableUploads:
    """The resumable uploads of a service.

    A lock on the file itself lets one request at a time write to an upload, in any process of this machine.

    Attributes:
        beginning: Held by whoever looks how much room is left and begins an upload in it.
    """

    def __init__(self, folder: Path, store: Store, limits: Limits) -> None:
        """Keep uploads in a folder, which is made on first use.

        Args:
            folder: Nobody else writes to it.
            store: Knows how far each is.
            limits: How long and how large they may be.
        """
        self._folder = folder
        self._store = store
        self._limits = limits
        self.beginning = Lock()

    def begin(self, tenant: str, name: str, length: int, left_bytes: int | None) -> UploadRecord:
        """Begin an upload.

        Args:
            tenant: Whose it is.
            name: What its file is called.
            length: Bytes in all.
            left_bytes: What the tenant may still store; None does not limit it.

        Raises:
            UploadError: If the name cannot be taken.
            TooLargeError: If it is longer than a scene may be.
            QuotaExceededError: If the tenant has no room left for it.
        """
        if clean_name(name) is None:
            raise UploadError("expected the name of a file in Upload-Metadata, got a hidden one")
        if self._store.uploads.count(tenant) >= MOST_UPLOADS:
            raise QuotaExceededError(
                f"expected at most {MOST_UPLOADS} uploads at a time, got more; finish or end some of them"
            )
        if length > self._limits.upload_bytes:
            raise TooLargeError(
                f"expected an upload of at most {self._limits.upload_bytes / GIB:.2f} GiB, "
                f"got {length / GIB:.2f} GiB"
            )
        if left_bytes is not None and length > left_bytes:
            raise no_room(left_bytes)
        record = UploadRecord(new_id("up"), tenant, name, length, time.time())
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path(record.id).touch(mode=0o600)
        self._store.uploads.add(record)
        return record

    def upload(self, tenant: str, upload_id: str) -> UploadRecord:
        """Return an upload of a tenant.

        Raises:
            NoSuchUploadError: If there is none.
        """
        record = self._store.uploads.upload(tenant, upload_id)
        if record is None:
            raise NoSuchUploadError(f"there is no upload {upload_id}; it may have expired")
        return record

    def expires(self, record: UploadRecord) -> float:
        """Return when an upload ends by itself, seconds since 1970."""
        return record.created + self._limits.upload_hours * 3600.0

    async def append(
        self, tenant: str, upload_id: str, offset: int, chunks: AsyncIterator[bytes]
    ) -> UploadRecord:
        """Append a piece; what has come when the connection breaks is kept.

        Args:
            tenant: Whose upload it is.
            upload_id: Which one.
            offset: Where the piece begins, which must be where the upload ends so far.
            chunks: The piece.

        Raises:
            NoSuchUploadError: If there is no such upload.
            UploadConflictError: If another request writes to it, or it ends elsewhere.
            TooLargeError: If the piece goes beyond the length of the upload.
            QuotaExceededError: If the disk is full.
        """
        with self.holding(tenant, upload_id) as record:
            if record.offset != offset:
                raise UploadConflictError(
                    f"expected the piece from byte {record.offset} on, got one from byte {offset}; "
                    "ask how far it is (HEAD)"
                )
            piece = _Piece(self._store, record, self._path(record.id))
            try:
                async for chunk in chunks:
                    await piece.add(chunk)
            except BaseException:
                # At once: whoever was cancelled must not wait.
                piece.remember()
                raise
            await asyncio.to_thread(piece.remember)
            return await asyncio.to_thread(self.upload, tenant, upload_id)

    @contextmanager
    def holding(self, tenant: str, upload_id: str) -> Iterator[UploadRecord]:
        """Keep others from writing to an upload, and from making a scene of it.

        Raises:
            NoSuchUploadError: If there is no such upload.
            UploadConflictError: If somebody else holds it.
        """
        self.upload(tenant, upload_id)
        try:
            held = os.open(self._path(upload_id), os.O_RDONLY)
        except FileNotFoundError:
            raise NoSuchUploadError(f"there is no upload {upload_id}; it may have expired") from None
        try:
            _lock(held, upload_id)
            yield self.upload(tenant, upload_id)
        finally:
            os.close(held)

    def finished(self, record: UploadRecord) -> Path:
        """Return the file of an upload that is all here.

        Raises:
            UploadConflictError: If it is not.
        """
        if record.offset != record.length:
            raise UploadConflictError(
                f"expected a finished upload, got one with {record.offset} of {record.length} bytes; "
                "send the rest"
            )
        return self._path(record.id)

    def remove(self, tenant: str, upload_id: str) -> bool:
        """Forget an upload and remove its file; return whether it was there."""
        found = self._store.uploads.remove(tenant, upload_id)
        if found is not None:
            self._path(upload_id).unlink(missing_ok=True)
        return found is not None

    def remove_older(self, before: float) -> int:
        """Remove the uploads that began before a time, and return how many.

        Args:
            before: Seconds since 1970.
        """
        return sum(self.remove(record.tenant, record.id) for record in self._store.uploads.older_than(before))

    def _path(self, upload_id: str) -> Path:
        return self._folder / upload_id


def _lock(file: int, upload_id: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UploadConflictError(f"upload {upload_id} is held by another request; try again") from None


class _Piece:
    """A piece of an upload while it comes."""

    def __init__(self, store: Store, record: UploadRecord, path: Path) -> None:
        self._store = store
        self._record = record
        self._path = path
        self._gathered = bytearray()
        self._known = record.offset
        self._written = record.offset

    async def add(self, chunk: bytes) -> None:
        self._gathered += chunk
        if self._written + len(self._gathered) > self._record.length:
            self._gathered.clear()
            raise TooLargeError(
                f"expected {self._record.length} bytes in all, as Upload-Length said, got more; "
                "send only the rest"
            )
        if len(self._gathered) >= WRITE_BYTES:
            await asyncio.to_thread(self._write)

    def remember(self) -> None:
        """Write what is left, and say where the upload ends now."""
        self._write(to_end=True)

    def _write(self, *, to_end: bool = False) -> None:
        if self._gathered:
            with disk_errors(), self._path.open("r+b") as file:
                file.seek(self._written)
                file.write(self._gathered)
            self._written += len(self._gathered)
            self._gathered.clear()
        if self._written > self._known and (to_end or self._written - self._known >= REMEMBER_BYTES):
            record = self._record
            self._store.uploads.advance(record.tenant, record.id, self._known, self._written)
            self._known = self._written
