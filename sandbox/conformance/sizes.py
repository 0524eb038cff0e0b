"""Checks that what a program says is bounded, in every direction and in every unit."""

from spatial_agent.sandbox.conformance.bench import (
    Bench,
    answered,
    expect,
    failed,
    hit,
    scripted,
    settled,
    still_usable,
)

#: Text that a note on what was cut may add, bytes.
NOTE_BYTES = 400


async def output(bench: Bench) -> None:
    """Text beyond the limit is cut off with a note; the program goes on."""
    for text in ("'x' * 10 ** 6", "'\\u6c99' * 10 ** 6", "('x' * 99 + chr(10)) * 10 ** 4"):
        result = await bench.run(f"print({text})\nanswer(1)", output_bytes=1000)
        expect(answered(result).value == 1, "the program to go on", result)
        size = len(result.output.encode())
        expect(900 <= size <= 1000 + NOTE_BYTES, "about 1000 bytes of output", size)
        shown = result.output.encode()[1000:]
        expect(bool(shown.strip()), "a note on what was cut", result.output[-80:])
    program = "for _ in range(10 ** 4): print('x' * 100)"
    size = len((await bench.run(program, output_bytes=1000)).output.encode())
    expect(size <= 1000 + NOTE_BYTES, "about 1000 bytes of output", size)


async def output_of_each_cell(bench: Bench) -> None:
    """Every cell may print as much as the one before."""
    async with bench.session(output_bytes=1000) as session:
        for _ in range(3):
            result = await session.run("print('x' * 900)")
            expect(result.output.strip() == "x" * 900, "900 characters", result.output[-80:])


async def sent_bytes(bench: Bench) -> None:
    """Everything a cell sends is limited, arguments of calls included."""
    runner = scripted()
    async with bench.session(tools=runner, cell_bytes=400_000, calls=1000) as session:
        program = "for _ in range(200): tools.token(text='x' * 20_000)"
        hit(await session.run(program), "output", "large arguments")
        expect(len(runner.calls) < 60, "the program to be stopped soon", len(runner.calls))
        await settled(session)


async def large_messages(bench: Bench) -> None:
    """One message that is too large is the program's error, in every direction."""
    runner = scripted()
    programs = (
        "answer('x' * 300_000)",
        "tools.double(value='x' * 300_000)",
        "import numpy as np\nshow(np.zeros((400, 400, 3), np.uint8))",
        "tools.plane(height=300, width=300).fetch()",
    )
    for program in programs:
        async with bench.session(tools=runner, message_bytes=100_000) as session:
            error = failed(await session.run(program))
            expect(error.kind in ("exception", "limit"), f"an exception or a limit for {program!r}", error)
            await settled(session)
    async with bench.session(tools=runner, message_bytes=100_000) as session:
        result = await session.run("print('x' * 10_000)\nanswer('x' * 10_000)")
        expect(len(answered(result).value) == 10_000, "smaller ones to pass", result.error)


async def images(bench: Bench) -> None:
    """No more pictures come out than the policy allows, and the program is told."""
    async with bench.session(images=2) as session:
        await session.run("import numpy as np\nrgb = np.zeros((2, 2, 3), np.uint8)")
        result = await session.run("for _ in range(5): show(rgb)")
        expect(len(result.images) == 2, "two pictures", result.images)
        told = failed(result).message if result.error is not None else result.output
        expect("2" in told, "the number that is allowed in an error or the output", result)
        await still_usable(session)
        again = await session.run("show(rgb)")
        expect(again.error is None and len(again.images) == 1, "a picture of the next cell", again)
