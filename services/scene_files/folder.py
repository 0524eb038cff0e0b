"""Where the files of scenes are, and how they come and go.

Below the root: ``ID/files`` holds what was uploaded and ``ID/artifacts`` what was made of it, ``incoming``
what is being received, ``uploads`` resumable uploads. Nothing below it is ever a link.
"""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from threading import Lock

from sqlalchemy.exc import IntegrityError

from spatial_agent.services.api.config import Limits
from spatial_agent.services.scene_files.artifacts import Artifacts
from spatial_agent.services.scene_files.held_folder import HeldFolder, remove_left
from spatial_agent.services.scene_files.receiving import Part, Receiver, Staged
from spatial_agent.services.scene_files.resumable import ResumableUploads
from spatial_agent.services.scene_files.room import InFlight, Room, no_room
from spatial_agent.services.scene_files.samples import sample_folder
from spatial_agent.services.store.ids import new_id
from spatial_agent.services.store.records import SceneRecord
from spatial_agent.services.store.store import Store
from spatial_agent.services.work.redaction import without_folders
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import SourceError

HOUR_S = 3600.0
MOST_NAME = 120
MOST_NOTES = 50
ARTIFACTS = "artifacts"
INCOMING = "incoming"
#: Processes that open received files for the first time at once.
MOST_OPENINGS = 2


class SceneFiles:
    """The files of all scenes of a service; what is async belongs to one event loop, the rest to any thread.

    Attributes:
        root: The folder, without links in it.
        store: Knows the scenes.
        limits: What one scene may bring.
        artifacts: What is given out of scenes.
        uploads: The resumable uploads.
    """

    def __init__(self, root: Path, store: Store, limits: Limits) -> None:
        """Keep files below a folder, which is made where it does not exist.

        Args:
            root: The folder; nobody else writes to it.
            store: Knows the scenes.
            limits: What one scene may bring.
        """
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.root = root.resolve()
        self.store = store
        self.limits = limits
        self.artifacts = Artifacts(self.artifacts_folder, self.source)
        self.uploads = ResumableUploads(self.root / "uploads", store, limits)
        self._in_flight = InFlight()
        self._openings = asyncio.Semaphore(MOST_OPENINGS)
        self._keeping = Lock()

    def source(self, record: SceneRecord) -> Path:
        """Return what is to be opened for a scene; see `source_at`."""
        return self.source_at(record.id, record.source)

    def source_at(self, scene: str, source: str) -> Path:
        """Return what is to be opened for a scene whose record need not be looked up.

        Args:
            scene: Its id.
            source: Its source, relative to its own folder.

        Raises:
            SourceError: If its files are gone.
        """
        folder = str(self.root / scene)
        path = os.path.normpath(f"{folder}/{source}")
        if not _is_inside(path, folder) or not os.path.exists(path):
            raise SourceError(f"the files of scene {scene} are gone, it was deleted; upload it again")
        return Path(path)

    def artifacts_folder(self, record: SceneRecord) -> Path:
        """Return where what was made of a scene is; it may not exist yet."""
        return self._folder(record) / ARTIFACTS

    async def receive(
        self,
        tenant: str,
        name: str | None,
        parts: AsyncIterator[Part],
        *,
        profile: str = "recorded",
        most_bytes: int | None = None,
    ) -> SceneRecord:
        """Make a scene of files as they come, or of one archive, video, picture or scene file.

        Args:
            tenant: Whose scene it becomes.
            name: What to call it; what its files are called where left out.
            parts: The files.
            profile: Which experts measure it.
            most_bytes: What all scenes of the tenant may take; None does not limit them.

        Raises:
            UploadError: If the files are not taken; nothing is kept then.
            SourceError: If they cannot be read as what they are.
        """
        async with self.receiving(tenant, most_bytes) as receiver:
            staged = await receiver.receive(parts)
            return await self.keep(tenant, staged, name=name, profile=profile, most_bytes=most_bytes)

    async def from_upload(
        self,
        tenant: str,
        upload_id: str,
        name: str | None = None,
        *,
        profile: str = "recorded",
        most_bytes: int | None = None,
        scene_id: str | None = None,
    ) -> SceneRecord:
        """Make a scene of a finished resumable upload, which ends with that.

        Args:
            tenant: Whose it is.
            upload_id: Which one.
            name: What to call the scene.
            profile: Which experts measure it.
            most_bytes: What all scenes of the tenant may take; None does not limit them.
            scene_id: Its id, where the caller knows one.

        Raises:
            UploadConflictError: If the upload is not finished.
            UploadError: If there is no such upload, or its file is not taken; it stays then.
            SourceError: If it cannot be read as what it is.
        """
        with self.uploads.holding(tenant, upload_id) as upload:
            file = self.uploads.finished(upload)
            async with self.receiving(tenant, most_bytes, besides=upload.length) as receiver:
                staged = await receiver.take(upload.name, file)
                record = await self.keep(
                    tenant, staged, name=name, profile=profile, most_bytes=most_bytes, scene_id=scene_id
                )
            await asyncio.to_thread(self.uploads.remove, tenant, upload_id)
            return record

    async def from_sample(
        self,
        tenant: str,
        sample: str,
        name: str | None = None,
        *,
        profile: str = "recorded",
        most_bytes: int | None = None,
        scene_id: str | None = None,
    ) -> SceneRecord:
        """Make a scene of a sample that comes with the package.

        Args:
            tenant: Whose scene it becomes.
            sample: Its name, one of `samples.sample_names`.
            name: What to call the scene.
            profile: Which experts measure it.
            most_bytes: What all scenes of the tenant may take; None does not limit them.
            scene_id: Its id, where the caller knows one.

        Raises:
            UploadError: If there is no such sample, or no room for it.
        """
        folder = sample_folder(sample)
        async with self.receiving(tenant, most_bytes) as receiver:
            staged = await receiver.copy(folder)
            return await self.keep(
                tenant, staged, name=name, profile=profile, most_bytes=most_bytes, scene_id=scene_id
            )

    async def from_pictures(
        self,
        tenant: str,
        scene_id: str,
        pictures: Sequence[tuple[str, bytes]],
        *,
        name: str | None = None,
        profile: str = "recorded",
        most_bytes: int | None = None,
    ) -> SceneRecord:
        """Make a short-lived scene of pictures; nothing is measured before the first question.

        Args:
            tenant: Whose scene it becomes.
            scene_id: Its id; if the tenant has that scene already, it is given back as it is.
            pictures: Names and contents, in order.
            name: What to call it.
            profile: Which experts measure it.
            most_bytes: What all scenes of the tenant may take; None does not limit them.

        Raises:
            UploadError: If a picture is not taken; nothing is kept then.
            SourceError: If one is damaged.
        """
        known = await asyncio.to_thread(self.store.scenes.scene, tenant, scene_id)
        if known is not None:
            return known
        async with self.receiving(tenant, most_bytes) as receiver:
            staged = await receiver.receive(_parts(pictures))
            return await self.keep(
                tenant,
                staged,
                name=name,
                profile=profile,
                most_bytes=most_bytes,
                scene_id=scene_id,
                short_lived=True,
            )

    @asynccontextmanager
    async def receiving(
        self, tenant: str, most_bytes: int | None = None, *, besides: int = 0
    ) -> AsyncIterator[Receiver]:
        """Lend a receiver; what it has received and `keep` has not taken is removed at the end.

        Args:
            tenant: Whose scene it becomes.
            most_bytes: What all scenes of the tenant may take; None does not limit them.
            besides: Bytes of an upload that is about to end, which count only once.
        """
        left = None if most_bytes is None else await asyncio.to_thread(self.left_bytes, tenant, most_bytes)
        # At once: whoever is cancelled leaves nothing held.
        held = HeldFolder(self.root / INCOMING)
        most = None if left is None else left + besides
        receiver = Receiver(
            held.path, self.limits, lambda: Room(self.limits, self._in_flight, tenant, most), self._openings
        )
        try:
            yield receiver
        except SourceError as error:
            error.args = tuple(without_folders(list(error.args), (*receiver.folders, self.root)))
            raise
        finally:
            # Goes on in its thread even where nobody waits for it any more.
            await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, _discard, receiver, held))

    async def keep(
        self,
        tenant: str,
        staged: Staged,
        *,
        name: str | None = None,
        profile: str = "recorded",
        most_bytes: int | None = None,
        scene_id: str | None = None,
        short_lived: bool = False,
    ) -> SceneRecord:
        """Make a scene of files that were received.

        Args:
            tenant: Whose scene it becomes.
            staged: The files.
            name: What to call it; what its files are called where left out.
            profile: Which experts measure it.
            most_bytes: What all scenes of the tenant may take; None does not limit them.
            scene_id: Its id; if the tenant has that scene already, it is given back as it is.
            short_lived: Whether it goes soon, and is measured by its first question alone.

        Raises:
            QuotaExceededError: If there is no room left.
        """
        facts: Mapping[str, Json] = {
            "kind": staged.opened.kind,
            "frames": staged.opened.frames,
            "notes": without_folders(list(staged.opened.notes[:MOST_NOTES]), (staged.folder, self.root)),
            "left_out": staged.left_out,
        }
        record = SceneRecord(
            id=scene_id or new_id("sc"),
            tenant=tenant,
            name=_title(name) or _title(staged.title) or "scene",
            source=staged.source,
            bytes=staged.bytes,
            state="ready" if short_lived else "queued",
            created=time.time(),
            profile=profile,
            facts=facts,
            short_lived=short_lived,
        )
        return await asyncio.to_thread(self._keep, staged, record, most_bytes)

    async def remove(self, record: SceneRecord) -> bool:
        """Forget a scene and remove its files; return whether it was there."""
        return await asyncio.to_thread(self._remove, record)

    def left_bytes(self, tenant: str, most_bytes: int) -> int:
        """Return what a tenant may still store, less what its scenes take and its uploads will take.

        Args:
            tenant: The tenant.
            most_bytes: What it may store in all.
        """
        stored = self.store.scenes.stored_bytes(tenant)
        return most_bytes - stored - self.store.uploads.reserved_bytes(tenant)

    def in_flight_bytes(self, tenant: str) -> int:
        """Return what a tenant is sending at the moment: bytes on the disk that belong to no scene yet."""
        return self._in_flight.of(tenant)

    def remove_stale(self, now: float) -> int:
        """Remove what a server that died left half received, and uploads that were not finished in time.

        Args:
            now: Seconds since 1970.

        Returns:
            How many were removed.
        """
        before = now - self.limits.upload_hours * HOUR_S
        return remove_left(self.root / INCOMING, before) + self.uploads.remove_older(before)

    def _keep(self, staged: Staged, record: SceneRecord, most_bytes: int | None) -> SceneRecord:
        with self._keeping:
            known = self.store.scenes.scene(record.tenant, record.id)
            if known is not None:
                return known
            stored = self.store.scenes.stored_bytes(record.tenant)
            if most_bytes is not None and stored + record.bytes > most_bytes:
                raise no_room(most_bytes - stored)
            # First the record: a server that dies in between leaves a scene that can be seen and deleted.
            if not self._added(record):
                return self.store.scenes.scene(record.tenant, record.id) or record
            try:
                shutil.rmtree(self._folder(record), ignore_errors=True)
                os.rename(staged.folder, self._folder(record))
            except BaseException:
                self.store.scenes.remove(record.tenant, record.id)
                raise
            return record

    def _added(self, record: SceneRecord) -> bool:
        """Add a record; return False where another server was faster with the same id."""
        try:
            self.store.scenes.add(record)
        except IntegrityError:
            return False
        return True

    def _remove(self, record: SceneRecord) -> bool:
        leaving = self.root / INCOMING / new_id("out")
        leaving.parent.mkdir(exist_ok=True)
        # First the files: a server that dies in between leaves a scene that can be seen, and deleted again.
        with suppress(FileNotFoundError):
            os.rename(self._folder(record), leaving)
        found = self.store.scenes.remove(record.tenant, record.id)
        self.artifacts.forget(record)
        shutil.rmtree(leaving, ignore_errors=True)
        return found is not None

    def _folder(self, record: SceneRecord) -> Path:
        return self.root / record.id


def _is_inside(path: str, folder: str) -> bool:
    """Return whether a path without dots lies in a folder, and no link is on the way."""
    if path != folder and not path.startswith(folder + os.sep):
        return False
    while path != folder:
        if os.path.islink(path):
            return False
        path = os.path.dirname(path)
    return True


def _discard(receiver: Receiver, held: HeldFolder) -> None:
    receiver.discard()
    held.release()


def _title(name: str | None) -> str:
    return "".join(letter for letter in name or "" if letter.isprintable()).strip()[:MOST_NAME]


async def _parts(pictures: Sequence[tuple[str, bytes]]) -> AsyncIterator[Part]:
    async def whole(content: bytes) -> AsyncIterator[bytes]:
        yield content

    for name, content in pictures:
        yield name, whole(content)
