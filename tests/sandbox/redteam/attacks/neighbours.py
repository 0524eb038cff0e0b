"""Attacks on another session of the same sandbox, which runs beside as the same user."""

from tests.sandbox.redteam.attack import Attack
from tests.sandbox.redteam.proofs import harms, leaks

_SUBJECT = "neighbours"
_NEIGHBOUR = "neighbour = aim['victim']['pid']\n"


def _attack(name: str, source: str, harm: str) -> Attack:
    proof = leaks("victim") if harm == "read" else harms(harm)
    source = f"{_NEIGHBOUR}{source}sys.modules['time'].sleep(0.05)\n"
    return Attack(name, _SUBJECT, source, proof, neighbour=True)


ATTACKS = (
    _attack("kill another session", "os.kill(neighbour, 9)\n", "killed"),
    _attack("stop another session", "os.kill(neighbour, 19)\n", "stopped"),
    _attack(
        "have the kernel signal another session",
        """\
for descriptor in (3, 4):
    print([kernel("fcntl", descriptor, *what) for what in ((8, neighbour), (10, 9), (4, 0o20000))])
for _ in range(20):
    print("x" * 5000)
    sys.modules["time"].sleep(0.01)
""",
        "killed",
    ),
    _attack("debug another session", "kernel('ptrace', 0x4206, neighbour, 0, 0)\n", "traced"),
    _attack(
        "read another session's memory",
        """\
buffer = ctypes.create_string_buffer(32)
ours = struct("PN", ctypes.addressof(buffer), 32)
print(kernel("process_vm_readv", neighbour, ours, 1, struct("PN", aim["victim"]["address"], 32), 1, 0))
print(buffer.value.decode())
""",
        "read",
    ),
    _attack("limit another session", "kernel('prlimit64', neighbour, 0, struct('QQ', 3, 3), 0)\n", "limited"),
    _attack("slow another session down", "kernel('setpriority', 0, neighbour, 19)\n", "slowed"),
)
