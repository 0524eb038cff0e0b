"""SAM 2 on a small random network: prompts and masks at the right pixels, and each picture embedded once."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from spatial_agent.tools.errors import ToolArgumentError, ToolFailedError, ToolUnavailableError
from spatial_agent.tools.experts import sam2
from spatial_agent.tools.experts.sam2 import SAM2_WEIGHTS, Sam2
from spatial_agent.tools.registry import tool_of
from spatial_agent.tools.scene import Detections, Frame, FrameHeader, InstanceMask

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

#: Of the pictures; the network takes 64 x 64 and gives masks of 16 x 16.
HEIGHT, WIDTH, MASK_PX = 40, 60, 16
Pictures = Callable[..., Frame]


@pytest.fixture
def expert(folder: Path) -> Sam2:
    loaded = Sam2(folder)
    loaded.load("cpu")
    return loaded


def boxes(*xyxy_px: list[float]) -> Detections:
    labels = tuple(f"thing {number}" for number in range(len(xyxy_px)))
    return Detections(np.array(xyxy_px).reshape(-1, 4), np.linspace(0.9, 0.5, len(xyxy_px)), labels)


def plant(expert: Sam2, block: tuple[slice, slice], patch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Let the network answer a block of its 16 x 16 masks; return what it was asked."""
    asked: list[dict[str, Any]] = []

    def forward(**inputs: Any) -> SimpleNamespace:  # noqa: ANN401 - whatever the network takes
        asked.append(inputs)
        count = inputs["image_embeddings"][-1].shape[0]
        logits = torch.full((count, 1, 3, MASK_PX, MASK_PX), -8.0)
        logits[:, :, 1, *block] = 8.0
        return SimpleNamespace(pred_masks=logits, iou_scores=torch.tensor([[[0.2, 0.75, 0.6]]] * count))

    patch.setattr(expert._model, "forward", forward)
    return asked


def test_boxes_give_one_mask_each_of_the_size_of_the_picture(expert: Sam2, picture: Pictures) -> None:
    given = boxes([-0.5, -0.5, 59.5, 39.5], [3.0, 4.0, 20.0, 30.0])
    found = expert(picture(), boxes=given)
    assert found.masks is not None
    assert found.masks.shape == (2, HEIGHT, WIDTH)
    assert found.labels == given.labels
    np.testing.assert_array_equal(found.scores, given.scores)
    np.testing.assert_array_equal(found.xyxy_px, given.xyxy_px)


def test_a_planted_mask_is_found_at_its_pixels(
    expert: Sam2, picture: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(expert, (slice(8, 12), slice(4, 8)), monkeypatch)
    found = expert(picture(), points_px=[[20, 25, 1]], label="cup")
    # Columns 4 to 8 of 16 are 15 to 30 of 60, rows 8 to 12 of 16 are 20 to 30 of 40: counted from the
    # corner, so pixels 15 to 29 and 20 to 29, whose centres lie inside.
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[20:30, 15:30] = True
    # Scaling up between pixel centres rounds corners off.
    expected[[20, 20, 29, 29], [15, 29, 15, 29]] = False
    assert found.masks is not None
    np.testing.assert_array_equal(found.masks[0], expected)
    assert found.xyxy_px.tolist() == [[14.5, 19.5, 29.5, 29.5]]
    assert found.labels == ("cup",)
    assert found.scores[0] == pytest.approx(0.75)


def test_a_mask_keeps_to_its_own_picture_in_a_batch(
    expert: Sam2, picture: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(expert, (slice(0, 4), slice(8, 16)), monkeypatch)
    calls = [
        {"frame": picture(1), "points_px": [[1, 1, 1]]},
        {"frame": picture(2, 80, 32), "points_px": [[1, 1, 1]]},
    ]
    wide, tall = expert.batch(calls)
    assert isinstance(wide, Detections)
    assert isinstance(tall, Detections)
    assert wide.xyxy_px.tolist() == [[29.5, -0.5, 59.5, 9.5]]
    assert tall.xyxy_px.tolist() == [[15.5, -0.5, 31.5, 19.5]]


def test_prompts_reach_the_network_where_they_are_in_the_picture(
    expert: Sam2, picture: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = plant(expert, (slice(0, 1), slice(0, 1)), monkeypatch)
    expert(picture(), boxes=boxes([-0.5, -0.5, 59.5, 39.5]))
    expert(picture(), points_px=[[29.5, 19.5, 1], [0, 0, 0]])
    # The network adds half a pixel: edges of the picture are then edges of its 64 x 64 input, its middle the
    # middle, and the centre of the first pixel, which is 64/60 wide and 64/40 high, half that from the edge.
    assert (asked[0]["input_boxes"] + 0.5).tolist() == [[[0.0, 0.0, 64.0, 64.0]]]
    middle, first = (asked[1]["input_points"] + 0.5)[0, 0].tolist()
    assert middle == pytest.approx([32.0, 32.0])
    assert first == pytest.approx([64 / 60 / 2, 64 / 40 / 2])
    assert asked[1]["input_labels"].tolist() == [[[1, 0]]]


def test_a_rough_mask_reaches_the_network_in_place(
    expert: Sam2, picture: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = plant(expert, (slice(0, 1), slice(0, 1)), monkeypatch)
    pixels = np.zeros((HEIGHT, WIDTH), bool)
    pixels[20:30, 15:30] = True
    expert(picture(), mask=InstanceMask(pixels, "cup"))
    logits = asked[0]["input_masks"][0, 0]
    assert logits.shape == (MASK_PX, MASK_PX)
    expected = np.zeros((MASK_PX, MASK_PX), bool)
    expected[8:12, 4:8] = True
    np.testing.assert_array_equal(logits.numpy() > 0, expected)


def test_one_picture_is_embedded_once_however_often_it_is_prompted(
    expert: Sam2, picture: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded: list[int] = []
    encode = expert._model.get_image_embeddings

    def counted(pixels: Any) -> Any:  # noqa: ANN401 - tensors
        embedded.append(len(pixels))
        return encode(pixels)

    monkeypatch.setattr(expert._model, "get_image_embeddings", counted)
    frame = picture(3)
    copy = Frame(FrameHeader(9, "another name"), None if frame.rgb is None else frame.rgb.copy())
    expert(frame, boxes=boxes([3, 4, 20, 30]))
    expert(copy, points_px=[[5, 5, 1]])
    expert(picture(4), points_px=[[5, 5, 1]])
    calls = [{"frame": picture(seed), "points_px": [[5, 5, 1]]} for seed in (3, 4, 4, 5)]
    expert.batch(calls)
    assert sum(embedded) == 3


def test_no_more_pictures_are_kept_than_allowed(
    expert: Sam2, picture: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expert._embeddings, "_most", 2)
    results = expert.batch([{"frame": picture(seed), "points_px": [[5, 5, 1]]} for seed in range(4)])
    assert not [result for result in results if isinstance(result, Exception)]
    assert len(expert._embeddings) == 2


@pytest.mark.parametrize("at_once", [(1, 8), (8, 2)])
def test_a_batch_gives_what_single_calls_give(
    expert: Sam2, picture: Pictures, at_once: tuple[int, int]
) -> None:
    expert._at_once = at_once
    rough = InstanceMask(np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 7 > 2, "cup")
    calls: list[dict[str, Any]] = [
        {"frame": picture(1), "boxes": boxes([3, 4, 20, 30], [0, 0, 50, 9], [30, 2, 50, 30])},
        {"frame": picture(2), "points_px": [[5, 5, 1], [9, 9, 0]]},
        {"frame": picture(3, 33, 44), "boxes": boxes([3, 4, 20, 30])},
        {"frame": picture(4), "mask": rough},
        {"frame": picture(4), "boxes": boxes([3, 4, 20, 30]), "mask": rough, "points_px": [[5, 5, 1]]},
        {"frame": picture(2), "boxes": boxes([3, 4, 20, 30], [9, 9, 20, 30]), "points_px": [[5, 5, 1]]},
        {"frame": picture(1), "boxes": boxes()},
    ]
    together = expert.batch(calls)
    expert._embeddings.clear()
    expert._at_once = sam2.ON_A_PROCESSOR
    for call, result in zip(calls, together, strict=True):
        alone = expert(**call)
        assert isinstance(result, Detections)
        assert result.labels == alone.labels
        np.testing.assert_allclose(result.scores, alone.scores, atol=1e-4)
        assert result.masks is not None
        assert alone.masks is not None
        # Where a logit is 0 but for rounding, a pixel may fall on either side.
        assert np.mean(result.masks != alone.masks) < 0.002 if len(alone) else True


def test_a_bad_call_costs_its_neighbours_nothing(expert: Sam2, picture: Pictures) -> None:
    calls: list[dict[str, Any]] = [
        {"frame": Frame(FrameHeader(0, "blind")), "points_px": [[5, 5, 1]]},
        {"frame": picture(), "points_px": [[60, 5, 1]]},
        {"frame": picture()},
        {"frame": picture(), "points_px": [[5, 5, 1]]},
    ]
    blind, outside, nothing, good = expert.batch(calls)
    assert isinstance(blind, ToolFailedError)
    assert isinstance(outside, ToolArgumentError)
    assert "inside the 60 x 40 picture" in str(outside)
    assert isinstance(nothing, ToolArgumentError)
    assert isinstance(good, Detections)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"points_px": [[5, 5]]}, r"\[x, y, 1\]"),
        ({"points_px": [[5, 5, 2]]}, r"\[x, y, 1\]"),
        ({"mask": InstanceMask(np.ones((40, 59), bool), "x")}, r"\(40, 60\).*\(40, 59\)"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    expert: Sam2, picture: Pictures, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ToolArgumentError, match=message):
        expert(picture(), **arguments)


def test_points_show_one_more_object_than_the_boxes(
    expert: Sam2, picture: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(expert, (slice(8, 12), slice(4, 8)), monkeypatch)
    given = boxes([3, 4, 20, 30], [0, 0, 50, 9])
    found = expert(picture(), boxes=given, points_px=[[20, 25, 1]], label="cup")
    assert found.labels == ("thing 0", "thing 1", "cup")
    np.testing.assert_allclose(found.xyxy_px, [*given.xyxy_px, [14.5, 19.5, 29.5, 29.5]])
    assert found.masks is not None
    assert found.masks.shape == (3, HEIGHT, WIDTH)


def test_nothing_boxed_is_nothing_outlined(expert: Sam2, picture: Pictures) -> None:
    found = expert(picture(), boxes=boxes())
    assert len(found) == 0
    assert found.masks is not None
    assert found.masks.shape == (0, HEIGHT, WIDTH)


def test_half_precision_while_looking_changes_masks_little(expert: Sam2, picture: Pictures) -> None:
    prompts = boxes([3, 4, 20, 30], [0, 0, 50, 9])
    single = expert(picture(), boxes=prompts)
    expert._embeddings.clear()
    sam2.encode_in_half(expert._model)
    half = expert(picture(), boxes=prompts)
    assert next(expert._model.vision_encoder.parameters()).dtype == torch.bfloat16
    assert next(expert._model.prompt_encoder.parameters()).dtype == torch.float32
    assert single.masks is not None
    assert half.masks is not None
    assert np.mean(single.masks != half.masks) < 0.1


def test_attention_is_computed_in_one_step(expert: Sam2) -> None:
    assert expert._model.config._attn_implementation == "sdpa"


def test_weights_that_are_not_whole_are_refused(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    for name in [name for name in tensors if name.startswith("mask_decoder.iou_token")]:
        del tensors[name]
    for file in folder.glob("*.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ToolUnavailableError, match=r"lack 1 tensors .*iou_token"):
        Sam2(tmp_path).load("cpu")
    with pytest.raises(ToolUnavailableError, match="pull the weights again"):
        Sam2(tmp_path / "nowhere").load("cpu")


def test_what_it_declares(folder: Path) -> None:
    tool = tool_of(Sam2)
    assert [weights.name for weights in SAM2_WEIGHTS] == [
        f"sam2.1-hiera-{size}" for size in ("tiny", "small", "base-plus", "large")
    ]
    assert {weights.licence for weights in SAM2_WEIGHTS} == {"Apache-2.0"}
    assert tool.spec.references["boxes"] == "optional Detections"
    assert tool.arguments({"points_px": [[1, 2.5, 1]]})["points_px"] == [[1, 2.5, 1]]


def test_parameters_are_those_of_the_architecture() -> None:
    from transformers import Sam2VideoConfig, Sam2VideoModel

    with torch.device("meta"):
        tiny = Sam2VideoModel(Sam2VideoConfig())
    assert sum(numbers.numel() for numbers in tiny.parameters()) == SAM2_WEIGHTS[0].parameters


@pytest.mark.gpu
def test_it_moves_to_an_accelerator(folder: Path, expert: Sam2, picture: Pictures) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    there = Sam2(folder)
    there.load("cuda")
    prompts = boxes([3, 4, 20, 30], [0, 0, 50, 9])
    found, expected = there(picture(), boxes=prompts), expert(picture(), boxes=prompts)
    assert found.masks is not None
    assert expected.masks is not None
    assert np.mean(found.masks != expected.masks) < 0.1
