"""Checks that nothing but messages gets out of a program or into it; the red-team suite goes further.

Every program is allowed to import what the attack needs, so that it is not the courtesy of the syntax check
that is tested. What it did is looked for out here, where it cannot lie.
"""

import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spatial_agent.sandbox.conformance.bench import Bench, expect
from spatial_agent.sandbox.conformance.processes import Traces
from spatial_agent.sandbox.environment import ProgramResult
from spatial_agent.sandbox.policy import IMPORTS

#: What attacks import beside what programs may.
IMPORTED = IMPORTS | {
    "builtins",
    "ctypes",
    "io",
    "mmap",
    "os",
    "pathlib",
    "signal",
    "socket",
    "subprocess",
    "sys",
}
#: Tried in turn; each says what it got, and none ends the program.
_TRY = """
def attempt(what):
    try:
        print(what())
    except BaseException as error:
        print("held:", type(error).__name__)
"""


async def _attack(bench: Bench, attempts: tuple[str, ...], imports: tuple[str, ...], **given: object) -> str:
    """Make attempts, each in a program of its own, and return all that came out."""
    said = []
    for attempt in attempts:
        lines = [f"try: import {name}\nexcept ImportError: pass" for name in imports]
        program = "\n".join([*lines, _TRY, f"attempt(lambda: {attempt})"])
        result = await bench.run(program, given, imports=IMPORTED)
        said.append(_everything(result))
    return "\n".join(said)


def _everything(result: ProgramResult) -> str:
    return "\n".join((result.output, repr(result.answer), result.error.message if result.error else ""))


async def files_read(bench: Bench) -> None:
    """No file can be read."""
    secret = secrets.token_hex(16)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        file = Path(folder) / f"{secret[:8]}.txt"
        file.write_text(secret)
        file.chmod(0o644)
        said = await _attack(bench, _READING, _READERS, path=str(file), folder=folder)
    expect(secret not in said and file.name not in said, "no file to be read or found", said[-500:])


_READERS = ("os", "io", "numpy as np", "pathlib")
_READING = (
    "io.open(path).read()",
    "io.FileIO(path).read()",
    "os.read(os.open(path, os.O_RDONLY), 100)",
    "np.fromfile(path, np.uint8).tobytes()",
    "np.loadtxt(path, dtype=str)",
    "np.memmap(path, np.uint8, 'r').tobytes()",
    "pathlib.Path(path).read_text()",
    "os.listdir(folder)",
    "[e.name for e in os.scandir(folder)]",
)


async def files_written(bench: Bench) -> None:
    """No file can be written, made, renamed or removed."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        kept = Path(folder) / "kept"
        kept.write_text("as it was")
        kept.chmod(0o666)
        await _attack(bench, _WRITING, _READERS, path=str(kept), folder=folder)
        found = {item.name for item in Path(folder).iterdir()}
        expect(found == {"kept"}, "nothing made, renamed or removed", found)
        expect(kept.read_text() == "as it was", "a file as it was", kept.read_text()[:100])


_WRITING = (
    "io.open(path, 'w').write('mine')",
    "os.write(os.open(folder + '/new', os.O_CREAT | os.O_WRONLY), b'mine')",
    "np.save(folder + '/array', np.zeros(3))",
    "np.zeros(3).tofile(folder + '/raw')",
    "np.memmap(folder + '/map', np.uint8, 'w+', shape=3)",
    "os.rename(path, folder + '/renamed')",
    "os.remove(path)",
    "os.symlink(path, folder + '/link')",
    "os.truncate(path, 0)",
    "os.mkdir(folder + '/deeper')",
)


async def network(bench: Bench) -> None:
    """Nobody can be reached over any socket."""
    with _listening() as lines:
        ports = [line.getsockname() for line in lines]
        given = {"port": ports[0][1], "name": ports[1].decode("latin-1")}
        await _attack(bench, _CALLING, ("socket", "os"), **given)
        reached = [line.family.name for line in lines if _was_called(line)]
    expect(reached == [], "no connection", reached)


_CALLING = (
    "socket.create_connection(('127.0.0.1', port), 2)",
    "socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).connect(name)",
    "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', port))",
)


@contextmanager
def _listening() -> Iterator[tuple[socket.socket, ...]]:
    """Listen to TCP, to an abstract socket, and to datagrams."""
    tcp, abstract = socket.socket(), socket.socket(socket.AF_UNIX)
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with tcp, abstract, datagrams:
        tcp.bind(("127.0.0.1", 0))
        datagrams.bind(tcp.getsockname())
        abstract.bind(f"\0{secrets.token_hex(8)}")
        for line in (tcp, abstract):
            line.listen()
        for line in (tcp, abstract, datagrams):
            line.setblocking(False)
        yield tcp, abstract, datagrams


def _was_called(line: socket.socket) -> bool:
    with suppress(BlockingIOError):
        if line.type == socket.SOCK_DGRAM:
            line.recv(1)
        else:
            line.accept()[0].close()
        return True
    return False


async def processes(bench: Bench) -> None:
    """No process can be started, and none that is not the program's own can be signalled."""
    await bench.run("pass")
    traces = await Traces.at_rest()
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    ) as bystander:
        said = await _attack(bench, _STARTING, ("os", "signal"), victim=bystander.pid, python=sys.executable)
        alive = bystander.poll() is None
        bystander.communicate()
    expect("started" not in said, "no second process", said[-500:])
    expect(alive, "no signal to reach another process", "its end")
    await traces.gone()


_STARTING = (
    "os.fork() and 'started'",
    "os.system('true') == 0 and 'started'",
    "os.spawnv(os.P_WAIT, python, [python, '-c', 'pass']) == 0 and 'started'",
    "os.posix_spawn(python, [python, '-c', 'pass'], {}) and 'started'",
    "os.popen('echo star' + 'ted').read()",
    "os.kill(victim, 9)",
    "signal.pidfd_send_signal(os.pidfd_open(victim), 9)",
)


async def environment(bench: Bench) -> None:
    """Nothing of this process's environment can be seen."""
    name, secret = f"CONFORMANCE_{secrets.token_hex(4).upper()}", secrets.token_hex(16)
    # It is put there for a program to look for, not read as a setting.
    os.environ[name] = secret  # noqa: TID251
    sandbox = bench.open_sandbox()
    try:
        own = Bench(sandbox, bench.open_sandbox)
        said = await _attack(own, _LOOKING, ("os", "io", "ctypes"), name=name)
    finally:
        del os.environ[name]  # noqa: TID251
        sandbox.close()
    expect(secret not in said, "no secret out of the environment", said[-500:])


_LOOKING = (
    "dict(os.environ)",
    "os.getenv(name)",
    "io.open('/proc/self/environ').read()",
    "io.open(f'/proc/{os.getppid()}/environ').read()",
    "ctypes.string_at(ctypes.CDLL(None).getenv(name.encode()))",
)


async def descriptors(bench: Bench) -> None:
    """No file this process has open is open in a program."""
    secret = secrets.token_hex(16)
    with tempfile.TemporaryFile() as file:
        file.write(secret.encode())
        file.flush()
        os.set_inheritable(file.fileno(), True)
        sandbox = bench.open_sandbox()
        try:
            own = Bench(sandbox, bench.open_sandbox)
            result = await own.run(_RUMMAGE, {"last": file.fileno()}, imports=IMPORTED)
        finally:
            sandbox.close()
    expect(secret not in _everything(result), "no open file to be read", result)


#: What is read at a place of its own leaves the pipes to the parent alone.
_RUMMAGE = """
import os
for number in range(last + 1):
    try:
        print(os.pread(number, 100, 0))
    except BaseException as error:
        print("held:", type(error).__name__)
"""
