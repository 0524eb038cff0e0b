"""The friendly check of a program before it runs: what it may not do is said with line, column and a way out.

It is a courtesy to whoever writes programs and no wall: what it overlooks, the walls still hold.
"""

import ast
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType

from spatial_agent.sandbox.environment import ProgramError
from spatial_agent.sandbox.messages import MOST_SOURCE

_MOST_REFUSALS = 3
_MOST_LINE = 200

#: Builtins that programs do not have, with what to do instead.
ABSENT: Mapping[str, str] = MappingProxyType(
    {
        "breakpoint": "there is no debugger here; print what is of interest",
        "exit": "a program ends by reaching its end; leave it out",
        "help": "there are no pages of help; print(name.__doc__) prints what is written about a name",
        "input": "nobody is there to type; what a program needs is in its variables or comes from tools",
        "open": "programs have no files; what they need is in their variables or comes from tools",
        "quit": "a program ends by reaching its end; leave it out",
    }
)
_BETTER_WRITTEN = {
    "__import__": "write an import statement",
    "compile": "write the code itself",
    "eval": "write the expression itself, or use json.loads for data",
    "exec": "write the code itself",
}
#: Attributes that lead from a value into the workings of Python, where no measurement is.
_WORKINGS = frozenset(
    {
        *("__base__", "__bases__", "__mro__", "__subclasses__", "__reduce__", "__reduce_ex__"),
        *("__builtins__", "__closure__", "__code__", "__globals__", "__loader__", "__self__", "__spec__"),
        *("ag_frame", "cr_frame", "gi_frame", "tb_frame", "__traceback__"),
        *("f_back", "f_builtins", "f_code", "f_globals", "f_locals", "co_code", "gi_code"),
    }
)
_NO_ASYNC = "programs wait for nothing: tools.<name>(...) returns its result, so leave async and await out"

Positioned = ast.stmt | ast.expr


def check(source: str, imports: Collection[str]) -> ProgramError | None:
    """Return why a program is not worth running, or None.

    Args:
        source: Whatever was written.
        imports: Modules it may import, each with everything below it.
    """
    try:
        tree = parse(source, "<cell>")
    except SyntaxError as error:
        return syntax_error(error, source)
    lines = source.splitlines()
    found = sorted({(node.lineno, _column(node, lines), text) for node, text in _refusals(tree, imports)})
    if not found:
        return None
    told = [f"line {line}, column {column}: {text}" for line, column, text in found[:_MOST_REFUSALS]]
    return ProgramError("refused", "\n".join(told), line=found[0][0])


def parse(source: str, name: str) -> ast.Module:
    """Return the syntax tree of a program.

    Args:
        source: Whatever was written.
        name: What stands for its file.

    Raises:
        SyntaxError: If it is not Python, or more than anyone writes by hand; nothing else is raised.
    """
    if len(source) > MOST_SOURCE:
        raise SyntaxError(f"a cell may have {MOST_SOURCE} characters, this one has {len(source)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source, name)
        except (RecursionError, MemoryError):
            raise SyntaxError(
                "it is nested too deeply, or memory is used up; write it as several statements"
            ) from None
        except UnicodeEncodeError:
            raise SyntaxError("it holds half a character (a lone surrogate), which no text has") from None
        except ValueError as error:
            raise SyntaxError(str(error)) from None


def syntax_error(error: SyntaxError, source: str) -> ProgramError:
    """Return what is wrong with a program's syntax, with the line and a mark under the place."""
    line, column = error.lineno, error.offset
    lines = source.splitlines()
    text = lines[line - 1] if line and 1 <= line <= len(lines) else ""
    place = f"line {line}" + (f", column {column}" if column and column > 0 else "")
    told = f"{place}: {error.msg}" if line else error.msg
    if text.strip() and len(text) <= _MOST_LINE:
        told += f"\n  {text}"
        # Tabs stay tabs, so that the mark is where it belongs.
        before = "".join("\t" if letter == "\t" else " " for letter in text[: (column or 0) - 1])
        told += f"\n  {before}^" if column and 1 <= column <= len(text) + 1 else ""
    return ProgramError("syntax", told.encode("utf-8", "backslashreplace").decode(), line=line)


def may_import(module: str, names: Collection[str], imports: Collection[str]) -> bool:
    """Return whether an import is allowed.

    What is listed is allowed with everything below it, and ``from above import listed`` too; the package
    above something that is listed is not, by itself: where ``scipy.spatial`` is listed, ``from scipy import
    spatial`` may be written, and ``import scipy`` may not.

    Args:
        module: What stands after ``import`` or ``from``.
        names: What is imported from it; empty for ``import module``.
        imports: The list.
    """

    def is_listed(name: str) -> bool:
        return any(name == listed or name.startswith(f"{listed}.") for listed in imports)

    if module == "__future__" or is_listed(module):
        return True
    return bool(names) and all(is_listed(f"{module}.{name}") for name in names)


def import_refusal(module: str, imports: Collection[str]) -> str:
    """Return why a module may not be imported, and what may be instead."""
    below = sorted(name for name in imports if name.startswith(f"{module}."))
    advice = f"; write `import {below[0]}`" if below else ""
    return f"import of {module!r} is not allowed{advice}; allowed: {', '.join(sorted(imports))}"


def _refusals(tree: ast.Module, imports: Collection[str]) -> Iterator[tuple[Positioned, str]]:
    own_names = _names_given(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                for alias in node.names:
                    if not may_import(alias.name, (), imports):
                        yield node, import_refusal(alias.name, imports)
            case ast.ImportFrom():
                yield from _refused_from(node, imports)
            case ast.Attribute(attr=name) if name in _WORKINGS:
                yield node, f"{name!r} leads into the workings of Python; use what the value itself offers"
            case ast.Name(id=name, ctx=ast.Load()) if name not in own_names:
                advice = ABSENT.get(name) or _BETTER_WRITTEN.get(name)
                if advice:
                    yield node, f"{name!r} is not for programs: {advice}"
            case ast.AsyncFunctionDef() | ast.AsyncFor() | ast.AsyncWith() | ast.Await():
                yield node, _NO_ASYNC
    yield from _outside_of_functions(tree.body)


def _refused_from(node: ast.ImportFrom, imports: Collection[str]) -> Iterator[tuple[Positioned, str]]:
    names = [alias.name for alias in node.names]
    if node.level:
        yield node, "relative imports lead nowhere; a program is no package"
    elif node.module and not may_import(node.module, names, imports):
        yield node, import_refusal(node.module, imports)


def _names_given(tree: ast.Module) -> set[str]:
    """Every name that the program itself gives to something, wherever."""
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.FunctionDef(name=name) | ast.arg(arg=name):
                names.add(name)
            case ast.ClassDef(name=name) | ast.alias(asname=str(name)):
                names.add(name)
            case ast.alias(name=name):
                names.add(name)
    return names


def _outside_of_functions(body: Sequence[ast.AST]) -> Iterator[tuple[Positioned, str]]:
    """What has a meaning only inside of a function; Python itself would say so without the column."""
    pending = list(body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Return):
            yield node, "'return' outside of a function; a program answers by answer(value, unit=...)"
        elif isinstance(node, ast.Yield | ast.YieldFrom):
            yield node, "'yield' outside of a function"
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            pending.extend(ast.iter_child_nodes(node))


def _column(node: Positioned, lines: Sequence[str]) -> int:
    """Return the column in characters, from 1; the tree counts bytes, from 0."""
    line = lines[node.lineno - 1] if node.lineno <= len(lines) else ""
    return len(line.encode()[: node.col_offset].decode("utf-8", "ignore")) + 1
