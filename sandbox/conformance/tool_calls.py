"""Checks of the tools a program calls: they go to the runner, and come back as if called here."""

import asyncio

from spatial_agent.sandbox.conformance.bench import (
    Bench,
    answered,
    expect,
    failed,
    policy,
    raised,
    scripted,
    settled,
    still_usable,
)
from spatial_agent.sandbox.conformance.scripted_runner import FAILURES, FAULT
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import BudgetExceededError, SandboxError

#: How many sessions call tools at once, each its own.
AT_ONCE = 4
_ERRORS = f"from spatial_agent.tools.errors import {', '.join(FAILURES)}\n"


async def findings(bench: Bench) -> None:
    """A tool's finding comes back with value, unit, interval and details."""
    runner = scripted()
    program = """
found = tools.double(value=21)
answer([found.claim, found.value, found.unit, found.low, found.high, found.details["of"][0]])
"""
    got = await bench.answer(program, tools=runner)
    expected = ["Twice 21 m is 42 m.", 42, "m", 41.5, 42.5, 21]
    expect(list(got) == expected, f"the finding {expected}", got)
    call = runner.calls[0]
    expect((call.tool, dict(call.arguments)) == ("double", {"value": 21}), "the call as written", call)


async def arguments(bench: Bench) -> None:
    """Arguments of every JSON kind reach the runner as they were."""
    runner = scripted()
    given: dict[str, Json] = {
        "value": 2.5,
        "text": "\u6c99\u53d1",
        "flag": True,
        "none": None,
        "many": [1, ["a"]],
    }
    await bench.answer(f"tools.double(**{given!r})\nanswer(1)", tools=runner)
    got = {name: list(value) if isinstance(value, tuple) else value for name, value in _arguments(runner)}
    expect(got == given, f"the arguments {given!r}", got)


def _arguments(runner: object) -> list[tuple[str, Json]]:
    calls = getattr(runner, "calls", [])
    return list(calls[0].arguments.items()) if calls else []


async def impossible_arguments(bench: Bench) -> None:
    """An argument that is no JSON is the program's error, and reaches nobody."""
    runner = scripted()
    async with bench.session(tools=runner) as session:
        await session.run("loop = []\nloop.append(loop)")
        for value in ("object()", "{1, 2}", "loop", "'\\ud800'", "10 ** 40", "b'bytes'"):
            error = failed(await session.run(f"tools.double(value={value})"))
            expect(error.kind == "exception", f"an exception for the argument {value}", error)
            await still_usable(session)
        expect(runner.calls == [], "no call to reach the runner", runner.calls)


async def dotted_names(bench: Bench) -> None:
    """A tool whose name has two parts is called by both."""
    runner = scripted()
    await bench.answer("tools.depth.ramp(height=1, width=2)\nanswer(1)", tools=runner)
    expect([call.tool for call in runner.calls] == ["depth.ramp"], "a call of depth.ramp", runner.calls)


async def handles(bench: Bench) -> None:
    """What is no finding stays with the runner; its handle can be handed on, and its value fetched."""
    runner = scripted()
    cell = "plane = tools.plane(height=2, width=3)\nfarthest = tools.farthest(depth=plane)\n"
    told = "[farthest.value, type(depth).__name__, depth.z_m.tolist()]"
    got = await bench.told(told, tools=runner, before=cell + "depth = plane.fetch()")
    expect(got == [6.0, "DepthMap", [[1, 2, 3], [4, 5, 6]]], "the depth map's values", got)
    expect(dict(runner.calls[1].arguments) == {"depth": "$kept/1"}, "its reference", runner.calls)


async def fetched_values(bench: Bench) -> None:
    """What is fetched is a copy: the runner's own value stays as it was."""
    runner = scripted()
    program = """
depth = tools.plane(height=2, width=3).fetch()
try:
    depth.z_m.setflags(write=True)
    depth.z_m.fill(0)
except ValueError:
    pass
answer(tools.farthest(depth="$kept/1").value)
"""
    expect(await bench.answer(program, tools=runner) == 6.0, "6.0", "another value")


async def nothing_to_fetch(bench: Bench) -> None:
    """What is no longer kept, and what cannot be sent, is the program's error where it is fetched."""
    runner = scripted()
    async with bench.session(tools=runner) as session:
        for tool in ("lose", "keep_odd"):
            program = f"handle = tools.{tool}()\ntry:\n    handle.fetch()\nexcept Exception as e:\n    "
            result = await session.run(program + "print(type(e).__name__)")
            expect(result.output.strip() == "ToolArgumentError", f"ToolArgumentError after {tool!r}", result)
            expect(failed(await session.run("handle.fetch()")).kind == "exception", "an exception", result)
        await still_usable(session)


async def tool_errors(bench: Bench) -> None:
    """A tool's error is raised in the program, with its class and message, and can be caught."""
    runner = scripted()
    async with bench.session(tools=runner) as session:
        for name, error in FAILURES.items():
            cell = f"{_ERRORS}try:\n    tools.fail(how={name!r})\nexcept {name} as e:\n"
            cell += "    answer([type(e).__name__, str(e)])"
            got = answered(await session.run(cell)).value
            expect(list(got) == [name, str(error)], f"{name}: {error}", got)
        told = failed(await session.run("x = 1\ntools.fail(how='ToolFailedError')"))
        said = told.kind == "exception" and "ToolFailedError" in told.message
        expect(said and "nothing was measured here" in told.message, "the error, uncaught", told)
        expect(told.line == 2, "line 2", told)
        await still_usable(session)


async def unknown_tool(bench: Bench) -> None:
    """A tool the runner does not have is a ToolUnavailableError in the program."""
    cell = f"{_ERRORS}try:\n    tools.cuont(x=1)\nexcept ToolUnavailableError:\n    answer('none')"
    expect(await bench.answer(cell, tools=scripted()) == "none", "ToolUnavailableError", "none")


async def no_runner(bench: Bench) -> None:
    """Without a runner every call fails, and the session goes on."""
    async with bench.session() as session:
        error = failed(await session.run("tools.double(value=1)"))
        told = error.kind == "exception" and "ToolUnavailableError" in error.message
        expect(told, "ToolUnavailableError", error)
        await still_usable(session)


async def allowed_tools(bench: Bench) -> None:
    """A tool the policy does not allow is refused without reaching the runner."""
    runner = scripted()
    limits = policy(tools=frozenset({"token"}))
    async with bench.sandbox.session(tools=runner, policy=limits) as session:
        expect((await session.run("tools.token()")).error is None, "the allowed tool to work", runner.calls)
        error = failed(await session.run("tools.double(value=1)"))
        told = error.kind == "exception" and "ToolUnavailableError" in error.message
        expect(told and "double" in error.message, "ToolUnavailableError for 'double'", error)
        expect([call.tool for call in runner.calls] == ["token"], "no other call to arrive", runner.calls)
        await still_usable(session)


async def broken_runner(bench: Bench) -> None:
    """A fault of the runner is raised here, and no program ever reads of it."""
    runner = scripted()
    async with bench.session(tools=runner) as session:
        cell = (
            "try:\n    tools.break_down()\nexcept BaseException as e:\n    print(repr(e))\n    answer(str(e))"
        )
        error = await raised(session.run(cell), LookupError, SandboxError)
        expect(_chain_has(error, LookupError), "the runner's own error, or one caused by it", error)
        await settled(session)


def _chain_has(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None:
        if isinstance(error, kind) and FAULT in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


async def spent_budget(bench: Bench) -> None:
    """A budget that is used up ends the run, whatever the program catches."""
    async with bench.session(tools=scripted()) as session:
        cell = "try:\n    tools.run_out()\nexcept BaseException as e:\n    answer(str(e))"
        await raised(session.run(cell), BudgetExceededError)
        await settled(session)


async def recorded_results(bench: Bench) -> None:
    """Every call's result is recorded in order, failed ones too, and belongs to its cell."""
    runner = scripted()
    async with bench.session(tools=runner) as session:
        cell = "tools.double(value=1)\ntry:\n    tools.fail(how='ToolFailedError')\nexcept Exception: pass\n"
        first = await session.run(cell + "tools.plane(height=1, width=1)")
        second = await session.run("tools.token()\n1 / 0")
    expect(list(first.results) == runner.results[:3], "the results of three calls", first.results)
    expect(list(second.results) == runner.results[3:], "the result of the fourth call", second.results)
    ids = [call.id for call in runner.calls]
    expect(len(set(ids)) == 4, "calls with ids of their own", ids)


async def own_runners(bench: Bench) -> None:
    """Sessions that run side by side talk each to its own runner, and never share a call's id."""
    runners = [scripted(f"runner {number}") for number in range(AT_ONCE)]
    program = "answer([tools.token().value for _ in range(5)])"
    answers = await asyncio.gather(*(bench.answer(program, tools=runner) for runner in runners))
    for number, got in enumerate(answers):
        expect(list(got) == [f"runner {number}"] * 5, f"five answers of runner {number}", got)
    ids = [call.id for runner in runners for call in runner.calls]
    expect(len(set(ids)) == 5 * AT_ONCE, "calls with ids of their own", ids)
