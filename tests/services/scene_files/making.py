"""Files as people and attackers send them."""

import io
import json
import struct
import tarfile
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

Part = tuple[str, AsyncIterator[bytes]]


async def parts(files: Iterable[tuple[str, bytes]], piece: int = 60_000) -> AsyncIterator[Part]:
    """Send files in pieces."""

    async def pieces(content: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(content), piece):
            yield content[start : start + piece]

    for name, content in files:
        yield name, pieces(content)


def picture(form: str = "PNG", size: tuple[int, int] = (64, 48), seed: int = 0) -> bytes:
    """Return a picture of noise."""
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, format=form)
    return written.getvalue()


def depth_png(size: tuple[int, int] = (64, 48)) -> bytes:
    """Return a 16-bit depth image, 2 m everywhere at 1 mm a unit."""
    written = io.BytesIO()
    Image.fromarray(np.full((size[1], size[0]), 2000, np.uint16)).save(written, format="PNG")
    return written.getvalue()


def scan(**frame: object) -> dict[str, bytes]:
    """Return the files of a scan of one frame, whose description may be changed."""
    described = {
        "color": "color/0.png",
        "depth": "depth/0.png",
        "world_from_camera": np.eye(4).tolist(),
        "intrinsics": {"fx": 60, "fy": 60, "cx": 31.5, "cy": 23.5, "width": 64, "height": 48},
    } | frame
    manifest = {"depth_scale_m": 0.001, "frames": [described]}
    return {
        "scan.json": json.dumps(manifest).encode(),
        "color/0.png": picture(),
        "depth/0.png": depth_png(),
    }


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip archive."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return written.getvalue()


def tarred(files: Mapping[str, bytes], *extra: tarfile.TarInfo, packed: bool = False) -> bytes:
    """Return a tar archive of files, and of members that have no content."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz" if packed else "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in extra:
            archive.addfile(member)
    return written.getvalue()


def quoting_bomb(files: int, kernel_bytes: int) -> bytes:
    """Return a zip file whose files share their bytes, each quoting the headers of those behind it.

    Source: Fifield, A better zip bomb, WOOT 2019.
    """
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = bytes(kernel_bytes)
    packed = deflater.compress(content) + deflater.flush()
    tail, entries = b"", []
    for number in reversed(range(files)):
        name = f"{number:04d}.png".encode()
        if tail:
            header = tail[: -len(packed)]
            content = header + content
            packed = struct.pack("<BHH", 0, len(header), len(header) ^ 0xFFFF) + tail
        sizes = struct.pack("<3IH", zlib.crc32(content), len(packed), len(content), len(name))
        tail = struct.pack("<4s5H", b"PK\3\4", 20, 0, 8, 0, 0) + sizes + bytes(2) + name + packed
        entries.append((name, sizes, len(tail)))
    contents = b"".join(
        struct.pack("<4s6H", b"PK\1\2", 20, 20, 0, 8, 0, 0)
        + sizes
        + struct.pack("<5H2I", 0, 0, 0, 0, 0, 0, len(tail) - behind)[2:]
        + name
        for name, sizes, behind in entries
    )
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, files, files, len(contents), len(tail), 0)
    return tail + contents + end


def video(
    frames: int = 5, size: tuple[int, int] = (64, 48), form: str = "mp4", rate: Fraction | int = 10
) -> bytes:
    """Return a short video of greys."""
    import av

    written = io.BytesIO()
    with av.open(written, "w", format=form) as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = size[0], size[1], "yuv420p"
        for number in range(frames):
            grey = np.full((size[1], size[0], 3), number * 20 % 255, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode())
    return written.getvalue()


def patched(content: bytes, atom: bytes, offset: int, value: int) -> bytes:
    """Return an MP4 in which a big-endian 32-bit number of an atom is another.

    Args:
        content: The file.
        atom: Type of the atom, found once or more; the first is changed.
        offset: Where the number is, from the end of the type on.
        value: The number.
    """
    at = content.index(atom) + len(atom) + offset
    return content[:at] + struct.pack(">I", value) + content[at + 4 :]


def png_claiming(width: int, height: int) -> bytes:
    """Return a PNG of which only the header is large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def everything_below(folder: Path) -> list[str]:
    """Return what lies below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
