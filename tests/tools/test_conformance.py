"""The conformance suite passes experts that are right and finds each way of being wrong."""

import itertools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest

from spatial_agent.tools.conformance import check_expert, failures
from spatial_agent.tools.conformance.content import faults, same
from spatial_agent.tools.conformance.samples import Samples
from spatial_agent.tools.contract import Finding, Resources
from spatial_agent.tools.errors import ConfigurationError, ToolArgumentError
from spatial_agent.tools.registry import expert, tool_of
from spatial_agent.tools.scene import DepthMap, Detections, Frame, OrientedBox, Picture, SceneMap
from spatial_agent.tools.synthetic import SyntheticRoom

ROOM = SyntheticRoom.example()
HOSTILE = "hostile arguments end in a result or an error"


@expert("test.brightness")
def brightness(frame: Frame, at_least: float = 0.0, names: list[str] | None = None) -> DepthMap:
    """Return the brightness of a picture as a depth map.

    Args:
        frame: The picture.
        at_least: Darkest grey value, 0 to 255.
        names: Not used.
    """
    if not 0.0 <= at_least <= 255.0:
        raise ToolArgumentError(f"at_least: expected 0 to 255, got {at_least!r}")
    if frame.rgb is None:
        raise ToolArgumentError("frame: expected one with colour")
    return DepthMap(np.maximum(frame.rgb.mean(2), at_least).astype(np.float32))


def test_an_expert_that_is_right_passes_everything() -> None:
    report = check_expert(brightness, room=ROOM)

    assert failures(report) == {}
    assert set(report) == {
        "the schema is plain JSON Schema",
        "every argument is described",
        "bare numbers carry their unit",
        "it says what it gives",
        "wrong arguments are refused",
        "it answers an ordinary call",
        "its result is well formed",
        "equal calls give equal results",
        HOSTILE,
        "it is the same after them",
        "a batch equals single calls",
        "it keeps to its time and memory",
    }


def wrong(target: Callable[..., Any], dimensionless: Collection[str] = ()) -> dict[str, str]:
    return failures(check_expert(target, room=ROOM, dimensionless=dimensionless))


def test_an_argument_without_text_and_without_unit_is_named() -> None:
    @expert("test.silent")
    def silent(frame: Frame, reach: float = 1.0, reach_m: float = 1.0, confidence: float = 0.5) -> DepthMap:
        """Measure.

        Args:
            frame: The picture.
            reach_m: How far.
            confidence: How sure.
        """
        return DepthMap(np.ones((2, 2), np.float32))

    assert wrong(silent) == {
        "every argument is described": "reach is not in the Args of its docstring",
        "bare numbers carry their unit": "reach: name it reach_m, reach_px, ..., or declare it dimensionless",
    }
    assert set(wrong(silent, dimensionless={"reach"})) == {"every argument is described"}


def test_an_argument_that_takes_anything_is_named() -> None:
    @expert("test.anything")
    def anything(given: list[Any]) -> int:
        """Return one.

        Args:
            given: Anything.
        """
        return 1

    assert wrong(anything) == {
        "the schema is plain JSON Schema": "given: accepts anything: give it a type",
    }


def test_chance_is_found_unless_it_is_declared() -> None:
    numbers = itertools.count()

    def chance(frame: Frame) -> DepthMap:
        """Measure by chance.

        Args:
            frame: The picture.
        """
        return DepthMap(np.full((2, 2), next(numbers), np.float32))

    assert {"equal calls give equal results", "it is the same after them"} == set(
        wrong(expert("test.x")(chance))
    )
    assert wrong(expert("test.x", deterministic=False)(chance)) == {}


def test_an_exception_that_is_no_tool_error_is_found_with_what_caused_it() -> None:
    @expert("test.root")
    def root(of_m: float) -> float:
        """Return a root.

        Args:
            of_m: A length.
        """
        return math.sqrt(of_m)

    said = wrong(root)

    assert set(said) == {HOSTILE}
    assert "of_m=-1.0: expected a result or a ToolError, got ValueError: math domain error" in said[HOSTILE]
    assert "of_m=nan: NaN in the result" in said[HOSTILE]


def test_an_input_that_breaks_it_is_named() -> None:
    @expert("test.first_box")
    def first_box(detections: Detections) -> float:
        """Return an edge.

        Args:
            detections: Boxes.
        """
        return float(detections.xyxy_px[0, 0])

    assert "detections empty: expected a result or a ToolError, got IndexError" in wrong(first_box)[HOSTILE]


def test_an_expert_that_remembers_bad_input_is_found() -> None:
    seen: list[float] = []

    @expert("test.memory")
    def memory(of_m: float) -> float:
        """Return the largest length so far.

        Args:
            of_m: A length.
        """
        seen.append(of_m if math.isfinite(of_m) else 0.0)
        return max(seen)

    assert "it is the same after them" in wrong(memory)


def test_an_answer_of_another_type_than_declared_is_found() -> None:
    @expert("test.other")
    def other(frame: Frame) -> DepthMap:
        """Measure.

        Args:
            frame: The picture.
        """
        return Picture(np.zeros((1, 1, 3), np.uint8), "x")  # type: ignore[return-value]

    assert wrong(other) == {"its result is well formed": "expected a DepthMap, got a Picture"}


@pytest.mark.parametrize(
    ("finding", "part"),
    [
        (Finding("1 m.", 1.0, None, 0.5, 1.5), "a number needs one of the units"),
        (Finding("1 m.", 1.0, "furlong", 0.5, 1.5), "got 'furlong'"),
        (Finding("1 m.", 1.0, "m", 1.2, 1.5), "low <= value <= high"),
        (Finding("1 m.", 1.0, "m", math.nan, 1.5), "NaN in low"),
        (Finding("", 1.0, "m", 0.5, 1.5), "no claim"),
        (Finding("1 m.", 1.0, "m", 0.5, 1.5, quality="weak"), "why it is weak"),
        (Finding("1 m.", 1.0, "m", 0.5, 1.5, details={"at": np.ones(2)}), "not plain JSON"),
    ],
)
def test_a_finding_that_is_not_well_formed_is_found(finding: Finding, part: str) -> None:
    assert part in "; ".join(faults(finding))


def test_a_finding_that_is_well_formed_has_no_fault() -> None:
    assert faults(Finding("1 m.", 1.0, "m", 0.5, 1.5)) == []
    assert faults(Finding("yes", True)) == []


class Batching:
    """Returns the mean brightness; `wrong` says what its batches do wrong."""

    wrong: str = "nothing"

    def load(self, device: str) -> None:
        pass

    def __call__(self, frame: Frame, gain: float = 1.0) -> float:
        """Return the mean brightness.

        Args:
            frame: The picture.
            gain: A factor.
        """
        if frame.rgb is None or not frame.rgb.size or not math.isfinite(gain):
            raise ToolArgumentError("expected a picture and a factor")
        return min(float(frame.rgb.mean()) * gain, 1e300)

    def batch(self, calls: Sequence[Mapping[str, Any]]) -> list[float | Exception]:
        results: list[float | Exception] = []
        for call in calls:
            try:
                results.append(self(**call))
            except ToolArgumentError as error:
                if self.wrong == "raises":
                    raise
                results.append(error)
        if self.wrong == "loses":
            return results[1:]
        return results[::-1] if self.wrong == "mixes" else results


@pytest.mark.parametrize(
    ("flaw", "part"),
    [
        ("raises", "a batch must not raise, got ToolArgumentError"),
        ("loses", "results of 5 calls, got 4"),
        ("mixes", "in a batch a float of other content"),
    ],
)
def test_batches_that_differ_from_single_calls_are_found(flaw: str, part: str) -> None:
    target = expert("test.batch")(type("Flawed", (Batching,), {"wrong": flaw}))

    said = wrong(target, dimensionless={"gain"})

    assert set(said) == {"a batch equals single calls"}
    assert part in said["a batch equals single calls"]


def test_batches_that_equal_single_calls_pass() -> None:
    target = expert("test.batch")(type("Right", (Batching,), {}))

    assert check_expert(target, room=ROOM, dimensionless={"gain"})["a batch equals single calls"] == "ok"


def test_an_expert_slower_than_it_declares_is_found() -> None:
    slow = replace(tool_of(brightness), resources=Resources(deadline_s=1e-9))

    assert "of 1e-09 s" in failures(check_expert(slow, room=ROOM))["it keeps to its time and memory"]


def test_an_expert_larger_than_it_declares_is_found() -> None:
    @expert("test.large", resources=Resources(memory_gb=0.03))
    def large(frame: Frame, pixels: int = 40_000_000) -> DepthMap:
        """Use 160 MB.

        Args:
            frame: The picture.
            pixels: How many.
        """
        if not 0 < pixels <= 40_000_000:
            raise ToolArgumentError("pixels: expected 1 to 40 million")
        return DepthMap(np.ones((pixels, 1), np.float32))

    assert "GB of 0.03 GB" in wrong(large, {"pixels"})["it keeps to its time and memory"]


def test_a_type_without_sample_is_asked_for() -> None:
    class Own:
        """A type of somebody else."""

    def own(thing: Own, side: Literal["left", "right"]) -> int:
        """Return one.

        Args:
            thing: Something.
            side: One of two.
        """
        return 1

    own.__annotations__ = {"thing": Own, "side": Literal["left", "right"], "return": int}
    target = expert("test.own")(own)

    with pytest.raises(ConfigurationError, match="no sample of a Own: give a value for thing"):
        check_expert(target, room=ROOM)
    assert failures(check_expert(target, room=ROOM, arguments={"thing": Own()})) == {}


@pytest.mark.parametrize(
    "type_name",
    ["DepthMap", "Detections", "Frame", "FrameSet", "InstanceMask", "OrientedBox", "Picture", "PointCloud"]
    + ["SceneMap", "SemanticMap", "Tracks", "TriangleMesh"],
)
def test_samples_belong_together_and_have_hostile_kin(type_name: str) -> None:
    samples = Samples(ROOM)
    values = samples.ordinary(type_name)

    assert len(values) == 3
    assert {type(value).__name__ for value in [*values, *samples.hostile(type_name).values()]} == {type_name}


def test_sampled_detections_lie_on_the_objects_of_their_frame() -> None:
    samples = Samples(ROOM)
    frame, found = samples.ordinary("Frame")[1], samples.ordinary("Detections")[1]
    assert isinstance(frame, Frame)
    assert isinstance(found, Detections)
    assert frame.instance_ids is not None
    assert found.masks is not None

    for (left, top, right, bottom), mask, label in zip(found.xyxy_px, found.masks, found.labels, strict=True):
        [number] = np.unique(frame.instance_ids[mask])
        assert ROOM.objects[number - 1].label == label
        rows, columns = np.nonzero(frame.instance_ids == number)
        expected = (columns.min() - 0.5, rows.min() - 0.5, columns.max() + 0.5, rows.max() + 0.5)
        assert (left, top, right, bottom) == expected


def test_the_sampled_scene_has_points_on_its_objects() -> None:
    scene = Samples(ROOM).ordinary("SceneMap")[0]
    assert isinstance(scene, SceneMap)

    for item, real in zip(scene.objects, ROOM.objects, strict=True):
        assert item.surface is not None
        grown = OrientedBox(real.box.centre_m, real.box.extent_m + 0.02, real.box.world_from_box)
        assert grown.contains(item.surface.xyz_m).all()


def test_content_is_compared_through_values_and_arrays() -> None:
    first = DepthMap(np.array([[1.0, 2.0]], np.float32))
    near = DepthMap(np.array([[1.0, 2.001]], np.float32))

    assert same(first, DepthMap(np.array([[1.0, 2.0]], np.float32)))
    assert not same(first, near)
    assert same(first, near, tolerance=1e-3)
    assert not same(first, near, tolerance=1e-4)
    assert not same({"a": (1, 2)}, {"a": (1, 3)})
    assert not same(np.zeros(3), np.zeros((3, 1)))
