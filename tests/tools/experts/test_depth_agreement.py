"""Estimated depth bears recorded depth out where that is right, in metres or in proportion."""

from dataclasses import replace

import numpy as np
import pytest

from spatial_agent.tools.contract import Finding
from spatial_agent.tools.errors import ToolArgumentError, ToolFailedError
from spatial_agent.tools.experts.depth_agreement import depth_agreement
from spatial_agent.tools.scene import DepthMap, Frame, SceneObject
from spatial_agent.tools.scene.depth import Scale
from tests.agent.routes.filming import ROOM, filmed, scene

INDEX = 7
TRUE_M = ROOM.frames().load(INDEX)


def true_depth(frame: Frame = TRUE_M) -> np.ndarray:
    assert frame.depth is not None
    return frame.depth.z_m


def sofa_pixels() -> np.ndarray:
    assert TRUE_M.instance_ids is not None
    pixels: np.ndarray = TRUE_M.instance_ids == ROOM.ids.index("sofa-1") + 1
    return pixels


def network(factor: float = 1.0, scale: Scale = "metric") -> DepthMap:
    """Return true depth as a network gets it: smooth errors, and one factor for the whole picture."""
    rows, columns = np.indices(true_depth().shape) / 40.0
    bent = 1.0 + 0.03 * np.sin(rows) * np.cos(columns)
    return DepthMap((true_depth() * bent * factor).astype(np.float32), scale, 0.12, 0.06)


def recorded(factor: float = 1.0, sofa: float = 1.0) -> Frame:
    frame = filmed().load(INDEX)
    assert frame.depth is not None
    z_m = frame.depth.z_m * np.where(sofa_pixels(), factor * sofa, factor).astype(np.float32)
    return replace(frame, depth=DepthMap(z_m.astype(np.float32)))


def compared(frame: Frame, estimated: DepthMap, of: tuple[str, ...] = ("sofa",)) -> Finding:
    return depth_agreement(scene(), frame, estimated, list(of))


@pytest.mark.parametrize("factor", [0.8, 0.9, 1.0, 1.1, 1.25])
def test_an_estimate_within_its_own_error_agrees_and_its_factor_is_told(factor: float) -> None:
    found = compared(recorded(), network(factor), ("sofa", "table"))

    assert (found.value, found.details["contradicted"], found.quality) == ("agrees", None, "weak")
    assert found.details["ratios"]["sofa-1"] == pytest.approx(factor, rel=0.08)
    assert found.objects == ("sofa-1", "table-1")


def test_a_recording_in_the_wrong_unit_is_contradicted() -> None:
    # The scene is as wrong as the frame it was measured from.
    wrong = replace(scene(), objects=tuple(_scaled(item, 0.6) for item in scene().objects))
    header = filmed().headers[INDEX]
    assert header.pose is not None
    moved = header.pose.world_from_camera.copy()
    moved[:3, 3] *= 0.6
    frame = recorded(0.6)
    frame = replace(frame, header=replace(header, pose=type(header.pose)(moved)))
    found = depth_agreement(wrong, frame, network(), ["sofa"])

    assert found.value == "contradicts"
    assert found.details["ratios"]["sofa-1"] == pytest.approx(1 / 0.6, rel=0.08)
    assert "times the recorded one" in found.details["contradicted"]


def _scaled(item: SceneObject, factor: float) -> SceneObject:
    box = item.box
    return replace(
        item, box=replace(box, centre_m=box.centre_m * factor, extent_m=box.extent_m * factor), surface=None
    )


@pytest.mark.parametrize("scale", ["metric", "relative"])
def test_one_object_that_the_sensor_sees_through_is_contradicted(scale: Scale) -> None:
    # Glass: the sensor sees what is behind; the estimate sees the thing itself, here at 0.7 of the depth.
    estimate = network()
    z_m = np.where(sofa_pixels(), 0.7, 1.0) * estimate.z_m * (1.0 if scale == "metric" else 7.0)
    found = compared(recorded(), DepthMap(z_m.astype(np.float32), scale, 0.12, 0.06))

    assert found.value == "contradicts"


@pytest.mark.parametrize("factor", [0.01, 1.0, 40.0])
def test_the_factor_of_an_estimate_without_scale_does_not_matter(factor: float) -> None:
    found = compared(recorded(), network(factor, "relative"))

    assert found.value == "agrees"
    assert "in proportion to the rest of the picture" in found.claim


def test_an_estimate_of_another_size_is_compared_pixel_by_pixel() -> None:
    z_m = network().z_m.repeat(2, axis=0).repeat(2, axis=1)

    assert compared(recorded(), DepthMap(z_m, "metric", 0.12, 0.06)).details["ratios"] == pytest.approx(
        compared(recorded(), network()).details["ratios"]
    )


def test_it_says_what_it_needs() -> None:
    with pytest.raises(ToolArgumentError, match="at least one object"):
        compared(recorded(), network(), ())
    with pytest.raises(ToolFailedError, match="without metric depth"):
        compared(replace(recorded(), depth=None), network())
    blind = replace(recorded(), depth=DepthMap(np.zeros_like(true_depth())))
    with pytest.raises(ToolFailedError, match="too little of the sofa"):
        compared(blind, network())
