"""Attacks on files: reading, writing, links, and finding out what is there."""

from tests.sandbox.redteam.attack import Attack
from tests.sandbox.redteam.proofs import changes, leaks

_SUBJECT = "files"

ATTACKS = (
    Attack(
        "read a file with open()",
        _SUBJECT,
        "print(sys.modules['io'].open(aim['secret']).read(64))\n",
        leaks(),
    ),
    Attack(
        "read a file by plain system calls",
        _SUBJECT,
        """\
buffer = ctypes.create_string_buffer(64)
descriptor = kernel("openat", -100, aim["secret"].encode(), 0, 0)
kernel("read", descriptor, buffer, 64)
print(buffer.value.decode())
""",
        leaks(),
    ),
    Attack(
        "read a file through the descriptor of its own pipe",
        _SUBJECT,
        """\
# Whoever allows reading from 3 has to make sure of what 3 is.
kernel("close", 3)
buffer = ctypes.create_string_buffer(64)
descriptor = kernel("openat", -100, aim["secret"].encode(), 0, 0)
kernel("read", descriptor, buffer, 64)
print(descriptor, buffer.value.decode())
""",
        leaks(),
        ruins_session=True,
    ),
    Attack(
        "read a file with openat2",
        _SUBJECT,
        """\
room()
buffer = ctypes.create_string_buffer(64)
descriptor = kernel("openat2", -100, aim["secret"].encode(), struct("QQQ", 0, 0, 0), 24)
kernel("read", descriptor, buffer, 64)
print(buffer.value.decode())
""",
        leaks(),
        ruins_session=True,
    ),
    Attack(
        "follow a planted symlink",
        _SUBJECT,
        "room()\nprint(os.read(os.open(aim['link'], os.O_RDONLY), 64))\n",
        leaks(),
        ruins_session=True,
    ),
    Attack(
        "read a file by the kernel's own handle",
        _SUBJECT,
        """\
room()
handle = ctypes.create_string_buffer(bytes.fromhex(aim["file_handle"]))
buffer = ctypes.create_string_buffer(64)
for mount in (-100, kernel("openat", -100, b"/", 0, 0)):
    descriptor = kernel("open_by_handle_at", mount, handle, 0)
    if descriptor >= 0:
        kernel("read", descriptor, buffer, 64)
        break
os.chdir(aim["folder"])
descriptor = kernel("open_by_handle_at", -100, handle, 0)
kernel("read", descriptor, buffer, 64)
print(buffer.value.decode())
""",
        leaks(),
        needs_root=True,
        ruins_session=True,
    ),
    Attack(
        "read shared memory with a name",
        _SUBJECT,
        "room()\nprint(os.read(os.open(aim['shared_file'], os.O_RDWR), 64))\n",
        leaks(),
        ruins_session=True,
    ),
    Attack(
        "list a folder",
        _SUBJECT,
        "room()\nprint(os.listdir(aim['folder']))\n",
        leaks("folder"),
        ruins_session=True,
    ),
    Attack(
        "ask how large a file is",
        _SUBJECT,
        "print(os.stat(aim['secret']).st_size)\n",
        leaks("size"),
    ),
    Attack(
        "import a planted module",
        _SUBJECT,
        """\
room()
sys.path.insert(0, aim["folder"])
sys.modules["importlib"].import_module(aim["module"])
""",
        leaks(),
        ruins_session=True,
    ),
    Attack(
        "write a new file",
        _SUBJECT,
        "room()\nos.write(os.open(aim['new'], os.O_CREAT | os.O_WRONLY), b'here')\n",
        changes("new"),
        ruins_session=True,
    ),
    Attack(
        "overwrite a file",
        _SUBJECT,
        "room()\nos.write(os.open(aim['canary'], os.O_TRUNC | os.O_WRONLY), b'here')\n",
        changes("canary"),
        ruins_session=True,
    ),
    Attack(
        "append to a file through its own pipe's descriptor",
        _SUBJECT,
        """\
# Whoever allows writing to 4 has to make sure of what 4 is.
kernel("close", 4)
descriptor = kernel("openat", -100, aim["canary"].encode(), os.O_APPEND | os.O_WRONLY, 0)
os.write(descriptor, b"here")
""",
        changes("canary"),
        ruins_session=True,
    ),
    Attack("cut a file", _SUBJECT, "os.truncate(aim['canary'], 0)\n", changes("canary")),
    Attack("delete a file", _SUBJECT, "os.unlink(aim['canary'])\n", changes("canary")),
    Attack("move a file", _SUBJECT, "os.rename(aim['canary'], aim['new'])\n", changes("canary")),
    Attack("change a file's mode", _SUBJECT, "os.chmod(aim['canary'], 0o777)\n", changes("mode")),
    Attack("make a folder", _SUBJECT, "os.mkdir(aim['new'])\n", changes("new")),
    Attack("make a symlink", _SUBJECT, "os.symlink('/', aim['new'])\n", changes("new")),
    Attack("make a hard link", _SUBJECT, "os.link(aim['canary'], aim['new'])\n", changes("new")),
    Attack("make a pipe with a name", _SUBJECT, "os.mkfifo(aim['new'])\n", changes("new")),
    Attack(
        "fill the disk",
        _SUBJECT,
        """\
room()
descriptor = os.open(aim["new"], os.O_CREAT | os.O_WRONLY)
for _ in range(64):
    os.write(descriptor, bytes(2**20))
""",
        changes("new"),
        ruins_session=True,
    ),
)
