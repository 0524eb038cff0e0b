"""Attacks on and by memory: taking too much of it, and making it executable."""

from tests.sandbox.redteam.attack import SMALL, Attack
from tests.sandbox.redteam.proofs import breaks_parent, has_status, leaks, takes

_SUBJECT = "memory"


def _bomb(name: str, source: str) -> Attack:
    """Return an attack that takes 150 MB in steps, slow enough to be seen."""
    return Attack(name, _SUBJECT, source, takes(120), policy=SMALL, uses_way_in=False, patience_s=10.0)


def _code(name: str, source: str) -> Attack:
    """Return an attack that makes machine code run which was not there before."""
    call = "print('returned', ctypes.CFUNCTYPE(ctypes.c_uint)(page)())\n"
    prepare = "code = bytes.fromhex(aim['code'])\nmap = lambda protection, flags=0x22: libc.mmap(None, "
    prepare += "ctypes.c_size_t(4096), protection, flags, -1, ctypes.c_long(0))\n"
    return Attack(
        name,
        _SUBJECT,
        prepare + source + call,
        leaks("code"),
    )


ATTACKS = (
    _bomb(
        "an array larger than allowed",
        "import time\nkept = []\nfor _ in range(15):\n"
        "    kept.append(np.ones(10 * 2**17))\n    time.sleep(0.03)\n",
    ),
    _bomb(
        "text larger than allowed",
        "import time\nkept = []\nfor _ in range(15):\n"
        "    kept.append('x' * (10 * 2**20))\n    time.sleep(0.03)\n",
    ),
    _bomb(
        "many small objects",
        "import time\nkept = []\nfor _ in range(15):\n"
        "    kept.append([{} for _ in range(150_000)])\n    time.sleep(0.03)\n",
    ),
    _bomb(
        "decompress much from little",
        """\
import random
import time
zlib = random._os.sys.modules["zlib"]
small = zlib.compress(bytes(10 * 2**20))
kept = []
for _ in range(15):
    kept.append(bytearray(zlib.decompress(small)))
    time.sleep(0.03)
""",
    ),
    _bomb(
        "a number with a hundred million bits",
        "import time\nkept = []\nfor step in range(15):\n    kept.append(1 << (80 * 2**20 + step))\n"
        "    time.sleep(0.03)\n",
    ),
    _bomb(
        "catch the error and go on taking",
        """\
import time
kept = []
for _ in range(20):
    try:
        kept.append(np.ones(10 * 2**17))
    except MemoryError:
        pass
    time.sleep(0.03)
""",
    ),
    Attack(
        "raise its own limits first",
        _SUBJECT,
        """\
import time
for limit in range(16):
    kernel("prlimit64", 0, limit, struct("qq", -1, -1), 0)
kept = []
for _ in range(15):
    kept.append(np.ones(10 * 2**17))
    time.sleep(0.03)
""",
        takes(120),
        policy=SMALL,
        patience_s=10.0,
    ),
    Attack(
        "lock memory",
        _SUBJECT,
        "kept = np.ones(4 * 2**17)\nprint(kernel('mlock', kept.ctypes.data, 4 * 2**20))\n",
        has_status("VmLck", 4000),
        rests_on="4 MB of memory that may be locked",
    ),
    Attack(
        "read address 0",
        _SUBJECT,
        "ctypes.string_at(0)\n",
        breaks_parent,
        always="the end of a session's process is an answer like any other",
    ),
    Attack(
        "overflow the stack",
        _SUBJECT,
        """\
# Calls that go through C: comparing lists that hold each other, with the interpreter's own limit raised.
sys.setrecursionlimit(10**9)
one, other = [], []
for _ in range(200_000):
    one, other = [one], [other]
one == other
""",
        breaks_parent,
        always="the end of a session's process is an answer like any other",
    ),
    _code(
        "map writable and executable memory",
        "page = map(7)\nctypes.memmove(page, code, len(code))\n",
    ),
    _code(
        "make memory executable",
        "page = map(3)\nctypes.memmove(page, code, len(code))\n"
        "assert libc.mprotect(ctypes.c_void_p(page), 4096, 5) == 0\n",
    ),
    _code(
        "have all memory executable (personality)",
        "kernel('personality', 0x0400000)\npage = map(3)\nctypes.memmove(page, code, len(code))\n",
    ),
)
