"""What an expert's process can still touch: each attempt succeeds in a plain worker of the same Ray first."""

import ctypes
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

pytest.importorskip("ray")

import ray
from ray import cloudpickle

from spatial_agent.sandbox.kernel import landlock
from spatial_agent.sandbox.policy import ExpertPolicy
from spatial_agent.services.ray_actor import Whereabouts
from spatial_agent.services.ray_cluster import RayCluster
from spatial_agent.services.ray_launch import Launcher
from spatial_agent.services.ray_requests import PoolOptions
from spatial_agent.tools.contract import Weights
from spatial_agent.tools.errors import ToolCrashedError, ToolUnavailableError
from spatial_agent.tools.local_experts import nowhere
from spatial_agent.tools.registry import expert

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]
needs_landlock = pytest.mark.skipif(landlock.abi_version() == 0, reason="this kernel has no Landlock")

Serve = Callable[..., Any]
# The fixture's own class, which cannot be imported from here.
Bench: TypeAlias = Any
CONTENT = "what the file holds"
CONFINED = ExpertPolicy()


def ask_the_c_library(name: str) -> str:
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_char_p
    return (libc.getenv(name.encode()) or b"").decode()


def ask_a_child(name: str) -> str:
    return subprocess.run(["/bin/sh", "-c", f"echo ${name}"], capture_output=True, text=True).stdout


def ask_the_parent(name: str) -> str:
    return Path(f"/proc/{os.getppid()}/environ").read_text()


def search_the_stack(name: str) -> str:
    """Return what lies where the kernel puts a new process's variables, wherever they were moved to since."""
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb") as memory:
        start, end = next(line.split()[0].split("-") for line in maps if "[stack]" in line)
        memory.seek(int(start, 16))
        return memory.read(int(end, 16) - int(start, 16)).decode(errors="replace")


SECRET_ATTEMPTS: dict[str, Callable[[str], str]] = {
    "os.environ": lambda name: os.environ.get(name, ""),
    "posix.environ": lambda name: os.fsdecode(
        importlib.import_module("posix").environ.get(name.encode(), b"")
    ),
    "getenv": ask_the_c_library,
    "/proc/self/environ": lambda name: Path("/proc/self/environ").read_text(),
    "the environment of a child": ask_a_child,
    "the stack": search_the_stack,
    "the parent's environment": ask_the_parent,
}


def append(path: str) -> str:
    with open(path, "a") as file:
        file.write(" and more")
    return "done"


def truncate(path: str) -> str:
    os.truncate(path, 0)
    return "done"


def rename(path: str) -> str:
    os.rename(path, f"{path}.renamed")
    return "done"


def link(path: str) -> str:
    os.symlink(path, f"{path}.link")
    return "done"


def make_folder(path: str) -> str:
    os.mkdir(f"{path}.folder")
    return "done"


def remove(path: str) -> str:
    os.remove(path)
    return "done"


def write_from_a_child(path: str) -> str:
    shell = subprocess.run(["/bin/sh", "-c", f"echo more >> {path}"], capture_output=True)
    return "done" if shell.returncode == 0 else "refused"


WRITE_ATTEMPTS = (append, truncate, rename, link, make_folder, remove, write_from_a_child)


READ_ATTEMPTS: dict[str, Callable[[str], str]] = {
    "open": lambda path: Path(path).read_text(),
    "a child": lambda path: subprocess.run(["/bin/cat", path], capture_output=True, text=True).stdout,
    "its folder": lambda path: f"{CONTENT}: {os.listdir(os.path.dirname(path))}",
    "the root of this process": lambda path: Path(f"/proc/self/root{path}").read_text(),
    "a symbolic link": lambda path: Path(linked(path)).read_text(),
}


def linked(path: str) -> str:
    link = os.path.join(tempfile.mkdtemp(), "link")
    os.symlink(path, link)
    return link


ATTEMPTS: dict[str, Callable[[str], str]] = {
    **SECRET_ATTEMPTS,
    **READ_ATTEMPTS,
    **{attempt.__name__: attempt for attempt in WRITE_ATTEMPTS},
    "/etc/shadow": lambda path: f"{len(Path('/etc/shadow').read_text())} bytes",
}


def attempt(how: str, what: str) -> str:
    try:
        return ATTEMPTS[how](what)
    except PermissionError:
        return "refused"


@expert("test.attempt")
class Attempt:
    """Tries to touch what it is told to."""

    def load(self, device: str) -> None:
        self.loaded = attempt

    def __call__(self, how: str, what: str) -> str:
        """Try.

        Args:
            how: One of the attempts.
            what: Name of a variable, or path of a file.
        """
        return self.loaded(how, what)


@expert("test.weights", weights=[Weights("w", "file:w", "MIT", vram_gb=0.0)])
class Loaded:
    """Reads its weights while it loads, and tries what a network's libraries do afterwards."""

    def __init__(self, weights: Path) -> None:
        self.weights = weights

    def load(self, device: str) -> None:
        self.read = self.weights.read_text()
        try:
            self.weights.write_text("spoiled")
        except PermissionError:
            self.read += ", not written"

    def __call__(self, how: str) -> str:
        """Work.

        Args:
            how: One of the works.
        """
        return str(getattr(self, how)())

    def told(self) -> str:
        return f"{self.read}; {attempt('open', str(self.weights))}"

    def cache(self) -> str:
        kept = Path.home() / ".cache" / "kernel"
        kept.parent.mkdir(exist_ok=True)
        kept.write_text("compiled")
        return kept.read_text()

    def temporary(self) -> str:
        with tempfile.NamedTemporaryFile("w+") as named, tempfile.TemporaryFile("w+") as nameless:
            named.write("a")
            nameless.write("b")
            return os.path.dirname(named.name)

    def late_import(self) -> list[str]:
        """Import from the interpreter, its packages, and this package, wherever that lies."""
        names = ("xml.dom.minidom", "PIL.ImageMorph", "spatial_agent.tools.synthetic")
        before = [name for name in names if name in sys.modules]
        for name in names:
            importlib.import_module(name)
        return before

    def process(self) -> bool:
        """What libraries ask of the machine and of themselves."""
        for path in ("/proc/self/maps", "/proc/self/status", "/proc/meminfo", "/proc/cpuinfo"):
            assert Path(path).read_text()
        return Path("/proc/self/task", str(threading.get_native_id()), "comm").is_file()

    def nested(self) -> int:
        """Work with Ray itself, as a thread that is held."""
        return int(ray.get(ray.put(41))) + 1


@ray.remote(num_cpus=0)
def plainly(how: str, what: str) -> str:
    return attempt(how, what)


@pytest.fixture(scope="module")
def confined(serve_all: Serve, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    weights = tmp_path_factory.mktemp("weights") / "w"
    weights.write_text("numbers")
    return serve_all(
        Attempt, Loaded, options=PoolOptions(most=1), policy=CONFINED, locate=lambda wanted: weights
    )


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file of somebody else's."""
    file = tmp_path / "file"
    file.write_text(CONTENT)
    return file


@pytest.mark.parametrize("how", SECRET_ATTEMPTS)
def test_a_secret_of_the_environment_is_nowhere(confined: Bench, secret: tuple[str, str], how: str) -> None:
    name, value = secret
    assert value in ray.get(plainly.remote(how, name)), "the attempt proves nothing"
    assert value not in confined.answer("test.attempt", how=how, what=name)


@needs_landlock
@pytest.mark.parametrize("how", [attempt.__name__ for attempt in WRITE_ATTEMPTS])
def test_nothing_is_written_outside_its_own_folders(confined: Bench, canary: Path, how: str) -> None:
    assert confined.answer("test.attempt", how=how, what=str(canary)) == "refused"
    assert canary.read_text() == CONTENT
    assert [path.name for path in canary.parent.iterdir()] == [canary.name]
    assert ray.get(plainly.remote(how, str(canary))) == "done", "the attempt proves nothing"


@needs_landlock
@pytest.mark.parametrize("how", READ_ATTEMPTS)
def test_nothing_new_is_read_once_it_has_loaded(confined: Bench, canary: Path, how: str) -> None:
    assert CONTENT in ray.get(plainly.remote(how, str(canary))), "the attempt proves nothing"
    assert CONTENT not in confined.answer("test.attempt", how=how, what=str(canary))


@needs_landlock
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may read that file anyway")
def test_root_does_not_read_the_systems_secrets(confined: Bench) -> None:
    assert ray.get(plainly.remote("/etc/shadow", "")).endswith("bytes"), "the attempt proves nothing"
    assert confined.answer("test.attempt", how="/etc/shadow", what="") == "refused"


@needs_landlock
def test_weights_are_read_while_it_loads_and_never_written(confined: Bench) -> None:
    assert confined.answer("test.weights", how="told") == "numbers, not written; refused"


@pytest.mark.parametrize(
    ("work", "answer"),
    [
        ("cache", "compiled"),
        ("late_import", "[]"),
        ("nested", "42"),
        ("process", "True"),
    ],
)
def test_what_computing_needs_still_works(confined: Bench, work: str, answer: str) -> None:
    assert confined.answer("test.weights", how=work) == answer


def test_temporary_files_of_a_dead_process_go_with_the_next_one(serve: Serve, confined: Bench) -> None:
    folder = Path(confined.answer("test.weights", how="temporary"))
    assert folder.is_dir()
    left = folder.parent / "99999999"  # no process has that number: Linux ends at 2^22
    shutil.copytree(folder, left)
    serve(Attempt, policy=CONFINED).answer("test.attempt", how="os.environ", what="HOME")
    assert not left.exists()
    assert folder.is_dir()


@needs_landlock
def test_a_policy_gives_more_by_name(
    serve: Serve, canary: Path, secret: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    own = tmp_path_factory.mktemp("own") / "file"
    own.write_text(CONTENT)
    policy = ExpertPolicy(
        readable=(canary.parent,), writable=(own.parent,), environment=frozenset({secret[0]})
    )
    bench = serve(Attempt, policy=policy)
    assert bench.answer("test.attempt", how="open", what=str(canary)) == CONTENT
    assert bench.answer("test.attempt", how="append", what=str(canary)) == "refused"
    assert bench.answer("test.attempt", how="append", what=str(own)) == "done"
    assert bench.answer("test.attempt", how="os.environ", what=secret[0]) == secret[1]


@expert("test.eat")
def eat(size_mb: int) -> int:
    """Take memory.

    Args:
        size_mb: How much, 2^20 bytes.
    """
    return len(bytes(size_mb * 2**20))


def test_a_policy_limits_memory(serve: Serve) -> None:
    assert serve(eat, policy=CONFINED).answer("test.eat", size_mb=1500) == 1500 * 2**20
    bench = serve(eat, policy=ExpertPolicy(memory_gb=0.2))
    with pytest.raises(ToolCrashedError, match=r"its limit is 0\.2 GB"):
        bench.answer("test.eat", size_mb=1500)


def test_a_trusted_expert_is_not_passed_off_as_isolated(serve: Serve) -> None:
    bench = serve(Attempt, policy=ExpertPolicy(is_strict=True))
    with pytest.raises(ToolUnavailableError, match="is to run strictly isolated"):
        bench.answer("test.attempt", how="os.environ", what="HOME")


OWN_RAY = """
import os, ray, sys
from spatial_agent.services.ray_cluster import ClusterOptions, RayCluster

cluster = RayCluster(ClusterOptions(cpus=1, store_mb=100))
cluster.start()

@ray.remote(num_cpus=0)
def look():
    both = (open(f"/proc/{pid}/environ").read() for pid in (os.getpid(), os.getppid()))
    return [os.environ.get("TEST_MODEL_API_KEY", ""), *both]

print("canary" in "".join(ray.get(look.remote())), os.environ["TEST_MODEL_API_KEY"])
cluster.close()
"""


def told_by(program: str, *arguments: str, **variables: str) -> list[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        capture_output=True,
        text=True,
        env=kept | variables,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_a_ray_that_is_started_here_never_gets_a_secret() -> None:
    assert told_by(OWN_RAY, TEST_MODEL_API_KEY="canary") == ["False canary"]


WITHOUT_LANDLOCK = """
import sys
from pathlib import Path
from spatial_agent.sandbox.kernel import landlock
from spatial_agent.services.ray_confinement import Confinement, Grants

landlock.abi_version = lambda: 0
folder = Path(sys.argv[1])
confinement = Confinement("test", Grants(), folder / "experts")
confinement.before_load()
confinement.before_calls()
(folder / "file").write_text("written")
print(confinement.holds, Path.home() == folder / "experts" / "homes" / "test")
"""


def test_without_landlock_the_rest_still_holds(tmp_path: Path) -> None:
    assert told_by(WITHOUT_LANDLOCK, str(tmp_path)) == ["False True"]


def test_a_machine_without_landlock_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    launcher = Launcher(RayCluster(), nowhere, list)
    for node in ("n1", "n1", "n2"):
        launcher.tell(Whereabouts(1, node, (), is_confined=False))
    launcher.tell(Whereabouts(1, "n3", (), is_confined=True))
    assert [record.args for record in caplog.records] == [("n1",), ("n2",)]
