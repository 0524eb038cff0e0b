"""OWLv2 on a small random network: boxes at the right pixels of pictures that are not square."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from spatial_agent.tools.errors import ToolArgumentError, ToolFailedError
from spatial_agent.tools.experts import owlv2
from spatial_agent.tools.experts.owlv2 import Owlv2
from spatial_agent.tools.native_imports import install
from spatial_agent.tools.registry import tool_of
from spatial_agent.tools.scene import Detections, Frame, FrameHeader

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

MOST_TOKENS = 32


def save_network(folder: Path) -> Path:
    install()
    from transformers import CLIPTokenizer, Owlv2Config, Owlv2ForObjectDetection, Owlv2ImageProcessor

    torch.set_num_threads(1)
    letters = [chr(code) for code in range(97, 123)] + [str(digit) for digit in range(10)]
    words = ["!", *letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer(
        vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"), pad_token="!"
    ).save_pretrained(folder)
    Owlv2ImageProcessor(size={"height": 48, "width": 48}).save_pretrained(folder)
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = Owlv2Config(
        vision_config=sizes | {"image_size": 48, "patch_size": 16},
        text_config=sizes
        | {
            "vocab_size": len(words),
            "max_position_embeddings": MOST_TOKENS,
            "bos_token_id": len(words) - 2,
            "eos_token_id": len(words) - 1,
        },
        projection_dim=32,
    )
    torch.manual_seed(0)
    network = Owlv2ForObjectDetection(config)
    with torch.no_grad():
        # Random boxes would all be at the edges.
        for numbers in network.box_head.parameters():
            numbers.mul_(0.1)
    network.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_network(tmp_path_factory.mktemp("owlv2"))


@pytest.fixture
def expert(folder: Path) -> Owlv2:
    loaded = Owlv2(folder)
    loaded.load("cpu")
    return loaded


def picture(seed: int = 0, height: int = 40, width: int = 60) -> Frame:
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Frame(FrameHeader(seed, f"{seed:06d}"), rgb)


def plant(
    expert: Owlv2, boxes: list[list[float]], probabilities: list[list[float]], patch: pytest.MonkeyPatch
) -> list[dict[str, Any]]:
    """Let the network answer boxes (centre and extent, shares) with these probabilities of the prompts."""
    asked: list[dict[str, Any]] = []

    def forward(**inputs: Any) -> SimpleNamespace:  # noqa: ANN401 - whatever the network takes
        asked.append(inputs)
        count = len(inputs["pixel_values"])
        return SimpleNamespace(
            logits=torch.logit(torch.tensor(probabilities)).repeat(count, 1, 1),
            pred_boxes=torch.tensor(boxes).repeat(count, 1, 1),
        )

    patch.setattr(expert._model, "forward", forward)
    return asked


def test_planted_boxes_are_found_at_their_pixels(expert: Owlv2, monkeypatch: pytest.MonkeyPatch) -> None:
    # The network sees a square of 60 x 60 with the picture at its top left. Pixels 15 to 29 and 30 to 35
    # are a quarter to a half and a half to 0.6 of it; the second box lies below the picture, where
    # nothing is, and the third reaches there.
    boxes = [[0.375, 0.55, 0.25, 0.1], [0.5, 0.85, 0.2, 0.2], [0.5, 0.65, 1.0, 0.3]]
    plant(expert, boxes, [[0.5, 0.8], [0.9, 0.1], [0.6, 0.1]], monkeypatch)
    found = expert(picture(), ["Red chair", "sofa"])
    np.testing.assert_allclose(found.xyxy_px, [[14.5, 29.5, 29.5, 35.5], [-0.5, 29.5, 59.5, 39.5]], atol=1e-4)
    np.testing.assert_allclose(found.scores, [0.8, 0.6], atol=1e-6)
    assert found.labels == ("sofa", "Red chair")


def test_the_side_that_is_longer_decides(expert: Owlv2, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(expert, [[0.25, 0.5, 0.1, 0.2]], [[0.7]], monkeypatch)
    (found,) = expert(picture(0, height=100, width=40), ["sofa"]).xyxy_px
    np.testing.assert_allclose(found, [19.5, 39.5, 29.5, 59.5], atol=1e-4)


def test_a_bright_square_reaches_the_network_where_its_box_says(
    expert: Owlv2, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = plant(expert, [[0.5, 0.5, 0.1, 0.1]], [[0.7]], monkeypatch)
    rgb = np.zeros((40, 60, 3), np.uint8)
    rgb[20:30, 15:30] = 255
    expert(Frame(FrameHeader(0, "0"), rgb), ["sofa"])
    bright = asked[0]["pixel_values"][0].mean(dim=0).numpy() > 0.5
    rows, columns = np.nonzero(bright)
    # A quarter to a half of 48 columns, a third to a half of 48 rows.
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (12, 23, 16, 23)


def test_a_large_picture_is_shrunk_in_place(expert: Owlv2, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = plant(expert, [[0.375, 0.25, 0.25, 0.25]], [[0.7]], monkeypatch)
    rgb = np.zeros((1000, 2400, 3), np.uint8)
    rgb[300:900, 600:1200] = 255
    found = expert(Frame(FrameHeader(0, "0"), rgb), ["sofa"])
    bright = asked[0]["pixel_values"][0].mean(dim=0).numpy() > 0.5
    rows, columns = np.nonzero(bright)
    # 50 pixels of the picture are one of the network's 48.
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (12, 23, 6, 17)
    np.testing.assert_allclose(found.xyxy_px, [[599.5, 299.5, 1199.5, 899.5]], atol=1e-3)


def test_a_batch_of_pictures_of_any_size_gives_what_single_calls_give(
    expert: Owlv2, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spatial_agent.tools.experts.owlv2.on_gpu", lambda device: True)
    calls: list[dict[str, Any]] = [
        {"frame": picture(1), "prompts": ["sofa", "red chair"], "confidence": 0.0},
        {"frame": picture(2, 50, 30), "prompts": ["sofa", "red chair"], "confidence": 0.0},
        {"frame": picture(3), "prompts": ["lamp"], "confidence": 0.0},
    ]
    results = expert.batch(calls)
    for call, result in zip(calls, results, strict=True):
        alone = expert(**call)
        assert isinstance(result, Detections)
        assert len(result) == len(alone) > 0
        assert set(result.labels) <= set(call["prompts"])
        np.testing.assert_allclose(result.scores, alone.scores, atol=1e-4)
        np.testing.assert_allclose(result.xyxy_px, alone.xyxy_px, atol=1e-2)


def test_a_bad_call_costs_its_neighbours_nothing(expert: Owlv2) -> None:
    calls: list[dict[str, Any]] = [
        {"frame": picture(), "prompts": ["a very very long phrase indeed"]},
        {"frame": picture(), "prompts": [""]},
        {"frame": Frame(FrameHeader(0, "blind")), "prompts": ["sofa"]},
        {"frame": picture(), "prompts": ["sofa"]},
    ]
    long, empty, blind, good = expert.batch(calls)
    assert isinstance(long, ToolArgumentError)
    assert f"at most {MOST_TOKENS} fit" in str(long)
    assert isinstance(empty, ToolArgumentError)
    assert isinstance(blind, ToolFailedError)
    assert isinstance(good, Detections)


def test_prompts_become_sentences(expert: Owlv2, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = plant(expert, [[0.5, 0.5, 0.1, 0.1]], [[0.7, 0.1]], monkeypatch)
    expert(picture(), ["Sofa.", "red  chair"])
    texts = expert._processor.tokenizer.batch_decode(asked[0]["input_ids"], skip_special_tokens=True)
    letters = [text.replace(" ", "").replace("!", "") for text in texts]
    assert letters == ["aphotoofasofa", "aphotoofaredchair"]
    assert asked[0]["input_ids"].shape == (2, MOST_TOKENS)


def test_parameters_are_those_of_the_architecture() -> None:
    install()
    from transformers import Owlv2Config, Owlv2ForObjectDetection

    with torch.device("meta"):
        network = Owlv2ForObjectDetection(Owlv2Config(vision_config={"image_size": 960}))
    expected = tool_of(Owlv2).weights[0].parameters
    assert sum(numbers.numel() for numbers in network.parameters()) == expected


def test_mixed_precision_changes_scores_little(expert: Owlv2, monkeypatch: pytest.MonkeyPatch) -> None:
    single = expert(picture(), ["sofa"], confidence=0.0)
    monkeypatch.setattr(owlv2, "half_where_faster", lambda device: torch.autocast("cpu", torch.bfloat16))
    mixed = expert(picture(), ["sofa"], confidence=0.0)
    assert mixed.scores.max() == pytest.approx(single.scores.max(), abs=0.1)


@pytest.mark.gpu
def test_it_moves_to_an_accelerator(folder: Path, expert: Owlv2) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    there = Owlv2(folder)
    there.load("cuda")
    found = there(picture(), ["sofa"], confidence=0.0)
    expected = expert(picture(), ["sofa"], confidence=0.0)
    np.testing.assert_allclose(np.sort(found.scores), np.sort(expected.scores), atol=0.05)
