"""Breaker, fair queue, result check and driver's answers: the parts of the pools that need no cluster."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("ray")

from spatial_agent.services.admission import Gpu
from spatial_agent.services.ray_breaker import CircuitBreaker
from spatial_agent.services.ray_gpus import parse, visible_only
from spatial_agent.services.ray_queue import FairQueue
from spatial_agent.services.ray_results import ReturnCheck
from spatial_agent.tools.contract import Finding
from spatial_agent.tools.errors import ToolCrashedError, ToolUnavailableError


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker("depth.x", crashes=3, cool_s=10.0, now=clock)


def crash(breaker: CircuitBreaker, *calls: str) -> None:
    for call in calls:
        breaker.failed(call, "its process died")


def test_different_crashes_in_a_row_open_it_and_it_says_for_how_long(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    crash(breaker, "a", "b")
    assert breaker.admit() is False
    crash(breaker, "c")
    clock.now += 4.0

    with pytest.raises(
        ToolUnavailableError, match=r"depth.x is left alone .* it is tried again in 6 s, at \d\d:"
    ):
        breaker.admit()


def test_the_same_call_over_and_over_does_not_open_it(breaker: CircuitBreaker) -> None:
    crash(breaker, *["a"] * 50)

    assert not breaker.is_open


def test_a_success_starts_the_count_anew(breaker: CircuitBreaker) -> None:
    crash(breaker, "a", "b")
    breaker.succeeded()
    crash(breaker, "c", "d")

    assert not breaker.is_open


def test_one_probe_at_a_time_is_let_through_and_its_success_closes_it(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    crash(breaker, "a", "b", "c")
    clock.now += 10.0
    assert breaker.admit() is True
    with pytest.raises(ToolUnavailableError, match="being tried again right now"):
        breaker.admit()
    breaker.succeeded()

    assert breaker.admit() is False


def test_a_probe_that_crashes_opens_it_for_twice_as_long(breaker: CircuitBreaker, clock: Clock) -> None:
    crash(breaker, "a", "b", "c")
    for expected_s in (20.0, 40.0, 80.0):
        clock.now += 1000.0
        assert breaker.admit() is True
        crash(breaker, "a")
        clock.now += expected_s - 1.0
        assert breaker.rests
        clock.now += 1.0
        assert not breaker.rests


def test_a_probe_that_showed_nothing_gives_way_to_another(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.trip("it could not be loaded")
    clock.now += 10.0
    assert breaker.admit() is True
    breaker.release()

    assert breaker.admit() is True


@dataclass(eq=False)
class Item:
    run: str
    alone: bool = False
    number: int = 0


def names(items: list[Item]) -> str:
    return "".join(f"{item.run}{item.number}" for item in items)


def test_runs_take_turns_and_keep_their_own_order() -> None:
    queue: FairQueue[Item] = FairQueue()
    for run, count in (("a", 4), ("b", 1), ("c", 2)):
        for number in range(count):
            queue.add(Item(run, number=number))

    assert names([queue.take()[0] for _ in range(7)]) == "a0b0c0a1c1a2a3"
    assert queue.take() == []


def test_a_batch_is_filled_from_every_run() -> None:
    queue: FairQueue[Item] = FairQueue()
    for run in "aab":
        queue.add(Item(run, number=len(queue)))

    assert names(queue.take(8)) == "a0b2a1"


def test_what_has_to_be_alone_comes_alone() -> None:
    queue: FairQueue[Item] = FairQueue()
    for number, alone in enumerate([False, True, False]):
        queue.add(Item("a", alone, number))

    assert [names(queue.take(8)) for _ in range(3)] == ["a0", "a1", "a2"]


def test_what_is_put_back_comes_first_and_in_its_order() -> None:
    queue: FairQueue[Item] = FairQueue()
    for number in range(3):
        queue.add(Item("a", number=number))
    queue.add(Item("b", number=9))
    taken = queue.take(2)
    queue.put_back(taken)

    assert names(queue.take(1)) == names(taken[:1])
    assert len(queue) == 3


def test_what_was_removed_does_not_come() -> None:
    queue: FairQueue[Item] = FairQueue()
    gone, stays = Item("a"), Item("a", number=1)
    queue.add(gone)
    queue.add(stays)

    assert queue.remove(gone)
    assert not queue.remove(gone)
    assert list(queue) == [stays]


@given(st.lists(st.sampled_from("abc"), max_size=30), st.integers(1, 5))
def test_nothing_is_lost_and_no_run_waits_for_two_of_anothers(runs: list[str], most: int) -> None:
    queue: FairQueue[Item] = FairQueue()
    for number, run in enumerate(runs):
        queue.add(Item(run, number=number))
    order: list[Item] = []
    while batch := queue.take(most):
        order += batch

    assert sorted(item.number for item in order) == list(range(len(runs)))
    for one in "abc":
        mine = [index for index, item in enumerate(order) if item.run == one]
        assert all(later - earlier <= 3 for earlier, later in zip(mine, mine[1:], strict=False))


def returns(hint: object) -> Callable[[], object]:
    def called() -> object: ...

    called.__annotations__["return"] = hint
    return called


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (float, 3),
        (float, 2.5),
        (str, "far"),
        (list[int], [1]),
        (int | None, None),
        (Finding, Finding("c", 1.0, "m", low=0.5)),
        (NDArray[np.float32], np.ones(3, np.float32)),
        (None, None),
        (object, 5),
    ],
)
def test_results_that_are_what_was_declared_pass(hint: object, value: object) -> None:
    ReturnCheck("t", returns(hint))(value, {})


@pytest.mark.parametrize(
    ("hint", "value", "said"),
    [
        (str, None, "a NoneType where it declares str"),
        (int, "3", "a str where it declares int"),
        (int | None, "3", "a str where it declares int | None"),
        (list[float], [1.0, math.inf], "the number inf"),
        (dict[str, float], {"a": math.nan}, "the number nan"),
        (Finding, Finding("c", 1.0, "m", high=math.nan), "the number nan"),
        (NDArray[np.float32], np.array([1, np.nan], np.float32), "the number nan"),
        (object, threading.Lock(), "cannot be sent between processes"),
    ],
)
def test_garbage_does_not_pass(hint: object, value: object, said: str) -> None:
    with pytest.raises(ToolCrashedError) as caught:
        ReturnCheck("t", returns(hint))(value, {})

    assert "t gave back garbage: " in str(caught.value)
    assert said in str(caught.value)


def test_the_drivers_answer_is_read_for_the_gpus_that_may_be_used() -> None:
    answer = "0, 81559, 80000\n1, 24576, 1024\n"

    assert parse("n", visible_only(answer, "1")) == [Gpu("n", "1", 24576 * 2**20 / 1e9, 2**30 / 1e9)]
    assert len(parse("n", visible_only(answer, None))) == 2
