"""Receiving the files of one scene: streamed to disk, unpacked, checked; all of them are kept or none."""

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from spatial_agent.services.api.config import Limits
from spatial_agent.services.scene_files.archives import unpack
from spatial_agent.services.scene_files.checks import check_pictures, damaged
from spatial_agent.services.scene_files.content import content_of, promised_by
from spatial_agent.services.scene_files.errors import TooLargeError, UploadError
from spatial_agent.services.scene_files.opening import Opened, open_apart
from spatial_agent.services.scene_files.room import Room
from spatial_agent.services.scene_files.tree import Tree

Result = TypeVar("Result")
#: A file as it comes: what it is called, and its bytes in pieces, which must be taken before the next file.
Part = tuple[str, AsyncIterator[bytes]]
#: Small pieces are put together before they are written.
BLOCK_BYTES = 2**20
#: Folder of a scene in which its files are. The folder above it is never written to by uploads: some readers
#: look for a camera there.
FILES = "files"
PACKED = "packed"
RECEIVED = "received"
UNPACKED = "unpacked"


@dataclass(frozen=True)
class Staged:
    """Files that were received and can be opened, and belong to no scene yet.

    Attributes:
        folder: Holds `FILES` and nothing else.
        source: What is to be opened, relative to `folder`.
        bytes: What the files take.
        opened: What they open as.
        title: What the files themselves are called: their folder, archive or only file.
        left_out: How many files were not kept, since nothing here would open them.
    """

    folder: Path
    source: str
    bytes: int
    opened: Opened
    title: str
    left_out: int = 0


class Receiver:
    """Receives the files of one scene into an empty folder; `discard` or `close` has to end it."""

    def __init__(
        self, folder: Path, limits: Limits, new_room: Callable[[], Room], openings: asyncio.Semaphore
    ) -> None:
        """Receive into a folder.

        Args:
            folder: An empty one, which it removes in the end.
            limits: What one scene may bring.
            new_room: Begins to count what the scene takes.
            openings: Lets only a few scenes at once be unpacked and opened.
        """
        self._folder = folder
        self._left_out = 0
        self._limits = limits
        self._new_room = new_room
        self._openings = openings
        self._rooms: list[Room] = []
        self._stop = threading.Event()
        self._title = ""

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where files may be while they are received, the innermost first."""
        return tuple(self._folder / name for name in (FILES, RECEIVED, UNPACKED)) + (self._folder,)

    async def receive(self, parts: AsyncIterator[Part]) -> Staged:
        """Write files as they come, then check them.

        Raises:
            UploadError: If they are not taken.
            SourceError: If they cannot be read as what they are.
        """
        tree = self._tree(RECEIVED)
        async for name, chunks in parts:
            self._title = self._title or name
            with tree.file(name) as file:
                async for block in _blocks(chunks):
                    await self._apart(partial(file.write, block))
        return await self._stage(tree)

    async def take(self, name: str, path: Path) -> Staged:
        """Take a file that is on this disk already, without copying it, then check it; it stays where it is.

        Raises:
            UploadError: If it is not taken.
            SourceError: If it cannot be read as what it is.
        """
        tree = self._tree(RECEIVED)
        self._title = name
        await self._apart(lambda: tree.adopt(name, path))
        return await self._stage(tree)

    async def copy(self, folder: Path) -> Staged:
        """Take the files of a folder of this server, which are trusted.

        Raises:
            SourceError: If they cannot be opened.
        """
        self._title = folder.name
        target = self._folder / FILES / folder.name
        await self._apart(lambda: shutil.copytree(folder, target))
        return await self._finish(FILES, target, is_plain=False)

    def close(self) -> None:
        """Count what was received no longer: it has become a scene, or is gone."""
        for room in self._rooms:
            room.close()
        self._rooms.clear()

    def discard(self) -> None:
        """Remove whatever was received."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self.close()

    def _tree(self, name: str) -> Tree:
        room = self._new_room()
        self._rooms.append(room)
        return Tree(self._folder / name, self._limits, room)

    async def _stage(self, tree: Tree) -> Staged:
        """Unpack what came as an archive, check the files, and open them once."""
        archives = [name for name, form in tree.formats.items() if content_of(form) == "archive"]
        if archives and len(tree.formats) > 1:
            raise UploadError("expected one archive alone, or files; got an archive among other files")
        if archives:
            tree = await self._unpacked(tree)
        await self._apart(lambda: self._check(tree))
        self._left_out += tree.left_out
        final = self._folder / FILES
        tree.folder.rename(final)
        is_plain = all(promised_by(name) == "picture" for name in tree.formats)
        return await self._finish(FILES, only_entry(final), is_plain=is_plain)

    async def _unpacked(self, received: Tree) -> Tree:
        ((name, form),) = received.formats.items()
        packed = self._folder / PACKED
        received.path(name).rename(packed)
        self.close()
        tree = self._tree(UNPACKED)
        async with self._openings:
            await self._apart(lambda: unpack(packed, form, tree, self._stop.is_set))
        packed.unlink()
        shutil.rmtree(received.folder)
        return tree

    def _check(self, tree: Tree) -> None:
        tree.settle()
        pictures = [
            (tree.path(name), form) for name, form in tree.formats.items() if content_of(form) == "picture"
        ]
        check_pictures(pictures, self._limits, self._stop.is_set)

    async def _finish(self, files: str, source: Path, *, is_plain: bool) -> Staged:
        size = await self._apart(lambda: size_of(self._folder / files))
        if is_plain:
            # Their headers have been read: nothing in plain pictures is left that could do harm when opened.
            opened = await self._apart(lambda: _open_pictures(source))
            if opened.frames > self._limits.frames:
                raise TooLargeError(
                    f"expected at most {self._limits.frames} frames in one scene, got {opened.frames}"
                )
        else:
            async with self._openings:
                opened = await open_apart(source, self._limits, size)
        title = source.name if source.name != files else self._title
        return Staged(
            self._folder, source.relative_to(self._folder).as_posix(), size, opened, title, self._left_out
        )

    async def _apart(self, work: Callable[[], Result]) -> Result:
        """Do work in a thread; where the request is cancelled, wait until the work has stopped."""
        future = asyncio.get_running_loop().run_in_executor(None, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            self._stop.set()
            await asyncio.wait([future])
            raise


def only_entry(folder: Path) -> Path:
    """Return what a folder holds if that is one thing, seen through folders that hold one thing each.

    Hidden files and the like were left out before.
    """
    entries = list(folder.iterdir())
    while len(entries) == 1:
        (folder,) = entries
        entries = list(folder.iterdir()) if folder.is_dir() else []
    return folder


def size_of(folder: Path) -> int:
    """Return what the files below a folder take, bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _open_pictures(source: Path) -> Opened:
    from spatial_agent.tools.media import open_source

    with damaged(source):
        frames = open_source(source)
    return Opened(frames.layout, len(frames), frames.notes)


async def _blocks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    gathered = bytearray()
    async for chunk in chunks:
        gathered += chunk
        if len(gathered) >= BLOCK_BYTES:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)
