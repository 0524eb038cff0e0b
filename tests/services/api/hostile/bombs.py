"""Small files that claim or become large ones."""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator

from PIL import Image

from tests.services.scene_files.making import picture, png_claiming

MIB = 2**20


def deflated_zeros(count_mib: int, bits: int) -> bytes:
    """Return that many MiB of zeros, packed; one MiB is packed, and repeated.

    Args:
        count_mib: MiB of zeros.
        bits: zlib's window and format: -15 for deflate alone, 31 for gzip.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, bits)
    head = packer.compress(b"\0") + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * count_mib + packer.flush()


def gzip_bomb(count_mib: int = 4096) -> bytes:
    """Return a gzip file that becomes gigabytes."""
    return deflated_zeros(count_mib, 31)


def zip_bomb(name: str = "a.png", count_mib: int = 2048) -> bytes:
    """Return a zip file of one file that becomes gigabytes, and says so."""
    packed, size = deflated_zeros(count_mib, -15), count_mib * MIB
    encoded = name.encode()
    sizes = struct.pack("<3I", 0, len(packed), size)
    local = struct.pack("<4s5H", b"PK\3\4", 20, 0, 8, 0, 0) + sizes + struct.pack("<2H", len(encoded), 0)
    central = struct.pack("<4s6H", b"PK\1\2", 20, 20, 0, 8, 0, 0) + sizes
    central += struct.pack("<5H2I", len(encoded), 0, 0, 0, 0, 0, 0)
    start = len(local) + len(encoded) + len(packed)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(central) + len(encoded), start, 0)
    return local + encoded + packed + central + encoded + end


def lying_zip() -> bytes:
    """Return a zip file whose file says it has 10 bytes, and becomes gigabytes."""
    honest = zip_bomb()
    return honest.replace(struct.pack("<I", 2048 * MIB), struct.pack("<I", 10))


def png_bomb() -> bytes:
    """Return a PNG of 50000 x 50000 pixels, all of whose pixels are there."""
    packer = zlib.compressobj(9)
    head = packer.compress(b"\0") + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    pixels = head + block * 64 + packer.flush()

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def png_text_bomb() -> bytes:
    """Return a PNG of one pixel with a comment that becomes gigabytes."""
    small = picture(size=(1, 1))
    text = b"Comment\0\0" + b"\x78\x9c" + deflated_zeros(512, -15)
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    return small[:33] + chunk + small[33:]


def jpeg_claiming(width: int, height: int) -> bytes:
    """Return a JPEG of which only the header is large."""
    small = picture("JPEG", (16, 16))
    at = small.index(b"\xff\xc0") + 5
    return small[:at] + struct.pack(">HH", height, width) + small[at + 4 :]


def webp_claiming(width: int, height: int) -> bytes:
    """Return a lossless WebP of which only the header is large."""
    bits = (width - 1) | (height - 1) << 14
    pixels = b"\x2f" + struct.pack("<I", bits) + bytes(20)
    chunk = b"VP8L" + struct.pack("<I", len(pixels)) + pixels + bytes(len(pixels) % 2)
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


def tiff_claiming(width: int, height: int) -> bytes:
    """Return a TIFF of which only the header is large."""
    entries = [
        (256, width),
        (257, height),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, height),
        (279, 1),
    ]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<I", 8) + directory + bytes(4)


def bmp_claiming(width: int, height: int) -> bytes:
    """Return a BMP of which only the header is large."""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header + bytes(100)


def ppm_claiming(width: int, height: int) -> bytes:
    """Return a PPM of which only the header is large."""
    return b"P6\n%d %d\n255\n" % (width, height) + bytes(100)


def huge_but_small_files() -> Iterator[tuple[str, bytes]]:
    """Yield pictures of every kind that claim billions of pixels, by name."""
    yield "a.png", png_claiming(60_000, 60_000)
    yield "a.jpg", jpeg_claiming(65_500, 65_500)
    yield "a.webp", webp_claiming(16_383, 16_383)
    yield "a.tif", tiff_claiming(60_000, 60_000)
    yield "a.bmp", bmp_claiming(60_000, 60_000)
    yield "a.ppm", ppm_claiming(60_000, 60_000)


def nested(inner: bytes) -> bytes:
    """Return an archive in an archive."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("inner.zip", inner)
    return written.getvalue()


def many_files(count: int) -> bytes:
    """Return a zip file of that many empty pictures."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number}.png", b"")
    return written.getvalue()


def zip_with(name: str, content: bytes = b"x", mode: int = 0o100644) -> bytes:
    """Return a zip file of one file of any name and kind."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        entry = zipfile.ZipInfo("placeholder")
        entry.filename = entry.orig_filename = name
        entry.external_attr = mode << 16
        archive.writestr(entry, content)
    return written.getvalue()


def tar_with(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    """Return a tar file of one member of any name and kind."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        archive.addfile(member)
    return written.getvalue()


def svg() -> bytes:
    """Return a drawing that names a file."""
    return (
        b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        b'<svg xmlns="http://www.w3.org/2000/svg"><text>&x;</text></svg>'
    )


def gif() -> bytes:
    """Return a picture of a kind that is not taken."""
    written = io.BytesIO()
    Image.new("P", (8, 8)).save(written, format="GIF")
    return written.getvalue()
