"""Depth networks: tiny ones of the real architectures, and depth planted in what they give.

What a network would answer is replaced by something known: a ramp, or the brightness of its own input.
Either must come out at the right pixels of a picture that is not square.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spatial_agent.tools.errors import ToolFailedError
from spatial_agent.tools.experts.depth_anything import DepthAnything
from spatial_agent.tools.experts.depth_network import DepthNetwork
from spatial_agent.tools.experts.depth_pixels import Preparation
from spatial_agent.tools.experts.depth_pro import DepthPro
from spatial_agent.tools.experts.depth_zoedepth import ZoeDepth
from spatial_agent.tools.scene import CameraIntrinsics, DepthMap, Frame, FrameHeader

if TYPE_CHECKING:
    from torch import Tensor

pytest.importorskip("torch")
pytest.importorskip("transformers")

Make = Mapping[str, Callable[[Path], Path]]
HEIGHT, WIDTH = 90, 150
CAMERA = CameraIntrinsics(100.0, 100.0, 74.5, 44.5, WIDTH, HEIGHT)


def frame(seed: int = 0, height: int = HEIGHT, width: int = WIDTH, camera: bool = True) -> Frame:
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    known = CAMERA.resized(width, height) if camera else None
    return Frame(FrameHeader(seed, f"frame {seed}", known), rgb)


def of_picture(rgb: NDArray[np.uint8]) -> Frame:
    return Frame(FrameHeader(0, "planted", CAMERA), rgb)


def plant(network: DepthNetwork, monkeypatch: pytest.MonkeyPatch, answer: Callable[[Any], Any]) -> None:
    """Let the network answer with a function of its input, shape (N, 3, h, w) -> (N, h, w) metres."""

    def forward(pixel_values: "Tensor") -> SimpleNamespace:
        metres = answer(pixel_values)
        is_inverse = isinstance(network, DepthPro)
        # Depth Pro gives inverse depth in units of the focal length over the width.
        predicted = CAMERA.fx / CAMERA.width / metres if is_inverse else metres
        return SimpleNamespace(predicted_depth=predicted, field_of_view=None)

    monkeypatch.setattr(network._model, "forward", forward)


def ramp_in_view(pixel_values: "Tensor") -> "Tensor":
    """2 m at the left edge of the input to 6 m at its right one, 1 m more at the bottom."""
    import torch

    height, width = pixel_values.shape[2:]
    across = (torch.arange(width) + 0.5) / width
    down = (torch.arange(height) + 0.5) / height
    return (2 + 4 * across[None, :] + down[:, None]).expand(len(pixel_values), -1, -1)


def brightness(pixel_values: "Tensor") -> "Tensor":
    """1 m where the input is black to 5 m where it is white; what was normalised is put back."""
    import torch

    means = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    stds = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    return 1 + 4 * (pixel_values * stds + means).mean(dim=1)


def halves_brightness(pixel_values: "Tensor") -> "Tensor":
    return 1 + 4 * (pixel_values * 0.5 + 0.5).mean(dim=1)


def test_depth_has_the_size_of_the_picture_and_states_its_errors(network: DepthNetwork) -> None:
    depth = network.estimate(frame(1))
    assert depth.z_m.shape == (HEIGHT, WIDTH)
    assert depth.z_m.dtype == np.float32
    assert depth.scale == "metric"
    assert 0.05 <= depth.scale_error <= 0.3
    assert 0.02 <= depth.shape_error <= 0.2


def test_a_batch_gives_what_single_calls_give(network: DepthNetwork) -> None:
    frames = [frame(1), frame(2, 64, 48), frame(3)]
    together = network.batch([{"frame": item} for item in frames])
    for item, depth in zip(frames, together, strict=True):
        assert isinstance(depth, DepthMap)
        np.testing.assert_allclose(depth.z_m, network.estimate(item).z_m, rtol=1e-4)


def test_a_frame_without_a_picture_costs_its_neighbours_nothing(network: DepthNetwork) -> None:
    blind = Frame(FrameHeader(7, "blind", CAMERA))
    first, second, third = network.batch([{"frame": item} for item in (frame(1), blind, frame(2))])
    assert isinstance(second, ToolFailedError)
    assert "blind" in str(second)
    assert isinstance(first, DepthMap)
    assert isinstance(third, DepthMap)
    with pytest.raises(ToolFailedError, match="no picture"):
        network.estimate(blind)


def test_a_planted_ramp_comes_out_at_the_right_pixels(
    network: DepthNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The input is the whole picture (with its border), so the ramp is one in the picture's own pixels."""
    if isinstance(network, ZoeDepth):
        monkeypatch.setattr(network, "_preparation", unbordered(network._preparation))
    plant(network, monkeypatch, ramp_in_view)
    z_m = network.estimate(frame(1)).z_m
    u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    expected = 2 + 4 * (u + 0.5) / WIDTH + (v + 0.5) / HEIGHT
    inner = (slice(4, -4), slice(4, -4))
    # A tenth of a pixel of displacement is 0.0027 m; inverse depth is not straight between two pixels.
    np.testing.assert_allclose(z_m[inner], expected[inner], atol=0.0025)


def unbordered(preparation: Preparation | None) -> Preparation:
    assert preparation is not None
    return replace(preparation, bordered=False)


def test_a_bright_patch_of_the_picture_is_far_at_its_own_pixels(
    network: DepthNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the whole of it: border, resizing, normalising, and all the way back."""
    plant(network, monkeypatch, brightness if isinstance(network, DepthAnything) else halves_brightness)
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    top, bottom, left, right = 12, 40, 95, 135
    rgb[top:bottom, left:right] = 255
    z_m = network.estimate(of_picture(rgb)).z_m
    for across, edges, along in (
        (z_m[(top + bottom) // 2], (left, right), WIDTH),
        (z_m[:, (left + right) // 2], (top, bottom), HEIGHT),
    ):
        assert len(across) == along
        for edge, found in zip(edges, crossings(across), strict=True):
            # The edge lies between two pixel centres; the input's own pixels are about two wide.
            assert found == pytest.approx(edge - 0.5, abs=0.35)


def crossings(z_m: NDArray[np.float32]) -> list[float]:
    """Where a row of depth passes the middle between near and far, in pixels, interpolated."""
    middle = (float(z_m.max()) + float(z_m.min())) / 2
    # In inverse depth the middle between the two would lie elsewhere.
    above = z_m > middle
    at = np.flatnonzero(above[1:] != above[:-1])
    return [float(k + (middle - z_m[k]) / (z_m[k + 1] - z_m[k])) for k in at]


def test_moving_to_another_device_moves_all_of_it(network: DepthNetwork) -> None:
    import torch

    before = network.estimate(frame(1)).z_m
    network.load("meta")
    assert {parameter.device.type for parameter in network._model.parameters()} == {"meta"}
    network._model = None
    network.load("cpu")
    assert {parameter.dtype for parameter in network._model.parameters()} == {torch.float32}
    np.testing.assert_array_equal(network.estimate(frame(1)).z_m, before)


def test_what_is_no_depth_is_left_out(network: DepthNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_sky(pixel_values: "Tensor") -> "Tensor":
        metres = ramp_in_view(pixel_values).clone()
        metres[:, : metres.shape[1] // 2] = float("nan")
        return metres

    plant(network, monkeypatch, with_sky)
    depth = network.estimate(frame(1))
    assert not depth.valid[: HEIGHT // 4].any()
    assert depth.valid[-HEIGHT // 4 :].all()
    plant(network, monkeypatch, lambda pixel_values: ramp_in_view(pixel_values) * float("nan"))
    with pytest.raises(ToolFailedError, match="no usable depth"):
        network.estimate(frame(1))


def test_an_accident_in_a_batch_costs_only_the_picture_it_belongs_to(
    network: DepthNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks_on_black(pixel_values: "Tensor") -> "Tensor":
        if (pixel_values.flatten(2).std(dim=2) < 1e-3).any():
            raise RuntimeError("too dark")
        return ramp_in_view(pixel_values)

    plant(network, monkeypatch, breaks_on_black)
    dark = of_picture(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    first, second = network.batch([{"frame": frame(1)}, {"frame": dark}])
    assert isinstance(first, DepthMap)
    assert isinstance(second, ToolFailedError)
    assert "too dark" in str(second)


def test_what_goes_in_is_what_the_published_processor_makes(make: Make, tmp_path: Path) -> None:
    """Size and colours of the input of Depth Anything, against the library's own processor."""
    import torch
    from transformers import AutoImageProcessor

    folder = make["depth_anything"](tmp_path)
    smooth = np.linspace(0, 255, HEIGHT * WIDTH * 3).reshape(HEIGHT, WIDTH, 3).astype(np.uint8)
    processor: Any = AutoImageProcessor
    theirs = processor.from_pretrained(folder, backend="pil")(smooth, return_tensors="pt").pixel_values
    ours = Preparation.read(folder).to_network(torch.from_numpy(smooth[None]))
    assert ours.shape == theirs.shape == (1, 3, 70, 112)
    # They round to whole colours in between: half a step of 255 after division by 0.22.
    assert float((ours - theirs).abs().max()) < 0.02


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(480, 640, (518, 686)), (640, 480, (686, 518)), (480, 852, (518, 924)), (1080, 1920, (518, 924))],
)
def test_the_input_of_depth_anything_has_its_published_size(
    height: int, width: int, expected: tuple[int, int]
) -> None:
    preparation = Preparation(518, 518, True, 14, "bicubic", (0.5,) * 3, (0.5,) * 3)
    assert preparation.input_size(height, width) == expected


def test_a_planted_map_inside_a_border_comes_out_without_it(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = ZoeDepth(make["zoedepth"](tmp_path))
    network.load("cpu")
    rows, columns = int(3 * np.sqrt(HEIGHT / 2)), int(3 * np.sqrt(WIDTH / 2))
    assert (rows, columns) == (20, 25)
    plant(network, monkeypatch, ramp_in_view)
    z_m = network.estimate(frame(1)).z_m
    u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    across = (u + columns + 0.5) / (WIDTH + 2 * columns)
    down = (v + rows + 0.5) / (HEIGHT + 2 * rows)
    np.testing.assert_allclose(z_m, 2 + 4 * across + down, atol=0.0025)


def test_depth_pro_takes_the_camera_where_it_is_well_known(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    network = DepthPro(make["depth_pro"](tmp_path))
    network.load("cpu")

    def forward(pixel_values: "Tensor") -> SimpleNamespace:
        count, _, height, width = pixel_values.shape
        inverse = torch.full((count, height, width), 0.25)
        return SimpleNamespace(predicted_depth=inverse, field_of_view=torch.full((count,), 90.0))

    monkeypatch.setattr(network._model, "forward", forward)
    rgb = frame(1).rgb
    known = Frame(FrameHeader(0, "known", CAMERA), rgb)
    guessed = Frame(FrameHeader(0, "guessed", CAMERA, focal_error=0.2), rgb)
    unknown = Frame(FrameHeader(0, "unknown"), rgb)
    metres = [float(np.median(network.estimate(item).z_m)) for item in (known, guessed, unknown)]
    # z = 1 / (inverse * width / focal): the camera's own 150 / 100, else 2 tan 45 degrees.
    assert metres == pytest.approx([1 / (0.25 * 1.5), 1 / (0.25 * 2), 1 / (0.25 * 2)])


def test_depth_pro_without_camera_or_field_of_view_says_so(make: Make, tmp_path: Path) -> None:
    network = DepthPro(make["depth_pro_without_view"](tmp_path))
    network.load("cpu")
    known, unknown = network.batch([{"frame": frame(1)}, {"frame": frame(2, camera=False)}])
    assert isinstance(known, DepthMap)
    assert isinstance(unknown, ToolFailedError)
    assert "intrinsics" in str(unknown)


def test_every_backend_is_called_with_a_frame(network: DepthNetwork) -> None:
    called: Any = network
    np.testing.assert_array_equal(called(frame(1)).z_m, network.estimate(frame(1)).z_m)


@pytest.mark.gpu
def test_on_a_gpu_half_precision_agrees_with_the_cpu(make: Make, tmp_path: Path) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    for name, kind in (("depth_anything", DepthAnything), ("depth_pro", DepthPro), ("zoedepth", ZoeDepth)):
        network = kind(make[name](tmp_path / name))
        network.load("cpu")
        expected = network.batch([{"frame": frame(1)}])[0]
        network.load("cuda:0")
        found = network.batch([{"frame": frame(1)}])[0]
        assert isinstance(expected, DepthMap)
        assert isinstance(found, DepthMap)
        np.testing.assert_allclose(found.z_m, expected.z_m, rtol=0.03)
