"""What a program is told about why it stopped: its own lines, the error, a hint, and nothing of ours."""

from collections.abc import Callable

import pytest

from spatial_agent.sandbox.environment import ProgramError, ProgramResult
from spatial_agent.sandbox.messages import Failed

RunCell = Callable[[str], ProgramResult]
OpenProgram = Callable[..., RunCell]


def failure(run: RunCell, source: str) -> ProgramError:
    error = run(source).error
    assert error is not None
    return error


def test_the_lines_of_the_program_lead_to_the_error(run: RunCell) -> None:
    source = """
def ratio(a, b):
    return a / b

def first(values):
    return ratio(1, values[0])

first([0])
"""
    assert failure(run, source) == ProgramError(
        "exception",
        "line 8: first([0])\n"
        "line 6, in first: return ratio(1, values[0])\n"
        "line 3, in ratio: return a / b\n"
        "ZeroDivisionError: division by zero",
        line=3,
    )


def test_lines_of_an_earlier_cell_name_the_cell(run: RunCell) -> None:
    run("x = 1")
    run("def f():\n    raise ValueError('no')")
    error = failure(run, "y = 2\nf()")
    assert error.message == "line 2: f()\n<cell 2>, line 2, in f: raise ValueError('no')\nValueError: no"
    assert error.line == 2


@pytest.mark.parametrize(
    "source",
    [
        "geometry.distance.box_distance(1, 2)",
        "np.linalg.inv(np.zeros((2, 2)))",
        "tools.distance(a='lamp')",
        "from numpy import nothing",
        "answer(None)",
        "{}['a']",
    ],
)
def test_nothing_of_our_own_files_is_told(run: RunCell, source: str) -> None:
    error = failure(run, source)
    first, *rest = error.message.splitlines()
    assert first == f"line 1: {source}"
    assert len(rest) == 1
    assert "/" not in error.message


def test_deep_recursion_is_told_in_a_few_lines(run: RunCell) -> None:
    error = failure(run, "def f(n):\n    return f(n + 1)\nf(0)")
    call, repeated, name = error.message.splitlines()
    assert call == "line 3: f(0)"
    assert repeated.startswith("line 2, in f: return f(n + 1)  (")
    assert name.startswith("RecursionError: maximum recursion depth exceeded")


def test_mutual_recursion_leaves_out_the_middle(run: RunCell) -> None:
    error = failure(run, "def f(n):\n    return g(n + 1)\ndef g(n):\n    return f(n)\nf(0)")
    lines = error.message.splitlines()
    assert len(lines) == 10
    assert any("calls more" in line for line in lines)


def test_a_comprehension_is_one_line(run: RunCell) -> None:
    assert failure(run, "[1 / n for n in [1, 0]]").message == (
        "line 1: [1 / n for n in [1, 0]]\nZeroDivisionError: division by zero"
    )


def test_causes_are_told_with_their_lines(run: RunCell) -> None:
    source = """
try:
    {}['a']
except KeyError as error:
    raise ValueError('no a') from error
"""
    assert failure(run, source).message.splitlines()[1:] == [
        "ValueError: no a",
        "caused by KeyError: 'a' (line 3: {}['a'])",
    ]
    source = source.replace("raise ValueError('no a') from error", "None + 1")
    assert "while handling KeyError: 'a'" in failure(run, source).message


def test_an_endless_chain_of_causes_ends(run: RunCell) -> None:
    source = "a, b = ValueError('a'), ValueError('b')\na.__cause__, b.__cause__ = b, a\nraise a"
    assert failure(run, source).message.count("caused by") == 3


def test_groups_and_notes_are_told(run: RunCell) -> None:
    source = """
group = ExceptionGroup('two', [ValueError('a'), TypeError('b')])
group.add_note('read me')
raise group
"""
    assert failure(run, source).message.splitlines()[1:] == [
        "ExceptionGroup: two (2 sub-exceptions)",
        "read me",
        "- ValueError: a",
        "- TypeError: b",
    ]


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("lenght = 1\nlength", "; did you mean lenght?"),
        ("def f():\n    lenght = 1\n    return length\nf()", "; did you mean lenght?"),
        ("prin(1)", "; did you mean print?"),
        ("statistics.mean([1])", "; write `import statistics` first"),
        ("np.arrange(3)", "; did you mean arange"),
        ("geometry.distanc", "; did you mean distance?"),
        ("from spatial_agent.tools.scene import SceneMap\nSceneMap(()).object_s", "; did you mean objects"),
        ("from spatial_agent.tools.scene import SceneMap\nSceneMap(()).chairs", "; it has cameras, cloud, "),
    ],
)
def test_names_that_may_have_been_meant_are_told(run: RunCell, source: str, hint: str) -> None:
    assert hint in failure(run, source).message


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("def __str__(self): raise RuntimeError", "Odd: (its text cannot be shown: RuntimeError)"),
        ("def __str__(self): raise SystemExit", "Odd: (its text cannot be shown: SystemExit)"),
        ("def __str__(self): return 3", "Odd: (its text cannot be shown: TypeError)"),
        ("def __str__(self): return 'long ' * 10**6", "(5000000 characters)"),
        ("def __str__(self): return '\\ud800'", "Odd: \\ud800"),
        ("__notes__ = 3", "Odd"),
        ("__notes__ = [3, 'note']", "Odd\nnote"),
    ],
)
def test_exceptions_that_misbehave_are_told_all_the_same(run: RunCell, body: str, told: str) -> None:
    error = failure(run, f"class Odd(Exception):\n    {body}\nraise Odd")
    assert told in error.message
    assert len(error.message.encode()) <= 2000


def test_an_object_that_misbehaves_costs_only_the_hint(run: RunCell) -> None:
    source = "class Odd:\n    def __dir__(self): raise SystemExit\nOdd().name"
    assert failure(run, source).message.endswith("AttributeError: 'Odd' object has no attribute 'name'")


def test_long_lines_and_names_are_cut(run: RunCell) -> None:
    error = failure(run, f"x = '{'é' * 3000}' + 1\n")
    assert "characters)" in error.message
    error = failure(run, f"class {'E' * 5000}(Exception): pass\nraise {'E' * 5000}('{'ä' * 5000}')")
    assert len(error.message.encode()) <= 2000


@pytest.mark.parametrize("statement", ["raise SystemExit", "raise SystemExit(3)", "import sys; sys.exit()"])
def test_leaving_is_no_way_to_end(open_program: OpenProgram, statement: str) -> None:
    run = open_program(imports=("sys",))
    error = failure(run, f"x = 1\n{statement}")
    assert (error.kind, error.line) == ("exception", 2)
    assert "programs end by reaching their end" in error.message
    assert run("x").output == "1\n"


def test_an_interrupt_of_the_programs_own_is_an_exception(run: RunCell) -> None:
    assert failure(run, "raise KeyboardInterrupt('me')") == ProgramError(
        "exception", "line 1: raise KeyboardInterrupt('me')\nKeyboardInterrupt: me", line=1
    )


def test_memory_that_is_not_there_is_a_limit_and_the_session_goes_on(run: RunCell) -> None:
    error = failure(run, "x = 1\ndef f():\n    big = [0] * 10**16\nf()")
    assert (error.kind, error.limit, error.line) == ("limit", "memory", 3)
    assert "variables are kept" in error.message
    assert "Unable to allocate" in failure(run, "np.zeros(10**16)").message
    assert run("x").output == "1\n"


@pytest.mark.parametrize(
    ("source", "line", "told"),
    [
        ("x = (1,\ny = 2", 1, "line 1, column 5: '(' was never closed\n  x = (1,\n      ^"),
        ("x = 1\nbreak", 2, "line 2, column 1: 'break' outside loop\n  break\n  ^"),
        (
            "def f():\n    global x\n    x = 1\n    nonlocal y",
            4,
            "line 4, column 5: no binding for nonlocal 'y' found",
        ),
    ],
)
@pytest.mark.parametrize("is_checked", [True, False])
def test_what_is_not_python_is_told_with_its_place(
    open_program: OpenProgram, source: str, line: int, told: str, is_checked: bool
) -> None:
    error = failure(open_program(is_checked=is_checked), source)
    assert (error.kind, error.line) == ("syntax", line)
    assert told in error.message


def test_a_syntax_error_that_a_program_raises_is_an_exception(open_program: OpenProgram) -> None:
    error = failure(open_program(), "raise SyntaxError('mine')")
    assert error == ProgramError("exception", "line 1: raise SyntaxError('mine')\nSyntaxError: mine", line=1)
    error = failure(open_program(is_checked=False), "x = 1\neval('1 +')")
    assert (error.kind, error.line) == ("exception", 2)
    assert "SyntaxError: invalid syntax" in error.message


def test_what_a_tool_said_is_told(open_program: OpenProgram) -> None:
    run = open_program(lambda request: Failed("NoSuchObjectError", "no lamp; did you mean chair?"))
    assert failure(run, "tools.distance(a='lamp')").message == (
        "line 1: tools.distance(a='lamp')\nNoSuchObjectError: no lamp; did you mean chair?"
    )
