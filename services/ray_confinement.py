"""What a replica's process may touch: which variables it keeps, where it writes, what it still reads.

It guards against the mistakes of experts that are trusted: a library that writes beside its input, a path
that was mixed up, a log that prints the environment. It is no wall around an attacker: a Ray actor reaches
Ray itself over the loopback device, and threads that Ray started before are not held. What nobody trusts
runs in a process of its own (`spatial_agent.sandbox.isolation`).

Nothing heavy is imported at the top, since `ray_actor` must not.
"""

import ctypes
import os
import posix
import shutil
import site
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path

#: Variables an expert's process keeps: what finds programs, libraries and languages, and switches that keep
#: the libraries of models from asking the network.
KEPT_VARIABLES = frozenset(
    {
        *("HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TERM", "TMPDIR", "TZ", "USER"),
        *("DO_NOT_TRACK", "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"),
        *("GLIBC_TUNABLES", "RAY_TLS_SERVER_KEY", "SPT_NOENV"),
    }
)
#: What Ray, Python, drivers and numeric libraries read, many of them late: families, whose members change
#: with every version.
KEPT_FAMILIES = (
    *("LC_", "PYTHON", "RAY_"),
    *("CUBLAS_", "CUDA_", "CUDNN_", "NCCL_", "NVIDIA_", "PYTORCH_", "TORCH_", "TRITON_"),
    *("HIP_", "HSA_", "MIOPEN_", "ROCM_", "ROCR_", "ONEAPI_", "SYCL_", "ZE_"),
    *("BLIS_", "GOMP_", "KMP_", "MALLOC_", "MKL_", "NUMEXPR_", "NVPL_", "OMP_", "OPENBLAS_"),
)
#: A member of such a family that says so is a secret all the same, such as ``RAY_AUTH_TOKEN``.
_SECRETS = ("CREDENTIAL", "KEY", "PASS", "SECRET", "TOKEN")

_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/opt/rocm", "/sys")
#: What the machine says of itself. Other processes are not among it: as root, a process reads their
#: environments past Landlock's own check.
_PROC = tuple(
    f"/proc/{name}"
    for name in (
        *("bus", "cmdline", "cpuinfo", "devices", "driver", "filesystems", "loadavg", "meminfo", "modules"),
        *("stat", "sys", "uptime", "version", "vmstat", "zoneinfo"),
    )
)
#: Names of hosts, users, languages and libraries; the rest of /etc is nobody's business.
_SETTINGS = tuple(
    f"/etc/{name}"
    for name in (
        *("alternatives", "fonts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "ssl/certs"),
        *("gai.conf", "group", "host.conf", "hosts", "nsswitch.conf", "passwd", "resolv.conf", "services"),
        *("OpenCL", "glvnd", "vulkan"),
    )
)
#: Shared memory and what holds nothing, which libraries open for themselves.
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/shm", "/dev/tty")
_ACCELERATORS = ("/dev/nvidia*", "/dev/dri", "/dev/kfd", "/dev/dxg")
_PACKAGE_FOLDERS = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class Grants:
    """What the process of one expert may touch beside what every one may.

    Attributes:
        variables: Environment variables it sees in any case, by name.
        readable: Paths it may also read once it has loaded.
        writable: Paths it may also write to.
        is_proxy: Whether the expert is isolated: none of its code runs here, and the process it runs in could
            not be walled off from behind Landlock.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    is_proxy: bool = False


class Confinement:
    """Narrows this process down in three steps: at its start, before the expert loads, and before its calls.

    Args:
        tool: Name of the expert.
        grants: What it may touch beside what every one may.
        folder: Where all experts of this machine have their folders; made where it is not there.
    """

    def __init__(self, tool: str, grants: Grants, folder: Path) -> None:
        """Wipe the environment, and give the process a home and a temporary folder of its own."""
        self._grants = grants
        wipe_environment(grants.variables)
        home, temporary = _own_folders(folder, tool)
        self._own = (str(home), str(temporary))
        own = {"HOME": str(home), "TMPDIR": str(temporary), **grants.variables}
        os.environ.update(own)  # noqa: TID251 - written for the expert's libraries, not read
        tempfile.tempdir = str(temporary)
        self._thread = threading.local()
        # A rule about a folder of /proc is about an object of the kernel's that stays while it is open.
        self._self = os.open(f"/proc/{os.getpid()}", os.O_PATH | os.O_CLOEXEC)

    @property
    def holds(self) -> bool:
        """Whether this kernel can hold the process to its files; without Landlock it cannot."""
        from spatial_agent.sandbox.kernel import landlock

        return landlock.abi_version() > 0

    def before_load(self) -> None:
        """Let this thread, and all it starts, write to the expert's own folders only, for good.

        What other processes hold is out of reach as well; files are all still to be read.

        Raises:
            SandboxUnavailableError: If the kernel has Landlock and refuses.
        """
        self._restrict([entry.path for entry in os.scandir("/") if entry.name != "proc"])

    def before_calls(self) -> None:
        """Let this thread, and all it starts, also read nothing but what computing needs, for good.

        Ray runs every call in the one thread that loaded; should it take another, that one is held as well.

        Raises:
            SandboxUnavailableError: If the kernel has Landlock and refuses.
        """
        if not getattr(self._thread, "is_held", False):
            self._restrict([*_readable_by_all(), *self._grants.readable])
            self._thread.is_held = True

    def _restrict(self, readable: list[str]) -> None:
        from spatial_agent.sandbox.kernel import landlock

        if self.holds and not self._grants.is_proxy:
            accelerators = [path for pattern in _ACCELERATORS for path in glob(pattern)]
            writable = [*self._own, *self._grants.writable, *_DEVICES, *accelerators]
            readable = [*readable, f"/proc/{os.getpid()}", *_PROC]
            # Ray and GPU libraries use TCP on the loopback device and abstract sockets.
            landlock.restrict(readable=readable, writable=writable, network=True, scoped=False)


def is_kept(name: str, also: Collection[str] = ()) -> bool:
    """Return whether an expert's process keeps an environment variable.

    Args:
        name: Its name.
        also: Names that are kept in any case.

    >>> [is_kept(name) for name in ("PATH", "OMP_NUM_THREADS", "OPENAI_API_KEY", "RAY_AUTH_TOKEN")]
    [True, True, False, False]
    """
    if name in KEPT_VARIABLES or name in also:
        return True
    return name.startswith(KEPT_FAMILIES) and not any(word in name.upper() for word in _SECRETS)


def wipe_environment(also: Collection[str] = ()) -> None:
    """Remove every variable but those that are kept, from wherever a process finds its environment.

    That is Python's mappings, the C library's table, and the memory the kernel wrote it to, which
    ``/proc/PID/environ`` shows. Variables that are kept are not moved, so that a thread that reads one
    meanwhile finds it.

    Args:
        also: Names that are kept beside `KEPT_VARIABLES` and `KEPT_FAMILIES`.
    """
    for name in [name for name in os.environ if not is_kept(name, also)]:  # noqa: TID251 - to remove it
        del os.environ[name]  # noqa: TID251
        posix.environ.pop(os.fsencode(name), None)
    for address, size in _first_variables(also):
        ctypes.memset(address, 0, size)


def _first_variables(also: Collection[str]) -> Iterator[tuple[int, int]]:
    """Yield address and size of every variable the process was started with and does not keep."""
    with open("/proc/self/stat", "rb") as file:
        # The name in brackets may hold anything; counted from 1, these are the fields 50 and 51.
        fields = file.read().rpartition(b")")[2].split()
    start, end = int(fields[47]), int(fields[48])
    for variable in ctypes.string_at(start, end - start).split(b"\0"):
        name = os.fsdecode(variable.partition(b"=")[0])
        if not is_kept(name, also):
            yield start, len(variable)
        start += len(variable) + 1


def _own_folders(folder: Path, tool: str) -> tuple[Path, Path]:
    """Return a home, which all replicas of an expert share, and a temporary folder for this process.

    Replicas are killed and cannot clean up, so that each removes what dead ones left. The paths are short:
    sockets are made in temporary folders, whose paths must be.
    """
    home, temporary = folder / "homes" / tool, folder / "tmp" / str(os.getpid())
    temporary.parent.mkdir(parents=True, exist_ok=True)
    for left in temporary.parent.iterdir():
        if left.name == temporary.name or not Path("/proc", left.name).exists():
            shutil.rmtree(left, ignore_errors=True)
    for made in (home, temporary):
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
    return home, temporary


def _readable_by_all() -> list[str]:
    """Return what an expert reads to compute: the system's libraries, the interpreter and its packages."""
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values()}
    packages = {entry for entry in sys.path if Path(entry).name in _PACKAGE_FOLDERS}
    libraries = os.environ.get("LD_LIBRARY_PATH", "").split(":")  # noqa: TID251 - the linker's own setting
    roots = {*_SYSTEM, *_SETTINGS, *prefixes, *packages, *libraries, site.getusersitepackages()} - {""}
    known = (*(f"{root}/" for root in roots),)
    imported = {path for path in _imported() if not f"{path}/".startswith(known)}
    return sorted(path for path in roots | imported if os.access(path, os.R_OK))


def _imported() -> Iterator[str]:
    """Yield where imported packages and modules lie, wherever they were installed from.

    What lies beside an imported module is not among it: that may be somebody's home.
    """
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            yield os.path.dirname(file) if hasattr(module, "__path__") else file
