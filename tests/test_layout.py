"""The repository stays readable and says nothing about any one machine."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAX_LINES = 400
VAGUE_NAMES = {"base", "common", "data", "helper", "helpers", "info", "manager", "misc", "util", "utils"}
#: Written so that this file does not match itself.
MACHINE_TRACES = {
    "a path of one machine": r"(?<![\w.])/(?:work|farm|root|home/\w+|Users/\w+|mnt|opt/\w+)/",
    "a package registry's host": r"index-[u]rl|trusted-[h]ost|python[h]osted\.org|registry\.[n]pmjs",
    "unfinished work": r"\b(?:TOD[O]|FIXM[E]|XX[X])\b",
}


def tracked_files() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listing.returncode:
        pytest.skip("not a git checkout: which files belong to the repository is not known")
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def texts() -> dict[str, str]:
    found = {}
    for file in tracked_files():
        try:
            found[file.relative_to(ROOT).as_posix()] = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return found


def python_files() -> dict[str, str]:
    return {name: text for name, text in texts().items() if name.endswith(".py")}


def test_no_python_file_is_longer_than_a_reader_can_hold() -> None:
    lengths = {name: len(text.splitlines()) for name, text in python_files().items()}
    assert lengths, "found no Python files"
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    vague = [name for name in python_files() if VAGUE_NAMES & {*Path(name).with_suffix("").parts}]
    assert vague == []


@pytest.mark.parametrize("trace", MACHINE_TRACES)
def test_no_file_holds(trace: str) -> None:
    pattern = re.compile(MACHINE_TRACES[trace])
    hits = {name: match.group() for name, text in texts().items() if (match := pattern.search(text))}
    assert hits == {}


def test_only_the_makefile_knows_where_shared_files_lie() -> None:
    naming = [name for name, text in texts().items() if re.search(r"\.\./share[d]", text)]
    assert naming == ["Makefile"]
