"""What a stranger's expert tries succeeds in a plain process, and fails in its own."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest

from spatial_agent.sandbox.isolation.expert import IsolatedExpert
from spatial_agent.tools.errors import ToolCrashedError, ToolFailedError
from spatial_agent.tools.registry import Registry

SECRET = "k3y-of-the-operator"
PLAIN = "import stranger_tools, sys; print(stranger_tools.ATTACKS[sys.argv[1]](sys.argv[2]))"
IN_VAIN = (
    "KeyError|FileNotFoundError|Read-only|Permission|Connection|Network|ProcessLookup|not permitted|Errno|"
    "temporarily unavailable"
)


@pytest.fixture(scope="module")
def attack(registry: Registry) -> Iterator[IsolatedExpert]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CANARY", SECRET)
        expert = registry.get("stranger.attack").build()
        expert.load("cpu")
    yield expert
    expert.close()


@pytest.fixture(scope="module")
def victim() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.kill()
    process.communicate()


@pytest.fixture(scope="module")
def abstract() -> Iterator[str]:
    name = f"stranger-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        yield name


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def given(
    tmp_path_factory: pytest.TempPathFactory, victim: int, abstract: str, port: int
) -> Mapping[str, str]:
    """What each attack is about."""
    home = tmp_path_factory.mktemp("home-of-the-operator")
    home.chmod(0o755)
    (home / "credentials").write_text(SECRET, encoding="utf-8")
    return {
        "read the environment": "CANARY",
        "read a file": str(home / "credentials"),
        "write a file": str(home / "planted"),
        "open a setting of the kernel": "/proc/sys/kernel/core_pattern",
        "connect over loopback": str(port),
        "connect to an abstract socket": abstract,
        "see a process": str(victim),
        "look into a process": str(victim),
        "start a program": "/bin/true",
        "start many processes": "",
        "enter a user namespace": "",
    }


def plainly(name: str, given: str) -> subprocess.CompletedProcess[str]:
    """Make an attack in an ordinary process, where the stranger would be trusted."""
    return subprocess.run(
        [sys.executable, "-c", PLAIN, name, given],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "CANARY": SECRET, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "name",
    [
        "read the environment",
        "read a file",
        "write a file",
        "open a setting of the kernel",
        "connect over loopback",
        "connect to an abstract socket",
        "see a process",
        "look into a process",
        "start a program",
        "start many processes",
        "enter a user namespace",
    ],
)
def test_what_succeeds_in_a_plain_process_fails_isolated(
    name: str, given: Mapping[str, str], attack: IsolatedExpert
) -> None:
    with pytest.raises(ToolFailedError, match=IN_VAIN) as caught:
        attack(name=name, given=given[name])

    assert SECRET not in str(caught.value)
    done = plainly(name, given[name])
    if name in ("open a setting of the kernel", "enter a user namespace") and done.returncode:
        pytest.skip(f"even a plain process may not: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr


def test_it_cannot_end_other_processes(attack: IsolatedExpert) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as victim:
        with pytest.raises(ToolFailedError, match="ProcessLookupError|not permitted"):
            attack(name="end a process", given=str(victim.pid))
        assert victim.poll() is None

        assert plainly("end a process", str(victim.pid)).returncode == 0
        assert victim.wait(timeout=30) != 0


def test_memory_beyond_its_own_ends_in_an_error(attack: IsolatedExpert) -> None:
    with pytest.raises(ToolCrashedError, match="ran out of memory"):
        attack(name="take 3 GB", given="")

    # Zeros nobody has touched take no memory, so this costs the machine nothing.
    assert plainly("take 3 GB", "").stdout.strip() == str(3 * 10**9)
