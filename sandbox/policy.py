"""What a program may use, and what an expert's process may touch: frozen, checked, never widened later."""

from dataclasses import dataclass, fields
from pathlib import Path

from spatial_agent.tools.errors import ConfigurationError

#: What a program may import, each with everything below it.
IMPORTS = frozenset(
    {
        "abc",
        "bisect",
        "cmath",
        "collections",
        "contextlib",
        "copy",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "fractions",
        "functools",
        "heapq",
        "itertools",
        "json",
        "math",
        "numbers",
        "numpy",
        "operator",
        "random",
        "re",
        "scipy.spatial",
        "spatial_agent.tools.errors",
        "spatial_agent.tools.geometry",
        "spatial_agent.tools.scene",
        "statistics",
        "string",
        "textwrap",
        "time",
        "typing",
    }
)


@dataclass(frozen=True)
class SandboxPolicy:
    """Limits of one session of programs; every one of them is enforced outside the program's reach.

    Attributes:
        wall_s: Wall time of one cell, without the time its tool calls take.
        cpu_s: Processor time of the whole session.
        session_s: Wall time of the whole session, tool calls and pauses included.
        memory_mb: Memory the session may take beyond what is loaded before it starts, 2^20 bytes.
        output_bytes: Text a cell may print, as UTF-8; the rest is cut off with a note.
        message_bytes: Size of one message in either direction, such as an array that is fetched.
        cell_bytes: Everything a cell may send before it is stopped.
        images: Pictures a cell may show.
        calls: Tool calls of the whole session.
        cells: Cells of the whole session.
        open_files: Files a program may have open; the pipes to its parent are not counted.
        imports: Modules a program may import.
        tools: Names of the tools it may call; None = all that the runner has.
    """

    wall_s: float = 10.0
    cpu_s: float = 60.0
    session_s: float = 900.0
    memory_mb: int = 512
    output_bytes: int = 20_000
    message_bytes: int = 32 * 2**20
    cell_bytes: int = 64 * 2**20
    images: int = 4
    calls: int = 100
    cells: int = 100
    open_files: int = 0
    imports: frozenset[str] = IMPORTS
    tools: frozenset[str] | None = None

    @property
    def kernel_limits(self) -> dict[str, float]:
        """What the process of a session has to be told: limits that are enforced from its start."""
        names = ("cpu_s", "session_s", "memory_mb", "open_files")
        return {name: getattr(self, name) for name in names}

    def __post_init__(self) -> None:
        """Check that every limit is one.

        Raises:
            ConfigurationError: If a limit is not a positive number.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name in ("open_files", "images", "calls") else 1e-9
            if isinstance(value, int | float) and not least <= value < float("inf"):
                raise ConfigurationError(
                    f"SandboxPolicy.{field.name}: expected a number of at least {least:g}, got {value!r}"
                )


@dataclass(frozen=True)
class ExpertPolicy:
    """What the process of an expert may touch.

    Attributes:
        readable: Files and folders it may read once it is loaded, beside the interpreter and its packages.
        writable: Folders it may write to.
        environment: Names of the environment variables it keeps; all others are wiped.
        memory_gb: Memory of its process, 10^9 bytes; None = no limit.
        is_strict: Whether it runs as a child of its own, without network and with nothing else to see.
    """

    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    environment: frozenset[str] = frozenset()
    memory_gb: float | None = None
    is_strict: bool = False
