"""The bubblewrapped command line: what a program behind it sees, as root and as an ordinary user."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from spatial_agent.sandbox.kernel import bwrap, bwrap_as_nobody

pytestmark = pytest.mark.skipif(bwrap.why_not() is not None, reason=str(bwrap.why_not()))
LOOK = """
import json, os, socket, sys
from pathlib import Path
def try_to(action):
    try:
        return action() or "done"
    except OSError as error:
        return type(error).__name__
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps({
    "who": [os.getuid(), os.getgid(), os.getgroups()],
    "capabilities": status["CapBnd"].strip() + status["CapEff"].strip(),
    "environment": sorted(os.environ),
    "host": socket.gethostname(),
    "interfaces": [name for _, name in socket.if_nameindex()],
    "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
    "root": sorted(os.listdir("/")),
    "leads": sorted(os.listdir(Path(sys.argv[1]).parent)),
    "given": try_to(lambda: Path(sys.argv[1], "file").read_text()),
    "written": [try_to(lambda: os.close(os.open(path, os.O_WRONLY | os.O_CREAT))) for path in sys.argv[2:]],
    "room": os.statvfs("/tmp").f_blocks * os.statvfs("/tmp").f_frsize,
    "packages": try_to(lambda: __import__("numpy").__name__),
}))
"""


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to be seen, beside another that is not."""
    above = tmp_path_factory.mktemp("above")
    (above / "hidden").mkdir()
    for name in ("seen", "written"):
        (above / name).mkdir()
        (above / name).chmod(0o777)
        (above / name / "file").write_text("contents", encoding="utf-8")
    return above


@pytest.fixture(scope="module")
def seen(given: Path) -> Mapping[str, object]:
    """What a program finds behind bubblewrap."""
    targets = [
        given / "seen" / "new",
        given / "written" / "new",
        "/new",
        "/dev/new",
        "/proc/sys/kernel/core_pattern",
    ]
    program = [sys.executable, "-P", "-s", "-c", LOOK, str(given / "seen"), *map(str, targets)]
    command = bwrap.command(
        program,
        readable=[given / "seen"],
        writable=[given / "written"],
        memory_tmp_mb=3,
        environment={"MORE": "1", "PYTHONPATH": os.pathsep.join(map(str, bwrap.site_folders()))},
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found: Mapping[str, object] = json.loads(done.stdout)
    return found


def test_it_runs_as_nobody_without_capabilities(seen: Mapping[str, object]) -> None:
    uid, gid, _ = seen["who"]  # type: ignore[misc]

    assert (uid, gid) == (65534, 65534)  # type: ignore[has-type]
    assert int(str(seen["capabilities"]), 16) == 0


def test_root_is_given_up_for_good(given: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    program = [sys.executable, "-I", "-S", "-c", "input()"]
    with subprocess.Popen(bwrap.command(program), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        # The process outside turns into bubblewrap, which belongs to whoever started it.
        while "bwrap" not in Path(f"/proc/{process.pid}/comm").read_text():
            assert process.poll() is None
        owner = Path(f"/proc/{process.pid}").stat().st_uid
        process.kill()

    assert owner == bwrap_as_nobody.NOBODY


def test_it_sees_no_network_no_other_process_and_no_environment(seen: Mapping[str, object]) -> None:
    assert seen["interfaces"] == ["lo"]
    assert int(str(seen["processes"])) <= 3
    assert seen["host"] == "sandbox"
    variables = {*map(str, seen["environment"])}  # type: ignore[call-overload]
    assert variables - {"LC_CTYPE", "PWD"} == {
        *(
            "HOME",
            "LANG",
            "LOGNAME",
            "MORE",
            "PATH",
            "PYTHONDONTWRITEBYTECODE",
            "PYTHONPATH",
            "TMPDIR",
            "USER",
        ),
    }


def test_it_sees_chosen_files_and_the_interpreter_with_its_packages(seen: Mapping[str, object]) -> None:
    assert seen["given"] == "contents"
    assert seen["leads"] == ["seen", "written"]
    assert "home" not in seen["root"] or not Path("/home").is_dir()  # type: ignore[operator]
    assert seen["packages"] == "numpy"


def test_it_writes_to_nothing_but_what_it_may(seen: Mapping[str, object]) -> None:
    read_only, writable, root, devices, kernel = seen["written"]  # type: ignore[misc]

    assert writable == "done"  # type: ignore[has-type]
    assert {read_only, root, devices} == {"OSError"}  # type: ignore[has-type]
    assert kernel == "FileNotFoundError"  # type: ignore[has-type]
    assert seen["room"] == 3 * 2**20


def test_inherited_descriptors_pass_through() -> None:
    reading, writing = os.pipe()
    program = [sys.executable, "-I", "-S", "-c", f"import os; os.write({writing}, b'through')"]
    subprocess.run(bwrap.command(program), pass_fds=[writing], timeout=60, check=True)
    os.close(writing)

    assert os.read(reading, 10) == b"through"
    os.close(reading)


def test_it_ends_with_whoever_started_it(tmp_path: Path) -> None:
    held, kept = os.pipe()
    inner = bwrap.command(
        [sys.executable, "-I", "-S", "-c", "import time; print('up', flush=True); time.sleep(600)"]
    )
    outer = (
        f"import subprocess, os; p = subprocess.Popen({inner!r}, pass_fds=[{kept}], stdout=subprocess.PIPE); "
    )
    outer += "p.stdout.readline(); os._exit(0)"
    subprocess.run([sys.executable, "-c", outer], pass_fds=[kept], timeout=60, check=True)
    os.close(kept)

    # The pipe ends when the last process that holds its other end does.
    assert os.read(held, 1) == b""
    os.close(held)


def test_of_paths_inside_others_only_the_outermost_are_kept(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)

    assert bwrap.outermost([inner, tmp_path / "a", tmp_path / "missing"]) == [tmp_path / "a"]


def test_neither_the_current_folder_nor_a_home_is_a_folder_of_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, home, packages = (tmp_path / name for name in ("here", "home", "packages"))
    for folder in (here, home, packages):
        (folder / "any-1.0.dist-info").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", ["", str(here), str(home), str(tmp_path), str(packages)])

    assert bwrap.site_folders() == [packages]


def test_a_machine_without_bubblewrap_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bwrap, "find", lambda: None)

    assert "apt-get install bubblewrap" in str(bwrap.why_not.__wrapped__())


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("bwrap: Unknown option --disable-userns", "newer version"),
        ("bwrap: setting up uid map: Permission denied", "apparmor_restrict_unprivileged_userns=0"),
    ],
)
def test_a_kernel_or_version_that_refuses_is_told_what_to_set(
    said: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = tmp_path / "bwrap"
    refusing.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n", encoding="utf-8")
    refusing.chmod(0o755)
    tmp_path.chmod(0o755)
    monkeypatch.setattr(bwrap, "command", lambda argv: [str(refusing), *argv])

    reason = str(bwrap.why_not.__wrapped__())

    assert said in reason
    assert advice in reason
