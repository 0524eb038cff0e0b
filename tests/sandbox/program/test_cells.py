"""Cells: variables that last, values that are printed, output that is captured, imports that are allowed."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spatial_agent.sandbox import namespace
from spatial_agent.sandbox.environment import ProgramResult
from spatial_agent.tools import geometry

RunCell = Callable[[str], ProgramResult]
OpenProgram = Callable[..., RunCell]


def output(run: RunCell, source: str) -> str:
    result = run(source)
    assert result.error is None, result.error
    return result.output


def test_variables_live_from_one_cell_to_the_next(run: RunCell) -> None:
    assert output(run, "x = 20\ndef twice(n):\n    return 2 * n") == ""
    assert output(run, "print(twice(x) + 2)") == "42\n"


def test_variables_live_on_after_a_cell_that_failed(run: RunCell) -> None:
    assert run("x = 1\nx / 0\nx = 2").error is not None
    assert output(run, "x") == "1\n"


def test_sessions_know_nothing_of_each_other(open_program: OpenProgram) -> None:
    first, second = open_program(), open_program()
    first("x = 1")
    assert "'x' is not defined" in str(second("x").error)
    assert output(first, "x") == "1\n"


@pytest.mark.parametrize(
    ("source", "printed"),
    [
        ("1 + 1", "2\n"),
        ("'text'", "'text'\n"),
        ("None", ""),
        ("x = 3", ""),
        ("x = 3; x", "3\n"),
        ("print('a'); 'b'", "a\n'b'\n"),
        ("for i in range(2):\n    i", ""),
        ("", ""),
        ("# nothing", ""),
        ("(1,\n 2)", "(1, 2)\n"),
    ],
)
def test_the_value_of_the_last_expression_is_printed(run: RunCell, source: str, printed: str) -> None:
    assert output(run, source) == printed


def test_inputs_are_variables(open_program: OpenProgram) -> None:
    run = open_program(inputs={"sizes_m": np.arange(3.0), "label": "chair"})
    assert output(run, "label, sizes_m.sum()") == "('chair', np.float64(3.0))\n"


def test_numbers_and_geometry_are_there_without_an_import(run: RunCell) -> None:
    assert output(run, "np.sqrt(4.0) == math.sqrt(4)") == "np.True_\n"
    names = [file.stem for file in Path(geometry.__file__).parent.glob("*.py") if file.stem != "__init__"]
    assert sorted(namespace.GEOMETRY) == sorted(names)
    assert output(run, f"[callable(geometry.{names[0]}), geometry.distance.box_distance.__name__]") == (
        "[False, 'box_distance']\n"
    )


def test_geometry_measures_two_boxes(run: RunCell) -> None:
    source = """
from spatial_agent.tools.scene import OrientedBox
def cube(x_m):
    return OrientedBox.upright(np.array([x_m, 0.0, 0.5]), np.ones(3), 0.0)
geometry.distance.box_distance(cube(0.0), cube(3.5))
"""
    assert float(output(run, source)) == pytest.approx(2.5)


@pytest.mark.parametrize(
    "statement",
    [
        "print('seen')",
        "print('seen', file=sys.stderr)",
        "print('seen', file=sys.__stdout__)",
        "sys.__stderr__.write('seen\\n')",
        "_ = sys.stdout.write('seen\\n')",
    ],
)
def test_whatever_is_printed_is_captured(open_program: OpenProgram, statement: str) -> None:
    before = sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__, sys.stdin
    run = open_program(imports=("sys",))
    assert "seen\n" in output(run, f"import sys\n{statement}")
    assert (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__, sys.stdin) == before


def test_output_ends_at_the_limit_in_the_middle_of_no_character(open_program: OpenProgram) -> None:
    run = open_program(output_bytes=5)
    assert output(run, "print('äöü'); print('a')") == "äö"
    assert output(run, "print('new')") == "new\n"


def test_half_characters_are_printed_as_what_they_are(run: RunCell) -> None:
    assert output(run, r"print('a\udc80b')") == "a\\udc80b\n"


def test_warnings_are_printed_with_their_line(run: RunCell) -> None:
    assert output(run, "x = np.ones(1)\n_ = x / 0") == (
        "RuntimeWarning: divide by zero encountered in divide (line 2)\n"
    )


def test_what_a_destructor_raises_is_printed(run: RunCell) -> None:
    printed = output(run, "class A:\n    def __del__(self):\n        1 / 0\na = A()\ndel a")
    assert printed == "ignored, for nobody could catch it: ZeroDivisionError: division by zero\n"


@pytest.mark.parametrize(
    "source",
    [
        "@dataclasses.dataclass(frozen=True, order=True, slots=True)\nclass A:\n    n: int = 1\nA()",
        "from __future__ import annotations\n@dataclasses.dataclass\nclass A:\n    n: NotYet = 1\nA()",
        "class A(typing.NamedTuple):\n    n: int = 1\nA()",
        "class A(enum.Enum):\n    ONE = enum.auto()\nA.ONE",
        "class A:\n    def n(self): return 1\nclass B(A):\n    def n(self): return super().n()\nB().n()",
        "def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\nfib(9)",
        "k = 2\n[[k * j for j in range(i)] for i in range(3)]",
        "def count():\n    yield from (i for i in range(3))\nlist(count())",
        "import datetime\ndatetime.datetime.strptime('2001', '%Y')",
        "match {'a': 1}:\n    case {'a': n}: print(n)",
    ],
)
def test_python_works_as_elsewhere(run: RunCell, source: str) -> None:
    assert output(run, "import dataclasses, enum, typing") == ""
    assert output(run, source)


@pytest.mark.parametrize(
    "source",
    [
        "import numpy.linalg as la",
        "from scipy import spatial",
        "import scipy.spatial.distance",
        "from scipy.spatial import KDTree",
        "from collections.abc import Mapping",
        "from spatial_agent.tools import geometry",
        "from spatial_agent.tools.geometry.boxes import *",
    ],
)
def test_what_is_listed_and_what_is_below_it_can_be_imported(run: RunCell, source: str) -> None:
    output(run, source)


@pytest.mark.parametrize("module", ["os", "scipy", "scipy.io", "numpyx", "spatial_agent.tools", "sys"])
def test_nothing_else_can_be_imported(run: RunCell, module: str) -> None:
    checked = run(f"import {module}").error
    late = run(f"__builtins__['__import__']('{module}')").error
    assert checked is not None
    assert checked.kind == "refused"
    assert late is not None
    assert f"import of '{module}' is not allowed" in late.message


def test_an_unchecked_session_refuses_nothing_by_itself(open_program: OpenProgram) -> None:
    run = open_program(is_checked=False)
    assert (
        output(run, "import os\nos.getpid() > 0, type(open)")
        == "(True, <class 'builtin_function_or_method'>)\n"
    )


@pytest.mark.parametrize("name", ["open", "input", "exit", "quit", "help", "breakpoint"])
def test_builtins_that_lead_nowhere_say_so(run: RunCell, name: str) -> None:
    error = run(f"__builtins__['{name}']('x')").error
    assert error is not None
    assert f"RuntimeError: '{name}' is not for programs" in error.message


def test_nobody_types(open_program: OpenProgram) -> None:
    error = open_program(imports=("sys",))("import sys\nsys.stdin.readline()").error
    assert error is not None
    assert "nobody is there to type" in error.message
