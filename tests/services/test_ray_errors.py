"""Calls that take too much, raise, or give back garbage: told as what they are, and the next is served."""

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ray")

from misbehaving import ONE, Act, Bench, Probe, Serve, healthy
from ray import cloudpickle

from spatial_agent.tools.contract import Finding, Resources, Weights
from spatial_agent.tools.errors import (
    AmbiguousReferenceError,
    MissingWeightsError,
    NoSuchObjectError,
    SourceError,
    ToolCrashedError,
    ToolError,
    ToolFailedError,
)
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import DepthMap, Detections, Frame, FrameHeader

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]


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


@pytest.fixture(scope="module")
def acting(serve_all: Serve) -> Bench:
    return serve_all(Act, options=ONE)


def test_missing_weights_start_no_process(serve: Serve) -> None:
    bench = serve(EatOnGpu, options=ONE)
    result = bench.call("test.eat_on_gpu", megabytes=1)

    assert type(result.error) is MissingWeightsError
    assert str(result.error) == "the weights w (MIT) are not on this machine"
    assert result.seconds < 5
