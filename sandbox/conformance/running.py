"""Checks of what a program says and how it fails."""

import json
from collections.abc import Mapping

from spatial_agent.sandbox.conformance.bench import Bench, answered, expect, failed, still_usable
from spatial_agent.sandbox.environment import ProgramResult
from spatial_agent.sandbox.policy import IMPORTS
from spatial_agent.tools.contract import Json

#: A traceback for people has a few lines of their own program, not of the machinery around it.
SHORT_CHARACTERS = 2000


async def empty(bench: Bench) -> None:
    """An empty program ends well and says nothing."""
    for program in ("", "# nothing\n", "pass"):
        result = await bench.run(program)
        said = (result.error, result.answer, result.output, result.images, result.results)
        expect(said == (None, None, "", (), ()), "nothing out of a program that does nothing", result)
        expect(result.seconds >= 0 and result.cpu_seconds >= 0, "times of at least 0", result)


async def printing(bench: Bench) -> None:
    """What is printed comes out as it was, in order."""
    result = await bench.run(
        "print('one', 2)\nfor n in range(3):\n    print(n, end=';')\nprint('\\u6c99\\u53d1')"
    )
    expect(result.output.rstrip("\n") == "one 2\n0;1;2;\u6c99\u53d1", "what was printed", result.output)


async def last_expression(bench: Bench) -> None:
    """The last expression's value is shown, unless there is none."""
    expect("42" in (await bench.run("x = 6\nx * 7")).output, "42 in the output", "other output")
    expect("'text'" in (await bench.run("'te' + 'xt'")).output, "the value's repr", "other output")
    for program in ("None", "6 * 7\nx = 1", "def f():\n    42\nf()"):
        output = (await bench.run(program)).output
        expect(output == "", f"no output of {program!r}", output)


async def warnings_shown(bench: Bench) -> None:
    """What goes to standard error is output, too."""
    result = await bench.run("import numpy as np\nx = np.ones(1) / np.zeros(1)\nprint('after')")
    expect(result.error is None, "a warning to be no error", result.error)
    expect("divide" in result.output and "after" in result.output, "numpy's warning in the output", result)


async def answering(bench: Bench) -> None:
    """An answer arrives whole, and the last one counts."""
    result = await bench.run("answer(1, unit='m')\nanswer(2.5, unit='m', low=2.25, high=2.75)")
    answer = answered(result)
    got = (answer.value, answer.unit, answer.low, answer.high)
    expect(got == (2.5, "m", 2.25, 2.75), "2.5 m, 2.25 to 2.75", answer)
    for program, value in _ANSWERS.items():
        got_value = await bench.answer(f"import numpy as np\nanswer({program})")
        expect(_same(got_value, value), f"{value!r} for {program}", got_value)


_ANSWERS: Mapping[str, Json] = {
    "'left'": "left",
    "True": True,
    "3": 3,
    "2.5": 2.5,
    "['a', 1, 2.5, True]": ["a", 1, 2.5, True],
    "''": "",
    "'\\u6c99\\u53d1 \\U0001f6cb'": "\u6c99\u53d1 \U0001f6cb",
    "np.float64(1.5)": 1.5,
    "np.int32(7)": 7,
}


def _same(got: Json, value: Json) -> bool:
    return type(got) is type(value) and json.dumps(got) == json.dumps(value)


async def no_answer_yet(bench: Bench) -> None:
    """An answer belongs to its cell."""
    async with bench.session() as session:
        answered(await session.run("answer(1)"))
        second = await session.run("x = 1")
        expect(second.answer is None, "no answer of a cell that gave none", second.answer)


async def wrong_unit(bench: Bench) -> None:
    """A unit nobody knows is the program's error."""
    async with bench.session() as session:
        result = await session.run("answer(1.0, unit='parsec')")
        error = failed(result)
        expect(error.kind == "exception" and "parsec" in error.message, "an exception on 'parsec'", error)
        expect(result.answer is None, "no answer", result.answer)
        await still_usable(session)


async def impossible_answers(bench: Bench) -> None:
    """What JSON cannot say ends as the program's error, and as no answer."""
    async with bench.session() as session:
        for value in _IMPOSSIBLE:
            result = await session.run(f"answer({value})")
            error = failed(result)
            expect(error.kind == "exception", f"an exception for answer({value})", error)
            expect(result.answer is None, f"no answer from answer({value})", result.answer)
            await still_usable(session)


_IMPOSSIBLE = (
    "float('nan')",
    "float('inf')",
    "[1.0, float('nan')]",
    "10 ** 30",
    "-(2 ** 64)",
    "'\\ud800'",
    "['a', '\\udfff']",
    "1.0, low=float('nan')",
)


async def only_plain(bench: Bench) -> None:
    """Whatever is answered, nothing but plain JSON comes out."""
    async with bench.session() as session:
        await session.run(_TRICKSTERS)
        for value in _NOT_PLAIN:
            result = await session.run(f"answer({value})")
            expect(
                result.error is not None or _is_plain(result), f"plain JSON or an error for {value}", result
            )
            await still_usable(session)


_TRICKSTERS = """
import numpy as np
class Number(float):
    def __repr__(self): return "0xbad"
class Text(str):
    def __str__(self): return "other"
class Pair(dict):
    def items(self): return 7
class Reduced:
    def __reduce__(self): return (print, ("unpickled",))
loop = []
loop.append(loop)
deep = []
for _ in range(5000):
    deep = [deep]
"""
_NOT_PLAIN = (
    "np.arange(3)",
    "np.zeros((2, 2))",
    "{1, 2}",
    "b'bytes'",
    "object()",
    "lambda: 1",
    "1j",
    "Number(2.5)",
    "Text('a')",
    "[Number(1), Text('b')]",
    "Pair(a=1)",
    "Reduced()",
    "loop",
    "deep",
    "...",
    "answer",
)
_PLAIN = (type(None), bool, int, float, str)


def _is_plain(result: ProgramResult) -> bool:
    return result.answer is not None and _plain(result.answer.value)


def _plain(value: object) -> bool:
    if type(value) in (list, tuple):
        assert isinstance(value, list | tuple)
        return all(map(_plain, value))
    if isinstance(value, Mapping):
        return all(type(name) is str and _plain(item) for name, item in value.items())
    return type(value) in _PLAIN


async def exceptions(bench: Bench) -> None:
    """An exception is told shortly, with its line, and the session goes on with its variables."""
    async with bench.session() as session:
        await session.run("kept = 5")
        result = await session.run(
            "def half(x):\n    return x / 0\n\nprint('before')\nhalf(3)\nprint('after')"
        )
        error = failed(result)
        expect((error.kind, error.limit) == ("exception", None), "an exception and no limit", error)
        expect("ZeroDivisionError" in error.message, "the exception's name", error)
        expect(error.line in (2, 5), "a line of the program, 2 or 5", error)
        expect("line 2" in error.message, "the line it was raised in", error)
        expect(len(error.message) <= SHORT_CHARACTERS, f"at most {SHORT_CHARACTERS} characters", error)
        expect("spatial_agent" not in error.message, "nothing of the machinery", error)
        expect(result.output.strip() == "before", "the output until then", result.output)
        expect((await session.run("print(kept)")).output.strip() == "5", "variables that are kept", result)


async def odd_exceptions(bench: Bench) -> None:
    """Leaving early, odd exceptions and bottomless recursion are told like others."""
    async with bench.session() as session:
        for program in _ODD:
            error = failed(await session.run(program))
            expect(error.kind == "exception", f"an exception of {program!r}", error)
            expect(len(error.message) <= SHORT_CHARACTERS, f"at most {SHORT_CHARACTERS} characters", error)
            await still_usable(session)


_ODD = (
    "raise SystemExit(0)",
    "raise KeyboardInterrupt",
    "raise GeneratorExit",
    "raise ValueError('x' * 10 ** 6)",
    "raise ValueError('\\ud800')",
    "class Mute(Exception):\n    def __str__(self): raise self\nraise Mute",
    "def f(n):\n    return f(n + 1)\nf(0)",
    "raise ExceptionGroup('many', [ValueError(n) for n in range(5000)])",
)


async def syntax_errors(bench: Bench) -> None:
    """What is not Python is said with its line, before anything of it runs."""
    async with bench.session() as session:
        for program, line in {
            "print('ran')\nx = = 1": 2,
            "print('ran')\n\nif x\n    pass": 3,
            "(": 1,
        }.items():
            result = await session.run(program)
            error = failed(result)
            expect(error.kind == "syntax", f"a syntax error of {program!r}", error)
            expect(error.line == line, f"line {line} of {program!r}", error)
            expect(result.output == "", "nothing to have run", result.output)
        await still_usable(session)


async def hostile_source(bench: Bench) -> None:
    """Source that no parser likes is the program's error."""
    async with bench.session() as session:
        for program in ("x = 1\0", "(" * 5000, "-" * 90_000 + "1", "x = '\ud800'", "#" * 5_000_000):
            error = failed(await session.run(program))
            expect(error.kind in ("syntax", "refused"), f"{program[:12]!r}... to be turned away", error)
            await still_usable(session)


async def refused_imports(bench: Bench) -> None:
    """An import that is not allowed is refused, which is something else than not Python."""
    async with bench.session() as session:
        for program in ("x = 1\nimport os", "x = 1\nfrom subprocess import run", "x = 1\nimport ctypes as c"):
            error = failed(await session.run(program))
            expect(error.kind == "refused", f"{program!r} to be refused", error)
            expect(error.line == 2, "line 2", error)
        await still_usable(session)


async def allowed_imports(bench: Bench) -> None:
    """Everything the policy allows can be imported, and works."""
    program = "\n".join(f"import {name}" for name in sorted(IMPORTS))
    value = await bench.answer(
        f"{program}\nfrom scipy.spatial import KDTree\nimport numpy as np\n"
        "tree = KDTree(np.eye(3))\nd, i = tree.query([0.9, 0.1, 0])\n"
        "s = np.linalg.svd(np.diag([3.0, 2.0]))[1]\n"
        "answer([int(i), float(s[0]), statistics.median([1, 5, 9]), json.loads('[1]')[0]])"
    )
    expect(value == [0, 3.0, 5, 1], "[0, 3.0, 5, 1]", value)


async def own_imports(bench: Bench) -> None:
    """A policy's own list of imports is kept to."""
    few = frozenset({"math"})
    expect(await bench.answer("import math\nanswer(math.floor(2.5))", imports=few) == 2, "2", "other")
    error = await bench.failure("import math\nimport json", imports=few)
    expect((error.kind, error.line) == ("refused", 2), "json to be refused in line 2", error)
    await bench.failure("answer(__import__('json').dumps(1))", imports=few)
