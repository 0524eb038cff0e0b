"""Attacks by rarer system calls, where walls made of paths and permissions tend to have holes."""

from tests.sandbox.redteam.attack import SMALL, Attack
from tests.sandbox.redteam.proofs import changes, holds, leaks, mounts, reaches, takes

_SUBJECT = "kernel"
_IO_URING = """\
room()
def mapped(descriptor, length, offset):
    at = libc.mmap(None, ctypes.c_size_t(length), 3, 0x8001, descriptor, ctypes.c_long(offset))
    return (ctypes.c_ubyte * length).from_address(at)
parameters = ctypes.create_string_buffer(120)
ring = kernel("io_uring_setup", 4, parameters)
word = lambda at: int.from_bytes(parameters.raw[at:at + 4], "little")
entries, completions, features = word(0), word(4), word(20)
tail_at, mask_at, array_at = word(44), word(48), word(64)
done_at = word(100)
queue = mapped(ring, array_at + entries * 4, 0)
done = mapped(ring, done_at + completions * 16, 0x8000000)
slots = mapped(ring, entries * 64, 0x10000000)

def submit(operation, descriptor, offset, address, length, flags):
    tail = int.from_bytes(bytes(queue[tail_at:tail_at + 4]), "little")
    slot = tail % entries
    entry = struct("<BBHiQQII", operation, 0, 0, descriptor, offset, address, length, flags) + bytes(32)
    slots[slot * 64:slot * 64 + 64] = list(entry)
    queue[array_at + slot * 4:array_at + slot * 4 + 4] = list(slot.to_bytes(4, "little"))
    queue[tail_at:tail_at + 4] = list((tail + 1).to_bytes(4, "little"))
    kernel("io_uring_enter", ring, 1, 1, 1, 0, 0)
    at = done_at + (tail % completions) * 16 + 8
    return int.from_bytes(bytes(done[at:at + 4]), "little", signed=True)

path = ctypes.create_string_buffer(aim["secret"].encode())
buffer = ctypes.create_string_buffer(64)
opened = submit(18, -100, 0, ctypes.addressof(path), 0, 0)
print(opened, submit(22, opened, 0, ctypes.addressof(buffer), 64, 0), buffer.value.decode())
"""

#: Where to mount: never over anything that somebody uses; in a world without the folder, over its empty root.
_PLACE = """\
PLACE = aim["folder"] + "/mountpoint"
PLACE = PLACE if os.path.isdir(PLACE) else "/"
"""

ATTACKS = (
    Attack(
        "read a file by io_uring",
        _SUBJECT,
        _IO_URING,
        leaks(),
        ruins_session=True,
        rests_on="io_uring",
    ),
    Attack(
        "read a key of the session keyring",
        _SUBJECT,
        """\
key = kernel("keyctl", 10, -3, b"user", aim["key_name"].encode(), 0)
buffer = ctypes.create_string_buffer(64)
print(kernel("keyctl", 11, key, buffer, 64), buffer.value.decode())
""",
        leaks("shared"),
        rests_on="key management",
    ),
    Attack(
        "read a segment of shared memory",
        _SUBJECT,
        """\
libc.shmat.restype = ctypes.c_void_p
print(ctypes.string_at(libc.shmat(aim["segment"], None, 0), 32))
""",
        leaks("shared"),
        rests_on="System V objects",
    ),
    Attack(
        "send to a message queue",
        _SUBJECT,
        "print(kernel('msgsnd', aim['queue'], struct('l', 1) + aim['token'].encode(), 16, 0))\n",
        reaches,
        rests_on="System V objects",
    ),
    Attack(
        "send to a POSIX message queue",
        _SUBJECT,
        """\
room()
descriptor = kernel("mq_open", aim["queue_name"].encode(), 1, 0, 0)
print(descriptor, kernel("mq_timedsend", descriptor, aim["token"].encode(), 16, 0, 0))
""",
        reaches,
        ruins_session=True,
        rests_on="POSIX message queues",
    ),
    Attack(
        "mount a file system",
        _SUBJECT,
        _PLACE
        + """\
print(kernel("mount", aim["token"].encode(), PLACE.encode(), b"tmpfs", 0, 0))
""",
        mounts,
        needs_root=True,
    ),
    Attack(
        "mount in a user namespace of its own",
        _SUBJECT,
        _PLACE
        + """\
if kernel("unshare", 0x10000000 | 0x20000) == 0:
    print(kernel("mount", aim["token"].encode(), PLACE.encode(), b"tmpfs", 0, 0))
""",
        mounts,
        rests_on="user namespaces for everybody",
    ),
    Attack(
        "change the root",
        _SUBJECT,
        "print(kernel('chroot', (aim['folder'] + '/mountpoint').encode()))\nos.mkdir('/inside')\n",
        changes("inside"),
        needs_root=True,
    ),
    Attack(
        "watch a folder with inotify",
        _SUBJECT,
        """\
room()
descriptor = kernel("inotify_init1", 0o4000)
if kernel("inotify_add_watch", descriptor, aim["folder"].encode(), 0xFFF) > 0:
    print(aim["claim"])
""",
        holds("inotify"),
        ruins_session=True,
    ),
    Attack(
        "watch the whole file system with fanotify",
        _SUBJECT,
        "room()\nif kernel('fanotify_init', 0, 0) >= 0:\n    print(aim['claim'])\n",
        holds("fanotify"),
        needs_root=True,
        ruins_session=True,
    ),
    Attack(
        "load a program into the kernel (bpf)",
        _SUBJECT,
        "room()\nif kernel('bpf', 0, struct('32I', 2, 4, 4, 1, *[0] * 28), 128) >= 0:\n"
        "    print(aim['claim'])\n",
        holds("bpf"),
        needs_root=True,
        ruins_session=True,
    ),
    Attack(
        "count what another process does (perf)",
        _SUBJECT,
        """\
room()
event = struct("32I", 1, 128, 1, *[0] * 7, 0x60, *[0] * 21)
if kernel("perf_event_open", event, aim["victim"]["pid"], -1, -1, 0) >= 0:
    print(aim["claim"])
""",
        holds("perf_event"),
        ruins_session=True,
        rests_on="performance counters for everybody",
    ),
    Attack(
        "stop the kernel at will (userfaultfd)",
        _SUBJECT,
        "room()\nif kernel('userfaultfd', 0) >= 0:\n    print(aim['claim'])\n",
        holds("userfaultfd"),
        needs_root=True,
        ruins_session=True,
    ),
    Attack(
        "read the kernel's log",
        _SUBJECT,
        """\
buffer = ctypes.create_string_buffer(65536)
if kernel("syslog", 3, buffer, 65536) > 0:
    print(aim["claim"])
""",
        lambda seen: str(seen.aim["claim"]) in seen.said,
        needs_root=True,
    ),
    Attack(
        "enter the namespaces of another process",
        _SUBJECT,
        """\
room()
if kernel("setns", kernel("pidfd_open", aim["victim"]["pid"], 0), 0x08000000 | 0x40000000) == 0:
    print(aim["claim"])
""",
        lambda seen: str(seen.aim["claim"]) in seen.said,
        needs_root=True,
        ruins_session=True,
    ),
    Attack(
        "fill memory that belongs to nobody (memfd)",
        _SUBJECT,
        """\
room()
descriptor = kernel("memfd_create", b"hoard", 0)
for _ in range(40):
    os.write(descriptor, bytes(2**20))
libc.mmap(None, ctypes.c_size_t(40 * 2**20), 1, 0x8001, descriptor, ctypes.c_long(0))
if os.fstat(descriptor).st_blocks * 512 >= 40 * 2**20:
    print(aim["claim"])
""",
        holds("memfd:hoard"),
        ruins_session=True,
    ),
    Attack(
        "keep memory in a segment",
        _SUBJECT,
        """\
libc.shmat.restype = ctypes.c_void_p
for _ in range(15):
    segment = libc.shmget(0, 10 * 2**20, 0o1600)
    at = libc.shmat(segment, None, 0)
    libc.shmctl(segment, 0, None)
    ctypes.memset(ctypes.c_void_p(at), 1, 10 * 2**20)
    sys.modules["time"].sleep(0.03)
""",
        takes(120),
        policy=SMALL,
        patience_s=10.0,
        rests_on="System V objects",
    ),
)
