"""Following things through frames on a small random network: against the library's own loop, and planted."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from spatial_agent.tools.errors import ToolArgumentError, ToolFailedError
from spatial_agent.tools.experts import sam2_video
from spatial_agent.tools.experts.sam2_video import Sam2Video
from spatial_agent.tools.registry import tool_of
from spatial_agent.tools.scene import Detections, Frame, FrameHeader, Tracks

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

HEIGHT, WIDTH, MASK_PX = 40, 60, 16
Pictures = Callable[..., Frame]


@pytest.fixture
def expert(folder: Path) -> Sam2Video:
    loaded = Sam2Video(folder)
    loaded.load("cpu")
    return loaded


def start(*, masks: bool = True) -> Detections:
    pixels = np.zeros((2, HEIGHT, WIDTH), bool)
    pixels[0, 5:20, 10:30] = True
    pixels[1, 20:30, 30:50] = True
    boxes = np.array([[9.5, 4.5, 29.5, 19.5], [29.5, 19.5, 49.5, 29.5]])
    return Detections(boxes, np.array([0.5, 0.7]), ("chair", "table"), pixels if masks else None)


def test_it_gives_what_the_library_gives_for_the_whole_video_at_once(
    expert: Sam2Video, picture: Pictures
) -> None:
    # More frames than the network looks back at, and frames are let go of on the way.
    frames = tuple(picture(seed) for seed in range(20))
    tracks = expert(frames, start())

    from transformers import Sam2VideoInferenceSession, Sam2VideoProcessor, Sam2VideoVideoProcessor

    size = {"height": 64, "width": 64}
    processor: Any = Sam2VideoProcessor(expert._processor, Sam2VideoVideoProcessor(size=size))
    images = [torch.tensor(frame.rgb).permute(2, 0, 1) for frame in frames]
    video = torch.cat([expert._processor(images=image, return_tensors="pt").pixel_values for image in images])
    session = Sam2VideoInferenceSession(video, HEIGHT, WIDTH, dtype=torch.float32)
    masks = start().masks
    assert masks is not None
    processor.add_inputs_to_inference_session(session, 0, [1, 2], input_masks=list(masks))
    for outputs in expert._model.propagate_in_video_iterator(session, start_frame_idx=0):
        if outputs.frame_idx == 0:
            continue
        (expected,) = processor.post_process_masks([outputs.pred_masks], [(HEIGHT, WIDTH)])
        found = {mask.instance_id: mask.pixels for mask in tracks.masks[outputs.frame_idx]}
        for number, pixels in enumerate(expected[:, 0].numpy(), start=1):
            assert np.mean(found[number] != pixels) < 0.002


def test_memory_does_not_grow_with_the_video(
    expert: Sam2Video, picture: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions: list[Any] = []
    make = expert._session

    def remembered(given: Detections, shape: tuple[int, ...]) -> Any:  # noqa: ANN401 - transformers' own
        sessions.append(make(given, shape))
        return sessions[-1]

    monkeypatch.setattr(expert, "_session", remembered)
    expert(tuple(picture(seed) for seed in range(20)), start(masks=False))
    (session,) = sessions
    assert not session.processed_frames
    for outputs in session.output_dict_per_obj.values():
        assert len(outputs["non_cond_frame_outputs"]) <= expert._model.config.max_object_pointers_in_encoder


def test_planted_masks_are_found_at_their_pixels_in_their_frames(
    expert: Sam2Video, picture: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:

    def forward(inference_session: Any, frame: Any, frame_idx: int) -> SimpleNamespace:  # noqa: ANN401
        inference_session.processed_frames = {frame_idx: frame}
        logits = torch.full((2, 1, MASK_PX, MASK_PX), -8.0)
        column = 4 * frame_idx
        logits[0, 0, 8:12, column : column + 4] = 8.0
        if frame_idx == 0:
            logits[1, 0, :4, :4] = 8.0
        return SimpleNamespace(pred_masks=logits, object_score_logits=torch.tensor([[2.0], [-3.0]]))

    monkeypatch.setattr(expert._model, "forward", forward)
    frames = tuple(picture(seed) for seed in (7, 8, 9, 5))
    tracks = expert(frames, start(masks=False), start_frame=1)

    assert tracks.frames == (7, 8, 9, 5)
    assert [[mask.instance_id for mask in masks] for masks in tracks.masks] == [[1], [1, 2], [1], [1]]
    first = [np.nonzero(masks[0].pixels) for masks in tracks.masks]
    # Four of 16 columns are 15 of 60: from the start in frame 1 they move by that, both ways in time.
    assert [(int(columns.min()), int(columns.max())) for _, columns in first] == [
        (15, 29),
        (0, 14),
        (15, 29),
        (30, 44),
    ]
    assert {(int(rows.min()), int(rows.max())) for rows, _ in first} == {(20, 29)}
    assert tracks.masks[0][0].label == "chair"
    assert tracks.masks[0][0].score == pytest.approx(1 / (1 + np.exp(-2.0)))


def test_boxes_reach_the_network_where_they_are_in_the_picture(
    expert: Sam2Video, picture: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    embed = expert._model.prompt_encoder._embed_points

    def remembered(points: Any, labels: Any, pad: bool) -> Any:  # noqa: ANN401 - tensors
        asked.append((points, labels))
        return embed(points, labels, pad)

    monkeypatch.setattr(expert._model.prompt_encoder, "_embed_points", remembered)
    whole = Detections(np.array([[-0.5, -0.5, 59.5, 39.5]]), np.array([0.5]), ("chair",))
    expert((picture(0),), whole)
    points, labels = asked[0]
    assert (points + 0.5).tolist() == [[[[0.0, 0.0], [64.0, 64.0]]]]
    assert labels.tolist() == [[[2, 3]]]


def test_given_masks_come_back_as_they_were(expert: Sam2Video, picture: Pictures) -> None:
    given = start()
    tracks = expert((picture(0), picture(1)), given, start_frame=1)
    assert given.masks is not None
    for number, mask in enumerate(tracks.masks[1]):
        np.testing.assert_array_equal(mask.pixels, given.masks[number])
        assert mask.score == given.scores[number]


def test_nothing_to_follow_is_followed_nowhere(expert: Sam2Video, picture: Pictures) -> None:
    nothing = Detections(np.empty((0, 4)), np.empty(0), ())
    tracks = expert((picture(0), picture(1)), nothing)
    assert isinstance(tracks, Tracks)
    assert tracks.masks == ((), ())


def test_mixed_precision_changes_masks_little(
    expert: Sam2Video, picture: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = tuple(picture(seed) for seed in range(4))
    single = expert(frames, start())
    monkeypatch.setattr(
        sam2_video, "half_where_faster", lambda device, kind: torch.autocast("cpu", getattr(torch, kind))
    )
    mixed = expert(frames, start())
    for one, other in zip(single.masks, mixed.masks, strict=True):
        for mask, same in zip(one, other, strict=True):
            assert np.mean(mask.pixels != same.pixels) < 0.15


@pytest.mark.parametrize("number", [-1, 2])
def test_a_start_beyond_the_frames_is_refused(expert: Sam2Video, picture: Pictures, number: int) -> None:
    with pytest.raises(ToolArgumentError, match="expected 0 to 1"):
        expert((picture(0), picture(1)), start(), start_frame=number)


def test_frames_that_do_not_fit_are_refused(expert: Sam2Video, picture: Pictures) -> None:
    with pytest.raises(ToolArgumentError, match="one size"):
        expert((picture(0), picture(1, 40, 50)), start())
    with pytest.raises(ToolArgumentError, match=r"\(50, 60\).*\(40, 60\)"):
        expert((picture(0, 50, 60),), start())
    with pytest.raises(ToolFailedError, match="no colour image"):
        expert((Frame(FrameHeader(0, "blind")),), start())


def test_what_it_declares() -> None:
    spec = tool_of(Sam2Video).spec
    assert spec.references == {"frames": "list of Frame", "start": "Detections"}
    assert spec.returns == "Tracks"


@pytest.mark.gpu
def test_it_moves_to_an_accelerator(folder: Path, expert: Sam2Video, picture: Pictures) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    there = Sam2Video(folder)
    there.load("cuda")
    frames = tuple(picture(seed) for seed in range(3))
    for one, other in zip(there(frames, start()).masks, expert(frames, start()).masks, strict=True):
        for mask, same in zip(one, other, strict=True):
            assert np.mean(mask.pixels != same.pixels) < 0.15
