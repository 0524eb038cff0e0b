"""YOLOE: words reach the network, masks land on their pixels, and nothing is installed or fetched."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spatial_agent.tools.errors import ConfigurationError, MissingWeightsError, ToolFailedError
from spatial_agent.tools.experts.text_vectors import CLIP_FOLDER
from spatial_agent.tools.experts.yoloe import ENCODER_FILE, Yoloe
from spatial_agent.tools.registry import tool_of
from spatial_agent.tools.scene import Detections, Frame, FrameHeader

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
Pictures = Callable[..., Frame]
LOW = 0.01


@pytest.fixture(scope="module")
def file(
    tmp_path_factory: pytest.TempPathFactory, clip: Path, make_weights: Callable[[Path, str], Path]
) -> Path:
    """Weights with a random text encoder that, as MobileCLIP's, looks at all tokens."""
    import torch

    folder = tmp_path_factory.mktemp("yoloe")
    shutil.copytree(clip, folder / CLIP_FOLDER)
    torch.manual_seed(2)
    encoder: Any = torch.nn.Sequential(
        torch.nn.Embedding(100, 16), torch.nn.Flatten(), torch.nn.Linear(77 * 16, 512)
    )
    torch.jit.script(encoder).save(folder / ENCODER_FILE)
    return make_weights(folder, "yoloe-11n-seg")


@pytest.fixture(scope="module")
def expert(file: Path) -> Yoloe:
    made = Yoloe(file)
    made.load("cpu")
    return made


def assert_same(one: object, other: Detections) -> None:
    assert isinstance(one, Detections)
    assert len(one) > 0
    assert one.labels == other.labels
    np.testing.assert_allclose(one.xyxy_px, other.xyxy_px, atol=1e-2)
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
    assert one.masks is not None
    assert other.masks is not None
    assert (one.masks ^ other.masks).mean() < 1e-3


def test_its_weights_are_declared_as_what_they_are() -> None:
    tool = tool_of(Yoloe)
    assert tool.name == "instances.yoloe"
    assert {weights.licence for weights in tool.weights} == {"AGPL-3.0"}


def test_other_weights_are_refused(tmp_path: Path, make_weights: Callable[[Path, str], Path]) -> None:
    other = Yoloe(make_weights(tmp_path, "yolov8n-worldv2"))
    with pytest.raises(ConfigurationError, match="not a YOLOE model for masks"):
        other.load("cpu")


def test_masks_have_the_size_of_the_picture_and_share_no_pixel(expert: Yoloe, picture: Pictures) -> None:
    found = expert(picture(), ["lamp", "Chat"], LOW)
    assert len(found) > 0
    assert set(found.labels) <= {"lamp", "Chat"}
    assert found.masks is not None
    assert found.masks.shape == (len(found), 120, 200)
    assert found.masks.sum(axis=0).max() <= 1


def test_the_network_is_told_the_encoders_vectors_through_its_own_layers(
    file: Path, expert: Yoloe, picture: Pictures
) -> None:
    import torch
    from transformers import CLIPTokenizer

    script: Any = torch.jit

    expert(picture(), ["lamp", "chat"], LOW)

    ids = torch.zeros(1, 77, dtype=torch.int64)
    read = CLIPTokenizer.from_pretrained(file.with_name(CLIP_FOLDER))("chat").input_ids
    ids[0, : len(read)] = torch.tensor(read)
    head = expert._model.model.model[-1]
    with torch.inference_mode():
        raw = script.load(file.with_name(ENCODER_FILE))(ids)
        told = torch.nn.functional.normalize(head.reprta(raw), dim=-1)[0].numpy()
    np.testing.assert_allclose(expert._model.model.pe[0, 1].numpy(), told, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(250, 400), (400, 250)])
def test_a_planted_mask_is_found_at_its_pixels(
    expert: Yoloe, monkeypatch: pytest.MonkeyPatch, height: int, width: int
) -> None:
    """The network sees the picture enlarged by 1.6, with 8 pixels of grey on either side."""
    import torch

    edges = np.array([60.0, 70.0, 160.0, 120.0])  # left, top, right, bottom from the corner
    pad_x, pad_y = (8.0, 0.0) if height > width else (0.0, 8.0)

    def answer(network: object, pixels: torch.Tensor, *rest: object, **options: object) -> object:
        left, top, right, bottom = edges * 1.6 + (pad_x, pad_y, pad_x, pad_y)
        said = torch.zeros(1, 4 + 2 + 32, 500)
        said[0, :4, 7] = torch.tensor([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top])
        said[0, 4 + 1, 7] = 0.8  # the second word
        said[0, 6, 7] = 1.0  # its mask is the first prototype: positive above the middle of the box
        prototypes = torch.full((1, 32, pixels.shape[2] // 4, pixels.shape[3] // 4), -20.0)
        prototypes[0, 0, : round((top + bottom) / 2 / 4)] = 20.0
        return (said, prototypes), {}

    expert._look_for(("chat", "lamp"))
    monkeypatch.setattr(type(expert._model.model), "predict", answer)
    found = expert(Frame(FrameHeader(0, "x"), np.zeros((height, width, 3), np.uint8)), ["chat", "lamp"], 0.5)

    assert found.labels == ("lamp",)
    np.testing.assert_allclose(found.xyxy_px, [edges - 0.5], atol=1e-2)
    assert found.masks is not None
    rows, columns = np.nonzero(found.masks[0])
    assert (columns.min(), columns.max() + 1) == (60, 160)
    assert rows.min() == 70
    assert rows.max() + 1 == pytest.approx(95, abs=1.5)  # prototypes are coarse


def test_a_batch_gives_what_single_calls_give_and_failures_stay_alone(
    expert: Yoloe, picture: Pictures
) -> None:
    one, tall = picture(1), picture(3, 200, 120)
    first, blind, second, other_words = expert.batch(
        [
            {"frame": one, "prompts": ["lamp"], "confidence": LOW},
            {"frame": Frame(FrameHeader(9, "blind")), "prompts": ["lamp"]},
            {"frame": tall, "prompts": ["lamp"], "confidence": LOW},
            {"frame": one, "prompts": ["chat", "lamp"], "confidence": LOW},
        ]
    )
    assert isinstance(blind, ToolFailedError)
    assert_same(first, expert(one, ["lamp"], LOW))
    assert_same(second, expert(tall, ["lamp"], LOW))
    assert_same(other_words, expert(one, ["chat", "lamp"], LOW))


def test_vectors_stored_by_ultralytics_take_the_place_of_the_text_encoder(
    file: Path, expert: Yoloe, picture: Pictures, tmp_path: Path
) -> None:
    with_encoder = expert(picture(), ["lamp", "chat"], LOW)
    alone = tmp_path / file.name
    shutil.copy(file, alone)
    expert._model.save_prompt_embeddings(alone.with_suffix(".npz"))
    without = Yoloe(alone)
    without.load("cpu")

    assert_same(without(picture(), ["lamp", "chat"], LOW), with_encoder)
    with pytest.raises(MissingWeightsError, match=r"no text vectors for 'sofa'.*mobileclip_blt\.ts"):
        without(picture(), ["sofa"])


@pytest.mark.slow
def test_nothing_is_installed_started_or_fetched(
    heard_alone: Callable[[str, str, Path], list[str]], file: Path
) -> None:
    assert heard_alone("yoloe", "Yoloe", file) == []


@pytest.mark.slow
def test_it_keeps_the_contract_of_experts(file: Path) -> None:
    from spatial_agent.tools.conformance import check_expert

    verdicts = check_expert(Yoloe, weights=file, arguments={"prompts": ["lamp"], "confidence": 0.55})
    assert [f"{check}: {said}" for check, said in verdicts.items() if not said.startswith("ok")] == []
