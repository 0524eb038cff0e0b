"""Whatever goes wrong in an expert ends in an answer or a clear refusal, and the next call is served."""

import asyncio
import ctypes
import os
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import psutil
import pytest

pytest.importorskip("ray")

from ray import cloudpickle

from spatial_agent.services.ray_requests import PoolOptions
from spatial_agent.tools.contract import Finding, Resources, ToolCall, Weights
from spatial_agent.tools.errors import (
    AmbiguousReferenceError,
    MissingWeightsError,
    NoSuchObjectError,
    SourceError,
    ToolArgumentError,
    ToolCrashedError,
    ToolError,
    ToolFailedError,
    ToolTimeoutError,
    ToolUnavailableError,
)
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import DepthMap, Detections, Frame, FrameHeader, Measurement

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]

Serve = Callable[..., Any]
# The fixtures' own classes, which cannot be imported from here.
Bench: TypeAlias = Any
Gate: TypeAlias = Any
Head: TypeAlias = Any
Probe: TypeAlias = Any
Found: TypeAlias = Any
SOON_S = 1.0
ONE = PoolOptions(most=1)


class OwnError(Exception):
    """Cannot be built again from what it keeps."""

    def __init__(self, code: int, lock: object) -> None:
        super().__init__(f"code {code}")
        self.lock = lock


class OwnToolError(NoSuchObjectError):
    """A third party's refinement, which no other process knows."""


class MuteError(Exception):
    """Breaks while it is printed."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def wait_at_gate(entry: str, exit_: str) -> None:
    """Say that this process is here, and wait until it may go on."""
    with open(entry, "w") as file:
        file.write(f"{os.getpid()} ")
    leave = os.open(exit_, os.O_RDWR)
    os.read(leave, 1)
    os.close(leave)


def first_time(mark: str) -> bool:
    """Return whether nobody was here before."""
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def hang_holding_the_interpreter() -> None:
    sum(range(10**14))


def hang_deaf_to_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
    time.sleep(1000)


def stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def recurse() -> None:
    recurse()


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def throw(error: BaseException) -> Callable[[], None]:
    def raise_() -> None:
        raise error

    return raise_


ACTS: dict[str, Callable[[], object]] = {
    "work": lambda: None,
    "hang": lambda: time.sleep(1000),
    "hold the interpreter": hang_holding_the_interpreter,
    "be deaf": hang_deaf_to_signals,
    "stop": stop,
    "be killed": be_killed,
    "touch bad memory": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "leave at once": lambda: os._exit(0),
    "value error": throw(ValueError("bad number")),
    "leave": lambda: sys.exit(3),
    "interrupt": throw(KeyboardInterrupt()),
    "recurse": recurse,
    "own error": lambda: throw(OwnError(7, threading.Lock()))(),
    "mute error": throw(MuteError()),
    "own tool error": throw(OwnToolError("no such thing")),
    "no such object": throw(NoSuchObjectError("no cup", ("cap",))),
    "ambiguous": throw(AmbiguousReferenceError("two cups", ("cup-1", "cup-2"))),
    "bad source": throw(SourceError("no depth in it")),
    "impossible value": lambda: Measurement(1.0, "parsec", 0.0, 2.0, "guess"),
    "talk": lambda: print("word " * 200_000),
}


@expert("test.act", resources=Resources(deadline_s=30))
class Act:
    """Does as it is told."""

    def load(self, device: str) -> None: ...

    def __call__(self, how: str, mark: str | None = None) -> int:
        """Act.

        Args:
            how: One of the acts.
            mark: File that stops the act from being done twice.
        """
        if mark is None or first_time(mark):
            ACTS[how]()
        return os.getpid()


@expert("test.once", idempotent=False)
def once(how: str, log: str) -> int:
    """Act, which must not be done twice.

    Args:
        how: One of the acts.
        log: File in which every start is noted.
    """
    with open(log, "a") as file:
        file.write("started ")
    ACTS[how]()
    return os.getpid()


@expert("test.gated")
def gated(entry: str, exit_: str, name: str = "") -> str:
    """Wait at a gate.

    Args:
        entry: Where to say that it is there.
        exit_: Where it hears that it may go on.
        name: What it answers.
    """
    wait_at_gate(entry, exit_)
    return name


ONLY_HERE = """
from spatial_agent.tools.registry import expert

@expert("test.only_here")
def work() -> int:
    '''Work.'''
    return 1
"""


def healthy(bench: Bench, tool: str = "test.act", **arguments: object) -> int:
    """The pool serves the next call; returns the process that did."""
    return int(bench.answer(tool, **({"how": "work"} | arguments)))


# A call that dies


@pytest.mark.parametrize(
    ("how", "attempts"), [("be killed", 2), ("touch bad memory", 1), ("abort", 1), ("leave at once", 1)]
)
def test_a_call_that_always_kills_its_process_crashes_and_the_next_is_served(
    serve: Serve, how: str, attempts: int
) -> None:
    bench = serve(Act, options=PoolOptions(most=1, attempts=attempts))
    result = bench.call("test.act", how=how)

    assert isinstance(result.error, ToolCrashedError)
    assert "test.act crashed (its process died)" in str(result.error)
    assert bench.meter.counts["crash"] == attempts
    assert healthy(bench) > 0


def test_a_process_killed_in_mid_call_is_replaced_and_the_call_made_again(serve: Serve, gate: Gate) -> None:
    bench = serve(gated, options=ONE)

    async def story() -> Found:
        call = asyncio.create_task(bench.ask("test.gated", **gate.paths, name="a"))
        (pid,) = await gate.arrivals()
        os.kill(pid, signal.SIGKILL)
        (second,) = await gate.arrivals()
        gate.open()
        return pid != second, bench.value(await call)

    assert asyncio.run(story()) == (True, "a")


def test_a_call_that_must_not_be_made_twice_is_not(serve: Serve, tmp_path: Path) -> None:
    bench = serve(once, options=ONE)
    log = tmp_path / "log"
    result = bench.call("test.once", how="be killed", log=str(log))

    assert isinstance(result.error, ToolCrashedError)
    assert log.read_text() == "started "
    assert healthy(bench, "test.once", log=str(log)) > 0


def test_an_idle_process_that_is_killed_is_replaced_for_the_next_call(
    serve: Serve, eventually: Callable[..., None]
) -> None:
    bench = serve(Act, options=ONE)
    first = healthy(bench)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: not bench.pools.replicas("test.act"))

    assert healthy(bench) != first


def test_a_process_killed_while_it_is_idle_and_unnoticed_costs_the_call_nothing(serve: Serve) -> None:
    bench = serve(Act, options=ONE)
    first = healthy(bench)
    os.kill(first, signal.SIGKILL)

    assert healthy(bench) != first


# A call that never ends


@pytest.mark.parametrize("how", ["hang", "hold the interpreter", "be deaf", "stop"])
def test_a_call_that_hangs_is_stopped_at_its_deadline(
    serve: Serve, eventually: Callable[..., None], how: str
) -> None:
    bench = serve(Act, options=ONE)
    first = healthy(bench)
    result = bench.call("test.act", how=how, deadline_s=SOON_S)

    assert isinstance(result.error, ToolTimeoutError)
    assert str(result.error).startswith("test.act did not finish within 1 s")
    assert healthy(bench) != first
    eventually(lambda: not psutil.pid_exists(first))


def test_a_call_that_names_no_deadline_has_its_tools(serve: Serve) -> None:
    @expert("test.slow", resources=Resources(deadline_s=SOON_S))
    def slow(seconds: float) -> int:
        """Sleep.

        Args:
            seconds: For how long.
        """
        time.sleep(seconds)
        return os.getpid()

    bench = serve(slow, options=ONE)
    first = bench.answer("test.slow", seconds=0.0)
    result = asyncio.run(bench.runner.call(ToolCall("c", "test.slow", {"seconds": 1000.0})))

    assert isinstance(result.error, ToolTimeoutError)
    assert result.seconds < 30
    assert bench.answer("test.slow", seconds=0.0) != first


def test_a_deadline_that_passes_in_the_queue_costs_the_call_before_it_nothing(
    serve: Serve, gate: Gate
) -> None:
    bench = serve(gated, options=ONE)

    async def story() -> tuple[Found, Found]:
        working = asyncio.create_task(bench.ask("test.gated", **gate.paths, name="working"))
        await gate.arrivals()
        waiting = await bench.ask("test.gated", **gate.paths, name="waiting", deadline_s=SOON_S)
        gate.open()
        return waiting, bench.value(await working)

    waiting, working = asyncio.run(story())
    assert isinstance(waiting.error, ToolTimeoutError)
    assert "still waiting for a free process" in str(waiting.error)
    assert working == "working"


def test_a_cancelled_call_frees_its_process(
    serve: Serve, gate: Gate, eventually: Callable[..., None]
) -> None:
    bench = serve(gated, options=ONE)

    async def story() -> int:
        call = asyncio.create_task(bench.ask("test.gated", **gate.paths))
        (pid,) = await gate.arrivals()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        return int(pid)

    first = asyncio.run(story())
    eventually(lambda: not psutil.pid_exists(first))
    gate.open()
    assert bench.answer("test.gated", **gate.paths, name="next") == "next"


def test_a_call_cancelled_in_the_queue_is_never_made(serve: Serve, gate: Gate) -> None:
    bench = serve(gated, options=ONE)

    async def story() -> tuple[str, str]:
        working = asyncio.create_task(bench.ask("test.gated", **gate.paths, name="working"))
        (first,) = await gate.arrivals()
        waiting = asyncio.create_task(bench.ask("test.gated", **gate.paths))
        await bench.queued(1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        last = asyncio.create_task(bench.ask("test.gated", **gate.paths, name="last"))
        gate.open(2)
        (second,) = await gate.arrivals()
        assert first == second
        return bench.value(await working), bench.value(await last)

    assert asyncio.run(story()) == ("working", "last")


# A call that takes too much


@expert("test.eat", resources=Resources(memory_gb=0.5))
def eat(what: str) -> int:
    """Take memory.

    Args:
        what: ``"array"`` at once, ``"bytes"`` bit by bit, or nothing.
    """
    if what == "array":
        np.ones((8 * 2**30,), np.uint8)
    kept = []
    while what == "bytes":
        kept.append(bytes(2**20))
    return os.getpid()


@pytest.mark.parametrize("what", ["array", "bytes"])
def test_memory_is_limited(serve: Serve, what: str) -> None:
    bench = serve(eat, options=ONE)
    first = bench.answer("test.eat", what="nothing")
    result = bench.call("test.eat", what=what)

    assert isinstance(result.error, ToolCrashedError)
    assert "memory" in str(result.error)
    assert bench.answer("test.eat", what="nothing") != first


@expert(
    "test.eat_on_gpu",
    weights=[Weights("w", "file:w", "MIT", vram_gb=1.0, vram_basis="measured")],
    resources=Resources(memory_gb=0.3),
)
class EatOnGpu:
    """Takes memory beside a GPU, where addresses cannot be limited."""

    def __init__(self, weights: Path) -> None: ...

    def load(self, device: str) -> None:
        assert device == "cuda:0"

    def __call__(self, megabytes: int) -> int:
        """Take memory and keep it for a while.

        Args:
            megabytes: How much.
        """
        kept = []
        for _ in range(megabytes):
            kept.append(b"x" * 2**20)
            time.sleep(0.001)
        return os.getpid()


def test_resident_memory_is_watched_beside_a_gpu(serve: Serve, roomy_gpus: Probe, tmp_path: Path) -> None:
    bench = serve(EatOnGpu, options=ONE, probe=roomy_gpus, locate=lambda weights: tmp_path)
    first = bench.answer("test.eat_on_gpu", megabytes=1)
    result = bench.call("test.eat_on_gpu", megabytes=5000)

    assert isinstance(result.error, ToolCrashedError)
    assert "its limit is 0.3 GB" in str(result.error)
    assert bench.answer("test.eat_on_gpu", megabytes=1) != first


# A call that raises


@pytest.mark.parametrize(
    ("how", "kind", "said"),
    [
        ("value error", ToolFailedError, "test.act broke down (ValueError: bad number)"),
        ("leave", ToolFailedError, "SystemExit"),
        ("interrupt", ToolFailedError, "KeyboardInterrupt"),
        ("recurse", ToolFailedError, "RecursionError"),
        ("own error", ToolFailedError, "test.act broke down (OwnError: code 7)"),
        ("mute error", ToolFailedError, "a MuteError"),
        ("own tool error", NoSuchObjectError, "no such thing"),
        ("no such object", NoSuchObjectError, "no cup"),
        ("ambiguous", AmbiguousReferenceError, "two cups"),
        ("bad source", ToolFailedError, "no depth in it"),
        ("impossible value", ToolFailedError, "unknown unit 'parsec'"),
    ],
)
def test_what_a_tool_raises_is_told_and_costs_no_process(
    acting: Bench, how: str, kind: type[ToolError], said: str
) -> None:
    before = healthy(acting)
    result = acting.call("test.act", how=how)

    assert type(result.error) is kind
    assert said in str(result.error)
    assert healthy(acting) == before


def test_what_an_error_carries_arrives(acting: Bench) -> None:
    assert acting.call("test.act", how="no such object").error.suggestions == ("cap",)
    assert acting.call("test.act", how="ambiguous").error.candidates == ("cup-1", "cup-2")
    assert isinstance(acting.call("test.act", how="bad source").error.__cause__, SourceError)


def test_a_talkative_tool_says_nothing_to_users(acting: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    healthy(acting, how="talk")

    assert capfd.readouterr().out == ""


# A call that gives back garbage


@expert("test.garbage")
class Garbage:
    """Gives back what it does not declare."""

    def load(self, device: str) -> None: ...

    def __call__(self, what: str) -> DepthMap:
        """Give something back.

        Args:
            what: What.
        """
        values: dict[str, Any] = {
            "good": DepthMap(np.ones((2, 3), np.float32)),
            "nothing": None,
            "list": [1, 2],
            "array": np.full((2, 3), np.nan),
        }
        return values[what]  # type: ignore[no-any-return]


@expert("test.number")
def number(what: str) -> float:
    """Give a number.

    Args:
        what: What.
    """
    return float(what)


@expert("test.list")
def locks(what: str) -> list[object]:
    """Give a list of what cannot be sent.

    Args:
        what: What.
    """
    return [threading.Lock()] if what == "lock" else [what]


@expert("test.found")
def found(what: str) -> Finding:
    """Find something.

    Args:
        what: A number.
    """
    return Finding("Found.", float(what), "m", low=0.0, high=1.0)


@expert("depth.sized")
def sized(frame: Frame, height: int, width: int) -> DepthMap:
    """Measure depth of a given size.

    Args:
        frame: Any frame.
        height: Rows.
        width: Columns.
    """
    return DepthMap(np.ones((height, width), np.float32))


@expert("segment.sized")
def masks(frame: Frame, height: int, width: int) -> Detections:
    """Give one mask of a given size.

    Args:
        frame: Any frame.
        height: Rows.
        width: Columns.
    """
    return Detections(np.zeros((1, 4)), np.ones(1), ("chair",), np.zeros((1, height, width), np.bool_))


def test_results_of_the_wrong_kind_are_refused(serve: Serve) -> None:
    bench = serve(Garbage, number, locks, found, sized, masks, options=ONE)
    bench.runner.keep("frame", Frame(FrameHeader(0, "a"), rgb=np.zeros((4, 6, 3), np.uint8)))
    cases: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
        ("test.garbage", {"what": "nothing"}, {"what": "good"}, "a NoneType where it declares DepthMap"),
        ("test.garbage", {"what": "list"}, {"what": "good"}, "a list where it declares DepthMap"),
        ("test.garbage", {"what": "array"}, {"what": "good"}, "a ndarray where it declares DepthMap"),
        ("test.number", {"what": "nan"}, {"what": "1"}, "the number nan"),
        ("test.number", {"what": "inf"}, {"what": "1"}, "the number inf"),
        ("test.found", {"what": "nan"}, {"what": "0.5"}, "the number nan"),
        ("test.list", {"what": "lock"}, {"what": "text"}, "cannot be sent between processes"),
        (
            "depth.sized",
            {"frame": "$frame", "height": 6, "width": 4},
            {"frame": "$frame", "height": 4, "width": 6},
            "an image of 6 x 4 pixels for a frame of 4 x 6",
        ),
        (
            "segment.sized",
            {"frame": "$frame", "height": 3, "width": 3},
            {"frame": "$frame", "height": 4, "width": 6},
            "an image of 3 x 3 pixels for a frame of 4 x 6",
        ),
    ]
    for tool, bad, good, said in cases:
        result = bench.call(tool, **bad)
        assert type(result.error) is ToolCrashedError, (tool, bad)
        assert said in str(result.error)
        assert bench.call(tool, **good).error is None
    assert not bench.meter.counts


# A batch with a bad one in it


@expert("test.together", resources=Resources(most_batched=4, deadline_s=30))
class Together:
    """Acts in batches."""

    def load(self, device: str) -> None: ...

    def __call__(self, how: str, number: int) -> list[int]:
        """Act.

        Args:
            how: One of the acts.
            number: Comes back.
        """
        ACTS[how]()
        return [number, os.getpid()]

    def batch(self, calls: Sequence[Mapping[str, Any]]) -> list[list[int]]:
        if any(call["how"] == "short" for call in calls):
            return []
        return [self(**call) for call in calls]


@pytest.mark.parametrize(
    ("poison", "kind"),
    [("value error", ToolFailedError), ("be killed", ToolCrashedError), ("hang", ToolTimeoutError)],
)
def test_one_poisonous_call_in_a_batch_costs_no_other(
    serve: Serve, poison: str, kind: type[ToolError]
) -> None:
    bench = serve(Together, options=PoolOptions(most=1, batch_wait_s=SOON_S))
    bench.pools.warm(["test.together"])

    hang_s = 2.0 if kind is ToolTimeoutError else 60.0

    async def together() -> list[Any]:
        good = [bench.ask("test.together", how="work", number=n) for n in range(3)]
        return await asyncio.gather(
            *good, bench.ask("test.together", how=poison, number=9, deadline_s=hang_s)
        )

    *good, bad = asyncio.run(together())

    assert 4 in bench.meter.sizes
    assert [bench.value(result)[0] for result in good] == [0, 1, 2]
    assert type(bad.error) is kind
    assert bench.answer("test.together", how="work", number=5)[0] == 5


def test_a_batch_of_the_wrong_length_is_garbage(serve: Serve) -> None:
    bench = serve(Together, options=PoolOptions(most=1, batch_wait_s=SOON_S))

    async def together() -> list[Any]:
        return await asyncio.gather(*(bench.ask("test.together", how="short", number=n) for n in range(4)))

    results = asyncio.run(together())
    assert {type(result.error) for result in results} == {ToolCrashedError}
    assert "0 results for 4 calls" in str(results[0].error)
    assert bench.answer("test.together", how="work", number=5)[0] == 5


def test_a_call_cancelled_in_a_batch_leaves_the_others_their_process(serve: Serve, gate: Gate) -> None:
    @expert("test.meet", resources=Resources(most_batched=2))
    class Meet:
        def load(self, device: str) -> None: ...

        def __call__(self, entry: str, exit_: str, number: int) -> int:
            """Meet.

            Args:
                entry: Where to say that it is there.
                exit_: Where it hears that it may go on.
                number: Comes back.
            """
            return number

        def batch(self, calls: Sequence[Mapping[str, Any]]) -> list[int]:
            wait_at_gate(calls[0]["entry"], calls[0]["exit_"])
            return [call["number"] for call in calls]

    bench = serve(Meet, options=PoolOptions(most=1, batch_wait_s=SOON_S))

    async def story() -> int:
        calls = [asyncio.create_task(bench.ask("test.meet", **gate.paths, number=n)) for n in range(2)]
        await gate.arrivals()
        calls[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await calls[0]
        gate.open()
        return int(bench.value(await calls[1]))

    assert asyncio.run(story()) == 1
    assert not bench.meter.counts


# An expert that cannot be had


def loader(how: str, mark: str, load_s: float = 60.0) -> Found:
    """Return an expert whose first loading goes wrong."""

    @expert("test.load", resources=Resources(load_s=load_s))
    class Load:
        def load(self, device: str) -> None:
            if first_time(mark):
                if how == "no weights":
                    raise MissingWeightsError("the weights w (MIT) are not on this machine")
                if how == "no module":
                    raise ImportError("no module named 'flux'")
                ACTS[how]()

        def __call__(self) -> int:
            """Work."""
            return os.getpid()

    return Load


@pytest.mark.parametrize(
    ("how", "kind", "said"),
    [
        ("no weights", MissingWeightsError, "the weights w (MIT) are not on this machine"),
        ("no module", ToolUnavailableError, "could not be loaded (ImportError: no module named 'flux')"),
        ("be killed", ToolUnavailableError, "could not be loaded: its process died"),
        ("hang", ToolUnavailableError, "could not be loaded: that took longer than 3 s"),
    ],
)
def test_a_failing_load_is_told_to_all_who_wait_and_tried_again_later(
    serve: Serve, tmp_path: Path, how: str, kind: type[ToolError], said: str
) -> None:
    options = PoolOptions(most=1, cool_s=0.05)
    bench = serve(loader(how, str(tmp_path / "mark"), load_s=3.0), options=options)

    async def two() -> list[Any]:
        return list(await asyncio.gather(bench.ask("test.load"), bench.ask("test.load")))

    for result in asyncio.run(two()):
        assert type(result.error) is kind
        assert said in str(result.error)
    assert bench.answer_when_closed("test.load") > 0


def test_missing_weights_start_no_process(serve: Serve) -> None:
    bench = serve(EatOnGpu, options=ONE)
    result = bench.call("test.eat_on_gpu", megabytes=1)

    assert type(result.error) is MissingWeightsError
    assert str(result.error) == "the weights w (MIT) are not on this machine"
    assert result.seconds < 5


def test_a_slow_start_is_waited_for_within_the_deadline(serve: Serve, tmp_path: Path, gate: Gate) -> None:
    entry, exit_ = gate.entry, gate.exit

    @expert("test.slow_start")
    class SlowStart:
        def load(self, device: str) -> None:
            wait_at_gate(entry, exit_)

        def __call__(self) -> int:
            """Work."""
            return os.getpid()

    bench = serve(SlowStart, options=ONE)
    late = bench.call("test.slow_start", deadline_s=SOON_S)
    gate.open()

    assert isinstance(late.error, ToolTimeoutError)
    assert bench.answer("test.slow_start") == gate.arrival()  # what was loading went on


def test_a_tool_that_needs_what_no_machine_has_is_refused(serve: Serve) -> None:
    @expert("test.far", resources=Resources(placement={"telescope": 1}))
    def far() -> int:
        """Look far."""
        return 1

    result = serve(far, Act, options=ONE).call("test.far")

    assert isinstance(result.error, ToolUnavailableError)
    assert "must run where there is telescope: 1" in str(result.error)


def test_an_expert_that_other_processes_cannot_import_is_refused_with_the_reason(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("only_here")
    exec(compile(ONLY_HERE, "only_here.py", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    result = serve(module.work, options=ONE).call("test.only_here")

    assert isinstance(result.error, ToolUnavailableError)
    assert "No module named 'only_here'" in str(result.error)


def test_an_expert_that_does_not_survive_its_warm_up_is_not_served(serve: Serve, tmp_path: Path) -> None:
    warm_up = {"how": "be killed", "mark": str(tmp_path / "mark")}
    bench = serve(Act, options=PoolOptions(most=1, cool_s=0.05, warm_up=warm_up))
    result = bench.call("test.act", how="work")

    assert isinstance(result.error, ToolUnavailableError)
    assert "did not survive its warm-up" in str(result.error)
    assert bench.answer_when_closed("test.act", how="work") > 0


# An expert that keeps failing


def test_different_calls_that_crash_in_a_row_open_the_breaker_until_a_probe_succeeds(
    serve: Serve, tmp_path: Path
) -> None:
    bench = serve(Act, options=PoolOptions(most=1, attempts=1, crashes=2, cool_s=3.0))
    crashes = [bench.call("test.act", how=how) for how in ("be killed", "abort")]
    refused = bench.call("test.act", how="work")

    assert [type(result.error) for result in crashes] == [ToolCrashedError, ToolCrashedError]
    assert isinstance(refused.error, ToolUnavailableError)
    assert "2 calls in a row crashed it" in str(refused.error)
    assert "it is tried again in" in str(refused.error)
    assert refused.seconds < SOON_S
    assert bench.meter.levels["spatial_agent_breaker_open"][-1] == 1.0
    assert bench.answer_when_closed("test.act", how="work") > 0
    assert healthy(bench) > 0
    assert bench.meter.levels["spatial_agent_breaker_open"][-1] == 0.0


def test_one_poisonous_call_made_again_and_again_takes_nothing_from_the_others(serve: Serve) -> None:
    bench = serve(Act, options=PoolOptions(most=1, attempts=1, crashes=2, cool_s=600))
    for _ in range(3):
        assert isinstance(bench.call("test.act", how="be killed").error, ToolCrashedError)

    assert healthy(bench) > 0


# The machine under it


CAMERA = {"num_cpus": 1, "resources": {"camera": 1}, "node_ip_address": "127.0.0.1"}
STORE = {"object_store_memory": 80 * 2**20}


@expert("depth.camera", resources=Resources(placement={"camera": 1}))
def camera(entry: str, exit_: str) -> DepthMap:
    """Wait at a gate on a machine with a camera, then give a depth map too large to travel by value.

    Args:
        entry: Where to say that it is there.
        exit_: Where it hears that it may go on.
    """
    wait_at_gate(entry, exit_)
    return DepthMap(np.ones((600, 800), np.float32))


@expert("depth.scaled")
def scaled(depth: DepthMap, factor: float) -> DepthMap:
    """Scale a depth map.

    Args:
        depth: Any depth map.
        factor: What to multiply with.
    """
    return DepthMap(depth.z_m * np.float32(factor))


def test_a_machine_that_dies_in_mid_call_is_replaced_by_another(
    serve: Serve, ray_head: Head, gate: Gate
) -> None:
    bench = serve(camera, options=ONE)
    first = ray_head.add_node(**CAMERA, **STORE)

    async def story() -> Found:
        call = asyncio.create_task(bench.ask("depth.camera", **gate.paths))
        await gate.arrivals()
        second = ray_head.add_node(**CAMERA, **STORE)
        ray_head.remove_node(first, allow_graceful=False)
        await gate.arrivals()
        gate.open()
        return second, await call

    second, result = asyncio.run(story())
    assert bench.value(result).z_m.shape == (600, 800)
    gate.open()
    assert bench.answer("depth.camera", **gate.paths).z_m.shape == (600, 800)
    ray_head.remove_node(second, allow_graceful=True)


@pytest.mark.slow
def test_a_value_lost_with_its_machine_is_told_and_can_be_measured_again(
    serve: Serve, ray_head: Head, gate: Gate
) -> None:
    bench = serve(camera, scaled, options=ONE)
    node = ray_head.add_node(**CAMERA, **STORE)
    gate.open()
    assert bench.call("depth.camera", **gate.paths).handle == "$depth/1"
    ray_head.remove_node(node, allow_graceful=False)
    taken = bench.call("depth.scaled", depth="$depth/1", factor=2.0)

    assert isinstance(taken.error, ToolFailedError)
    assert "lost with the machine that kept it" in str(taken.error)
    with pytest.raises(ToolArgumentError, match="lost with the machine"):
        bench.runner.value("$depth/1")
    second = ray_head.add_node(**CAMERA, **STORE)
    gate.open()
    again = bench.call("depth.camera", **gate.paths).handle
    assert bench.answer("depth.scaled", depth=again, factor=2.0).z_m[0, 0] == 2.0
    ray_head.remove_node(second, allow_graceful=True)


def test_when_the_service_ends_a_running_call_is_refused_and_its_process_goes(
    serve: Serve, gate: Gate, eventually: Callable[..., None]
) -> None:
    bench = serve(gated, options=ONE)

    async def story() -> tuple[int, Found]:
        call = asyncio.create_task(bench.ask("test.gated", **gate.paths))
        (pid,) = await gate.arrivals()
        await asyncio.to_thread(bench.pools.close)
        return pid, await call

    pid, result = asyncio.run(story())
    assert isinstance(result.error, ToolUnavailableError)
    eventually(lambda: not psutil.pid_exists(pid))


def test_wrong_arguments_never_reach_a_process(serve: Serve) -> None:
    bench = serve(Act, options=ONE)

    assert isinstance(bench.call("test.act", how=3).error, ToolArgumentError)
    assert not bench.pools.replicas("test.act")
    assert healthy(bench) > 0


@pytest.fixture(scope="module")
def acting(serve_all: Serve) -> Bench:
    return serve_all(Act, options=ONE)
