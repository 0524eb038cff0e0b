"""Where YOLOX's boxes land: planted in the network's output, mirrored, and on real furniture."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spatial_agent.tools.errors import ConfigurationError, ToolArgumentError, ToolFailedError
from spatial_agent.tools.experts.yolox import YoloxDetector
from spatial_agent.tools.registry import tool_of
from spatial_agent.tools.scene import Detections, Frame, FrameHeader

CHAIR, TABLE = 56, 60


def frame_of(rgb: np.ndarray) -> Frame:
    return Frame(FrameHeader(0, "000000"), np.ascontiguousarray(rgb))


def picture(test_data: Path, name: str) -> np.ndarray:
    return np.array(Image.open(test_data / name).convert("RGB"))


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Return the intersection over union of two boxes."""
    width, height = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1])
    return float(shared / (areas - shared))


@pytest.fixture(scope="module")
def detector(weights: Path) -> YoloxDetector:
    pytest.importorskip("ncnn")
    made = YoloxDetector(weights / "yolox-nano.param")
    made.load("cpu")
    return made


def test_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "net.param").write_text("7767517\n")
    with pytest.raises(ConfigurationError, match=r"no YOLOX weights at .*net\.bin"):
        YoloxDetector(tmp_path / "net.param")


def test_it_is_declared_with_its_licence() -> None:
    tool = tool_of(YoloxDetector)
    assert tool.name == "detect.yolox"
    assert [weights.licence for weights in tool.weights] == ["Apache-2.0"]


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("ncnn")
    (tmp_path / "net.param").write_text("not a network\n")
    (tmp_path / "net.bin").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="not a network that ncnn can read"):
        YoloxDetector(tmp_path / "net.param").load("cpu")


def cell(stride: int, column: int, row: int) -> int:
    """Return the position of a cell in the output: grids of 52, 26 and 13 cells a side, row by row."""
    before = {8: 0, 16: 52 * 52, 32: 52 * 52 + 26 * 26}[stride]
    return before + row * (416 // stride) + column


def planted(*things: tuple[int, int, int, tuple[float, float, float, float], int, float]) -> np.ndarray:
    """Return an output in which nothing is seen but the things given.

    Each is stride, column and row of its cell, edges in pixels of the network's input, class, score.
    """
    output = np.zeros((52 * 52 + 26 * 26 + 13 * 13, 85), np.float32)
    for stride, column, row, (left, top, right, bottom), number, score in things:
        at = output[cell(stride, column, row)]
        at[0], at[1] = (left + right) / 2 / stride - column, (top + bottom) / 2 / stride - row
        at[2], at[3] = np.log((right - left) / stride), np.log((bottom - top) / stride)
        at[4], at[5 + number] = score, 1.0
    return output


@pytest.mark.parametrize(
    ("size", "stride", "column", "row"),
    [((104, 208), 8, 10, 12), ((208, 104), 16, 4, 20), ((52, 208), 32, 7, 1)],
)
def test_a_planted_box_is_found_at_its_pixels(
    detector: YoloxDetector,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    stride: int,
    column: int,
    row: int,
) -> None:
    """The network sees these pictures enlarged by exactly 2, in its upper left corner."""
    edges = (40.0, 21.0, 71.0, 51.0)  # in the picture, from its corner
    seen = tuple(2.0 * edge for edge in edges)
    output = planted((stride, column, row, (seen[0], seen[1], seen[2], seen[3]), CHAIR, 0.8))
    monkeypatch.setattr(detector, "_output", lambda pixels: output)

    found = detector(frame_of(np.zeros((*size, 3), np.uint8)))

    assert found.labels == ("chair",)
    assert found.masks is None
    np.testing.assert_allclose(found.scores, [0.8], atol=1e-6)
    np.testing.assert_allclose(found.xyxy_px, [np.array(edges) - 0.5], atol=1e-4)


def test_the_input_shows_the_whole_picture_upper_left_on_grey(detector: YoloxDetector) -> None:
    rgb = np.zeros((100, 200, 3), np.uint8)
    rgb[:, :, 0], rgb[:, 100:, 2] = 255, 255  # red, magenta in its right half
    pixels, shown = detector._input(rgb)
    seen = np.array(pixels)

    assert shown == (208, 416)
    for channel, (mean, deviation) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]):
        grey = (114 / 255 - mean) / deviation
        np.testing.assert_allclose(seen[channel, 208:], grey, atol=1e-4)
        left, right = ((1.0, 1.0), (0.0, 0.0), (0.0, 1.0))[channel]
        np.testing.assert_allclose(seen[channel, :208, :206], (left - mean) / deviation, atol=1e-4)
        np.testing.assert_allclose(seen[channel, :208, 210:], (right - mean) / deviation, atol=1e-4)


def test_one_of_two_boxes_of_one_thing_stays_and_neighbours_of_other_classes_too(
    detector: YoloxDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = planted(
        (8, 10, 10, (40.0, 40.0, 120.0, 120.0), CHAIR, 0.6),
        (8, 11, 10, (44.0, 40.0, 124.0, 120.0), CHAIR, 0.9),  # nearly the same box, surer
        (8, 10, 11, (42.0, 42.0, 122.0, 122.0), TABLE, 0.5),  # another class in the same place
        (8, 30, 10, (200.0, 40.0, 280.0, 120.0), CHAIR, 0.4),  # another chair
        (8, 31, 30, (210.0, 200.0, 280.0, 280.0), CHAIR, 0.2),  # not sure enough
    )
    monkeypatch.setattr(detector, "_output", lambda pixels: output)
    frame = frame_of(np.zeros((312, 416, 3), np.uint8))

    found = detector(frame)
    chairs = detector(frame, prompts=["chairs"])

    assert found.labels == ("chair", "dining table", "chair")
    np.testing.assert_allclose(found.scores, [0.9, 0.5, 0.4], atol=1e-6)
    assert chairs.labels == ("chair", "chair")


def test_boxes_end_at_the_edge_of_the_picture(
    detector: YoloxDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = planted((32, 0, 0, (-20.0, -30.0, 500.0, 400.0), TABLE, 0.8))
    monkeypatch.setattr(detector, "_output", lambda pixels: output)
    found = detector(frame_of(np.zeros((104, 208, 3), np.uint8)))
    np.testing.assert_allclose(found.xyxy_px, [[-0.5, -0.5, 207.5, 103.5]], atol=1e-6)


@pytest.mark.parametrize("columns", [slice(0, 640), slice(0, 360)])
def test_a_mirrored_picture_gives_mirrored_boxes(
    detector: YoloxDetector, test_data: Path, columns: slice
) -> None:
    rgb = picture(test_data, "dining_room/color/1.png")[:, columns]
    plain = detector(frame_of(rgb), ["chair"], 0.6)
    turned = detector(frame_of(rgb[:, ::-1]), ["chair"], 0.4)
    assert len(plain) >= 2
    last = rgb.shape[1] - 1
    back = turned.xyxy_px[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (last, 0, last, 0)
    for box in plain.xyxy_px:
        assert max(overlap(box, other) for other in back) > 0.7


def test_what_stands_on_a_desk_is_found_where_it_stands(detector: YoloxDetector, test_data: Path) -> None:
    """Outlines of two chairs and a bottle in the picture, read off by eye."""
    found = detector(frame_of(picture(test_data, "single_frames/TUM_color.png")))
    for label, outline in (
        ("chair", (4.0, 262.0, 240.0, 480.0)),
        ("chair", (373.0, 232.0, 531.0, 435.0)),
        ("bottle", (335.0, 117.0, 355.0, 191.0)),
    ):
        named = [box for box, name in zip(found.xyxy_px, found.labels, strict=True) if name == label]
        assert min(np.abs(box - outline).max() for box in named) < 14, (label, outline)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_chairs_are_found_where_another_network_sees_their_masks(
    detector: YoloxDetector, weights: Path, test_data: Path
) -> None:
    pytest.importorskip("ultralytics")
    pytest.importorskip("ai_edge_litert")
    from spatial_agent.tools.experts.masks import mask_boxes
    from spatial_agent.tools.experts.yolo import YoloInstances

    other = YoloInstances(weights / "yolov8n-seg_int8.tflite")
    other.load("cpu")
    agreed = total = 0
    for number in (1, 3, 5):
        frame = frame_of(picture(test_data, f"dining_room/color/{number}.png"))
        masks = other(frame, ["chair"], 0.25).masks
        assert masks is not None
        seen = mask_boxes(masks)
        boxes = detector(frame, ["chair"], 0.4).xyxy_px
        total += len(boxes)
        agreed += sum(max((overlap(box, chair) for chair in seen), default=0.0) > 0.5 for box in boxes)
    assert total >= 8
    assert agreed >= 0.8 * total


def test_a_batch_gives_what_single_calls_give_and_failures_stay_alone(
    detector: YoloxDetector, test_data: Path
) -> None:
    rgb = picture(test_data, "dining_room/color/3.png")
    wide, tall = frame_of(rgb[:300]), frame_of(rgb[:, 300:])
    first, blind, unicorn, second = detector.batch(
        [
            {"frame": wide},
            {"frame": Frame(FrameHeader(1, "blind"))},
            {"frame": wide, "prompts": ["unicorn"], "confidence": 0.3},
            {"frame": tall, "prompts": ["chair"], "confidence": 0.4},
        ]
    )
    assert isinstance(blind, ToolFailedError)
    assert isinstance(unicorn, ToolArgumentError)
    for batched, single in ((first, detector(wide)), (second, detector(tall, ["chair"], 0.4))):
        assert isinstance(batched, Detections)
        assert len(batched) > 0
        assert batched.labels == single.labels
        np.testing.assert_array_equal(batched.xyxy_px, single.xyxy_px)


def test_it_runs_without_torch_and_opencv(weights: Path) -> None:
    pytest.importorskip("ncnn")
    code = (
        "import sys\nfrom pathlib import Path\nimport numpy as np\n"
        "from spatial_agent.tools.experts.yolox import YoloxDetector\n"
        "from spatial_agent.tools.scene import Frame, FrameHeader\n"
        "detector = YoloxDetector(Path(sys.argv[1]))\ndetector.load('cpu')\n"
        "detector(Frame(FrameHeader(0, 'x'), np.zeros((48, 64, 3), np.uint8)))\n"
        "print(sorted({'torch', 'cv2', 'ultralytics'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(weights / "yolox-nano.param")],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert run.stdout.strip() == "[]"


def test_it_keeps_the_contract_of_experts(weights: Path) -> None:
    pytest.importorskip("ncnn")
    from spatial_agent.tools.conformance import check_expert

    verdicts = check_expert(YoloxDetector, weights=weights / "yolox-nano.param")
    assert [f"{check}: {said}" for check, said in verdicts.items() if not said.startswith("ok")] == []
