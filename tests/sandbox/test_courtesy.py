"""The friendly check of programs: what it says, what it lets through, and that nothing makes it fall over."""

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_agent.sandbox import courtesy
from spatial_agent.sandbox.environment import ProgramError
from spatial_agent.sandbox.policy import IMPORTS

ORDINARY = """
from __future__ import annotations

import json
from dataclasses import dataclass
from scipy import spatial
from scipy.spatial import KDTree


@dataclass(frozen=True)
class Chair:
    height_m: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "height_m", float(self.height_m))

    def __len__(self):
        return 1


def opened(open):
    yield open
    return None


compile = json.loads
print(Chair(1.0).__class__.__name__, compile("1"), [eval for eval in range(3)], lambda: (yield))
answer(1.0, unit="m")
"""


def refusal(source: str) -> ProgramError:
    error = courtesy.check(source, IMPORTS)
    assert error is not None
    return error


def test_an_ordinary_program_passes() -> None:
    assert courtesy.check(ORDINARY, IMPORTS) is None
    assert courtesy.check("", IMPORTS) is None


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import os", "line 1, column 1: import of 'os' is not allowed; allowed: abc, bisect, cmath, "),
        ("x = 1\nif x:\n    import json, os.path", "line 3, column 5: import of 'os.path' is not allowed"),
        ("from os import path", "line 1, column 1: import of 'os' is not allowed"),
        ("import scipy", "line 1, column 1: import of 'scipy' is not allowed; write `import scipy.spatial`"),
        ("from scipy import spatial, io", "import of 'scipy' is not allowed"),
        ("from scipy import *", "import of 'scipy' is not allowed"),
        ("import numpyx", "import of 'numpyx' is not allowed"),
        ("from . import x", "line 1, column 1: relative imports lead nowhere"),
        ("with open('a') as f: pass", "line 1, column 6: 'open' is not for programs: programs have no files"),
        ("'äö' + input()", "line 1, column 8: 'input' is not for programs: nobody is there to type"),
        ("eval('1')", "'eval' is not for programs: write the expression itself"),
        ("exec('1')", "'exec' is not for programs: write the code itself"),
        ("__import__('os')", "'__import__' is not for programs: write an import statement"),
        ("breakpoint()", "'breakpoint' is not for programs: there is no debugger"),
        ("().__class__.__base__.__subclasses__()", "'__base__' leads into the workings of Python"),
        ("x = 1\nprint.__self__", "line 2, column 1: '__self__' leads into the workings of Python"),
        ("f.gi_frame.f_back.f_globals", "'f_back' leads into the workings of Python"),
        ("f.__globals__['a'] = 1", "'__globals__' leads into the workings of Python"),
        ("await tools.distance()", "line 1, column 1: programs wait for nothing"),
        ("async def f(): pass", "line 1, column 1: programs wait for nothing"),
        ("yield 1", "line 1, column 1: 'yield' outside of a function"),
        ("class A:\n    yield 1", "line 2, column 5: 'yield' outside of a function"),
        ("if True:\n    return 1", "line 2, column 5: 'return' outside of a function; a program answers by"),
    ],
)
def test_what_has_a_better_way_is_refused_with_its_place(source: str, told: str) -> None:
    error = refusal(source)
    assert error.kind == "refused"
    assert told in error.message
    assert error.message.startswith(f"line {error.line}, column ")


def test_refusals_come_in_the_order_of_lines_and_not_too_many() -> None:
    error = refusal("def f():\n    import sys\nopen('x')\nimport os\nimport socket\nimport ctypes")
    assert [line.partition(",")[0] for line in error.message.splitlines()] == ["line 2", "line 3", "line 4"]
    assert error.line == 2


@pytest.mark.parametrize(
    ("source", "told", "line"),
    [
        ("x = (1,\n", "line 1, column 5: '(' was never closed\n  x = (1,\n      ^", 1),
        (
            "if x:\ny",
            "line 2, column 1: expected an indented block after 'if' statement on line 1\n  y\n  ^",
            2,
        ),
        ("\tx = 1 +", "unexpected indent", 1),
        ("if 1:\n\tx = = 1", "line 2, column 6: invalid syntax\n  \tx = = 1\n  \t    ^", 2),
        ("'äö' = 1", "line 1, column 1: cannot assign to literal", 1),
        ("x = 'open", "line 1, column 5: unterminated string literal", 1),
        ("print 'x'", "Missing parentheses in call to 'print'", 1),
        ("x\0y", "null bytes", None),
        ("x = '\ud800'", "half a character (a lone surrogate)", None),
        ("x = " + "1" * 5000, "Exceeds the limit (4300 digits)", 1),
        ("(" * 5000, "too many nested parentheses", 1),
        ("-" * 90_000 + "1", "nested too deeply", None),
        ("x" + ".x" * 40_000, "nested too deeply", None),
        ("1" + "+1" * 40_000, "nested too deeply", None),
        ("x" * 100_001, "a cell may have 100000 characters, this one has 100001", None),
        ("# -*- coding: utf-16 -*-\nx = (", "line 2, column 5: '(' was never closed", 2),
    ],
)
def test_what_is_not_python_is_told_with_its_place(source: str, told: str, line: int | None) -> None:
    error = refusal(source)
    assert error.kind == "syntax"
    assert told in error.message
    assert error.line == line
    assert len(error.message) < 1000


def test_python_warns_of_nothing_here() -> None:
    assert courtesy.check("'\\d' is 'a'\nassert (1, 'x')", IMPORTS) is None


FRAGMENTS = st.sampled_from(
    [
        *keyword.kwlist,
        *"()[]{}:;,.=+-*@!'\"\\\n\t #",
        "x",
        "1",
        "0x",
        "f'{",
        "\ud800",
        "\0",
        "é",
        "    ",
        "lambda: ",
    ]
)


@given(st.lists(FRAGMENTS, max_size=40).map("".join) | st.text(max_size=60))
def test_any_text_passes_or_is_refused(source: str) -> None:
    error = courtesy.check(source, IMPORTS)
    assert error is None or error.kind in ("syntax", "refused")
    if error is not None:
        error.message.encode()
