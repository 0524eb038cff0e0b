"""A model in the loop: what it may look at, what happens when it fails, regions, programs, dialogues."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.agent.models.chat import ChatReply, ChatRequest
from spatial_agent.agent.models.scripted import Scripted
from spatial_agent.agent.regions import Region
from spatial_agent.agent.trace import read_trace
from spatial_agent.services.runtime import Choices, build_agent
from spatial_agent.services.settings import Settings
from spatial_agent.tools.errors import ModelUnavailableError, QuestionError, SourceError, UnmeasurableError
from spatial_agent.tools.scene import FrameSet
from spatial_agent.tools.synthetic import SyntheticRoom

ROOM = SyntheticRoom.example().resized(160, 120)
Reply = Callable[[ChatRequest], object]
Open = Callable[..., SpatialAgent]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keeps the scenes, so that each is measured once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def opened(cache: Path) -> Iterator[Open]:
    agents = []

    def open_agent(model: object = None, **choices: object) -> SpatialAgent:
        settings = Settings(cache_folder=cache, model="none", model_key=None)
        agents.append(build_agent(Choices(model=model, **choices), settings=settings))  # type: ignore[arg-type]
        return agents[-1]

    yield open_agent
    for agent in agents:
        agent.close()


def answers(answer: str, seen: list[ChatRequest] | None = None) -> Scripted:
    """A model that leaves reading to the grammar, and gives one answer whatever it sees."""

    def reply(request: ChatRequest) -> object:
        if seen is not None:
            seen.append(request)
        return answer if request.purpose in ("answer", "reconsider") else "no idea"

    return Scripted(reply)  # type: ignore[arg-type]


def open_task(objective: str) -> dict[str, object]:
    task = {"intent": "open", "entities": ["sofa", "table"], "objective": objective, "answer_form": "number"}
    return {"document": task | {"viewpoint": "none", "unit": "m"}}


@pytest.fixture(scope="module")
def frames() -> FrameSet:
    return ROOM.frames()


@pytest.fixture(scope="module")
def pictures(frames: FrameSet) -> FrameSet:
    """The same recording without depth and poses."""
    headers = tuple(replace(header, has_depth=False, pose=None) for header in frames.headers)

    def load(index: int, rgb: bool, depth: bool, instances: bool) -> object:
        return replace(frames.load(index, depth=False, instances=False), header=headers[index])

    return replace(frames, headers=headers, loader=load, content_hash="pictures")  # type: ignore[arg-type]


def test_without_a_model_what_cannot_be_measured_is_refused(opened: Open, pictures: FrameSet) -> None:
    with pytest.raises(UnmeasurableError, match="has no depth"):
        opened("none").ask(pictures, "How many chairs are there?")


def test_what_cannot_be_measured_is_answered_from_its_frames_and_marked(
    opened: Open, pictures: FrameSet
) -> None:
    seen: list[ChatRequest] = []
    answer = opened(answers('{"answer": 2}', seen)).ask(pictures, "How many chairs are there?")
    assert (answer.value, answer.decided_by, answer.margin) == (2, "model", None)
    assert "not measured" in (answer.reason or "")
    asked = [request for request in seen if request.purpose == "answer"]
    assert 0 < sum(len(message.pictures) for message in asked[0].messages) <= 6


def test_regions_need_something_that_can_be_measured(opened: Open, pictures: FrameSet) -> None:
    with pytest.raises(SourceError, match="regions belong to what can be measured"):
        opened(answers("2")).ask(pictures, "How tall is <region 1>?", regions=[Region(0, point_px=(3, 4))])


def test_a_model_that_fails_is_told_and_the_evidence_answers(opened: Open, frames: FrameSet) -> None:
    def gone(request: ChatRequest) -> ChatReply:
        raise ModelUnavailableError("the server is down")

    answer = opened(Scripted(gone)).ask(frames, "How many chairs are there?")
    assert (answer.value, answer.decided_by) == (2, "evidence")
    assert answer.degraded == ("the model took no further part: the server is down",)


def test_a_model_that_fails_on_what_only_it_could_read_is_an_error(opened: Open, frames: FrameSet) -> None:
    def gone(request: ChatRequest) -> ChatReply:
        raise ModelUnavailableError("the server is down")

    with pytest.raises(ModelUnavailableError, match="the server is down"):
        opened(Scripted(gone)).ask(frames, "Could the sofa be carried through a door of 80 cm?")


def test_what_nobody_can_read_is_refused_with_the_reason(opened: Open, frames: FrameSet) -> None:
    answer = opened(answers("2")).ask(frames, "Frobnicate the sofa, will you?")
    assert answer.abstained
    assert "Frobnicate" in (answer.reason or "").replace("frob", "Frob")


def test_nothing_to_read_is_refused_at_once(opened: Open, frames: FrameSet) -> None:
    with pytest.raises(QuestionError, match="nothing to read"):
        opened(answers("2")).ask(frames, "  ")


def test_a_program_answers_an_open_question_and_its_number_is_carried_by_evidence(
    opened: Open, frames: FrameSet
) -> None:
    program = (
        "a = tools.size(scene='$scene', of='sofa', dimension='height')\n"
        "b = tools.size(scene='$scene', of='table', dimension='height')\n"
        "answer(a.value + b.value, unit='m', low=a.low + b.low, high=a.high + b.high)"
    )

    def reply(request: ChatRequest) -> object:
        if request.purpose == "formalise":
            return open_task("the height of sofa and table on top of each other")
        if request.purpose == "plan":
            called = any(message.role == "tool" for message in request.messages)
            return "enough" if called else {"calls": [{"tool": "program", "arguments": {"source": program}}]}
        return '{"answer": "1.6", "unit": "m", "cites": ["e1"]}'

    agent = opened(Scripted(reply), interface="code")  # type: ignore[arg-type]
    answer = agent.ask(frames, "If the sofa stood on the table, how high would it reach?")
    heights = [ROOM.scene_map().object(name).box.extent_m[2] for name in ("sofa-1", "table-1")]
    assert answer.low is not None
    assert answer.high is not None
    assert answer.low <= sum(heights) <= answer.high
    called = [
        step.data["tool"] for step in read_trace(agent.trace_path(answer.trace_id)) if step.kind == "call"
    ]
    first = called.index("program")
    assert called[first : first + 3] == ["program", "size", "size"]


def test_a_region_is_measured_under_its_id(opened: Open, frames: FrameSet) -> None:
    table = ROOM.scene_map().object("table-1").box
    frame, at_px = next(
        (index, at_px)
        for index, header in enumerate(frames.headers)
        if (at_px := top_of(table, header, frames.load(index))) is not None
    )
    answer = opened("none").ask(
        frames, "How far is <region 1> from the sofa?", regions=[Region(frame, point_px=at_px)]
    )
    direct = opened("none").ask(frames, "How far is the table from the sofa?")
    assert answer.evidence[0]["objects"] == ["region-1", "sofa-1"]
    assert answer.value == pytest.approx(direct.value, abs=0.3)


def top_of(box: object, header: object, frame: object) -> tuple[float, float] | None:
    """Where a frame shows the middle of a box's top, if it does."""
    centre = box.centre_m + [0, 0, box.extent_m[2] / 2]  # type: ignore[attr-defined]
    local = header.pose.camera_from_world @ [*centre, 1.0]  # type: ignore[attr-defined]
    lens = header.intrinsics  # type: ignore[attr-defined]
    if local[2] < 0.5:
        return None
    x, y = lens.fx * local[0] / local[2] + lens.cx, lens.fy * local[1] / local[2] + lens.cy
    if not (5 < x < lens.width - 5 and 5 < y < lens.height - 5):
        return None
    seen = frame.depth.z_m[round(y), round(x)]  # type: ignore[attr-defined]
    return (float(x), float(y)) if abs(seen - local[2]) < 0.05 else None
