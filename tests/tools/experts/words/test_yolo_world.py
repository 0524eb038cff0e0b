"""YOLO-World: words reach the network, boxes land on their pixels, and nothing is installed or fetched."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spatial_agent.tools.errors import (
    ConfigurationError,
    MissingWeightsError,
    ToolArgumentError,
    ToolFailedError,
)
from spatial_agent.tools.experts.text_vectors import CLIP_FOLDER
from spatial_agent.tools.experts.yolo_world import YoloWorld
from spatial_agent.tools.registry import tool_of
from spatial_agent.tools.scene import Detections, Frame, FrameHeader

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
Pictures = Callable[..., Frame]
LOW = 0.01


@pytest.fixture(scope="module")
def file(
    tmp_path_factory: pytest.TempPathFactory, clip: Path, make_weights: Callable[[Path, str], Path]
) -> Path:
    folder = tmp_path_factory.mktemp("yolo-world")
    shutil.copytree(clip, folder / CLIP_FOLDER)
    return make_weights(folder, "yolov8n-worldv2")


@pytest.fixture(scope="module")
def expert(file: Path) -> YoloWorld:
    made = YoloWorld(file)
    made.load("cpu")
    return made


def assert_same(one: object, other: Detections) -> None:
    assert isinstance(one, Detections)
    assert len(one) > 0
    assert one.labels == other.labels
    np.testing.assert_allclose(one.xyxy_px, other.xyxy_px, atol=1e-2)
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)


def test_its_weights_are_declared_as_what_they_are() -> None:
    tool = tool_of(YoloWorld)
    assert tool.name == "detect.yolo_world"
    assert {weights.licence for weights in tool.weights} == {"AGPL-3.0"}


def test_missing_or_other_weights_are_refused(
    tmp_path: Path, make_weights: Callable[[Path, str], Path]
) -> None:
    with pytest.raises(ConfigurationError, match="no YOLO weights at"):
        YoloWorld(tmp_path / "yolov8s-worldv2.pt")
    other = YoloWorld(make_weights(tmp_path, "yoloe-11n-seg"))
    with pytest.raises(ConfigurationError, match="not a YOLO-World model"):
        other.load("cpu")


def test_the_network_is_told_clips_vectors_of_the_words(
    expert: YoloWorld, clip: Path, picture: Pictures
) -> None:
    import torch
    from transformers import CLIPTextModelWithProjection, CLIPTokenizer

    expert(picture(), ["Lamp", "chat"], LOW)

    told = expert._model.model.txt_feats[0].numpy()
    tokens = CLIPTokenizer.from_pretrained(clip)
    model: Any = CLIPTextModelWithProjection.from_pretrained(clip)
    model.eval()
    for vector, word in zip(told, ["lamp", "chat"], strict=True):
        with torch.inference_mode():
            own = model(input_ids=torch.tensor([tokens(word).input_ids])).text_embeds[0].numpy()
        np.testing.assert_allclose(vector, own / np.linalg.norm(own), atol=1e-5)


def test_the_order_of_words_changes_nothing_but_more_words_are_other_words(
    expert: YoloWorld, picture: Pictures
) -> None:
    one = expert(picture(), ["lamp", "chat"], LOW)
    other = expert(picture(), ["chat", "lamp"], LOW)
    assert set(one.labels) <= {"lamp", "chat"}

    def listed(found: Detections) -> list[tuple[str, float]]:
        return sorted(
            (label, round(float(score), 3)) for label, score in zip(found.labels, found.scores, strict=True)
        )

    assert len(one) > 0
    assert listed(one) == listed(other)
    assert set(expert(picture(), ["ocean view"], LOW).labels) == {"ocean view"}


def test_labels_are_the_words_as_they_were_asked(expert: YoloWorld, picture: Pictures) -> None:
    assert set(expert(picture(), ["The LAMP."], LOW).labels) == {"The LAMP."}


@pytest.mark.parametrize(("height", "width"), [(250, 400), (400, 250)])
def test_a_planted_box_is_found_at_its_pixels(
    expert: YoloWorld, monkeypatch: pytest.MonkeyPatch, height: int, width: int
) -> None:
    """The network sees the picture enlarged by 1.6, with 8 pixels of grey on either side."""
    import torch

    edges = np.array([60.0, 70.0, 160.0, 120.0])  # left, top, right, bottom from the corner
    pad_x, pad_y = (8.0, 0.0) if height > width else (0.0, 8.0)

    def answer(network: object, pixels: torch.Tensor, *rest: object, **options: object) -> object:
        assert pixels.shape[2:] == (height * 1.6 + 2 * pad_y, width * 1.6 + 2 * pad_x)
        left, top, right, bottom = edges * 1.6 + (pad_x, pad_y, pad_x, pad_y)
        said = torch.zeros(1, 4 + 2, 500)
        said[0, :4, 7] = torch.tensor([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top])
        said[0, 4 + 1, 7] = 0.8  # the second word
        return said, {}

    expert._look_for(("chat", "lamp"))
    monkeypatch.setattr(type(expert._model.model), "predict", answer)
    found = expert(Frame(FrameHeader(0, "x"), np.zeros((height, width, 3), np.uint8)), ["chat", "lamp"], 0.5)

    assert found.labels == ("lamp",)
    np.testing.assert_allclose(found.scores, [0.8], atol=1e-5)
    np.testing.assert_allclose(found.xyxy_px, [edges - 0.5], atol=1e-2)


def test_a_batch_gives_what_single_calls_give_and_failures_stay_alone(
    expert: YoloWorld, picture: Pictures
) -> None:
    one, same_size, tall = picture(1), picture(2), picture(3, 200, 120)
    first, blind, nothing, second, third, other_words = expert.batch(
        [
            {"frame": one, "prompts": ["lamp"], "confidence": LOW},
            {"frame": Frame(FrameHeader(9, "blind")), "prompts": ["lamp"]},
            {"frame": one, "prompts": []},
            {"frame": same_size, "prompts": ["lamp"], "confidence": LOW},
            {"frame": tall, "prompts": ["lamp"], "confidence": LOW},
            {"frame": one, "prompts": ["chat"], "confidence": LOW},
        ]
    )
    assert isinstance(blind, ToolFailedError)
    assert isinstance(nothing, ToolArgumentError)
    for batched, frame, prompt in (
        (first, one, "lamp"),
        (second, same_size, "lamp"),
        (third, tall, "lamp"),
        (other_words, one, "chat"),
    ):
        assert_same(batched, expert(frame, [prompt], LOW))


def test_stored_vectors_take_the_place_of_the_text_encoder(
    file: Path, expert: YoloWorld, picture: Pictures, tmp_path: Path
) -> None:
    with_encoder = expert(picture(), ["lamp", "chat"], LOW)
    alone = tmp_path / file.name
    shutil.copy(file, alone)
    np.savez(
        alone.with_suffix(".npz"),
        names=np.array(["lamp", "chat"]),
        embeddings=expert._vectors.of(["lamp", "chat"]),
    )
    without = YoloWorld(alone)
    without.load("cpu")

    assert_same(without(picture(), ["lamp", "chat"], LOW), with_encoder)
    with pytest.raises(MissingWeightsError, match="no text vectors for 'sofa'.*openai/clip-vit-base-patch32"):
        without(picture(), ["sofa"])


@pytest.mark.slow
def test_nothing_is_installed_started_or_fetched(
    heard_alone: Callable[[str, str, Path], list[str]], file: Path
) -> None:
    assert heard_alone("yolo_world", "YoloWorld", file) == []


@pytest.mark.slow
def test_it_keeps_the_contract_of_experts(file: Path) -> None:
    from spatial_agent.tools.conformance import check_expert

    verdicts = check_expert(YoloWorld, weights=file, arguments={"prompts": ["lamp"], "confidence": LOW})
    assert [f"{check}: {said}" for check, said in verdicts.items() if not said.startswith("ok")] == []
