"""Where DeepLab's classes land: planted in the network's output, and on real floors."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from spatial_agent.tools.errors import ConfigurationError, ToolFailedError
from spatial_agent.tools.experts.structure_deeplab import CLASSES, DeeplabStructure
from spatial_agent.tools.registry import tool_of
from spatial_agent.tools.scene import Frame, FrameHeader, SemanticMap

FILE = "deeplabv3_mnv2_ade20k_uint8.tflite"
FLOOR, DOOR = 4, 15


def frame_of(rgb: np.ndarray) -> Frame:
    return Frame(FrameHeader(0, "000000"), np.ascontiguousarray(rgb))


def picture(test_data: Path, name: str) -> np.ndarray:
    return np.array(Image.open(test_data / name).convert("RGB"))


@pytest.fixture(scope="module")
def structure(weights: Path) -> DeeplabStructure:
    pytest.importorskip("ai_edge_litert")
    made = DeeplabStructure(weights / FILE)
    made.load("cpu")
    return made


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no DeepLab weights at .*none\.tflite"):
        DeeplabStructure(tmp_path / "none.tflite")


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    (tmp_path / "a.tflite").write_bytes(b"not a network at all")
    with pytest.raises(ConfigurationError, match="not a network LiteRT can read"):
        DeeplabStructure(tmp_path / "a.tflite").load("cpu")


def test_another_network_is_refused(weights: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    with pytest.raises(ConfigurationError, match="expected a network of"):
        DeeplabStructure(weights / "yolov8n-seg_int8.tflite").load("cpu")


def test_it_is_declared_with_its_licence() -> None:
    tool = tool_of(DeeplabStructure)
    assert tool.name == "structure.deeplab"
    assert [weights.licence for weights in tool.weights] == ["Apache-2.0"]
    assert (CLASSES[FLOOR], CLASSES[DOOR], len(CLASSES)) == ("floor", "door", 32)


class Planted:
    """Stands for the interpreter and answers what is planted; remembers what it was shown."""

    def __init__(self, classes: np.ndarray) -> None:
        self.classes = classes
        self.shown = np.empty(0)

    def set_tensor(self, index: int, value: np.ndarray) -> None:
        self.shown = value[0]

    def invoke(self) -> None:
        pass

    def get_tensor(self, index: int) -> np.ndarray:
        return self.classes[None]


@pytest.mark.parametrize(("height", "width", "scale"), [(128, 256, 2), (256, 64, 2), (512, 256, 1)])
def test_planted_classes_land_on_their_pixels(
    structure: DeeplabStructure, monkeypatch: pytest.MonkeyPatch, height: int, width: int, scale: int
) -> None:
    """The picture is enlarged by a whole number into the upper left corner; a door covers a part of it."""
    classes = np.zeros((512, 512), np.int32)
    classes[: 100 * scale, 10 * scale : 30 * scale] = DOOR
    classes[height * scale :] = FLOOR  # below the picture
    classes[:, width * scale :] = FLOOR  # beside it
    planted = Planted(classes)
    monkeypatch.setattr(structure, "_interpreter", planted)
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[..., 0] = 200

    found = structure(frame_of(rgb))

    door = np.zeros((height, width), bool)
    door[:100, 10:30] = True
    np.testing.assert_array_equal(found.mask("door"), door)
    assert not found.mask("floor").any()
    assert (planted.shown[: height * scale, : width * scale] == (200, 0, 0)).all()
    assert (planted.shown[height * scale :] == 128).all()
    assert (planted.shown[:, width * scale :] == 128).all()


def test_what_it_sees_in_real_rooms_is_there(structure: DeeplabStructure, test_data: Path) -> None:
    """Points looked up by eye: x, y and what is there."""
    seen: dict[str, list[tuple[int, int, str]]] = {
        "dining_room/color/1.png": [
            (100, 400, "floor"),
            (30, 100, "wall"),
            (400, 100, "curtain"),
            (560, 350, "table"),
        ],
        "single_frames/SUN_color.jpg": [(250, 400, "floor"), (310, 60, "ceiling"), (60, 250, "door")],
        "single_frames/TUM_color.png": [(270, 440, "floor"), (120, 330, "chair"), (320, 235, "table")],
    }
    for name, points in seen.items():
        found = structure(frame_of(picture(test_data, name)))
        assert found.labels.shape == (480, 640)
        for x, y, label in points:
            assert found.names[found.labels[y, x]] == label, (name, x, y)


def test_what_it_calls_floor_is_level_and_below_the_camera(
    structure: DeeplabStructure, test_data: Path
) -> None:
    """Depth is measured by a sensor, which knows nothing of classes."""
    from spatial_agent.tools.geometry.projection import unproject_pixels
    from spatial_agent.tools.media import open_source

    frame = open_source(test_data / "dining_room").load(3)
    assert frame.depth is not None
    assert frame.header.intrinsics is not None
    floor = structure(frame).mask("floor") & frame.depth.valid
    rows, columns = np.nonzero(floor)
    xyz_m = unproject_pixels(
        frame.header.intrinsics,
        np.column_stack([columns, rows]).astype(float),
        frame.depth.z_m[floor].astype(float),
    )
    plane = xyz_m[::7]
    for _ in range(12):  # the better part again and again: legs and a table it took for floor stay out
        middle_m = plane.mean(axis=0)
        normal = np.linalg.svd(plane - middle_m, full_matrices=False)[2][2]
        off_m = np.abs((xyz_m - middle_m) @ normal)
        plane = xyz_m[off_m <= np.quantile(off_m, 0.6)][::7]

    assert floor.mean() > 0.15
    assert (off_m < 0.05).mean() > 0.7
    assert 1.1 < abs(middle_m @ normal) < 1.6  # how high the camera was held


def test_a_batch_gives_what_single_calls_give_and_failures_stay_alone(
    structure: DeeplabStructure, test_data: Path
) -> None:
    rgb = picture(test_data, "dining_room/color/3.png")
    wide, tall = frame_of(rgb[:300]), frame_of(rgb[:, 300:])
    calls: list[dict[str, Any]] = [
        {"frame": wide},
        {"frame": Frame(FrameHeader(1, "blind"))},
        {"frame": tall},
    ]
    first, blind, second = structure.batch(calls)
    assert isinstance(blind, ToolFailedError)
    for batched, single in ((first, structure(wide)), (second, structure(tall))):
        assert isinstance(batched, SemanticMap)
        np.testing.assert_array_equal(batched.labels, single.labels)


def test_it_runs_without_torch_and_opencv(weights: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    code = (
        "import sys\nfrom pathlib import Path\nimport numpy as np\n"
        "from spatial_agent.tools.experts.structure_deeplab import DeeplabStructure\n"
        "from spatial_agent.tools.scene import Frame, FrameHeader\n"
        "structure = DeeplabStructure(Path(sys.argv[1]))\nstructure.load('cpu')\n"
        "structure(Frame(FrameHeader(0, 'x'), np.zeros((48, 64, 3), np.uint8)))\n"
        "print(sorted({'torch', 'cv2', 'tensorflow', 'transformers'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(weights / FILE)],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert run.stdout.strip() == "[]"


def test_it_keeps_the_contract_of_experts(weights: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    from spatial_agent.tools.conformance import check_expert

    verdicts = check_expert(DeeplabStructure, weights=weights / FILE)
    assert [f"{check}: {said}" for check, said in verdicts.items() if not said.startswith("ok")] == []
