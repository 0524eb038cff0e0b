"""What others wrote cannot work the terminal."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from spatial_agent.services import console
from spatial_agent.services.cli import app
from spatial_agent.services.cli_errors import Exit
from spatial_agent.tools.mapping.scene_file import write_scene
from spatial_agent.tools.synthetic import SyntheticRoom

EVIL = "sofa\x1b]0;owned\x07\x1b[2J\u202e[red]"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("sofa", "sofa"),
        ("a [bold]b[/bold]", "a [bold]b[/bold]"),
        ("\x1b[31mred\x9b2J", "[31mred2J"),
        ("\u202eltr", "ltr"),
    ],
)
def test_texts_of_others_are_only_read(text: str, seen: str) -> None:
    terminal = Console(file=StringIO(), force_terminal=True, highlight=False)
    with terminal.capture() as captured:
        terminal.print(console.shown(text))
    assert captured.get() == f"{seen}\n"


@pytest.mark.parametrize(
    ("question", "code"),
    [("How many things are there?", None), ("How tall is the bookshelf?", Exit.ANSWERED)],
)
def test_a_label_cannot_work_the_terminal(tmp_path: Path, question: str, code: Exit | None) -> None:
    path = tmp_path / "scene.json"
    write_scene(SyntheticRoom.example().scene_map(), path)
    scene = json.loads(path.read_text(encoding="utf-8"))
    for item in scene["objects"]:
        item["label"] = EVIL if item["label"] != "bookshelf" else item["label"]
    path.write_text(json.dumps(scene), encoding="utf-8")
    done = CliRunner().invoke(app, ["ask", str(path), question])
    assert code is None or done.exit_code == code, done.output
    printed = done.output + (done.stderr if done.stderr_bytes else "")
    assert printed
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(printed)
