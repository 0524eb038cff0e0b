"""Checks that limits of time, memory and number are kept, named, and survived by everybody else."""

import asyncio
import time

from spatial_agent.sandbox.conformance.bench import (
    GRACE_S,
    Bench,
    answered,
    expect,
    failed,
    hit,
    refuses,
    scripted,
    settled,
    still_usable,
    within,
)
from spatial_agent.sandbox.environment import SandboxSession
from spatial_agent.tools.errors import SandboxClosedError

WALL_S, SESSION_S = 0.4, 0.6
#: Wall time nothing here reaches.
LONG_S = 60.0
MEMORY_MB = 96
MEGA = 2**20
#: Programs that never end: in Python, in one C function, and against whoever asks them to.
ENDLESS = {
    "a loop": "while True: pass",
    "one call": "sum(range(10 ** 15))",
    "a loop that will not listen": (
        "while True:\n    try:\n        while True: pass\n    except BaseException:\n        pass"
    ),
    "sleep": "import time\ntime.sleep(1000)",
}
GREEDY = {
    "one array": "import numpy as np\nx = np.ones(400 * 2 ** 17)",
    "many pieces": "x = []\nwhile True:\n    x.append(bytearray(2 ** 20))",
    "a long text": "x = 'a' * (400 * 2 ** 20)",
    "large numbers": "x = [1 << (2 ** 22 + n) for n in range(10 ** 6)]",
}


async def wall(bench: Bench) -> None:
    """A cell that never ends is ended at its wall time, however it does that."""
    for what, program in ENDLESS.items():
        async with bench.session(wall_s=WALL_S) as session:
            await session.run("pass")
            started = time.monotonic()
            result = await within(WALL_S + GRACE_S, session.run(program))
            hit(result, "wall", what)
            expect(time.monotonic() - started >= WALL_S, f"at least {WALL_S} s for {what}", result)
            await settled(session)


async def output_until_then(bench: Bench) -> None:
    """What was said before a limit ended the cell is not lost."""
    result = await bench.run("print('so far')\nwhile True: pass", wall_s=WALL_S)
    hit(result, "wall", "a loop")
    expect("so far" in result.output, "the output until then", result)


async def wall_of_each_cell(bench: Bench) -> None:
    """Every cell has the whole wall time for itself."""
    cell = f"import time\nuntil = time.monotonic() + {0.6 * WALL_S}\nwhile time.monotonic() < until: pass"
    async with bench.session(wall_s=WALL_S * 2) as session:
        for _ in range(4):
            result = await session.run(cell)
            expect(result.error is None, "the cell to run to its end", result)


async def wall_without_tools(bench: Bench) -> None:
    """Time that tools take is not the program's."""
    program = f"answer(tools.pause(seconds={2.5 * WALL_S}).value)"
    result = await bench.run(program, tools=scripted(), wall_s=WALL_S)
    expect(answered(result).value == "paused", "the pause to be waited for", result)
    expect(result.seconds < WALL_S, f"less than {WALL_S} s of its own", result.seconds)


async def cpu(bench: Bench) -> None:
    """Processor time is limited over the whole session."""
    async with bench.session(cpu_s=1.0, wall_s=LONG_S) as session:
        result = await within(1.0 + 2 * GRACE_S, session.run("while True: pass"))
        hit(result, "cpu", "a loop")
        expect(result.cpu_seconds >= 0.5, "about a second of processor time", result.cpu_seconds)
        await settled(session)


async def cpu_of_the_session(bench: Bench) -> None:
    """Cells that are each modest use up their session's processor time together."""
    cell = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    async with bench.session(cpu_s=1.0, wall_s=LONG_S) as session:
        for _ in range(8):
            result = await within(1.0 + 2 * GRACE_S, session.run(cell))
            if result.error is not None:
                break
        hit(result, "cpu", "many cells")


async def session_time(bench: Bench) -> None:
    """A session ends at its wall time, and says so afterwards."""
    async with bench.session(session_s=SESSION_S, wall_s=LONG_S) as session:
        result = await within(SESSION_S + GRACE_S, session.run("while True: pass"))
        hit(result, "session", "a loop")
        await refuses(session)


async def session_time_in_tools(bench: Bench) -> None:
    """A session's wall time counts what its tools take."""
    async with bench.session(tools=scripted(), session_s=SESSION_S, wall_s=LONG_S) as session:
        result = await within(SESSION_S + GRACE_S, session.run(f"tools.pause(seconds={LONG_S})"))
        hit(result, "session", "a tool")
        await refuses(session)


async def idle_session(bench: Bench) -> None:
    """A session that was left alone for longer than its wall time does not go on as if nothing were."""
    async with bench.session(session_s=SESSION_S, wall_s=LONG_S) as session:
        await still_usable(session)
        await asyncio.sleep(1.5 * SESSION_S)
        try:
            result = await session.run("print('still here')")
        except SandboxClosedError:
            pass
        else:
            hit(result, "session", "a pause between cells")
        await refuses(session)


async def memory(bench: Bench) -> None:
    """Memory is limited, whatever takes it, and the limit is named."""
    for what, program in GREEDY.items():
        async with bench.session(memory_mb=MEMORY_MB, wall_s=LONG_S) as session:
            result = await within(3 * GRACE_S, session.run(program))
            hit(result, "memory", what)
            expect(result.peak_mb < 2 * MEMORY_MB, f"less than {2 * MEMORY_MB} MB held", result.peak_mb)
            await settled(session)


async def memory_of_the_session(bench: Bench) -> None:
    """What cells keep counts together."""
    async with bench.session(memory_mb=MEMORY_MB, wall_s=LONG_S) as session:
        await session.run("kept = []")
        for _ in range(8):
            result = await session.run(f"kept.append(bytearray({MEMORY_MB // 3} * 2 ** 20))")
            if result.error is not None:
                break
        hit(result, "memory", "many cells")


async def useful_memory(bench: Bench) -> None:
    """Memory below the limit can be used, and used again after it was let go of."""
    cell = f"x = np.ones({MEMORY_MB // 2} * 2 ** 17)\nanswer(float(x.sum()))\ndel x"
    async with bench.session(memory_mb=MEMORY_MB, wall_s=LONG_S) as session:
        await session.run("import numpy as np")
        for _ in range(6):
            got = answered(await session.run(cell)).value
            expect(got == MEMORY_MB // 2 * 2**17, "the sum of the array", got)


async def calls(bench: Bench) -> None:
    """Tool calls are limited over the whole session, and no more reach the runner."""
    runner = scripted()
    async with bench.session(tools=runner, calls=3) as session:
        first = await session.run("tools.token()\ntools.token()")
        expect(first.error is None, "two calls", first)
        hit(await session.run("while True: tools.token()"), "calls", "too many calls")
        expect(len(runner.calls) == 3, "three calls", len(runner.calls))
        await settled(session)


async def no_calls(bench: Bench) -> None:
    """A policy may allow no call and no picture at all."""
    runner = scripted()
    hit(await bench.run("tools.token()", tools=runner, calls=0), "calls", "a call where none is allowed")
    expect(runner.calls == [], "no call", runner.calls)
    program = "import numpy as np\nshow(np.zeros((2, 2, 3), np.uint8))"
    expect((await bench.run(program, images=0)).images == (), "no picture", "some")


async def cells(bench: Bench) -> None:
    """Cells are limited over the whole session."""
    async with bench.session(cells=2) as session:
        for _ in range(2):
            expect((await session.run("1")).error is None, "two cells", session.closed)
        await _no_more(session)
        await refuses(session)


async def _no_more(session: SandboxSession) -> None:
    try:
        result = await session.run("print('ran')")
    except SandboxClosedError:
        return
    hit(result, "cells", "a third cell")
    expect(result.output == "", "a third cell that does not run", result)


async def neighbours(bench: Bench) -> None:
    """A session that is killed at a limit takes no other with it."""
    async with bench.session() as bystander, bench.session(memory_mb=MEMORY_MB, wall_s=WALL_S) as greedy:
        await bystander.run("kept = 41")
        await asyncio.gather(greedy.run(ENDLESS["one call"]), bystander.run("kept += 1"))
        expect((await bystander.run("print(kept)")).output.strip() == "42", "42", "another value")


async def crash(bench: Bench) -> None:
    """A process that dies is the program's error; the session says why it is closed, others run."""
    kinds = ("crash", "violation", "exception", "refused", "limit")
    async with bench.session(imports=frozenset({"os", "ctypes", "math"})) as session:
        for program in _DEADLY:
            if session.closed is None:
                error = failed(await session.run(program))
                expect(error.kind in kinds, f"an error of {program!r}", error)
        await settled(session)
    expect((await bench.run("print(1)")).output.strip() == "1", "the next program to run", "something else")


_DEADLY = (
    "import os\nos._exit(0)",
    "import os\nos.kill(os.getpid(), 11)",
    "import os\nos.abort()",
    "import ctypes\nctypes.string_at(0)",
    "(lambda f: f(f))(lambda f: print.__self__._exit(0))",
)
