"""What an attack is, and how it is seen from outside that it succeeded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from spatial_agent.sandbox.policy import SandboxPolicy

#: Small limits, so that hitting one takes little time and harms nobody.
QUICK = SandboxPolicy(
    wall_s=5.0,
    cpu_s=5.0,
    session_s=20.0,
    memory_mb=128,
    output_bytes=20_000,
    message_bytes=2**20,
    cell_bytes=2**21,
    images=2,
    calls=10,
    cells=10,
)
#: The same with little memory.
SMALL = replace(QUICK, memory_mb=32)
#: A program that has come back is watched from the first to the second for what it still does, where asked.
IDLE_S = (0.4, 0.6)
#: What a program of the model has anyway, once it got round the check: the interpreter and the C library.
WAY_IN = """\
import random
import numpy as np
os = random._os
sys = os.sys
ctypes = np._core._internal.ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
libc.mmap.restype = ctypes.c_void_p

def kernel(name, *arguments):
    ready = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    result = libc.syscall(ctypes.c_long(aim["calls"][name]), *ready)
    return result if result != -1 else -ctypes.get_errno()

def struct(layout, *values):
    return sys.modules["_struct"].pack(layout, *values)

def room():
    # A limit on descriptors that leaves none over is met by giving one up.
    kernel("close", 3)

print("began")
"""


@dataclass(frozen=True)
class Observation:
    """What was seen of an attack while its process still lived.

    Attributes:
        aim: What the program was told.
        secrets: What it must not learn, by name.
        said: Everything that came back: text, answer, error, captions.
        answer: What it answered.
        stuck: Whether it had not come back when patience, or its whole session, ended.
        broken: What became of the parent, where it did not stay as it was.
        received: What arrived at the listeners and queues.
        changed: Which canaries are not what they were.
        victim: What became of another process.
        victim_cpu_seconds: Processor time it had taken.
        processes: How many there were beside the program's own.
        held: What the descriptors of the program's processes stand for.
        status: What the kernel says of its processes (``/proc/<pid>/status``), one mapping each.
        mounts: What its processes have mounted.
        grown_bytes: Most memory a process of the program took, beyond what it began with.
        parent_grown_bytes: Most memory the parent took, beyond what it began with.
        idle_cpu_seconds: Processor time they took from `IDLE_S` after it had come back.
        calls: How many tool calls were carried out.
        left: Processes that were still there after the session was over.
    """

    aim: Mapping[str, object]
    secrets: Mapping[str, str]
    said: str = ""
    answer: object = None
    stuck: bool = False
    broken: str | None = None
    received: tuple[bytes, ...] = ()
    changed: frozenset[str] = frozenset()
    victim: frozenset[str] = frozenset()
    victim_cpu_seconds: float = 0.0
    processes: int = 0
    held: tuple[str, ...] = ()
    status: tuple[Mapping[str, str], ...] = ()
    mounts: str = ""
    grown_bytes: int = 0
    parent_grown_bytes: int = 0
    idle_cpu_seconds: float = 0.0
    calls: int = 0
    left: int = 0


Proof = Callable[[Observation], bool]


@dataclass(frozen=True)
class Attack:
    """A program that tries to do what no program may.

    Attributes:
        name: What it does, in a few words.
        subject: Group it belongs to.
        source: Its text, without the way in.
        succeeded: Sees from outside whether it did what it wanted.
        always: What of the construction holds it, whichever wall is down; empty if nothing does.
        single: Why one wall alone has to do; empty where it does not.
        rests_on: Facility of the kernel that some machines switch off; empty if it works everywhere.
        imports_late: Whether it imports what is not loaded yet; then whoever may not read Python's own files
            cannot make it.
        needs_root: Whether only root can do it outside a sandbox.
        policy: Limits of its session.
        patience_s: Time after which a program that has not come back is seen to be stuck.
        uses_way_in: Whether `WAY_IN` comes before its text.
        lingers: Whether it does its harm after it has come back.
        neighbour: Whether its victim is another session of the same sandbox.
        ruins_session: Whether it destroys its own line to the parent, so that no cell can follow.
    """

    name: str
    subject: str
    source: str
    succeeded: Proof
    always: str = ""
    single: str = ""
    rests_on: str = ""
    imports_late: bool = False
    needs_root: bool = False
    policy: SandboxPolicy = QUICK
    patience_s: float = 1.0
    uses_way_in: bool = True
    neighbour: bool = False
    lingers: bool = False
    ruins_session: bool = False

    @property
    def program(self) -> str:
        """The whole program."""
        return WAY_IN + self.source if self.uses_way_in else self.source
