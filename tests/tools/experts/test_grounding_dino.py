"""Grounding DINO on a small random network: boxes at the right pixels, each with the prompt it answers."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from spatial_agent.tools.errors import ToolArgumentError, ToolFailedError
from spatial_agent.tools.experts import grounding_dino
from spatial_agent.tools.experts.grounding_dino import GroundingDino, caption, phrase_tokens
from spatial_agent.tools.native_imports import install
from spatial_agent.tools.registry import tool_of
from spatial_agent.tools.scene import Detections, Frame, FrameHeader

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

#: Numbers that the network itself knows tokens by.
SPECIAL = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]", 1012: ".", 1029: "?"}
WORDS = ["office", "chair", "arm", "##chair", "sofa", "dining", "table"]
QUERIES = 10


def save_network(folder: Path) -> Path:
    install()
    from transformers import (
        BertConfig,
        BertTokenizer,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        SwinConfig,
    )

    torch.set_num_threads(1)
    words = [SPECIAL.get(number, f"[unused{number}]") for number in range(1030)] + WORDS
    (folder / "words.txt").write_text("\n".join(words), encoding="utf-8")
    BertTokenizer(vocab=str(folder / "words.txt")).save_pretrained(folder)
    size = {"shortest_edge": 96, "longest_edge": 128}
    GroundingDinoImageProcessor(size=size).save_pretrained(folder)
    layers: dict[str, Any] = {"depths": [1] * 4, "num_heads": [1, 1, 2, 2], "out_indices": [2, 3, 4]}
    backbone = SwinConfig(image_size=64, embed_dim=8, window_size=2, **layers)
    text = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=256,
    )
    config = GroundingDinoConfig(
        backbone_config=backbone,
        text_config=text,
        num_queries=QUERIES,
        encoder_layers=1,
        decoder_layers=2,
        d_model=32,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        max_text_len=24,
    )
    torch.manual_seed(0)
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_network(tmp_path_factory.mktemp("grounding-dino"))


@pytest.fixture
def expert(folder: Path) -> GroundingDino:
    loaded = GroundingDino(folder)
    loaded.load("cpu")
    return loaded


def picture(seed: int = 0, height: int = 40, width: int = 60) -> Frame:
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Frame(FrameHeader(seed, f"{seed:06d}"), rgb)


def plant(
    expert: GroundingDino,
    boxes: list[list[float]],
    probabilities: list[Mapping[int, float]],
    patch: pytest.MonkeyPatch,
) -> list[dict[str, Any]]:
    """Let the network answer boxes (centre and extent, shares) with these probabilities of tokens."""
    asked: list[dict[str, Any]] = []

    def forward(**inputs: Any) -> SimpleNamespace:  # noqa: ANN401 - whatever the network takes
        asked.append(inputs)
        logits = torch.full((len(boxes), 24), float("-inf"))
        for row, tokens in zip(logits, probabilities, strict=True):
            for token, probability in tokens.items():
                row[token] = torch.logit(torch.tensor(probability))
        count = len(inputs["pixel_values"])
        return SimpleNamespace(
            logits=logits.repeat(count, 1, 1), pred_boxes=torch.tensor(boxes).repeat(count, 1, 1)
        )

    patch.setattr(expert._model, "forward", forward)
    return asked


def test_a_planted_box_is_found_at_its_pixels(expert: GroundingDino, monkeypatch: pytest.MonkeyPatch) -> None:
    # Pixels 15 to 29 of 60 and 20 to 29 of 40: a quarter to a half of the width, half to three quarters
    # of the height. The second one reaches beyond the picture.
    boxes = [[0.375, 0.625, 0.25, 0.25], [1.0, 0.5, 0.5, 1.0]]
    plant(expert, boxes, [{1: 0.6}, {1: 0.7}], monkeypatch)
    found = expert(picture(), ["sofa"])
    np.testing.assert_allclose(found.xyxy_px, [[44.5, -0.5, 59.5, 39.5], [14.5, 19.5, 29.5, 29.5]], atol=1e-4)
    np.testing.assert_allclose(found.scores, [0.7, 0.6], atol=1e-6)
    assert found.masks is None


def test_each_box_answers_one_of_the_prompts_as_asked(
    expert: GroundingDino, monkeypatch: pytest.MonkeyPatch
) -> None:
    # [CLS] office chair . arm ##chair . sofa . [SEP]
    answers: list[Mapping[int, float]] = [
        {1: 0.6, 2: 0.7},  # the whole phrase
        {2: 0.6, 4: 0.5, 5: 0.9},  # two phrases at once: the second is surer as a whole
        {7: 0.5},
        {2: 0.8},  # part of a phrase
        {3: 0.9, 0: 0.9},  # only what separates phrases
        {7: 0.3},  # too unsure
    ]
    plant(expert, [[0.5, 0.5, 0.2, 0.2]] * len(answers), answers, monkeypatch)
    found = expert(picture(), ["Office  chair.", "armchair", "sofa"])
    assert list(zip(found.labels, found.scores.round(3).tolist(), strict=True)) == [
        ("armchair", 0.9),
        ("Office  chair.", 0.8),
        ("Office  chair.", 0.7),
        ("sofa", 0.5),
    ]


def test_prompts_become_phrases_with_dots(expert: GroundingDino, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = plant(expert, [[0.5, 0.5, 0.2, 0.2]], [{1: 0.6}], monkeypatch)
    expert(picture(), [" Office chair?", "office chair", "Sofa"])
    words = expert._processor.tokenizer.convert_ids_to_tokens(asked[0]["input_ids"][0].tolist())
    assert words == ["[CLS]", "office", "chair", ".", "sofa", ".", "[SEP]"]


def test_tokens_belong_to_the_phrase_they_are_part_of() -> None:
    assert caption(["office chair", "sofa"]) == "office chair. sofa."
    offsets = [(0, 0), (0, 6), (7, 12), (12, 13), (14, 18), (18, 19), (0, 0)]
    expected = [[0, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0]]
    np.testing.assert_array_equal(phrase_tokens(["office chair", "sofa"], offsets), np.array(expected, bool))


def test_a_batch_gives_what_single_calls_give(expert: GroundingDino, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spatial_agent.tools.experts.grounding_dino.on_gpu", lambda device: True)
    calls: list[dict[str, Any]] = [
        {"frame": picture(1), "prompts": ["sofa", "office chair"], "confidence": 0.0},
        {"frame": picture(2), "prompts": ["sofa", "office chair"], "confidence": 0.0},
        {"frame": picture(3, 50, 30), "prompts": ["sofa", "office chair"], "confidence": 0.0},
        {"frame": picture(4), "prompts": ["table"], "confidence": 0.0},
    ]
    for call, result in zip(calls, expert.batch(calls), strict=True):
        alone = expert(**call)
        assert isinstance(result, Detections)
        assert len(result) == QUERIES
        assert result.labels == alone.labels
        np.testing.assert_allclose(result.xyxy_px, alone.xyxy_px, atol=1e-3)
        np.testing.assert_allclose(result.scores, alone.scores, atol=1e-4)


def test_a_bad_call_costs_its_neighbours_nothing(expert: GroundingDino) -> None:
    calls: list[dict[str, Any]] = [
        {"frame": picture(), "prompts": []},
        {"frame": picture(), "prompts": ["sofa", " . "]},
        {"frame": picture(), "prompts": ["office chair"] + [f"sofa {'sofa ' * k}" for k in range(7)]},
        {"frame": Frame(FrameHeader(0, "blind")), "prompts": ["sofa"]},
        {"frame": picture(), "prompts": ["sofa"], "confidence": 1.5},
        {"frame": picture(), "prompts": ["sofa"]},
    ]
    *refused, good = expert.batch(calls)
    assert [type(error) for error in refused] == [
        ToolArgumentError,
        ToolArgumentError,
        ToolArgumentError,
        ToolFailedError,
        ToolArgumentError,
    ]
    assert "at most 24 fit" in str(refused[2])
    assert isinstance(good, Detections)


def test_what_it_declares() -> None:
    tool = tool_of(GroundingDino)
    assert [weights.source for weights in tool.weights] == [
        "hf:IDEA-Research/grounding-dino-tiny",
        "hf:IDEA-Research/grounding-dino-base",
    ]
    assert tool.spec.parameters["required"] == ["prompts", "frame"]


def test_parameters_are_those_of_the_architecture() -> None:
    install()
    from transformers import GroundingDinoConfig, GroundingDinoForObjectDetection

    with torch.device("meta"):
        tiny = GroundingDinoForObjectDetection(GroundingDinoConfig())
    expected = tool_of(GroundingDino).weights[0].parameters
    assert sum(numbers.numel() for numbers in tiny.parameters()) == expected


def test_mixed_precision_changes_scores_little(
    expert: GroundingDino, monkeypatch: pytest.MonkeyPatch
) -> None:
    single = expert(picture(), ["sofa"], confidence=0.0)
    monkeypatch.setattr(
        grounding_dino, "half_where_faster", lambda device: torch.autocast("cpu", torch.bfloat16)
    )
    mixed = expert(picture(), ["sofa"], confidence=0.0)
    assert mixed.scores.max() == pytest.approx(single.scores.max(), abs=0.1)


@pytest.mark.gpu
def test_it_moves_to_an_accelerator(folder: Path, expert: GroundingDino) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    there = GroundingDino(folder)
    there.load("cuda")
    found = there(picture(), ["sofa", "office chair"], confidence=0.0)
    expected = expert(picture(), ["sofa", "office chair"], confidence=0.0)
    np.testing.assert_allclose(np.sort(found.scores), np.sort(expected.scores), atol=0.05)
