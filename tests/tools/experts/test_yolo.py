"""Where YOLO's boxes and masks land, what a call may ask, and what it may not do."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from spatial_agent.tools.errors import ConfigurationError, ToolArgumentError, ToolFailedError
from spatial_agent.tools.experts.yolo import YoloInstances
from spatial_agent.tools.registry import tool_of
from spatial_agent.tools.scene import Detections, Frame, FrameHeader

FILE = "yolov8n-seg_int8.tflite"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


def frame_of(rgb: np.ndarray) -> Frame:
    return Frame(FrameHeader(0, "000000"), rgb)


@pytest.fixture(scope="module")
def picture(test_data: Path) -> np.ndarray:
    return np.array(Image.open(test_data / "dining_room" / "color" / "1.png").convert("RGB"))


@pytest.fixture(scope="module")
def expert(weights: Path) -> YoloInstances:
    pytest.importorskip("ultralytics")
    pytest.importorskip("ai_edge_litert")
    made = YoloInstances(weights / FILE)
    made.load("cpu")
    return made


def test_missing_weights_are_refused_instead_of_downloaded(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no YOLO weights at .*yolov8n-seg\.pt"):
        YoloInstances(tmp_path / "yolov8n-seg.pt")


def test_all_its_weights_are_declared_as_what_they_are() -> None:
    tool = tool_of(YoloInstances)
    assert (tool.name, tool.weights[0].name) == ("instances.yolo", FILE)
    assert {weights.licence for weights in tool.weights} == {"AGPL-3.0"}
    assert set(tool.references) == {"frame"}


def test_importing_it_loads_neither_torch_nor_ultralytics() -> None:
    code = (
        "import sys; import spatial_agent.tools.experts.yolo; "
        "print(sorted({'torch', 'ultralytics', 'scipy'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert run.stdout.strip() == "[]"


def test_loading_it_leaves_pillow_as_it_was(weights: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    code = (
        "import sys\nfrom pathlib import Path\nfrom PIL import Image\n"
        "from spatial_agent.tools.experts.yolo import YoloInstances\n"
        "before = Image.open\nYoloInstances(Path(sys.argv[1])).load('cpu')\n"
        "assert 'ultralytics.utils.patches' in sys.modules\n"
        "assert Image.open is before, Image.open"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(weights / FILE)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_real_chairs_are_found_with_masks_inside_their_boxes(
    expert: YoloInstances, picture: np.ndarray
) -> None:
    found = expert(frame_of(picture))
    assert found.masks is not None
    assert found.masks.shape == (len(found), 480, 640)
    assert found.labels.count("chair") >= 5
    assert "dining table" in found.labels
    assert found.masks.sum(axis=0).max() == 1  # every pixel in at most one
    for mask, (left, top, right, bottom) in zip(found.masks, found.xyxy_px, strict=True):
        rows, columns = np.nonzero(mask)
        assert left - 1 <= columns.min() <= columns.max() <= right + 1
        assert top - 1 <= rows.min() <= rows.max() <= bottom + 1


def test_prompts_and_confidence_only_leave_out(expert: YoloInstances, picture: np.ndarray) -> None:
    everything = expert(frame_of(picture))
    tables = expert(frame_of(picture), prompts=["tables"])
    sure = expert(frame_of(picture), confidence=0.6)

    assert set(tables.labels) == {"dining table"}
    assert sorted(tables.scores) == sorted(
        score
        for score, label in zip(everything.scores, everything.labels, strict=True)
        if label == "dining table"
    )
    assert 0 < len(sure) < len(everything)
    assert sure.scores.min() >= 0.6


def test_a_batch_gives_what_single_calls_give_and_failures_stay_alone(
    expert: YoloInstances, picture: np.ndarray
) -> None:
    wide, tall = frame_of(picture[60:420]), frame_of(picture[:, 200:520])
    calls: list[dict[str, Any]] = [
        {"frame": wide, "prompts": None, "confidence": 0.3},
        {"frame": Frame(FrameHeader(1, "blind"))},
        {"frame": tall, "prompts": ["chair"], "confidence": 0.5},
        {"frame": wide, "prompts": ["unicorn"]},
        {"frame": wide},
    ]
    first, blind, second, unicorn, third = expert.batch(calls)
    assert isinstance(blind, ToolFailedError)
    assert isinstance(unicorn, ToolArgumentError)
    assert_equal(first, expert(wide))
    assert_equal(second, expert(tall, ["chair"], 0.5))
    assert_equal(third, expert(wide))


def assert_equal(one: object, other: Detections) -> None:
    assert isinstance(one, Detections)
    assert one.labels == other.labels
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
    np.testing.assert_allclose(one.xyxy_px, other.xyxy_px, atol=1e-2)
    np.testing.assert_array_equal(one.masks, other.masks)


@pytest.mark.parametrize("size", [(240, 400), (400, 240)])
def test_a_box_and_mask_planted_in_the_network_land_on_their_pixels(
    expert: YoloInstances, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network of 640 px sees the picture enlarged by 1.6 and centred; a chair covers a known part."""
    height, width = size
    left, top, right, bottom = 50, 60, 130, 100  # edges of the planted thing, pixels from the corner
    scale = 640 / max(size)
    pad_x, pad_y = (640 - width * scale) / 2, (640 - height * scale) / 2
    boxes = np.zeros((1, 116, 8400), np.float32)
    boxes[0, :4, 777] = (
        (left + right) / 2 * scale + pad_x,
        (top + bottom) / 2 * scale + pad_y,
        (right - left) * scale,
        (bottom - top) * scale,
    )
    boxes[0, 4 + 56, 777] = 0.9
    boxes[0, 84, 777] = 1.0  # its mask is the first prototype, which is positive left of its middle
    middle = round(((left + right) / 2 * scale + pad_x) / 4)
    prototypes = np.zeros((1, 32, 160, 160), np.float32)
    prototypes[0, 0] = np.where(np.arange(160) < middle, 20.0, -20.0)
    plant(expert, monkeypatch, lambda: [boxes, prototypes])

    found = expert(frame_of(np.full((height, width, 3), 127, np.uint8)))

    assert found.labels == ("chair",)
    np.testing.assert_allclose(found.xyxy_px, [[left - 0.5, top - 0.5, right - 0.5, bottom - 0.5]], atol=0.05)
    assert found.masks is not None
    rows, columns = np.nonzero(found.masks[0])
    assert (rows.min(), rows.max() + 1) == (top, bottom)
    assert columns.min() == left
    assert columns.max() + 1 == pytest.approx((left + right) / 2, abs=1.5)  # prototypes are coarse


def plant(
    expert: YoloInstances, monkeypatch: pytest.MonkeyPatch, outputs: Callable[[], list[np.ndarray]]
) -> None:
    """Make the loaded network answer what is planted instead of looking."""
    import torch

    expert(frame_of(np.zeros((64, 64, 3), np.uint8)))  # a first call builds what runs the network
    backend = expert._model.predictor.model.backend
    monkeypatch.setattr(
        type(backend), "forward", lambda self, im, **rest: [torch.from_numpy(x) for x in outputs()]
    )


def test_it_keeps_the_contract_of_experts(weights: Path) -> None:
    pytest.importorskip("ultralytics")
    from spatial_agent.tools.conformance import check_expert

    verdicts = check_expert(YoloInstances, weights=weights / FILE)
    assert [f"{check}: {said}" for check, said in verdicts.items() if not said.startswith("ok")] == []
