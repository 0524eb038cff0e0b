"""Every code block of the README and the documentation does what the text around it says.

Blocks of one document run in order, in one scratch folder that shows the repository's files, so a later
block may use what an earlier one wrote. Where a ``text`` block follows directly, or ``console`` lines
follow a command, they are its exact output, with ``...`` for what may differ.
"""

import doctest
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from spatial_agent.services.api.testing import serving

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHOWN = (
    "README.md",
    "Makefile",
    "pyproject.toml",
    "constraints.txt",
    "examples",
    "docs",
    "benchmarks",
    "deploy",
)
FENCE = re.compile(r"^```([\w-]*)[^\n]*\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
#: Shown to a reader who has no checkout yet; running them here would prove nothing.
BEFORE_A_CHECKOUT = ("git clone ", "cd ")
#: `question` and `refused` blocks are asked by the tests of the planner.
NOT_CODE = ("", "text", "mermaid", "markdown", "question", "refused")
RUN_LIMIT_S = 300
#: Where documents say that the service is; in `shell` blocks it really is served.
SERVED = "http://127.0.0.1:8080"


@dataclass(frozen=True)
class Block:
    language: str
    code: str
    line: int
    output: str | None = None


@dataclass(frozen=True)
class Command:
    line: str
    output: list[str] = field(default_factory=list)


def read_blocks(text: str) -> list[Block]:
    matches = list(FENCE.finditer(text))
    blocks = []
    for index, match in enumerate(matches):
        output = None
        for following in matches[index + 1 : index + 2]:
            if following[1] == "text" and not text[match.end() : following.start()].strip():
                output = following[2]
        blocks.append(Block(match[1], match[2], text.count("\n", 0, match.start()) + 1, output))
    return blocks


def commands(block: Block) -> Iterator[Command]:
    """Split a shell block into commands; in ``console`` they start with ``$`` and show their output."""
    joined = block.code.replace("\\\n", " ")
    if block.language != "console":
        lines = [line.strip() for line in joined.splitlines() if line.strip() and not line.startswith("#")]
        yield from (Command(line) for line in lines)
        return
    for part in re.split(r"^\$ ", joined, flags=re.MULTILINE)[1:]:
        line, _, output = part.partition("\n")
        yield Command(line, output.splitlines())


def agree(wanted: str, got: str) -> bool:
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return doctest.OutputChecker().check_output(wanted.strip() + "\n", got.strip() + "\n", options)


def run(arguments: list[str], folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        arguments,
        cwd=folder,
        env={**os.environ, "PATH": path, "COLUMNS": "100", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=RUN_LIMIT_S,
    )
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def check_command(command: Command, folder: Path) -> None:
    word = re.sub(r"^(\w+=\S+\s+)*", "", command.line).partition(" ")[0]
    if word == "make":
        check_make(command.line)
    elif word == "pip":
        check_pip(command.line)
    elif word in ("spatial-agent", "python"):
        printed = run(["bash", "-euo", "pipefail", "-c", command.line], folder)
        wanted = "\n".join(command.output)
        assert not wanted or agree(wanted, printed), f"{command.line} printed\n{printed}\nexpected\n{wanted}"
    elif not command.line.startswith(BEFORE_A_CHECKOUT):
        raise AssertionError(f"no way to check {command.line!r}: start it with spatial-agent, python or make")


def check_make(line: str) -> None:
    targets = re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    asked = [word for word in line.partition("#")[0].split()[1:] if "=" not in word]
    assert asked, f"{line!r} names no target"
    assert set(asked) <= set(targets), f"{line!r} asks for a target that the Makefile does not have"


def check_pip(line: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extras in re.findall(r"\[([\w,-]+)\]", line):
        assert set(extras.split(",")) <= set(project["optional-dependencies"]), (
            f"{line!r} asks for an unknown extra"
        )
    for file in re.findall(r"-c (\S+)", line):
        assert (ROOT / file).is_file(), f"{line!r} names a file that is not there"


def check_block(block: Block, folder: Path) -> None:
    if block.language == "python":
        printed = run([sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", block.code], folder)
        assert block.output is None or agree(block.output, printed), f"printed\n{printed}"
    elif block.language in ("bash", "sh", "console"):
        for command in commands(block):
            check_command(command, folder)
    elif block.language == "shell":
        check_served(block, folder)
    elif block.language == "json":
        json.loads(block.code)
    elif block.language == "toml":
        tomllib.loads(block.code)
    else:
        assert block.language in NOT_CODE, f"no way to check a block of {block.language!r}"


def check_served(block: Block, folder: Path) -> None:
    """Run a script that asks a service, beside one that serves."""
    with serving() as url:
        printed = run(["bash", "-euo", "pipefail", "-c", block.code.replace(SERVED, url)], folder)
    assert block.output is None or agree(block.output, printed), f"printed\n{printed}"


def runs_here(block: Block) -> bool:
    """Whether the data a block speaks of is at hand; the rest of its document runs without it."""
    wanted = re.findall(r"\bSPATIAL_AGENT_(?:TEST_DATA|WEIGHTS)\b", block.code)
    return all(os.environ.get(name) for name in wanted)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_code_blocks_of(document: Path, tmp_path: Path) -> None:
    for name in SHOWN:
        if (ROOT / name).exists():
            (tmp_path / name).symlink_to(ROOT / name)
    for block in filter(runs_here, read_blocks(document.read_text(encoding="utf-8"))):
        try:
            check_block(block, tmp_path)
        except AssertionError as error:
            error.add_note(f"in the {block.language or 'plain'} block at {document.name}:{block.line}")
            raise


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_to_files_of(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in local if not (document.parent / link).exists()] == []


BROKEN = {
    "a failing program": "```python\nraise SystemExit(1)\n```\n",
    "an output that differs": "```python\nprint(1)\n```\n\n```text\n2\n```\n",
    "a command's output that differs": "```console\n$ python -c 'print(1)'\n2\n```\n",
    "a failing command": "```bash\npython -c 'raise SystemExit(3)'\n```\n",
    "an unknown target": "```bash\nmake coffee\n```\n",
    "an unknown extra": "```bash\npip install -c constraints.txt -e '.[coffee]'\n```\n",
    "an unknown command": "```bash\nrm -rf everything\n```\n",
    "a script that fails": "```shell\ncurl -sf http://127.0.0.1:8080/v1/nothing\n```\n",
    "an unknown language": "```cobol\nSTOP RUN.\n```\n",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_the_check_itself_refuses(kind: str, tmp_path: Path) -> None:
    block, *_ = read_blocks(BROKEN[kind])
    with pytest.raises(AssertionError):
        check_block(block, tmp_path)


def test_the_check_itself_accepts_true_blocks(tmp_path: Path) -> None:
    python = "```python\nprint('about', 3.14)\n```\n\n```text\nabout ...\n```\n"
    console = "```console\n$ python -c 'print(7)'\n7\n```\n"
    blocks = read_blocks(python + console)
    assert [block.language for block in blocks] == ["python", "text", "console"]
    for block in blocks:
        check_block(block, tmp_path)
