"""Attacks that start processes and threads, and that meddle with those of others."""

from tests.sandbox.redteam.attack import Attack
from tests.sandbox.redteam.proofs import (
    becomes,
    breaks_parent,
    changes,
    harms,
    has_status,
    leaks,
    spawns,
    stays,
    times_victim,
)

_SUBJECT = "processes"
_VICTIM = "victim = aim['victim']['pid']\n"


def _on_victim(name: str, source: str, harm: str, ruins: bool = False) -> Attack:
    source = f"{_VICTIM}{source}sys.modules['time'].sleep(0.05)\n"
    return Attack(name, _SUBJECT, source, harms(harm), ruins_session=ruins)


ATTACKS = (
    Attack(
        "fork",
        _SUBJECT,
        """\
for _ in range(5):
    if os.fork() == 0:
        while True:
            sys.modules["time"].sleep(1)
""",
        spawns(3),
    ),
    Attack(
        "fork bomb",
        _SUBJECT,
        """\
# Four times over every process makes another: sixteen, where a real one would not stop.
first = os.getpid()
for _ in range(4):
    os.fork()
while os.getpid() != first:
    sys.modules["time"].sleep(1)
sys.modules["time"].sleep(0.3)
""",
        spawns(10),
    ),
    Attack(
        "clone",
        _SUBJECT,
        """\
for _ in range(3):
    if kernel("clone", 17, 0, 0, 0, 0) == 0:
        while True:
            sys.modules["time"].sleep(1)
""",
        spawns(3),
    ),
    Attack(
        "clone3",
        _SUBJECT,
        """\
arguments = struct("11Q", 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)
for _ in range(3):
    if kernel("clone3", arguments, len(arguments)) == 0:
        while True:
            sys.modules["time"].sleep(1)
""",
        spawns(3),
    ),
    Attack(
        "vfork and exec",
        _SUBJECT,
        """\
# posix_spawn is how the C library calls vfork.
for _ in range(3):
    os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
""",
        spawns(3),
    ),
    Attack(
        "run a shell command",
        _SUBJECT,
        "print(os.system(f\"echo here > {aim['new']}\"))\n",
        changes("new"),
    ),
    Attack(
        "replace itself by a shell",
        _SUBJECT,
        "os.execv('/bin/sh', ['sh', '-c', f\"echo here > {aim['new']}; sleep 60\"])\n",
        changes("new"),
    ),
    Attack(
        "run a program from memory",
        _SUBJECT,
        """\
room()
text = f"#!/bin/sh\\necho here > {aim['new']}\\n".encode()
descriptor = kernel("memfd_create", b"script", 0)
os.write(descriptor, text)
if os.fork() == 0:
    os.execve(descriptor, ["script"], {})
sys.modules["time"].sleep(0.2)
""",
        changes("new"),
        ruins_session=True,
    ),
    Attack(
        "start threads",
        _SUBJECT,
        """\
for _ in range(10):
    sys.modules["_thread"].start_new_thread(lambda: sys.modules["time"].sleep(60), ())
""",
        has_status("Threads", 10),
    ),
    Attack(
        "leave a process behind",
        _SUBJECT,
        """\
if os.fork() == 0:
    os.setsid()
    libc.prctl(1, 0, 0, 0, 0)
    if os.fork() == 0:
        while True:
            sys.modules["time"].sleep(1)
    os._exit(0)
""",
        stays,
    ),
    _on_victim("kill another process", "os.kill(victim, 9)\n", "killed"),
    _on_victim("stop another process", "os.kill(victim, 19)\n", "stopped"),
    _on_victim("kill one of its threads", "kernel('tgkill', victim, victim, 9)\n", "killed"),
    _on_victim(
        "queue a signal to it",
        "kernel('rt_sigqueueinfo', victim, 15, struct('iii', 15, 0, -1) + bytes(120))\n",
        "killed",
    ),
    _on_victim(
        "kill it by a pidfd",
        "room()\nkernel('pidfd_send_signal', kernel('pidfd_open', victim, 0), 9, 0, 0)\n",
        "killed",
        ruins=True,
    ),
    _on_victim(
        "have the kernel signal it whenever the pipe moves",
        """\
# F_SETOWN and F_SETSIG on the pipe it was given; O_ASYNC does the rest as soon as the parent reads.
for descriptor in (3, 4):
    print([kernel("fcntl", descriptor, *what) for what in ((8, victim), (10, 9), (4, 0o20000))])
for _ in range(20):
    print("x" * 5000)
    sys.modules["time"].sleep(0.01)
""",
        "killed",
    ),
    Attack(
        "kill the process it was forked from",
        _SUBJECT,
        "os.kill(os.getppid(), 9)\nsys.modules['time'].sleep(0.1)\n",
        breaks_parent,
    ),
    Attack(
        "stop the process it was forked from",
        _SUBJECT,
        "os.kill(os.getppid(), 19)\nsys.modules['time'].sleep(0.1)\n",
        breaks_parent,
    ),
    Attack(
        "kill its process group",
        _SUBJECT,
        "os.kill(0, 9)\n",
        breaks_parent,
        always="every session is a process group of its own, whose end is an answer like any other",
    ),
    _on_victim(
        "attach a debugger",
        "kernel('ptrace', 0x4206, victim, 0, 0)\n",
        "traced",
    ),
    Attack(
        "debug the process it was forked from",
        _SUBJECT,
        "kernel('ptrace', 0x4206, os.getppid(), 0, 0)\nkernel('ptrace', 0x4207, os.getppid(), 0, 0)\n",
        breaks_parent,
    ),
    Attack(
        "read another process's memory",
        _SUBJECT,
        _VICTIM
        + """\
buffer = ctypes.create_string_buffer(32)
ours = struct("PN", ctypes.addressof(buffer), 32)
print(kernel("process_vm_readv", victim, ours, 1, struct("PN", aim["victim"]["address"], 32), 1, 0))
print(buffer.value.decode())
""",
        leaks("victim"),
    ),
    _on_victim(
        "overwrite another process's memory",
        """\
buffer = ctypes.create_string_buffer(b"overwritten")
ours = struct("PN", ctypes.addressof(buffer), 8)
print(kernel("process_vm_writev", victim, ours, 1, struct("PN", aim["victim"]["address"], 8), 1, 0))
""",
        "overwritten",
    ),
    Attack(
        "read another process's memory as a file",
        _SUBJECT,
        _VICTIM + "room()\ndescriptor = os.open(f'/proc/{victim}/mem', os.O_RDONLY)\n"
        "print(os.pread(descriptor, 32, aim['victim']['address']))\n",
        leaks("victim"),
        ruins_session=True,
    ),
    Attack(
        "read another process's environment",
        _SUBJECT,
        _VICTIM + "room()\nprint(os.read(os.open(f'/proc/{victim}/environ', os.O_RDONLY), 4096))\n",
        leaks("victim"),
        ruins_session=True,
    ),
    Attack(
        "take a descriptor out of another process",
        _SUBJECT,
        _VICTIM
        + """\
room()
pidfd = kernel("pidfd_open", victim, 0)
stolen = kernel("pidfd_getfd", pidfd, aim["victim"]["descriptor"], 0)
print(os.pread(stolen, 32, 0))
""",
        leaks("victim"),
        ruins_session=True,
    ),
    _on_victim("slow another process down", "kernel('setpriority', 0, victim, 19)\n", "slowed"),
    _on_victim(
        "move another process to one core",
        "kernel('sched_setaffinity', victim, 8, struct('Q', 1))\n",
        "moved",
    ),
    Attack(
        "time another process",
        _SUBJECT,
        _VICTIM
        + """\
# The clock of its processor time, and the number in the kernel's clock of any process.
time = ctypes.create_string_buffer(16)
print(kernel("clock_gettime", ((~victim) << 3) | 2, time))
seconds, nanoseconds = (int.from_bytes(part, "little") for part in (time.raw[:8], time.raw[8:]))
print("took", seconds * 1000 + nanoseconds // 1000000)
""",
        times_victim,
    ),
    Attack(
        "become another user",
        _SUBJECT,
        "kernel('setresuid', 12345, 12345, 12345)\n",
        becomes(12345),
        needs_root=True,
    ),
)
