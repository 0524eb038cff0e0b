"""SAM 3 on a small random network: masks and boxes at the right pixels, each picture embedded once."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from spatial_agent.tools.errors import ToolArgumentError, ToolFailedError
from spatial_agent.tools.experts import sam3
from spatial_agent.tools.experts.sam3 import Sam3
from spatial_agent.tools.native_imports import install
from spatial_agent.tools.registry import tool_of
from spatial_agent.tools.scene import Detections, Frame, FrameHeader

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

HEIGHT, WIDTH, MASK_PX, MOST_TOKENS = 40, 60, 16, 24


def save_network(folder: Path) -> Path:
    """Save a network for video, as the published one is, whose part for pictures loads by itself."""
    install()
    from transformers import CLIPTokenizer, Sam3Config, Sam3ImageProcessor, Sam3VideoConfig, Sam3VideoModel

    torch.set_num_threads(1)
    letters = [chr(code) for code in range(97, 123)]
    words = ["!", *letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer(
        vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"), pad_token="!"
    ).save_pretrained(folder)
    Sam3ImageProcessor(size={"height": 56, "width": 56}).save_pretrained(folder)
    small: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 2}
    looks = {
        "model_type": "sam3_vit_model",
        "num_hidden_layers": 2,
        "image_size": 56,
        "pretrain_image_size": 28,
        "window_size": 2,
        "global_attn_indexes": [1],
    }
    reads = {
        "model_type": "clip_text_model",
        "num_hidden_layers": 1,
        "vocab_size": len(words),
        "max_position_embeddings": MOST_TOKENS,
        "bos_token_id": len(words) - 2,
        "eos_token_id": len(words) - 1,
        "projection_dim": 32,
    }
    vision = {"fpn_hidden_size": 32, "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]]}
    detector = Sam3Config(
        vision_config=vision | {"backbone_config": small | looks},
        text_config=small | reads,
        geometry_encoder_config=small | {"num_layers": 1},
        detr_encoder_config=small | {"num_layers": 1},
        detr_decoder_config=small | {"num_layers": 2, "num_queries": 8},
        mask_decoder_config={"hidden_size": 32, "num_attention_heads": 2},
    )
    torch.manual_seed(0)
    Sam3VideoModel(Sam3VideoConfig(detector_config=detector.to_dict())).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_network(tmp_path_factory.mktemp("sam3"))


@pytest.fixture
def expert(folder: Path) -> Sam3:
    loaded = Sam3(folder)
    loaded.load("cpu")
    return loaded


def picture(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> Frame:
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Frame(FrameHeader(seed, f"{seed:06d}"), rgb)


def plant(expert: Sam3, patch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Let the network answer two instances, the second one only to the phrase asked second."""
    asked: list[dict[str, Any]] = []

    def forward(**inputs: Any) -> SimpleNamespace:  # noqa: ANN401 - whatever the network takes
        asked.append(inputs)
        count = len(inputs["input_ids"])
        masks = torch.full((count, 2, MASK_PX, MASK_PX), -8.0)
        masks[:, 0, 8:12, 4:8] = 8.0
        masks[:, 1, 0:4, 8:16] = 8.0
        first = len(asked) == 1
        probabilities = torch.tensor([[0.9, 0.2] if first else [0.1, 0.8]]).repeat(count, 1)
        return SimpleNamespace(
            pred_masks=masks,
            pred_boxes=torch.tensor([[0.25, 0.5, 0.5, 0.75], [0.5, 0.0, 1.0, 0.25]]).repeat(count, 1, 1),
            pred_logits=torch.logit(probabilities),
            presence_logits=torch.logit(torch.tensor([[0.75]])).repeat(count, 1),
        )

    patch.setattr(expert._model, "forward", forward)
    return asked


def test_planted_instances_are_found_at_their_pixels(expert: Sam3, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(expert, monkeypatch)
    found = expert(picture(), ["Office chair", "sofa"])
    assert found.labels == ("Office chair", "sofa")
    np.testing.assert_allclose(found.scores, [0.9 * 0.75, 0.8 * 0.75], atol=1e-6)
    # A quarter to a half of 60 columns and half to three quarters of 40 rows; the right half of the first 10.
    np.testing.assert_allclose(found.xyxy_px, [[14.5, 19.5, 29.5, 29.5], [29.5, -0.5, 59.5, 9.5]], atol=1e-4)
    expected = np.zeros((2, HEIGHT, WIDTH), bool)
    expected[0, 20:30, 15:30] = True
    # Scaling up between pixel centres rounds corners off, but for those of the picture.
    expected[0, [20, 20, 29, 29], [15, 29, 15, 29]] = False
    expected[1, :10, 30:] = True
    expected[1, 9, 30] = False
    np.testing.assert_array_equal(found.masks, expected)


def test_what_nobody_is_sure_of_is_not_there(expert: Sam3, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(expert, monkeypatch)
    found = expert(picture(), ["chair"], confidence=0.7)
    assert len(found) == 0
    assert found.masks is not None
    assert found.masks.shape == (0, HEIGHT, WIDTH)


def test_one_picture_is_embedded_once_for_all_its_phrases(
    expert: Sam3, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded: list[int] = []
    encode = expert._model.get_vision_features

    def counted(pixels: Any) -> Any:  # noqa: ANN401 - tensors
        embedded.append(len(pixels))
        return encode(pixels)

    monkeypatch.setattr(expert._model, "get_vision_features", counted)
    expert(picture(1), ["sofa", "chair", "lamp"])
    expert(picture(1), ["table"])
    expert.batch([{"frame": picture(seed), "prompts": ["sofa"]} for seed in (1, 2, 1)])
    assert sum(embedded) == 2


@pytest.mark.parametrize("gpu", [False, True])
def test_a_batch_gives_what_single_phrases_give(
    expert: Sam3, monkeypatch: pytest.MonkeyPatch, gpu: bool
) -> None:
    monkeypatch.setattr(sam3, "on_gpu", lambda device: gpu)
    calls: list[dict[str, Any]] = [
        {"frame": picture(1), "prompts": ["sofa", "red chair", "lamp"], "confidence": 0.0},
        {"frame": picture(2, 50, 30), "prompts": ["lamp"], "confidence": 0.0},
    ]
    both, lamp = expert.batch(calls)
    assert isinstance(both, Detections)
    assert isinstance(lamp, Detections)
    monkeypatch.setattr(sam3, "on_gpu", lambda device: False)
    for result, call in ((both, calls[0]), (lamp, calls[1])):
        alone = expert(**call)
        assert result.labels == alone.labels
        np.testing.assert_allclose(result.scores, alone.scores, atol=1e-4)
        np.testing.assert_allclose(result.xyxy_px, alone.xyxy_px, atol=1e-2)
    assert both.masks is not None
    assert (both.masks.sum(axis=0) <= 1).all()


def test_mixed_precision_changes_scores_little(expert: Sam3, monkeypatch: pytest.MonkeyPatch) -> None:
    single = expert(picture(), ["sofa"], confidence=0.0)
    expert._embeddings.clear()
    monkeypatch.setattr(
        sam3, "half_where_faster", lambda device, kind: torch.autocast("cpu", getattr(torch, kind))
    )
    mixed = expert(picture(), ["sofa"], confidence=0.0)
    assert mixed.scores.max() == pytest.approx(single.scores.max(), abs=0.05)


def test_a_bad_call_costs_its_neighbours_nothing(expert: Sam3) -> None:
    calls: list[dict[str, Any]] = [
        {"frame": picture(), "prompts": ["a very long phrase indeed and more"]},
        {"frame": Frame(FrameHeader(0, "blind")), "prompts": ["sofa"]},
        {"frame": picture(), "prompts": ["sofa"]},
    ]
    long, blind, good = expert.batch(calls)
    assert isinstance(long, ToolArgumentError)
    assert f"at most {MOST_TOKENS} fit" in str(long)
    assert isinstance(blind, ToolFailedError)
    assert isinstance(good, Detections)


def test_its_licence_is_said() -> None:
    (weights,) = tool_of(Sam3).weights
    assert (weights.licence, weights.source) == ("SAM License", "hf:facebook/sam3")
    assert weights.parameters is None


@pytest.mark.gpu
def test_it_moves_to_an_accelerator(folder: Path, expert: Sam3) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    there = Sam3(folder)
    there.load("cuda")
    found = there(picture(), ["sofa"], confidence=0.0)
    assert found.scores.max() == pytest.approx(
        expert(picture(), ["sofa"], confidence=0.0).scores.max(), abs=0.05
    )
