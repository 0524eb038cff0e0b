"""What the loop's benchmarks say of their figures, worked out by hand, and one turn of each way."""

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from spatial_agent.agent.models.chat import ChatRequest, Message
from spatial_agent.agent.state import LoadedScene
from spatial_agent.agent.trace import Step
from spatial_agent.prompts.tokens import picture_tokens, text_tokens
from spatial_agent.tools.scene import Picture
from spatial_agent.tools.synthetic import SyntheticRoom

FOLDER = Path(__file__).parents[2] / "benchmarks"
#: A question of the benchmark that the example room has everything for.
QUESTION = "How far is the sofa from the tv?"


@pytest.fixture(scope="module")
def modules() -> Iterator[dict[str, ModuleType]]:
    """Both benchmarks, loaded as scripts are: their folder is searched."""
    loaded = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        for name in ("agent_overhead", "prompt_tokens"):
            spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            loaded[name] = importlib.util.module_from_spec(spec)
            # Dataclasses look their own module up by name.
            patch.setitem(sys.modules, name, loaded[name])
            spec.loader.exec_module(loaded[name])
        yield loaded


@pytest.fixture(scope="module")
def overhead(modules: dict[str, ModuleType]) -> ModuleType:
    return modules["agent_overhead"]


@pytest.fixture(scope="module")
def tokens(modules: dict[str, ModuleType]) -> ModuleType:
    return modules["prompt_tokens"]


def row(table: Table, name: str) -> list[str]:
    console = Console(width=250)
    with console.capture() as captured:
        console.print(table)
    line = next(line for line in captured.get().splitlines() if line.startswith(f"│ {name} "))
    return [cell.strip() for cell in line.strip("│").split("│")]


def times(overhead: ModuleType, with_model_s: Sequence[float]) -> dict[str, list[object]]:
    asked = [overhead.Asked(seconds, 8, (("plan", seconds / 2),)) for seconds in with_model_s]
    names = (overhead.NO_MODEL, overhead.WITH_MODEL, overhead.DRAWING, overhead.REAL)
    return {overhead.DIRECT: [overhead.Asked(0.004)]} | dict.fromkeys(names, asked)


@pytest.mark.parametrize(
    ("seconds", "said"), [((0.01, 0.08, 9.0), "met"), ((0.01, 0.0801, 9.0), "missed")], ids=["10 ms", "more"]
)
def test_the_goal_is_ten_milliseconds_a_step_in_the_middle(
    overhead: ModuleType, seconds: tuple[float, ...], said: str
) -> None:
    table = overhead.ways_table(times(overhead, seconds))
    cells = row(table, overhead.WITH_MODEL)
    assert cells[-1] == f"at most 10 ms a step: {said}"
    assert cells[3:6] == ["8.0", "10.0", f"{seconds[1] / 0.004:.2f}"]
    assert row(overhead.nodes_table(times(overhead, seconds)), "plan")[1] == f"{seconds[1] * 500:.1f}"


def test_a_node_takes_what_passed_since_the_one_before_it(overhead: ModuleType) -> None:
    kinds = [("question", 0.1), ("load", 0.3), ("call", 0.4), ("execute", 0.9), ("finished", 2.0)]
    steps = [Step(number, seconds, kind, {}) for number, (kind, seconds) in enumerate(kinds)]
    nodes = overhead.nodes_of(steps)
    assert [name for name, _ in nodes] == ["load", "execute"]
    assert [seconds for _, seconds in nodes] == pytest.approx([0.2, 0.6])


def test_every_way_answers_and_only_instant_tools_measure_once(
    overhead: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overhead, "QUESTIONS", {QUESTION: overhead.QUESTIONS[QUESTION]})
    room = SyntheticRoom.example().resized(96, 72)
    with ExitStack() as closing:
        loaded = LoadedScene(room.scene_map(), room.frames(), cached=True)
        ways = overhead.Ways(loaded, tmp_path, closing).all()
        found = overhead.timed(ways, 1)
        measured = count_calls(monkeypatch)
        ways[overhead.WITH_MODEL](QUESTION)
        assert measured == []
        ways[overhead.REAL](QUESTION)
        ways[overhead.DIRECT](QUESTION)
        # The two routes to a distance, once through the loop and once without.
        assert len(measured) == 4
    assert all(len(asked) == 1 for asked in found.values())
    nodes = [kind for kind, _ in found[overhead.WITH_MODEL][0].nodes]
    assert nodes[:2] + nodes[-2:] == ["load", "formalise", "compose", "answer"]
    assert found[overhead.WITH_MODEL][0].steps == len(nodes) >= 7


def count_calls(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Note each time a distance is really measured."""
    from spatial_agent.tools.skills import distance

    noted: list[object] = []
    measure = distance.measure_between

    def measuring(*arguments: object) -> object:
        noted.append(arguments)
        return measure(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(distance, "measure_between", measuring)
    return noted


def picture(width: int, height: int) -> Picture:
    return Picture(np.zeros((height, width, 3), np.uint8), "a frame")


def test_parts_of_a_prompt_add_up_with_their_pictures(tokens: ModuleType) -> None:
    frames = '## Marked frames\nPicture 1: "A"\nPicture 2: "B"\n\n'
    words = f'± is data.\n\n## Task\nHow far?\n\n{frames}## Map\nPicture 3: "C"'
    shown = [picture(640, 480), picture(640, 480), picture(100, 100)]
    parts = {part.title: part for part in tokens.parts_of(words, shown)}
    assert list(parts) == [tokens.BEGINNING, "Task", "Marked frames", "Map"]
    assert parts["Task"].tokens == text_tokens("## Task\nHow far?\n\n")
    assert parts["Marked frames"].pictures == 2 * picture_tokens(640, 480)
    assert parts["Map"].pictures == picture_tokens(100, 100)


def test_a_question_takes_its_prompt_the_rules_and_the_reading(tokens: ModuleType) -> None:
    prompt = Message("user", ('Data.\n\n## Task\nPicture 1: "A"', "Picture 1:", picture(640, 480)))
    answering = ChatRequest((Message("system", ("Be right.",)), prompt), "answer")
    formalising = ChatRequest((Message("user", ("Write it down.",)),), "formalise")
    read = tokens.read_of([formalising, formalising, answering])
    assert read.rules == text_tokens("Be right.")
    assert read.reading == 2 * text_tokens("Write it down.")
    assert read.prompt - read.words == picture_tokens(640, 480)
    assert read.tokens == read.prompt + read.rules + read.reading
    raw = {8: 10 * read.prompt, 24: 30 * read.prompt}
    cells = row(tokens.questions_table({"How far?": read}, raw), "How far?")
    assert cells[7:9] == ["10.0", "30.0"]


def test_raw_frames_are_no_larger_than_the_side_and_no_more_than_there_are(tokens: ModuleType) -> None:
    frames = SyntheticRoom.example().resized(320, 240).frames()
    assert len(frames) == 16
    assert tokens.raw_tokens(frames, 1024) == {n: n * picture_tokens(320, 240) for n in (8, 16)}
    assert tokens.raw_tokens(frames, 160) == {n: n * picture_tokens(160, 120) for n in (8, 16)}
