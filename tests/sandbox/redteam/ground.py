"""The ground that attacks are made on: canaries, secrets, listeners, and another process to harm."""

import ctypes
import json
import os
import platform
import secrets
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.sandbox.redteam import listeners, processes_seen
from tests.sandbox.redteam.call_numbers import CALLS
from tests.sandbox.redteam.listeners import Listeners
from tests.sandbox.redteam.shared_objects import SharedObjects

_CONTENT = "as it was"
_MODULE = "planted_module"
_HANDLE_BYTES = 128
_VICTIM = Path(__file__).with_name("victim.py")


class Ground:
    """Files, listeners, shared objects and a victim; everything may be used by everybody.

    What a program is kept from is then kept from it by the sandbox, and not by somebody's permissions.

    Attributes:
        secrets: What nobody may learn, by where it lies.
    """

    def __init__(self) -> None:
        """Lay everything out."""
        self.secrets = {name: secrets.token_hex(16) for name in ("file", "victim", "shared", "folder")}
        number = secrets.randbelow(2**31)
        self.secrets["code"] = str(number)
        self._code = _code_returning(number)
        self._name = f"/redteam-{secrets.token_hex(6)}"
        self._folder = Path(tempfile.mkdtemp(prefix="redteam-"))
        self._folder.chmod(0o777)
        self._lay_out()
        self._listeners = Listeners(self._folder, self._name[1:])
        self._shared = SharedObjects(self.secrets["shared"], self._name)
        self._victim: subprocess.Popen[str] | None = None
        self._place: Mapping[str, int] = {}
        self._start_victim()
        # What people leave open for their children: a secret behind an inheritable descriptor.
        self.open_secret = os.open(self._secret, os.O_RDONLY)
        os.set_inheritable(self.open_secret, True)

    @property
    def _secret(self) -> Path:
        return self._folder / "secret.txt"

    def _lay_out(self) -> None:
        # Its size is a secret too, for those who only ask how large it is.
        self.secrets["size"] = str(100_000 + secrets.randbelow(800_000))
        text = self.secrets["file"].ljust(int(self.secrets["size"]))
        self._secret.write_text(text)
        (self._folder / f"named-{self.secrets['folder']}").touch()
        (self._folder / "link").symlink_to(self._secret)
        (self._folder / f"{_MODULE}.py").write_text(f"print({self.secrets['file']!r})\n")
        self._mountpoint.mkdir()
        self._mountpoint.chmod(0o777)
        self._shared_file.write_text(self.secrets["file"])
        self._shared_file.chmod(0o666)
        (self._folder / "numbers.txt").write_text(f"# {self.secrets['file']}\n{self.secrets['size']} 1\n")
        self._make_victim_file()

    @property
    def _shared_file(self) -> Path:
        return Path("/dev/shm") / self._name[1:]

    @property
    def _canary(self) -> Path:
        return self._folder / "canary.txt"

    @property
    def _mountpoint(self) -> Path:
        return self._folder / "mountpoint"

    def _make_victim_file(self) -> None:
        self._canary.unlink(missing_ok=True)
        self._canary.write_text(_CONTENT)
        self._canary.chmod(0o666)
        if os.geteuid() == 0:
            # Owned by the user that programs run as: then only walls keep them from changing its mode.
            os.chown(self._canary, 65534, 65534)

    def _start_victim(self) -> None:
        command = [sys.executable, "-I", str(_VICTIM), self.secrets["victim"]]
        self._victim = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"API_KEY": self.secrets["victim"]},
            start_new_session=True,
        )
        assert self._victim.stdout is not None
        self._place = json.loads(self._victim.stdout.readline())
        self._limits = processes_seen.limits(self._victim.pid)
        self._priority = os.getpriority(os.PRIO_PROCESS, self._victim.pid)
        self._affinity = os.sched_getaffinity(self._victim.pid)

    @property
    def victim_pid(self) -> int:
        """Number of the victim."""
        return self._place["pid"]

    def aim(self) -> dict[str, Any]:
        """Return what a program is told: where everything is, and tokens of this one run."""
        token = secrets.token_hex(8)
        return {
            "token": token,
            "claim": secrets.token_hex(8),
            "calls": dict(CALLS),
            "folder": str(self._folder),
            "secret": str(self._secret),
            "link": str(self._folder / "link"),
            "canary": str(self._canary),
            "numbers": str(self._folder / "numbers.txt"),
            "shared_file": str(self._shared_file),
            "new": str(self._folder / f"new-{token}"),
            "module": _MODULE,
            "victim": dict(self._place),
            "tcp_port": self._listeners.tcp_port,
            "tcp6_port": self._listeners.tcp6_port,
            "udp_port": self._listeners.udp_port,
            "free_port": listeners.free_port(),
            "unix_path": str(self._listeners.path),
            "abstract": self._name[1:],
            "queue_name": self._name[1:],
            "segment": self._shared.segment,
            "queue": self._shared.queue,
            "key_name": self._name,
            "file_handle": self._file_handle(),
            "code": self._code.hex(),
        }

    def _file_handle(self) -> str:
        """Return the kernel's own name for the secret file, which works without any path."""
        handle = ctypes.create_string_buffer(struct.pack("Ii", _HANDLE_BYTES, 0), 8 + _HANDLE_BYTES)
        mount = ctypes.c_int()
        libc = ctypes.CDLL(None, use_errno=True)
        path = str(self._secret).encode()
        if libc.name_to_handle_at(-100, path, handle, ctypes.byref(mount), 0):
            return ""
        return handle.raw[: 8 + struct.unpack("I", handle.raw[:4])[0]].hex()

    def received(self) -> list[bytes]:
        """Return what came in anywhere since the last time."""
        return self._listeners.received() + self._shared.received()

    def changed(self, aim: Mapping[str, Any]) -> frozenset[str]:
        """Return which canaries are not what they were."""
        found = set()
        # Some functions put a suffix behind the name they are given.
        if any(name.startswith(Path(aim["new"]).name) for name in os.listdir(self._folder)):
            found.add("new")
        if not self._canary.exists() or self._canary.read_bytes() != _CONTENT.encode():
            found.add("canary")
        elif self._canary.stat().st_mode & 0o777 != 0o666:
            found.add("mode")
        if (self._mountpoint / "inside").exists():
            found.add("inside")
        if listeners.answers_at(aim["free_port"]):
            found.add("port")
        return frozenset(found)

    def victim_harm(self) -> frozenset[str]:
        """Return what was done to the victim."""
        assert self._victim is not None
        pid = self._victim.pid
        if not processes_seen.is_alive(pid):
            return frozenset({"killed"})
        found = {
            "traced": processes_seen.is_traced(pid),
            "stopped": processes_seen.is_stopped(pid),
            "limited": processes_seen.limits(pid) != self._limits,
            "slowed": os.getpriority(os.PRIO_PROCESS, pid) != self._priority,
            "moved": os.sched_getaffinity(pid) != self._affinity,
            "overwritten": self._memory() != self.secrets["victim"],
        }
        return frozenset(name for name, is_so in found.items() if is_so)

    def _memory(self) -> str:
        try:
            with open(f"/proc/{self.victim_pid}/mem", "rb") as memory:
                memory.seek(self._place["address"])
                return memory.read(len(self.secrets["victim"])).decode(errors="replace")
        except OSError:
            # Where this process may not look either, nothing can be said.
            return self.secrets["victim"]

    def restore(self, aim: Mapping[str, Any]) -> None:
        """Make everything what it was, whatever an attack has done."""
        with suppress(OSError):
            while os.path.ismount(self._mountpoint):
                ctypes.CDLL(None).umount2(str(self._mountpoint).encode(), 2)
            (self._mountpoint / "inside").rmdir()
        for new in self._folder.glob(f"{Path(aim['new']).name}*"):
            if new.is_dir() and not new.is_symlink():
                shutil.rmtree(new)
            else:
                new.unlink()
        if {"canary", "mode"} & self.changed(aim):
            self._make_victim_file()
        if self.victim_harm():
            self._end_victim()
            self._start_victim()
        self.received()

    def _end_victim(self) -> None:
        if self._victim is not None:
            self._victim.kill()
            self._victim.communicate()

    def close(self) -> None:
        """Clear everything away."""
        self._end_victim()
        self._listeners.close()
        self._shared.close()
        os.close(self.open_secret)
        self._shared_file.unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)


def _code_returning(number: int) -> bytes:
    """Return machine code that returns a number: whoever runs it knows the number."""
    if platform.machine() == "aarch64":
        low, high = number & 0xFFFF, number >> 16
        return struct.pack("<3I", 0x52800000 | low << 5, 0x72A00000 | high << 5, 0xD65F03C0)
    return b"\xb8" + struct.pack("<I", number) + b"\xc3"
