"""Answers in the form asked for, as the parsers of harnesses read them; and pieces of streams."""

import json
import re

import pytest

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.answerer import abstain
from spatial_agent.services.api.chat_prompts import AnswerShape
from spatial_agent.services.api.chat_replies import Reply, content_of, failing

CLAIM = "The sofa is 2.12 m long <b>, ± 0.03 m."
LENGTH = Answer(
    "The sofa is 2.12 m long.", 2.1234, "m", 2.09, 2.15, 0.03, evidence=({"claim": CLAIM},), tokens=9
)
CHOICE = Answer(
    "B", "left", choice="B", evidence=({"claim": "It is to the left."},), tokens=120, tokens_written=20
)
REFUSED = abstain("A lamp is not in the scene")
SHORT = AnswerShape(is_short=True)
LINE, BOXED = AnswerShape("line", is_short=True), AnswerShape("boxed", is_short=True)
TAGS, JSON = AnswerShape("tags", is_short=True, thinks=True), AnswerShape("json")


def first_token(said: str) -> str:
    """What VSI-Bench's own scoring makes of a reply."""
    return said.split(" ")[0].rstrip(".").strip()


def answer_line(said: str) -> str | None:
    """What inspect's multiple choice makes of a reply."""
    found = re.search(r"(?i)ANSWER\s*:\s*([A-Za-z ,]+)(?:[^\w]|\n|$)", said)
    return found[1] if found else None


@pytest.mark.parametrize(
    ("answer", "shape", "said"),
    [
        (LENGTH, AnswerShape(), "The sofa is 2.12 m long."),
        (LENGTH, SHORT, "2.123"),
        (LENGTH, BOXED, "\\boxed{2.123}"),
        (Answer("4.1", 4.1234, "m", margin=0.2, definition="vsi"), SHORT, "4.1"),
        (Answer("There are 3 chairs.", 3, "count", 3, 3, 0.0), SHORT, "3"),
        (Answer("About 1 km.", 1234.5678, "m", margin=None), SHORT, "1234.57"),
        (Answer("Wide.", 123.456, "cm", margin=20.0), SHORT, "123"),
        (Answer("Fine.", 0.123456, "m", margin=1e-9), SHORT, "0.1235"),
        (Answer("Yes, by 0.1 m.", True), SHORT, "yes"),
        (Answer("No, by 0.1 m.", False), LINE, "ANSWER: no"),
        (Answer("The lamp is closest.", "lamp"), SHORT, "lamp"),
        (Answer("First the lamp.", ["lamp", "sofa"]), SHORT, "lamp, sofa"),
        (Answer("Nobody knows the word."), SHORT, "Nobody knows the word."),
        (CHOICE, AnswerShape(), "B"),
        (CHOICE, SHORT, "B"),
        (CHOICE, LINE, "ANSWER: B"),
        (CHOICE, TAGS, "<think>It is to the left.</think>\n<answer>B</answer>"),
        (CHOICE, AnswerShape("tags", is_short=True), "<answer>B</answer>"),
        (REFUSED, AnswerShape(), "No answer: A lamp is not in the scene"),
        (REFUSED, SHORT, "No answer (A lamp is not in the scene)"),
        (REFUSED, LINE, "No answer (A lamp is not in the scene)"),
    ],
)  # fmt: skip
def test_the_form_asked_for(answer: Answer, shape: AnswerShape, said: str) -> None:
    assert content_of(answer, shape) == said


def test_harnesses_read_what_is_said() -> None:
    assert first_token(content_of(CHOICE, SHORT)) == "B"
    assert float(first_token(content_of(LENGTH, SHORT))) == 2.123
    assert answer_line(content_of(CHOICE, LINE)) == "B"
    assert re.search("<answer>(.*?)</answer>", content_of(CHOICE, TAGS))[1] == "B"  # type: ignore[index]


@pytest.mark.parametrize("shape", [SHORT, LINE, BOXED, TAGS])
def test_no_harness_takes_a_refusal_for_an_option(shape: AnswerShape) -> None:
    said = content_of(REFUSED, shape)
    assert first_token(said) not in "ABCDEFGH"
    assert answer_line(said) is None
    assert "<answer>" not in said


def test_names_in_a_scene_cannot_close_tags() -> None:
    assert content_of(LENGTH, TAGS).count("<") == 4


def test_the_whole_answer_as_json() -> None:
    assert Answer.from_json(json.loads(content_of(LENGTH, JSON))) == Answer.from_json(LENGTH.to_json())
    assert json.loads(content_of(REFUSED, JSON))["abstained"] is True


def test_a_completion_costs_what_the_model_read_and_wrote() -> None:
    completion = Reply("chatcmpl-1", "spatial-agent/open").completion(CHOICE)
    assert completion["usage"] == {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    assert completion["spatial"] == CHOICE.to_json()


def documents(pieces: list[str]) -> list[dict[str, object]]:
    assert pieces[-1] == "data: [DONE]\n\n"
    assert all(piece.startswith("data: ") and piece.endswith("\n\n") for piece in pieces)
    return [json.loads(piece.removeprefix("data: ")) for piece in pieces[:-1]]


@pytest.mark.parametrize("choices", [1, 3])
@pytest.mark.parametrize("with_usage", [False, True])
def test_the_pieces_of_a_stream_make_up_the_answer(choices: int, with_usage: bool) -> None:
    reply = Reply("chatcmpl-1", "spatial-agent/open", SHORT, choices)
    pieces = [*reply.beginning(), reply.on_the_way("stage", {"stage": "plan"})]
    chunks = documents([*pieces, *reply.ending(CHOICE, with_usage=with_usage)])
    said = dict.fromkeys(range(choices), "")
    ends = []
    for chunk in chunks:
        for piece in chunk["choices"]:  # type: ignore[attr-defined]
            said[piece["index"]] += piece["delta"].get("content", "")
            ends.append(piece["finish_reason"])
    assert set(said.values()) == {"B"}
    assert ends.count("stop") == choices
    assert [chunk["spatial"] for chunk in chunks if "spatial" in chunk] == [
        json.loads(json.dumps(CHOICE.to_json()))
    ]
    assert [chunk["usage"]["total_tokens"] for chunk in chunks if "usage" in chunk] == [120] * with_usage  # type: ignore[index]


def test_newlines_in_an_answer_do_not_break_a_stream() -> None:
    reply = Reply("chatcmpl-1", "spatial-agent/open")
    answer = Answer("one\n\ntwo\u2028three\r")
    said = [chunk["choices"] for chunk in documents(list(reply.ending(answer, with_usage=False)))]
    assert said[0][0]["delta"]["content"] == answer.text  # type: ignore[index]


def test_a_stream_that_fails_says_why() -> None:
    error = {"error": {"message": "no", "type": "server_error", "param": None, "code": None}}
    assert documents(list(failing(error))) == [error]
