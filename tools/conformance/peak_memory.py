"""How much memory this process took while something ran."""

import contextlib
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


class PeakMemory:
    """Measures from when it is made; the whole process counts, native libraries included."""

    def __init__(self) -> None:
        """Begin."""
        # Forgets earlier peaks, which would hide smaller ones from now on; Linux only.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        self._before_gb = _resident_gb("VmRSS")

    def grown_gb(self) -> float:
        """Return by how much the process was larger at its peak than at the beginning, 10^9 bytes."""
        return max(_resident_gb("VmHWM") - self._before_gb, 0.0)


def _resident_gb(field: str) -> float:
    if STATUS.exists():
        [line] = [line for line in STATUS.read_text(encoding="ascii").splitlines() if line.startswith(field)]
        return int(line.split()[1]) * 1024 / 1e9
    if sys.platform == "win32":
        return 0.0
    import resource

    # Elsewhere only the largest size ever is known, in bytes: growth is seen where that is exceeded.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9
