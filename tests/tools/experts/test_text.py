"""Words drawn into pictures are read, and found where they were drawn."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from spatial_agent.tools.errors import ToolFailedError
from spatial_agent.tools.experts.text import RapidOcr
from spatial_agent.tools.registry import tool_of
from spatial_agent.tools.scene import Detections, Frame, FrameHeader

Word = tuple[str, int, tuple[int, int]]  # what, size in pixels, where
PAPER, INK = (230, 230, 225), (20, 20, 40)


@pytest.fixture(scope="module")
def reader() -> RapidOcr:
    pytest.importorskip("rapidocr_onnxruntime")
    made = RapidOcr()
    made.load("cpu")
    return made


def drawn(width: int, height: int, *words: Word) -> tuple[Frame, list[np.ndarray]]:
    """Return a picture with words, and the edges of each word's ink as we count pixels."""
    image = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(image)
    edges = []
    for text, size, at in words:
        font = ImageFont.load_default(size=size)
        draw.text(at, text, font=font, fill=INK)
        edges.append(np.array(draw.textbbox(at, text, font=font)) - 0.5)
    return Frame(FrameHeader(0, "000000"), np.array(image)), edges


def plain(text: str) -> str:
    return text.replace(" ", "").upper()


@pytest.mark.parametrize(
    ("width", "height", "words"),
    [
        (640, 300, [("EXIT", 40, (60, 50)), ("ROOM 27", 36, (300, 200))]),
        (300, 520, [("KITCHEN", 30, (40, 410)), ("push", 34, (150, 60))]),
        (2400, 500, [("MEETING", 90, (1500, 250))]),  # larger than it reads at once
    ],
)
def test_words_are_read_where_they_were_drawn(
    reader: RapidOcr, width: int, height: int, words: list[Word]
) -> None:
    frame, edges = drawn(width, height, *words)

    found = reader(frame)

    read = {plain(label): box for label, box in zip(found.labels, found.xyxy_px, strict=True)}
    assert set(read) == {plain(text) for text, _, _ in words}
    for (text, size, _), edge in zip(words, edges, strict=True):
        np.testing.assert_allclose(read[plain(text)], edge, atol=max(4.0, 0.12 * size), err_msg=text)


def test_the_mask_of_slanted_writing_is_a_slanted_box(reader: RapidOcr) -> None:
    frame, _ = drawn(640, 360, ("SLANTED TEXT", 48, (140, 150)))
    assert frame.rgb is not None
    turned = np.array(Image.fromarray(frame.rgb).rotate(20, Image.Resampling.BICUBIC, fillcolor=PAPER))
    ink = turned.max(axis=2) < 90

    found = reader(Frame(FrameHeader(0, "000000"), turned))

    assert [plain(label) for label in found.labels] == ["SLANTEDTEXT"]
    assert found.masks is not None
    mask = found.masks[0]
    left, top, right, bottom = found.xyxy_px[0]
    assert (ink & mask).sum() > 0.97 * ink.sum()
    assert mask.sum() < 0.65 * (right - left) * (bottom - top)


def test_a_picture_without_text_has_none(reader: RapidOcr) -> None:
    found = reader(drawn(200, 120)[0])
    assert found.labels == ()
    assert found.masks is not None
    assert found.masks.shape == (0, 120, 200)


def test_what_is_not_read_surely_enough_is_dropped(reader: RapidOcr) -> None:
    frame, _ = drawn(640, 300, ("EXIT", 40, (60, 50)), ("ROOM 27", 36, (300, 200)))
    scores = reader(frame, 0.0).scores
    between = float(scores.mean())
    assert scores.min() < between < scores.max()
    assert len(reader(frame, between)) == 1


def test_a_batch_gives_what_single_calls_give_and_failures_stay_alone(reader: RapidOcr) -> None:
    one, other = drawn(400, 200, ("LEFT", 40, (30, 50)))[0], drawn(200, 400, ("UP", 44, (60, 250)))[0]
    first, blind, second = reader.batch(
        [{"frame": one}, {"frame": Frame(FrameHeader(1, "blind"))}, {"frame": other, "confidence": 0.4}]
    )
    assert isinstance(blind, ToolFailedError)
    for batched, single in ((first, reader(one)), (second, reader(other, 0.4))):
        assert isinstance(batched, Detections)
        assert len(batched) == 1
        assert batched.labels == single.labels
        np.testing.assert_array_equal(batched.masks, single.masks)


def test_it_needs_no_weights_beyond_its_package() -> None:
    tool = tool_of(RapidOcr)
    assert (tool.name, tool.weights) == ("text.rapidocr", ())


def test_it_runs_without_torch() -> None:
    pytest.importorskip("rapidocr_onnxruntime")
    code = (
        "import sys\nimport numpy as np\n"
        "from spatial_agent.tools.experts.text import RapidOcr\n"
        "from spatial_agent.tools.scene import Frame, FrameHeader\n"
        "reader = RapidOcr()\nreader.load('cpu')\n"
        "reader(Frame(FrameHeader(0, 'x'), np.zeros((48, 64, 3), np.uint8)))\n"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert run.stdout.strip() == "[]"


@pytest.mark.slow
def test_it_keeps_the_contract_of_experts() -> None:
    pytest.importorskip("rapidocr_onnxruntime")
    from spatial_agent.tools.conformance import check_expert

    verdicts = check_expert(RapidOcr)
    assert [f"{check}: {said}" for check, said in verdicts.items() if not said.startswith("ok")] == []
