"""Runs the cells of one session in its own process: lasting variables, captured output, clear errors."""

import ast
import builtins
import gc
import math
import sys
import traceback
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import NoReturn, Protocol, TextIO

import numpy as np

from spatial_agent.sandbox import courtesy, namespace
from spatial_agent.sandbox.environment import ProgramAnswer, ProgramError
from spatial_agent.sandbox.failures import Failures
from spatial_agent.sandbox.interrupts import INTERRUPTS
from spatial_agent.sandbox.messages import (
    BROKEN_FRAME,
    Call,
    Cell,
    Done,
    Failed,
    Fetch,
    Fetched,
    Returned,
    Setup,
    Show,
    Text,
    ToChild,
    ToParent,
    to_parent,
)
from spatial_agent.sandbox.output import Output
from spatial_agent.tools import errors
from spatial_agent.tools.contract import Finding, Json
from spatial_agent.tools.errors import WireError

#: Name of the module that programs are; dataclasses and pickles of values look it up.
MODULE = "__program__"
#: Kept back, so that there is room to say that there is none.
_RESERVE_BYTES = 4 * 2**20
_WAY_OUT = "programs end by reaching their end; give the result by answer(value, unit=...)"


class ChannelEndError(SystemExit):
    """There is nobody, or nothing intelligible, at the other end of the channel; nothing is left to do."""


class Channel(Protocol):
    """The way to the parent; both ways block."""

    def send(self, message: ToParent) -> None:
        """Send a message, or raise `WireError` and send nothing."""
        ...

    def receive(self) -> ToChild:
        """Return the next message."""
        ...


class Program:
    """The variables of a session and what its programs may do.

    Names such as ``tools`` and ``answer`` are variables like any other: a cell that gives one to something
    else has it so from then on, as in a notebook.

    Args:
        setup: Inputs, imports and limits.
        channel: The way to the parent.
    """

    def __init__(self, setup: Setup, channel: Channel) -> None:
        """Put inputs and tools where programs find them."""
        self._setup = setup
        self._channel = channel
        self._failures = Failures(setup.imports)
        self._cells = 0
        self._is_running = False
        self._answer: ProgramAnswer | None = None
        self._shown = 0
        self._output = Output(self._send_text, setup.output_bytes)
        self._reserve = bytes(_RESERVE_BYTES)
        self._module = types.ModuleType(MODULE)
        vars(self._module).update(self._variables())

    def run(self, cell: Cell) -> Done:
        """Run a cell to its end, whatever that is.

        Raises:
            ChannelEndError: If the parent is gone.
        """
        self._cells += 1
        if not self._reserve:
            with suppress(MemoryError):
                self._reserve = bytes(_RESERVE_BYTES)
        self._answer = None
        self._shown = 0
        self._output = Output(self._send_text, self._setup.output_bytes)
        error = self._outcome(cell.source)
        self._output.flush()
        return Done(self._answer, error, self._output.dropped_bytes)

    def _variables(self) -> dict[str, object]:
        return {
            **self._setup.inputs,
            "answer": self._take_answer,
            "geometry": namespace.geometry(),
            "math": math,
            "np": np,
            "show": self._show,
            "tools": namespace.Tools(self._call),
            "__builtins__": self._builtins(),
        }

    def _builtins(self) -> dict[str, object]:
        if self._setup.is_checked:
            return namespace.program_builtins(self._setup.imports)
        return dict(vars(builtins))

    def _outcome(self, source: str) -> ProgramError | None:
        """Run a cell and return why it stopped, if it did."""
        name = f"<cell {self._cells}>"
        self._failures.begin(name, source)
        try:
            if self._setup.is_checked and (refusal := courtesy.check(source, self._setup.imports)):
                return refusal
            try:
                statements, last = _compiled(source, name)
            except SyntaxError as error:
                return courtesy.syntax_error(error, source)
            with self._stage(), INTERRUPTS.raised():
                self._execute(statements, last)
        except ChannelEndError:
            raise
        except MemoryError as error:
            return self._out_of_memory(error)
        except BaseException as error:
            return self._told(error)
        return None

    def _execute(self, statements: types.CodeType, last: types.CodeType | None) -> None:
        """Run the statements; where the last is an expression, print its value as notebooks do."""
        exec(statements, vars(self._module))
        value = eval(last, vars(self._module)) if last else None
        if value is not None:
            print(repr(value))

    @contextmanager
    def _stage(self) -> Iterator[None]:
        """Whatever a process has one of is the program's while its cell runs."""
        output: TextIO = self._output  # type: ignore[assignment]
        originals = sys.__stdout__, sys.__stderr__, sys.stdin, sys.unraisablehook
        sys.modules[MODULE] = self._module
        self._is_running = True
        try:
            sys.__stdout__ = sys.__stderr__ = output  # type: ignore[misc, assignment]
            sys.stdin, sys.unraisablehook = _Nobody(), self._tell_unraisable
            with redirect_stdout(output), redirect_stderr(output), warnings.catch_warnings():
                self._filter_warnings()
                yield
        finally:
            self._is_running = False
            sys.__stdout__, sys.__stderr__, sys.stdin, sys.unraisablehook = originals  # type: ignore[misc]

    def _filter_warnings(self) -> None:
        warnings.resetwarnings()
        warnings.simplefilter("ignore")
        for category in (UserWarning, RuntimeWarning):
            warnings.simplefilter("default", category)
        # Python's own way of showing one reads the file it comes from.
        warnings.showwarning = self._tell_warning

    def _tell_warning(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        place = f" (line {lineno})" if filename.startswith("<cell ") else ""
        self._output.write(f"{category.__name__}: {message}{place}\n")

    def _tell_unraisable(self, unraisable: "sys.UnraisableHookArgs", /) -> None:
        kind = unraisable.exc_type.__name__
        self._output.write(f"ignored, for nobody could catch it: {kind}: {unraisable.exc_value}\n")

    def _told(self, error: BaseException) -> ProgramError:
        if isinstance(error, KeyboardInterrupt) and INTERRUPTS.was_raised:
            told = self._failures.describe(error, "stopped: the cell ran out of time; its variables are kept")
            return ProgramError("limit", told.message, "wall", told.line)
        if isinstance(error, SystemExit):
            return self._failures.describe(error, f"SystemExit: {_WAY_OUT}")
        return self._failures.describe(error)

    def _out_of_memory(self, error: MemoryError) -> ProgramError:
        self._reserve = b""
        told = self._failures.describe(error)
        # What the program's functions held is of no use to anyone.
        traceback.clear_frames(error.__traceback__)
        error.__traceback__ = error.__context__ = None
        gc.collect()
        advice = "out of memory; variables are kept: `del` what is large, and take smaller steps"
        return ProgramError("limit", f"{told.message}\n{advice}", "memory", told.line)

    def _send_text(self, text: str) -> None:
        self._channel.send(Text(text))

    def _call(self, tool: str, arguments: Mapping[str, Json]) -> object:
        self._check_running(f"tools.{tool}")
        match self._asked(Call, tool, arguments):
            case Returned(finding=Finding() as finding):
                return finding
            case Returned(reference=str(reference)):
                return namespace.Handle(reference, self._fetch)
            case Returned():
                return None
            case reply:
                raise _failure(reply)

    def _fetch(self, reference: str) -> object:
        self._check_running("fetch")
        match self._asked(Fetch, reference):
            case Fetched(value=value):
                return value
            case reply:
                raise _failure(reply)

    def _asked(self, kind: Callable[..., Call | Fetch], *members: object) -> ToChild:
        """Send a request and return the reply to it."""
        try:
            message = kind(*members)
            self._check_size("a call", message)
            self._output.flush()
            # Interrupted between the two, the reply would be left on the line and taken for the next cell.
            with INTERRUPTS.held():
                self._channel.send(message)
                return self._channel.receive()
        except WireError as error:
            raise ValueError(f"this cannot be sent to a tool: {error}") from None

    def _show(self, image: object, caption: object = "") -> None:
        """Show a picture: (H, W, 3) or (H, W), uint8 or floats from 0 to 1, a Picture or a handle of one."""
        self._check_running("show")
        if self._shown >= self._setup.images:
            raise RuntimeError(
                f"show: a cell may show {self._setup.images} pictures; show the most telling ones"
            )
        rgb, text = namespace.picture_of(image, caption)
        if rgb.nbytes > self._setup.message_bytes:
            raise ValueError(
                f"show: a picture may have {self._setup.message_bytes // 3} pixels, got {rgb.shape}; show "
                "every second one by image[::2, ::2], or a part"
            )
        self._output.flush()
        self._channel.send(Show(rgb, text))
        self._shown += 1

    def _take_answer(
        self, value: object, unit: object = None, low: object = None, high: object = None
    ) -> None:
        """Answer with a number, text, truth value or list of them; the last answer of a cell counts."""
        try:
            answer = namespace.answer_of(value, unit, low, high)
            # What cannot be sent is refused where it stands, not when the cell has ended.
            self._check_size("answer", Done(answer, None, 0))
        except WireError as error:
            raise ValueError(f"answer: {error}") from None
        self._answer = answer

    def _check_size(self, what: str, message: Call | Fetch | Done) -> None:
        size, most = len(to_parent(message)), self._setup.message_bytes
        if size > most:
            raise ValueError(f"{what}: {size} bytes are to be sent, at most {most} may be; send less")

    def _check_running(self, what: str) -> None:
        if not self._is_running:
            raise RuntimeError(f"{what}: only a cell that runs can ask for anything")


class _Nobody:
    """Stands for standard input, where nobody is."""

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError(f"'input' is not for programs: {courtesy.ABSENT['input']}")


def _compiled(source: str, name: str) -> tuple[types.CodeType, types.CodeType | None]:
    """Return the statements of a program, and the expression it ends with where it does.

    Raises:
        SyntaxError: If it is not Python.
    """
    tree = courtesy.parse(source, name)
    last = _without_last_expression(tree)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        statements = compile(tree, name, "exec", dont_inherit=True)
        code = compile(ast.Expression(last), name, "eval", dont_inherit=True) if last else None
    return statements, code


def _without_last_expression(tree: ast.Module) -> ast.expr | None:
    """Take the expression that a program ends with from it and return it, or None where there is none."""
    match tree.body:
        case [*_, ast.Expr(value=value)]:
            del tree.body[-1]
            return value
        case _:
            return None


def _failure(reply: ToChild) -> BaseException:
    """Return what a tool failed with, as the error it was outside."""
    if not isinstance(reply, Failed):
        return ChannelEndError(BROKEN_FRAME)
    kind: type[Exception] = getattr(errors, reply.error)
    return kind(reply.message)
