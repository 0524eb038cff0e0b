"""Checks of how sessions and sandboxes come and go, one after another and many at once."""

import asyncio
from typing import Any

from spatial_agent.sandbox.conformance.bench import (
    GRACE_S,
    Bench,
    answered,
    expect,
    failed,
    policy,
    raised,
    refuses,
    scripted,
    settled,
    still_usable,
)
from spatial_agent.sandbox.conformance.processes import Traces
from spatial_agent.sandbox.environment import Layer, ProgramResult, Sandbox
from spatial_agent.tools.errors import SandboxClosedError, SandboxError, SandboxUnavailableError

AT_ONCE = 8
#: How many programs are run before it is looked for what they left behind.
MANY = 24


async def named(bench: Bench) -> None:
    """A sandbox says what it is and which walls are up."""
    expect(bool(bench.sandbox.name.strip()), "a name", bench.sandbox.name)
    layers = bench.sandbox.layers
    expect(layers <= frozenset(Layer), "nothing but layers", layers)
    expect(Layer.WATCH in layers, "a parent that watches", layers)


async def persistent_variables(bench: Bench) -> None:
    """Variables, functions and imports live across cells."""
    async with bench.session() as session:
        for cell in ("x = 20", "import math\ndef f(y):\n    return math.floor(x) + y", "x += 1.5"):
            expect((await session.run(cell)).error is None, f"{cell!r} to run", cell)
        expect(answered(await session.run("answer(f(21))")).value == 42, "42", "something else")


async def separate_sessions(bench: Bench) -> None:
    """Nothing one session does is seen by another, or by a later one."""
    async with bench.session() as first, bench.session() as second:
        await first.run("x = 1\nimport math, json\nmath.pi = 3\njson.dumps = None")
        await first.run("import numpy as np\nnp.random.seed(1)\nnp.pi = 3")
        expect(answered(await first.run("answer(x + math.pi)")).value == 4, "its own changes", "none")
        unharmed = "import math, json\nimport numpy as np\nanswer([math.pi > 3, np.pi > 3, json.dumps([1])])"
        expect(
            answered(await second.run(unharmed)).value == [True, True, "[1]"], "modules as they are", second
        )
        expect("NameError" in failed(await second.run("x")).message, "a variable nobody else has", second)
    got = await bench.answer(unharmed)
    expect(got == [True, True, "[1]"], "modules as they are, later", got)


async def separate_chance(bench: Bench) -> None:
    """Sessions draw random numbers of their own."""
    program = "import random\nimport numpy as np\nanswer([random.random(), np.random.random()])"
    draws = [await bench.answer(program) for _ in range(3)]
    numbers = {number for draw in draws for number in draw}
    expect(len(numbers) == 6, "six numbers that differ", draws)


async def closing(bench: Bench) -> None:
    """A session that was closed says so and runs nothing more; closing twice, or at once, is no error."""
    session = bench.session()
    await still_usable(session)
    for _ in range(2):
        await session.close()
        await refuses(session)
    unused = bench.session()
    await unused.close()
    await refuses(unused)
    async with bench.session() as left:
        await still_usable(left)
    await refuses(left)


async def closing_while_running(bench: Bench) -> None:
    """Closing while a cell runs ends the cell with an error for whoever waits."""
    runner = scripted()
    async with bench.session(tools=runner) as session:
        cell = asyncio.ensure_future(session.run("tools.wait()"))
        await _reached(runner.reached, cell)
    await raised(asyncio.wait_for(cell, GRACE_S), SandboxClosedError)


async def cells_in_turn(bench: Bench) -> None:
    """Cells of one session that are asked for at once never mix: they run in turn, or are refused."""
    async with bench.session() as session:
        await session.run("trace = []")
        cell = "trace.append('in')\nfor _ in range(10 ** 5): pass\ntrace.append('out')"
        done = await asyncio.gather(*(session.run(cell) for _ in range(3)), return_exceptions=True)
        ran = [result for result in done if isinstance(result, ProgramResult)]
        refused = [error for error in done if isinstance(error, SandboxClosedError)]
        expect(len(ran) >= 1 and len(ran) + len(refused) == 3, "results, or SandboxClosedError", done)
        got = answered(await session.run("answer(trace)")).value
        expect(list(got) == ["in", "out"] * len(ran), "one cell after another", got)


async def cancelling(bench: Bench) -> None:
    """Giving up a cell kills its process and leaves nothing behind."""
    await bench.run("pass")
    traces, runner = await Traces.at_rest(), scripted()
    async with bench.session(tools=runner) as session:
        cell = asyncio.ensure_future(session.run("tools.wait()\nwhile True: pass"))
        await _reached(runner.reached, cell)
        runner.release.set()
        while not runner.results:
            await asyncio.sleep(0)
        await _given_up(cell)
        await settled(session)
    await traces.gone()
    await _still_usable_sandbox(bench)


async def cancelling_in_a_tool(bench: Bench) -> None:
    """Giving up a cell whose tool is at work gives up the tool's work as well."""
    runner = scripted()
    async with bench.session(tools=runner) as session:
        cell = asyncio.ensure_future(session.run("tools.wait()\nprint('waited')"))
        await _reached(runner.reached, cell)
        await _given_up(cell)
        expect(runner.results == [], "a tool call that is given up", runner.results)
        await settled(session)


async def _given_up(cell: "asyncio.Future[ProgramResult]") -> None:
    cell.cancel()
    done, _ = await asyncio.wait([cell], timeout=GRACE_S)
    expect(bool(done) and cell.cancelled(), "CancelledError out of a cell that is given up", cell)


async def _reached(event: asyncio.Event, cell: "asyncio.Future[ProgramResult]") -> None:
    waiting = asyncio.ensure_future(event.wait())
    either: set[asyncio.Future[Any]] = {waiting, cell}
    await asyncio.wait(either, timeout=GRACE_S, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    expect(event.is_set(), "the program to reach its tool", cell)


async def _still_usable_sandbox(bench: Bench) -> None:
    """Expect that the shared sandbox runs further programs."""
    expect((await bench.run("print(6 * 7)")).output.strip() == "42", "42", "something else")


async def at_once(bench: Bench) -> None:
    """Eight sessions run side by side, each with its own variables and its own runner."""
    runners = [scripted(f"runner {number}") for number in range(AT_ONCE)]
    sessions = [bench.session({"number": n}, runner) for n, runner in enumerate(runners)]
    cell = "tools.wait()\nanswer([number, tools.token().value])"
    try:
        running = [asyncio.ensure_future(session.run(cell)) for session in sessions]
        for runner, task in zip(runners, running, strict=True):
            # Each is let go on only after all of them are in the middle of their cells.
            await _reached(runner.reached, task)
        for runner in runners:
            runner.release.set()
        got = [list(answered(result).value) for result in await asyncio.gather(*running)]
    finally:
        await asyncio.gather(*(session.close() for session in sessions))
    expect(got == [[n, f"runner {n}"] for n in range(AT_ONCE)], "each session its own values", got)


async def several_loops(bench: Bench) -> None:
    """One sandbox serves several event loops, one after the other."""
    for number in range(3):
        await asyncio.to_thread(_in_own_loop, bench.sandbox, number)


async def two_threads(bench: Bench) -> None:
    """One sandbox serves loops in two threads at once."""
    work = [asyncio.to_thread(_in_own_loop, bench.sandbox, number) for number in (1, 2)]
    await asyncio.gather(*work)


def _in_own_loop(sandbox: Sandbox, number: int) -> None:
    async def use() -> None:
        for _ in range(3):
            result = await sandbox.run(f"answer({number} + 1)", policy=policy())
            expect(answered(result).value == number + 1, f"{number + 1}", result)
        async with sandbox.session(policy=policy()) as session:
            await still_usable(session)

    asyncio.run(use())


async def nothing_left(bench: Bench) -> None:
    """Many programs, however they end, leave no process and no descriptor behind."""
    await bench.run("pass")
    traces = await Traces.at_rest()
    programs = ("pass", "1 / 0", "x = 1", "while True: pass", "import numpy as np\nnp.ones(10)", "(")
    for number in range(MANY):
        program = programs[number % len(programs)]
        await bench.run(program, {"x": [number]}, scripted(), wall_s=0.2 if "while" in program else 20.0)
    await traces.gone()


async def closed_sandbox(bench: Bench) -> None:
    """A closed sandbox raises, has ended its sessions, and leaves nothing; closing twice is no error."""
    traces = await Traces.at_rest()
    sandbox, runner = bench.open_sandbox(), scripted()
    idle, busy = sandbox.session(policy=policy()), sandbox.session(tools=runner, policy=policy())
    try:
        async with idle, busy:
            await still_usable(idle)
            cell = asyncio.ensure_future(busy.run("tools.wait()\nwhile True: pass"))
            await _reached(runner.reached, cell)
            runner.release.set()
            sandbox.close()
            sandbox.close()
            kinds = (SandboxClosedError, SandboxUnavailableError)
            await raised(asyncio.wait_for(cell, GRACE_S), *kinds)
            await raised(idle.run("print(1)"), *kinds)
            await raised(_fresh(sandbox), *kinds)
    finally:
        sandbox.close()
    await traces.gone()


async def _fresh(sandbox: Sandbox) -> ProgramResult:
    return await sandbox.run("print(1)", policy=policy())


async def closed_unused(bench: Bench) -> None:
    """A sandbox that was never used can be closed, and is closed then."""
    sandbox = bench.open_sandbox()
    sandbox.close()
    await raised(_fresh(sandbox), SandboxError)
