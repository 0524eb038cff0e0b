"""UPerNet of its own architecture, small and random: whole, batched, and right to the pixel."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from spatial_agent.tools.errors import ToolFailedError, ToolUnavailableError
from spatial_agent.tools.experts.structure_segmentation import UpernetStructure, input_size
from spatial_agent.tools.native_imports import install
from spatial_agent.tools.registry import tool_of
from spatial_agent.tools.scene import Frame, FrameHeader, SemanticMap

NAMES = ("wall", "floor", "door", "windowpane", "bed ")


def frame_of(rgb: np.ndarray) -> Frame:
    return Frame(FrameHeader(0, "000000"), rgb)


def noise(seed: int, height: int = 90, width: int = 120) -> Frame:
    return frame_of(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch").set_num_threads(1)
    pytest.importorskip("transformers")
    install()
    import torch
    from transformers import ConvNextConfig, UperNetConfig, UperNetForSemanticSegmentation

    torch.manual_seed(0)
    settings: dict[str, Any] = {
        "depths": [1, 1, 1, 1],
        "hidden_sizes": [8, 8, 16, 16],
        "out_features": ["stage1", "stage2", "stage3", "stage4"],
    }
    backbone = ConvNextConfig(**settings)
    config = UperNetConfig(
        backbone_config=backbone,
        hidden_size=16,
        auxiliary_in_channels=16,
        auxiliary_channels=8,
        id2label=dict(enumerate(NAMES)),
        label2id={name: k for k, name in enumerate(NAMES)},
    )
    path = tmp_path_factory.mktemp("upernet")
    UperNetForSemanticSegmentation(config).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def structure(folder: Path) -> UpernetStructure:
    made = UpernetStructure(folder)
    made.load("cpu")
    return made


def test_it_is_declared_with_licence_and_counted_parameters() -> None:
    tool = tool_of(UpernetStructure)
    assert tool.name == "structure.upernet"
    assert {weights.licence for weights in tool.weights} == {"MIT"}
    assert all(weights.vram_basis == "parameters" for weights in tool.weights)


def test_weights_that_are_not_there_or_not_whole_are_refused(tmp_path: Path, folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    with pytest.raises(ToolUnavailableError, match="cannot be read"):
        UpernetStructure(tmp_path).load("cpu")
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    tensors = load_file(folder / "model.safetensors")
    dropped = next(name for name in tensors if "classifier.weight" in name)
    save_file(
        {k: v for k, v in tensors.items() if k != dropped}, tmp_path / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(ToolUnavailableError, match="lack 1 tensors"):
        UpernetStructure(tmp_path).load("cpu")


def test_every_pixel_has_a_class_by_its_plain_name(structure: UpernetStructure) -> None:
    found = structure(noise(1))
    assert found.names == ("wall", "floor", "door", "window", "bed")
    assert found.labels.shape == (90, 120)
    assert found.score is not None
    assert found.score.shape == (90, 120)
    assert found.score.min() >= 1 / len(NAMES) - 1e-6


def test_a_batch_gives_what_single_calls_give_and_failures_stay_alone(structure: UpernetStructure) -> None:
    frames = [noise(1), noise(2, 120, 64), Frame(FrameHeader(7, "blind")), noise(3)]
    found = structure.batch([{"frame": frame} for frame in frames])
    assert isinstance(found[2], ToolFailedError)
    for number in (0, 1, 3):
        batched, single = found[number], structure(frames[number])
        assert isinstance(batched, SemanticMap)
        assert (batched.labels == single.labels).mean() > 0.999
        assert batched.score is not None
        assert single.score is not None
        np.testing.assert_allclose(batched.score, single.score, atol=1e-4)


def plant(structure: UpernetStructure, monkeypatch: pytest.MonkeyPatch, answer: Callable[[Any], Any]) -> None:
    """Let the network answer with logits that are a function of its input, shape (N, 3, h, w)."""

    def forward(pixel_values: object) -> SimpleNamespace:
        return SimpleNamespace(logits=answer(pixel_values))

    monkeypatch.setattr(structure, "_model", forward)


@pytest.mark.parametrize(("height", "width"), [(96, 160), (160, 96), (480, 640)])
def test_a_bright_patch_is_a_door_at_its_own_pixels(
    structure: UpernetStructure, monkeypatch: pytest.MonkeyPatch, height: int, width: int
) -> None:
    """Through resizing and normalising, and all the way back."""
    import torch

    def bright_is_door(pixels: torch.Tensor) -> torch.Tensor:
        assert tuple(pixels.shape[2:]) == input_size(height, width)
        mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        colours = pixels * deviation.view(1, 3, 1, 1) + mean.view(1, 3, 1, 1)
        door = colours.mean(dim=1)
        assert -1e-4 < float(door.min()) <= float(door.max()) < 1 + 1e-4
        logits = torch.zeros(len(pixels), len(NAMES), *pixels.shape[2:])
        logits[:, 2], logits[:, 0] = 40 * (door - 0.5), 1e-3
        return logits

    plant(structure, monkeypatch, bright_is_door)
    rgb = np.zeros((height, width, 3), np.uint8)
    door = np.zeros((height, width), bool)
    door[20:77, 30:68] = True
    rgb[door] = 255

    found = structure(frame_of(rgb))

    assert (found.mask("door") ^ door).sum() <= 2 * (57 + 38)  # at most one pixel off along each edge
    assert found.mask("door")[21:76, 31:67].all()
    assert not found.mask("door")[:19].any()
    assert not found.mask("door")[:, 69:].any()
    assert found.score is not None
    assert found.score[40, 50] > 0.99


def test_one_network_of_two_sizes_sees_pictures_in_their_proportions() -> None:
    assert input_size(480, 640) == (512, 672)
    assert input_size(640, 480) == (672, 512)
    assert input_size(50, 2000) == (512, 2048)
    height, width = input_size(1080, 1920)
    assert width / height == pytest.approx(1920 / 1080, rel=0.03)


@pytest.mark.slow
def test_it_keeps_the_contract_of_experts(folder: Path) -> None:
    from spatial_agent.tools.conformance import check_expert

    verdicts = check_expert(UpernetStructure, weights=folder)
    assert [f"{check}: {said}" for check, said in verdicts.items() if not said.startswith("ok")] == []
