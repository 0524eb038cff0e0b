"""What is given out of a scene: its map, cloud, boxes and frames, as files."""

import re
import shutil
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from PIL import Image

from spatial_agent.services.scene_files.receiving import FILES
from spatial_agent.services.store.records import SceneRecord
from spatial_agent.services.work.redaction import without_folders
from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.scene import FrameSet
from spatial_agent.tools.whole_file import write_whole

#: Media type of every artifact that `pictures.write_scene_folder` writes.
MEDIA_TYPES = {
    "scene.json": "application/json",
    "map.png": "image/png",
    "cloud.ply": "application/octet-stream",
    "scene.glb": "model/gltf-binary",
}
FRAME = re.compile(r"frames/([0-9]{1,6})\.jpg")
FRAME_TYPE = "image/jpeg"
#: Frames are shown, not measured.
MOST_SIDE_PX = 1280
QUALITY = 85
#: Frames of one scene that are kept once they were shown; those beyond are made anew each time.
MOST_KEPT = 500
#: Recordings that stay open.
MOST_OPEN = 8


class NoSuchArtifactError(SourceError):
    """The scene has nothing of that name, or not yet."""


class Artifacts:
    """Finds or makes what is given out of scenes; safe to use from several threads."""

    def __init__(
        self, folder_of: Callable[[SceneRecord], Path], source_of: Callable[[SceneRecord], Path]
    ) -> None:
        """Give out what is in the folders of scenes.

        Args:
            folder_of: Says where a scene's artifacts are.
            source_of: Says where its files are.
        """
        self._folder_of = folder_of
        self._source_of = source_of
        self._opened: OrderedDict[str, FrameSet] = OrderedDict()
        self._opening = Lock()
        self._decoding = Lock()

    def names(self, record: SceneRecord) -> list[str]:
        """Return the names of what has been made of a scene, without its frames."""
        folder = self._folder_of(record)
        return [name for name in MEDIA_TYPES if (folder / name).is_file()]

    def artifact(self, record: SceneRecord, name: str) -> tuple[Path | bytes, str]:
        """Return an artifact, and its media type.

        Args:
            record: The scene.
            name: One of `MEDIA_TYPES`, or ``"frames/N.jpg"``.

        Raises:
            NoSuchArtifactError: If there is none of that name.
            SourceError: If the frame cannot be decoded.
        """
        if name in MEDIA_TYPES:
            path = self._folder_of(record) / name
            if path.is_file():
                return path, MEDIA_TYPES[name]
        match = FRAME.fullmatch(name)
        if match is None:
            made = ", ".join([*self.names(record), "frames/N.jpg"])
            raise NoSuchArtifactError(f"expected one of {made}; got {ascii(name)[:80]}")
        try:
            return self._frame(record, int(match[1])), FRAME_TYPE
        except SourceError as error:
            source = self._source_of(record)
            error.args = tuple(without_folders(list(error.args), (source, source.parent)))
            raise

    def forget(self, record: SceneRecord) -> None:
        """Close the recording of a scene that is gone."""
        with self._opening:
            self._opened.pop(record.id, None)

    def _frame(self, record: SceneRecord, index: int) -> Path | bytes:
        folder = self._folder_of(record) / "frames"
        path = folder / f"{index}.jpg"
        if path.is_file():
            return path
        picture = self._decoded(record, index)
        if folder.is_dir() and sum(1 for _ in folder.iterdir()) >= MOST_KEPT:
            return _jpeg(picture)
        write_whole(path, lambda partial: partial.write_bytes(_jpeg(picture)))
        return path if keep_only_with_files(folder.parent) else _jpeg(picture)

    def _decoded(self, record: SceneRecord, index: int) -> Image.Image:
        frames = self._frames(record)
        if frames is None or index >= len(frames):
            count = 0 if frames is None else len(frames)
            raise NoSuchArtifactError(f"this scene has {count} frames, counted from 0; got {index}")
        # One picture at a time: each may take hundreds of megabytes while it is decoded.
        with self._decoding:
            rgb = frames.load(index, depth=False, instances=False).rgb
        if rgb is None:
            raise NoSuchArtifactError(f"frame {index} has no picture")
        picture = Image.fromarray(rgb)
        picture.thumbnail((MOST_SIDE_PX, MOST_SIDE_PX))
        return picture

    def _frames(self, record: SceneRecord) -> FrameSet | None:
        """Return the opened recording of a scene; None for a scene file."""
        from spatial_agent.tools.media import open_source

        if record.facts.get("kind") == "scene":
            return None
        # The lock is held while opening: asked for many frames at once, a recording is read once.
        with self._opening:
            if record.id not in self._opened:
                self._opened[record.id] = open_source(self._source_of(record))
            self._opened.move_to_end(record.id)
            while len(self._opened) > MOST_OPEN:
                self._opened.popitem(last=False)
            return self._opened[record.id]


def keep_only_with_files(artifacts: Path) -> bool:
    """Remove what was made of a scene that was deleted while it was made; return whether it is still there.

    Args:
        artifacts: The folder of what is made of the scene, to which something was just written.
    """
    is_there = (artifacts.parent / FILES).exists()
    if not is_there:
        shutil.rmtree(artifacts.parent, ignore_errors=True)
    return is_there


def _jpeg(picture: Image.Image) -> bytes:
    from io import BytesIO

    written = BytesIO()
    picture.save(written, format="JPEG", quality=QUALITY)
    return written.getvalue()
