"""Scenes measured through a runner: experts that are lost cost what only they know, and it is said."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from spatial_agent.services.perception import Perception, Route
from spatial_agent.services.scene_building import Measured, measure_scene
from spatial_agent.tools.errors import SourceError, ToolFailedError, ToolUnavailableError
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.registry import Registry, expert
from spatial_agent.tools.scene import Detections, Frame
from spatial_agent.tools.synthetic import SyntheticRoom

ROOM = SyntheticRoom.example().resized(160, 120)
FRAMES = ROOM.frames()
LABELS = dict(FRAMES.instance_labels)
TRUTH = sorted(item.label for item in ROOM.scene_map().objects)


def seen(frame: Frame, *, masks: bool) -> Detections:
    """What a perfect detector says: the room's own instance image."""
    assert frame.instance_ids is not None
    numbers = [int(k) for k in np.unique(frame.instance_ids) if k]
    pixels = np.array([frame.instance_ids == k for k in numbers]).reshape(-1, *frame.instance_ids.shape)
    boxes = [(c.min() - 0.5, r.min() - 0.5, c.max() + 0.5, r.max() + 0.5) for r, c in map(np.nonzero, pixels)]
    return Detections(
        np.array(boxes, float).reshape(-1, 4),
        np.full(len(numbers), 0.9),
        tuple(LABELS[k] for k in numbers),
        pixels if masks else None,
    )


@expert("instances.exact")
def exact(frame: Frame) -> Detections:
    """See everything.

    Args:
        frame: A synthetic frame.
    """
    return seen(frame, masks=True)


@expert("detect.prompted")
def prompted(frame: Frame, prompts: list[str]) -> Detections:
    """See boxes of what was asked for.

    Args:
        frame: A synthetic frame.
        prompts: What to look for.
    """
    found = seen(frame, masks=False)
    kept = [k for k, label in enumerate(found.labels) if label in prompts]
    return Detections(found.xyxy_px[kept], found.scores[kept], tuple(found.labels[k] for k in kept))


@expert("segment.fill")
def fill(frame: Frame, boxes: Detections) -> Detections:
    """Turn boxes into the masks behind them.

    Args:
        frame: A synthetic frame.
        boxes: Its boxes.
    """
    whole = seen(frame, masks=True)
    assert whole.masks is not None
    places = {tuple(box): k for k, box in enumerate(whole.xyxy_px)}
    masks = whole.masks[[places[tuple(box)] for box in boxes.xyxy_px]]
    return Detections(boxes.xyxy_px, boxes.scores, boxes.labels, masks)


@expert("instances.gone")
def gone(frame: Frame) -> Detections:
    """Be unavailable.

    Args:
        frame: Any frame.
    """
    raise ToolUnavailableError("the machine with the network is down")


@expert("instances.broken")
def broken(frame: Frame) -> Detections:
    """Fail on everything.

    Args:
        frame: Any frame.
    """
    raise ToolFailedError("out of memory")


@expert("instances.shaky")
def shaky(frame: Frame) -> Detections:
    """Fail on the second frame.

    Args:
        frame: A synthetic frame.
    """
    if frame.header.index == 1:
        raise ToolFailedError("lens flare")
    return seen(frame, masks=True)


EXACT, GONE, BROKEN, SHAKY = (
    Route(name, f"instances.{name}") for name in ("exact", "gone", "broken", "shaky")
)
PROMPTED = Route("prompted", "detect.prompted", "segment.fill", prompted=True)


@pytest.fixture(name="runner")
def make_runner() -> LocalRunner:
    registry = Registry()
    for target in (exact, prompted, fill, gone, broken, shaky):
        registry.add(target)
    return LocalRunner(registry)


def measure(runner: LocalRunner, *routes: Route, prompts: tuple[str, ...] = ()) -> Measured:
    perception = Perception(recorded=False, routes=routes, prompts=prompts, identity="test")
    return asyncio.run(measure_scene(runner, FRAMES, perception))


def labels(measured: Measured) -> list[str]:
    return sorted(item.label for item in measured.scene.objects)


def test_a_scene_seen_by_an_expert_is_the_scene_that_was_recorded(runner: LocalRunner) -> None:
    recorded = asyncio.run(measure_scene(runner, FRAMES, Perception(recorded=True)))
    by_expert = measure(runner, EXACT)

    assert labels(recorded) == labels(by_expert) == TRUTH
    assert by_expert.degraded == ()
    for one, other in zip(recorded.scene.objects, by_expert.scene.objects, strict=True):
        assert np.allclose(one.box.centre_m, other.box.centre_m, atol=0.02)


def test_boxes_become_masks_along_a_route_of_two_experts(runner: LocalRunner) -> None:
    measured = measure(runner, PROMPTED, prompts=("sofa", "table"))

    assert labels(measured) == [label for label in TRUTH if label in ("sofa", "table")]


def test_the_next_route_is_taken_when_one_is_lost_and_it_is_said(runner: LocalRunner) -> None:
    for lost, why in ((GONE, "the machine with the network is down"), (BROKEN, "out of memory")):
        measured = measure(runner, lost, EXACT)

        assert labels(measured) == TRUTH
        assert len(measured.degraded) == 1
        assert lost.name in measured.degraded[0]
        assert why in measured.degraded[0]


def test_a_frame_that_fails_is_left_out_and_counted(runner: LocalRunner) -> None:
    (sentence,) = measure(runner, SHAKY).degraded

    assert f"1 of {len(FRAMES)} frames" in sentence
    assert "lens flare" in sentence


def test_without_any_route_the_room_is_still_measured(runner: LocalRunner) -> None:
    measured = measure(runner, GONE)

    assert measured.scene.objects == ()
    assert measured.scene.room is not None
    assert "questions about objects cannot be answered" in measured.degraded[-1]


def test_nothing_is_left_in_the_runner_after_a_scene(runner: LocalRunner) -> None:
    kept: set[str] = set()
    keep, drop = runner.keep, runner.drop

    def counting(name: str, value: object) -> str:
        kept.add(f"${name}")
        return keep(name, value)

    def dropping(reference: str) -> None:
        kept.discard(reference)
        drop(reference)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "keep", counting)
        patch.setattr(runner, "drop", dropping)
        measure(runner, PROMPTED, prompts=("sofa",))

    assert kept == set()


def test_damaged_files_are_for_their_owner(runner: LocalRunner) -> None:
    def damaged(index: int, rgb: bool, depth: bool, instances: bool) -> Frame:
        raise SourceError("frame 0 is cut short")

    with pytest.raises(SourceError, match="cut short"):
        asyncio.run(
            measure_scene(
                runner, replace(FRAMES, loader=damaged), Perception(recorded=False, routes=(EXACT,))
            )
        )
