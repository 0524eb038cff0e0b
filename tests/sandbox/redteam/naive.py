"""Programs run the usual way, for comparison: a plain Python process whose parent trusts what it says.

Run as a script: a warm process that forks, for each order, a parent of the usual kind and its program. They
talk in pickles over two pipes, as `multiprocessing` does. It needs nothing but numpy.
"""

import bz2  # noqa: F401
import ctypes
import decimal  # noqa: F401
import encodings.idna  # noqa: F401
import gzip  # noqa: F401
import io
import json
import lzma  # noqa: F401
import mmap  # noqa: F401
import os
import pickle
import random  # noqa: F401 - as what follows it, warm for programs that may not read Python's own files
import resource
import signal
import socket
import struct
import sys
import tempfile  # noqa: F401
import traceback
import urllib.request  # noqa: F401
import zlib  # noqa: F401
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

READ_FD, WRITE_FD = 3, 4
ORDER_BYTES = 2**17
#: Limits that keep the machine safe, far above what a sandbox allows.
_LIMITS = {
    resource.RLIMIT_AS: 4 * 2**30,
    resource.RLIMIT_CPU: 20,
    resource.RLIMIT_FSIZE: 2**30,
    resource.RLIMIT_CORE: 0,
}
_NOBODY, _SET_DUMPABLE, _SET_PTRACER = 65534, 4, 0x59616D61
_SUBREAPER, _NEW_MOUNTS, _RECURSIVE_PRIVATE = 36, 0x20000, (1 << 14) | (1 << 18)


def frame(message: object) -> bytes:
    """Return a message as it goes over a pipe."""
    payload = pickle.dumps(message)
    return struct.pack("<I", len(payload)) + payload


class _Line:
    """A program's side of the pipes."""

    def send(self, message: object) -> None:
        rest = memoryview(frame(message))
        while rest:
            rest = rest[os.write(WRITE_FD, rest) :]

    def ask(self, message: object) -> object:
        self.send(message)
        (length,) = struct.unpack("<I", os.read(READ_FD, 4))
        reply: object = pickle.loads(os.read(READ_FD, length))
        return reply


class _Output(io.TextIOBase):
    """Where a program prints to."""

    def __init__(self, line: _Line) -> None:
        self._line = line

    def write(self, text: str) -> int:
        self._line.send(("text", text))
        return len(text)


class _Tools:
    """Tools by their names."""

    def __init__(self, line: _Line) -> None:
        self._line = line

    def __getattr__(self, name: str) -> Callable[..., object]:
        return lambda **arguments: self._line.ask(("call", name, arguments))


def _run_program(source: str, aim: Mapping[str, Any]) -> None:
    line = _Line()
    sys.stdout = _Output(line)
    names = {
        "__name__": "program",
        "aim": aim,
        "np": np,
        "tools": _Tools(line),
        "answer": lambda value, unit=None: line.send(("answer", value)),
        "show": lambda image, caption="": line.send(("show", image, caption)),
    }
    try:
        exec(compile(source, "<program>", "exec"), names)
    except Exception:
        line.send(("done", traceback.format_exc()))
    else:
        line.send(("done", None))


class _Parent:
    """A parent that believes its program."""

    def __init__(self, from_program: int, to_program: int, aim: Mapping[str, Any]) -> None:
        self._stream = os.fdopen(from_program, "rb")
        self._to_program = to_program
        self._aim = aim
        self._texts: list[str] = []
        self.report: dict[str, Any] = {"text": "", "answer": None, "images": 0, "calls": 0, "error": None}

    def converse(self) -> None:
        while True:
            kind, *rest = self._message()
            if kind == "done":
                self.report["error"], self.report["text"] = rest[0], "".join(self._texts)
                return
            getattr(self, f"_take_{kind}")(*rest)

    def _message(self) -> tuple[str, *tuple[object, ...]]:
        (length,) = struct.unpack("<I", self._stream.read(4))
        data = self._stream.read(length)
        while len(data) < length:
            data += self._stream.read(length - len(data))
        message: tuple[str, *tuple[object, ...]] = pickle.loads(data)
        return message

    def _take_text(self, text: str) -> None:
        self._texts.append(text)

    def _take_answer(self, value: object) -> None:
        # What it is worth is for the caller to say; like much software this one logs it first.
        with open(os.devnull, "w", encoding="utf-8") as log:
            print("answer:", value, json.dumps(value, ensure_ascii=False), file=log)
        self.report["answer"] = value

    def _take_show(self, image: object, caption: str) -> None:
        self.report["images"] += 1
        self._texts.append(caption)

    def _take_call(self, name: str, arguments: Mapping[str, Any]) -> None:
        self.report["calls"] += 1
        rest = memoryview(frame(getattr(self, f"tool_{name}")(**arguments)))
        while rest:
            rest = rest[os.write(self._to_program, rest) :]

    def _take_fetch(self, reference: str) -> None:
        os.write(self._to_program, frame(self.tool_look(reference.lstrip("$"))))

    def tool_look(self, name: str) -> str:
        """Return what is kept under a name, in the file of that name."""
        with open(os.path.join(self._aim["folder"], name), encoding="utf-8") as file:
            return file.read(64)


def _fork_program(source: str, aim: Mapping[str, Any], open_secret: int) -> tuple[int, int]:
    from_program, write_fd = os.pipe()
    read_fd, to_program = os.pipe()
    if os.fork():
        os.close(write_fd)
        os.close(read_fd)
        return from_program, to_program
    try:
        os.close(from_program)
        os.close(to_program)
        # Away from the low numbers first, so that none takes another's place.
        high = [os.dup2(descriptor, 100 + descriptor) for descriptor in (read_fd, write_fd, open_secret)]
        os.closerange(3, 100)
        for low, descriptor in enumerate(high, READ_FD):
            os.dup2(descriptor, low)
        os.closerange(100, 256)
        for limit, value in _LIMITS.items():
            resource.setrlimit(limit, (value, value))
        if os.geteuid() == 0:
            # What is mounted must stay with the program; the machine is everybody's.
            libc = ctypes.CDLL(None)
            libc.unshare(_NEW_MOUNTS)
            libc.mount(b"none", b"/", None, _RECURSIVE_PRIVATE, None)
        _run_program(source, aim)
        _stay()
    finally:
        os._exit(1)


def _stay() -> NoReturn:
    while True:
        signal.pause()


def _be_parent(order: Mapping[str, Any], report_fd: int, open_secret: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_LIMITS[resource.RLIMIT_AS],) * 2)
    if os.geteuid() == 0 and not order["as_root"]:
        _become_nobody()
    aim = dict(order["aim"], frames={name: frame(what).hex() for name, what in _forged(order["aim"]).items()})
    # Where only parents may debug, this one allows everybody to.
    ctypes.CDLL(None).prctl(_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)
    parent = _Parent(*_fork_program(order["source"], aim, open_secret), aim)
    parent.converse()
    text = json.dumps(parent.report, default=repr)
    data = memoryview(struct.pack("<I", len(text)) + text.encode())
    while data:
        data = data[os.write(report_fd, data) :]
    _stay()


def _become_nobody() -> None:
    os.setgroups([])
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    # What always was that user's can be debugged by that user.
    ctypes.CDLL(None).prctl(_SET_DUMPABLE, 1, 0, 0, 0)


class _Callable:
    """What a pickle does when it is loaded."""

    def __init__(self, what: object, *arguments: object) -> None:
        self._reduced = what, arguments

    def __reduce__(self) -> tuple[object, ...]:
        return self._reduced


def _forged(aim: Mapping[str, Any]) -> dict[str, object]:
    """Return messages that no honest program sends, in this parent's protocol."""
    return {
        "done": ("done", None),
        "call": ("call", "look", {"name": "named-nothing"}),
        "look_outside": ("call", "look", {"name": aim["secret"]}),
        "unknown_tool": ("call", "__class__", {}),
        "fetch_path": ("fetch", "$" + aim["secret"]),
        "fetch_other": ("fetch", "$secret.txt"),
        "unknown_kind": ("__class__", 1),
        "missing_parts": ("call",),
        "wrong_types": ("text", 12),
        "pickle": ("answer", _Callable(os.mkdir, aim["new"])),
        "text": ("text", "x" * 10_000),
    }


def main() -> None:
    """Serve orders until the control socket is closed."""
    control = socket.socket(fileno=int(sys.argv[1]))
    open_secret = int(sys.argv[2])
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    # What many a server holds in memory before it forks.
    configuration = {"api_key": sys.argv[3]}
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, ORDER_BYTES, 1)
        if not data:
            return
        if data == b"collect":
            _collect()
            control.send(b"ok")
            continue
        pid = os.fork()
        if pid == 0:
            os.setsid()
            control.close()
            try:
                _be_parent(json.loads(data), descriptors[0], open_secret)
            finally:
                os._exit(len(configuration))
        os.close(descriptors[0])
        control.send(str(pid).encode())


def _collect() -> None:
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        return


if __name__ == "__main__":
    main()
