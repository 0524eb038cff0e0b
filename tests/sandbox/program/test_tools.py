"""What a program asks of outside: tools, values behind handles; and what it gives: answers and pictures."""

import signal
import sys
from collections.abc import Callable

import numpy as np
import pytest

from spatial_agent.sandbox.environment import ProgramAnswer, ProgramResult
from spatial_agent.sandbox.interrupts import INTERRUPTS
from spatial_agent.sandbox.messages import (
    Call,
    Cell,
    Failed,
    Fetch,
    Fetched,
    Returned,
    Setup,
    ToChild,
    ToParent,
)
from spatial_agent.sandbox.program import Program
from spatial_agent.tools import errors
from spatial_agent.tools.contract import Finding
from spatial_agent.tools.scene import UNITS, DepthMap, Picture
from tests.sandbox.program.conftest import ScriptedChannel

RunCell = Callable[[str], ProgramResult]
OpenProgram = Callable[..., RunCell]
DISTANCE = Finding("1.5 m.", 1.5, "m", 1.25, 2.0, quality="weak", why_weak="few points")
DEPTH = DepthMap(np.full((2, 3), 4.0, np.float32))
TURQUOISE = np.full((2, 3, 3), (64, 224, 208), np.uint8)


class Runner:
    """Answers as the parent does, and keeps what it was asked."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def __call__(self, request: Call | Fetch) -> ToChild:
        match request:
            case Fetch(reference="$depth/1"):
                return Fetched(DEPTH)
            case Fetch(reference="$top_down/1"):
                return Fetched(Picture(TURQUOISE, "A map."))
            case Fetch():
                return Failed("ToolArgumentError", f"nothing is kept under {request.reference}")
            case Call():
                self.calls.append(request)
                return self.result(request)

    def result(self, call: Call) -> ToChild:
        match call.tool:
            case "distance":
                return Returned(DISTANCE, None)
            case "depth.sensor":
                return Returned(None, "$depth/1")
            case "top_down":
                return Returned(None, "$top_down/1")
            case _:
                return Failed("ToolUnavailableError", f"there is no tool {call.tool!r}")


@pytest.fixture
def runner() -> Runner:
    return Runner()


@pytest.fixture
def run(open_program: OpenProgram, runner: Runner) -> RunCell:
    return open_program(runner)


def told(run: RunCell, source: str) -> str:
    """Return the error's own words: the last line of what a program is told."""
    error = run(source).error
    assert error is not None
    assert error.kind == "exception"
    return error.message.splitlines()[-1]


def output(run: RunCell, source: str) -> str:
    result = run(source)
    assert result.error is None, result.error
    return result.output


def test_a_skill_gives_its_finding(run: RunCell, runner: Runner) -> None:
    source = "d = tools.distance(scene='$scene', a='chair', b='table')\n"
    assert output(
        run, source + "print(d.value, d.unit, d.low, d.high, d.margin, d.claim, d.quality, d.why_weak)"
    ) == ("1.5 m 1.25 2.0 0.5 1.5 m. weak few points\n")
    assert runner.calls == [Call("distance", {"scene": "$scene", "a": "chair", "b": "table"})]


def test_a_value_is_given_as_a_handle_that_tools_take(run: RunCell, runner: Runner) -> None:
    assert (
        output(run, "h = tools.depth.sensor(frame='$frame/1')\nprint(h, h.reference)")
        == "$depth/1 $depth/1\n"
    )
    output(run, "_ = tools.distance(depth=h, all=[h, h])")
    assert runner.calls[-1].arguments == {"depth": "$depth/1", "all": ["$depth/1", "$depth/1"]}


def test_a_handle_fetches_its_value(run: RunCell) -> None:
    source = "h = tools.depth.sensor(frame='$frame/1')\nd = h.fetch()\nprint(type(d).__name__, d.z_m.sum())"
    assert output(run, source) == "DepthMap 24.0\n"
    assert "write .fetch().z_m" in told(run, "h.z_m")


def test_arguments_are_plain_json_whatever_they_were(run: RunCell, runner: Runner) -> None:
    output(run, "_ = tools.distance(a=np.float32(0.5), b=np.arange(3), c=(True, None), d={'e': np.int8(4)})")
    assert runner.calls[0].arguments == {"a": 0.5, "b": [0, 1, 2], "c": [True, None], "d": {"e": 4}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("'chair'", "TypeError: tools.distance takes arguments by name only"),
        ("a=np", "TypeError: tools.distance: a is a module; tools take numbers"),
        ("a=float('nan')", "ValueError: tools.distance: a: expected a finite number, got nan"),
        ("a=np.array([1.0, np.inf])", "ValueError: tools.distance: a: expected a finite number, got inf"),
        ("a=2**64", "ValueError: tools.distance: a: expected an integer below 2^64"),
        ("a=10**5000", "ValueError: tools.distance: a: expected an integer below 2^64"),
        ("a='\\ud800'", "ValueError: tools.distance: a: half a character"),
        ("a={1: 2}", "TypeError: tools.distance: a: the names in a mapping must be text, got int"),
        ("a=np.zeros((101, 101))", "ValueError: tools.distance: a holds too much"),
        ("a=[0] * 20_000", "ValueError: tools.distance: a holds too much"),
        ("a='x' * 2_000_000", "ValueError: tools.distance: a holds too much"),
        ("a=loop", "ValueError: tools.distance: a holds too much"),
        ("a=b'bytes'", "TypeError: tools.distance: a is a bytes; tools take numbers"),
    ],
)
def test_arguments_that_cannot_be_sent_are_refused_where_they_stand(
    run: RunCell, runner: Runner, arguments: str, message: str
) -> None:
    assert message in told(run, f"loop = []\nloop.append(loop)\ntools.distance({arguments})")
    assert runner.calls == []


def test_a_name_that_is_too_long_cannot_be_sent(run: RunCell) -> None:
    assert "ValueError: this cannot be sent to a tool" in told(run, "getattr(tools, 'x' * 300)()")


@pytest.mark.parametrize(
    "name", [name for name in errors.__all__ if name.startswith(("Tool", "NoSuch", "Ambig"))]
)
def test_a_failed_call_raises_the_error_it_was_outside(open_program: OpenProgram, name: str) -> None:
    run = open_program(lambda request: Failed(name, "no lamp here"))
    source = f"""
from spatial_agent.tools import errors
try:
    tools.distance(a="lamp")
except errors.{name} as error:
    print(type(error).__name__, error)
"""
    assert output(run, source) == f"{name} no lamp here\n"


def test_tools_say_how_they_are_used(run: RunCell) -> None:
    assert "tools.<name>(argument=value, ...)" in output(run, "tools")
    assert "tools.depth.sensor(argument=value, ...)" in output(run, "tools.depth.sensor")
    assert output(run, "dir(tools)") == "['<name>(argument=value, ...)']\n"
    assert "tools has no name of a tool" in told(run, "tools(a=1)")
    assert "AttributeError" in told(run, "tools._private")


def test_only_a_cell_that_runs_can_call(open_program: OpenProgram, runner: Runner) -> None:
    run = open_program(runner, imports=("sys",))
    output(run, "import sys\nsys.modules['__program__'].late = lambda: tools.distance(a='x')")
    with pytest.raises(RuntimeError, match=r"tools.distance: only a cell that runs"):
        sys.modules["__program__"].late()


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ("3", ProgramAnswer(3)),
        ("np.float64(1.5), 'm'", ProgramAnswer(1.5, "m")),
        ("2, 'm', 1, np.float32(2.5)", ProgramAnswer(2, "m", 1, 2.5)),
        ("2, unit='m', low=1", ProgramAnswer(2, "m", 1, None)),
        ("'left'", ProgramAnswer("left")),
        ("np.bool_(True)", ProgramAnswer(True)),
        ("('a', 'b')", ProgramAnswer(["a", "b"])),
        ("np.array([1.5, 2.5]), 'm'", ProgramAnswer([1.5, 2.5], "m")),
    ],
)
def test_an_answer_arrives_as_plain_json(run: RunCell, arguments: str, answer: ProgramAnswer) -> None:
    assert run(f"answer({arguments})").answer == answer


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_of_a_measurement_is_one_of_an_answer(run: RunCell, unit: str) -> None:
    assert run(f"answer(1, {unit!r})").answer == ProgramAnswer(1, unit)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("None", "TypeError: answer: expected a number, text, truth value or flat list"),
        ("[[1]]", "TypeError: answer: expected a number, text, truth value or flat list"),
        ("{'a': 1}", "TypeError: answer: expected a number, text, truth value or flat list"),
        ("np", "TypeError: answer is a module"),
        (
            "tools.distance(a='x')",
            "TypeError: answer: expected a plain value, got a Finding; write answer(x.value",
        ),
        ("float('inf')", "ValueError: answer: expected a finite number, got inf"),
        ("1, 'metres'", "ValueError: answer: expected a unit among m, cm"),
        ("1, 3", "ValueError: answer: expected a unit among m, cm"),
        ("'left', 'm'", "ValueError: answer: only numbers have a unit"),
        ("True, 'm'", "ValueError: answer: only numbers have a unit"),
        ("1, 'm', 2, 3", "ValueError: answer: expected low <= value <= high, got 2, 1, 3"),
        ("1, 'm', None, 0.5", "ValueError: answer: expected low <= value <= high, got None, 1, 0.5"),
        ("1, 'm', float('nan')", "ValueError: answer: low: expected a finite number, got nan"),
        ("1, 'm', '0'", "TypeError: answer: low must be a number or None, got str"),
        ("'left', None, 1", "TypeError: answer: low and high are the ends of a number"),
        ("[1, 2], 'm', 1", "TypeError: answer: low and high are the ends of a number"),
        ("2**100", "ValueError: answer: expected an integer below 2^64"),
        ("'\\udfff'", "ValueError: answer: half a character"),
        ("range(3)", "TypeError: answer is a range"),
    ],
)
def test_what_cannot_be_answered_is_refused_where_it_stands(
    run: RunCell, arguments: str, message: str
) -> None:
    assert message in told(run, f"answer({arguments})")


def test_the_last_answer_counts_and_ends_nothing(run: RunCell) -> None:
    result = run("answer(1)\nanswer(2)\nprint('on')\n1 / 0")
    assert (result.answer, result.output) == (ProgramAnswer(2), "on\n")
    assert run("3").answer is None


@pytest.mark.parametrize(
    ("image", "pixel"),
    [
        ("np.full((2, 3, 3), 7, np.uint8)", (7, 7, 7)),
        ("np.full((2, 3), 9, np.uint8)", (9, 9, 9)),
        ("np.full((2, 3), 0.5)", (128, 128, 128)),
        ("np.full((2, 3), True)", (255, 255, 255)),
        ("np.full((3, 2, 3), 1.0, np.float32).transpose(1, 0, 2)", (255, 255, 255)),
        ("Picture(np.full((2, 3, 3), 5, np.uint8), 'a picture')", (5, 5, 5)),
        ("tools.top_down(scene='$scene')", (64, 224, 208)),
    ],
)
def test_pictures_of_every_kind_are_shown(run: RunCell, image: str, pixel: tuple[int, int, int]) -> None:
    result = run(f"from spatial_agent.tools.scene import Picture\nshow({image})")
    assert result.error is None
    assert [shown.rgb.shape for shown in result.images] == [(2, 3, 3)]
    assert (result.images[0].rgb == pixel).all()


def test_captions_are_the_programs_or_the_pictures(run: RunCell) -> None:
    result = run("show(np.zeros((1, 1)), 'black \\ud800')\nshow(tools.top_down(scene='$scene'))")
    assert [shown.caption for shown in result.images] == ["black \\ud800", "A map."]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("[[0, 1]]", "TypeError: show: expected an array (H, W, 3) or a Picture, got list"),
        ("np.zeros(3)", "ValueError: show: expected shape (H, W, 3) or (H, W)"),
        ("np.zeros((0, 3))", "ValueError: show: expected shape (H, W, 3) or (H, W)"),
        ("np.zeros((2, 2, 4))", "ValueError: show: expected shape (H, W, 3) or (H, W)"),
        ("np.zeros((1, 2**15))", "ValueError: show: expected shape (H, W, 3) or (H, W)"),
        (
            "np.array([[0.0, 2.0]])",
            "ValueError: show: floats must be from 0 to 1, got 0 to 2; scale them first",
        ),
        ("np.array([[np.nan]])", "ValueError: show: floats must be from 0 to 1"),
        ("np.array([[1]])", "TypeError: show: expected uint8, or floats from 0 to 1, got int64"),
        ("np.zeros((2, 2)), 3", "TypeError: show: the caption must be text, got int"),
        ("np.zeros((1000, 1000))", "ValueError: show: a picture may have 349525 pixels"),
    ],
)
def test_what_is_no_picture_is_refused_where_it_stands(run: RunCell, image: str, message: str) -> None:
    assert message in told(run, f"show({image})")


def test_a_cell_shows_so_many_pictures_and_no_more(run: RunCell) -> None:
    result = run("for _ in range(3):\n    show(np.zeros((1, 1)))")
    assert len(result.images) == 2
    assert result.error is not None
    assert "a cell may show 2 pictures" in result.error.message
    assert len(run("show(np.zeros((1, 1)))").images) == 1


@pytest.mark.parametrize("cell", ["answer('x' * 5000)", "tools.depth(note='x' * 5000)"])
def test_what_is_too_large_to_be_sent_is_refused_where_it_stands(
    open_program: Callable[..., RunCell], cell: str
) -> None:
    run = open_program(message_bytes=4096)
    result = run(f"x = 1\n{cell}")
    assert result.error is not None
    assert (result.error.kind, result.error.line) == ("exception", 2)
    assert "at most 4096" in result.error.message


def test_an_interrupt_between_a_call_and_its_reply_waits_until_the_reply_was_taken() -> None:
    before = signal.getsignal(signal.SIGINT)
    channel = InterruptedChannel()
    try:
        INTERRUPTS.install()
        program = Program(Setup((), {}, 20_000, 2**20, 2, True), channel)
        done = program.run(Cell("tools.distance(a='sofa', b='tv')"))
    finally:
        signal.signal(signal.SIGINT, before)
    assert channel.taken == 1
    assert done.error is not None
    assert done.error.limit == "wall"


class InterruptedChannel(ScriptedChannel):
    """Has this process interrupted as soon as a call is out."""

    def __init__(self) -> None:
        super().__init__(Runner())
        self.taken = 0

    def send(self, message: ToParent) -> None:
        super().send(message)
        if isinstance(message, Call):
            signal.raise_signal(signal.SIGINT)

    def receive(self) -> ToChild:
        self.taken += 1
        return super().receive()
