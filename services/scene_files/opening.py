"""Opening received files for the first time, in a process of its own that may fail without harm.

Headers can claim millions of pictures in a few bytes, and text can be written so that reading it takes a
hundred times its size. Here that costs a process with limits, not the server; what opens here opens there
too.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spatial_agent.services.api.config import Limits
from spatial_agent.services.scene_files.errors import TooLargeError, UploadError

#: What the process may use; a scan of 20,000 frames takes some 300 MiB.
MOST_MEMORY_BYTES = 2 * 2**30
#: Beside a second for every so many bytes, which are all read once.
MOST_SECONDS = 60
BYTES_A_SECOND = 30 * 2**20
MODULE = "spatial_agent.services.scene_files.first_look"
#: Its environment holds nothing of ours; one thread is enough, and takes less memory.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Opened:
    """What received files open as.

    Attributes:
        kind: Their layout, such as ``"images"``, or ``"scene"``.
        frames: Number of frames; 0 for a scene file.
        notes: What was detected or assumed, one sentence each.
    """

    kind: str
    frames: int
    notes: tuple[str, ...] = ()


async def open_apart(source: Path, limits: Limits, size_bytes: int) -> Opened:
    """Open a source in a process of its own.

    Args:
        source: File or folder.
        limits: What it may bring.
        size_bytes: Of all its files.

    Raises:
        UploadError: If it cannot be opened within the limits of the process, or at all.
        TooLargeError: If it has more frames, pixels or seconds than allowed.
    """
    seconds = MOST_SECONDS + size_bytes // BYTES_A_SECOND
    wanted = {
        "source": str(source),
        "frames": limits.frames,
        "pixels": limits.pixels,
        "video_seconds": limits.video_seconds,
        "memory_bytes": MOST_MEMORY_BYTES,
        "cpu_seconds": seconds,
    }
    told = await _ask(wanted, timeout_s=3.0 * seconds)
    if "error" in told:
        raise (TooLargeError if told.get("too_large") else UploadError)(str(told["error"]))
    return Opened(str(told["kind"]), int(told["frames"]), tuple(map(str, told["notes"])))


async def _ask(wanted: Mapping[str, Any], timeout_s: float) -> Mapping[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-m",
        MODULE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=ENVIRONMENT,
    )
    try:
        async with asyncio.timeout(timeout_s):
            output, _ = await process.communicate(json.dumps(wanted).encode())
        told = json.loads(output)
    except (TimeoutError, ValueError):
        raise UploadError(
            "the files cannot be opened: reading their headers takes more memory or time than any recording's"
        ) from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return told if isinstance(told, dict) else {}
