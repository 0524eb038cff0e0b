"""Requests as lmms-eval, VLMEvalKit and inspect send them, and what their scoring makes of the replies.

Sources: ``lmms_eval/models/chat/openai.py`` and ``lmms_eval/protocol.py``, ``vlmeval/api/gpt.py`` and
``vlmeval/dataset/vsibench``, ``inspect_ai/model/_openai.py`` and ``inspect_ai/solver/_multiple_choice.py``.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from spatial_agent.agent.answer import Answer
from spatial_agent.tools.errors import NoSuchObjectError, UnmeasurableError
from tests.services.api.chatting import Chatting, chatting, frame, pictures, words

MODEL = "spatial-agent/open"
FRAMES = "These are frames of a video."
DIRECTION = (
    "If I am standing by the stove and facing the tv, is the sofa to my left, right, or back?\n"
    "An object is to my back if I would have to turn at least 135 degrees in order to face it."
)
OPTIONS = ["A. left", "B. right", "C. back"]
DIRECTLY = "Answer with the option's letter from the given choices directly."
COUNT = "How many chair(s) are in this room?"
ROOM = (
    "What is the size of this room (in square meters)? \n"
    "If multiple rooms are shown, estimate the size of the combined space."
)


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chatting]:
    with chatting(tmp_path_factory.mktemp("service")) as running:
        running.oracle.answers |= {
            COUNT: Answer("4", 4, "count", definition="vsi"),
            "How wide is the piano?": NoSuchObjectError("A piano is not in the scene"),
            "How wide is the harp?": UnmeasurableError("frames without depth or poses"),
        }
        yield running


def content_of(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    content = json.loads(response.text)["choices"][0]["message"]["content"]
    assert isinstance(content, str)
    return content


class TestLmmsEval:
    @staticmethod
    def ask(chat: Chatting, text: str, **fields: object) -> str:
        frames = pictures(*(frame(shade) for shade in range(0, 240, 15)))
        payload: dict[str, Any] = {
            "messages": [{"role": "user", "content": [*frames, words(text)]}],
            "model": MODEL,
            "max_tokens": 16,
            "temperature": 0,
        }
        return content_of(chat.http.post("/chat/completions", json=payload | fields))

    @staticmethod
    def fuzzy(prediction: str) -> str:
        """What the benchmark's scoring reads."""
        return prediction.split(" ")[0].rstrip(".").strip()

    def test_a_choice(self, chat: Chatting) -> None:
        text = "\n".join([FRAMES, DIRECTION, "Options:\n" + "\n".join(OPTIONS), DIRECTLY])
        assert self.fuzzy(self.ask(chat, text)) == "B"
        asked = chat.oracle.asked[-1]
        assert (asked["question"], asked["options"], asked["profile"]) == (DIRECTION, OPTIONS, "open")

    @pytest.mark.parametrize(
        "wanted",
        [
            "Please answer the question using a single word or phrase.",
            "Do not response anything other than a single number!",
        ],
    )
    def test_a_number(self, chat: Chatting, wanted: str) -> None:
        assert float(self.fuzzy(self.ask(chat, f"{FRAMES}\n{COUNT}\n{wanted}"))) == 4

    def test_all_questions_of_one_video_are_about_one_scene(self, chat: Chatting) -> None:
        self.ask(chat, f"{FRAMES}\n{COUNT}\nPlease answer the question using a single word or phrase.")
        self.ask(chat, f"{FRAMES}\n{ROOM}\nPlease answer the question using a single word or phrase.")
        assert chat.oracle.scenes[-1] == chat.oracle.scenes[-2]
        assert chat.oracle.asked[-1]["question"].split() == ROOM.split()

    def test_names_that_are_taken_for_thinking_models(self, chat: Chatting) -> None:
        fields = {"response_format": {"type": "text"}, "max_completion_tokens": 5000}
        assert self.ask(chat, f"{FRAMES}\n{COUNT}", **fields) == "4"

    def test_times_before_frames(self, chat: Chatting) -> None:
        timed = [
            part for number in range(4) for part in (words(f"<{number}.0 seconds>"), *pictures(frame(number)))
        ]
        content = [*timed, words(f"{FRAMES}\n{COUNT}")]
        assert self.ask(chat, "", messages=[{"role": "user", "content": content}]) == "4"
        assert chat.oracle.asked[-1]["question"] == COUNT

    @pytest.mark.parametrize("thing", ["piano", "harp"])
    def test_a_refusal_counts_as_wrong_and_stops_nothing(self, chat: Chatting, thing: str) -> None:
        said = self.ask(chat, f"{FRAMES}\nHow wide is the {thing}?\nAnswer with a single number.")
        assert self.fuzzy(said) == "No"


class TestVlmEvalKit:
    @staticmethod
    def ask(chat: Chatting, content: list[dict[str, Any]], **fields: object) -> str:
        payload = {
            "model": MODEL,
            "messages": [{"role": "user", "content": content}],
            "n": 1,
            "temperature": 0,
        }
        headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-123"}
        body = json.dumps(payload | {"max_tokens": 2048} | fields)
        return content_of(chat.http.post("/chat/completions", content=body, headers=headers)).strip()

    @staticmethod
    def frames() -> list[dict[str, Any]]:
        return pictures(*(frame(shade, "JPEG") for shade in (3, 90, 200)), detail="low")

    def test_a_choice_in_the_original_prompt(self, chat: Chatting) -> None:
        text = "\n".join([FRAMES, DIRECTION, *OPTIONS, DIRECTLY])
        assert self.ask(chat, [*self.frames(), words(text)]) == "B"
        assert (chat.oracle.asked[-1]["question"], chat.oracle.asked[-1]["options"]) == (DIRECTION, OPTIONS)

    def test_a_number_in_the_original_prompt(self, chat: Chatting) -> None:
        text = "\n".join([FRAMES, COUNT, "Answer briefly and directly in one float number."])
        assert float(self.ask(chat, [*self.frames(), words(text)])) == 4

    def test_a_system_prompt_that_wants_tags(self, chat: Chatting) -> None:
        system = (
            "You are a spatial-reasoning assistant. You should first provide a reasoning process, then "
            "provide a "
            "single option (an English letter) as the final answer. The reasoning process and the answer "
            "are enclosed "
            "within <think></think> and <answer></answer> tags, respectively, i.e., <think>reasoning "
            "process</think>, "
            "<answer>answer</answer>."
        )
        text = "\n".join([DIRECTION, *OPTIONS])
        messages = [
            {"role": "system", "content": [words(system)]},
            {"role": "user", "content": [*self.frames(), words(text)]},
        ]
        said = self.ask(chat, [], messages=messages)
        assert re.findall(r"<answer>\s*(.*?)\s*</answer>", said) == ["B"]
        assert chat.oracle.asked[-1]["dialogue"] == []

    def test_multiple_choice_about_one_picture(self, chat: Chatting) -> None:
        text = (
            "Question: Is the sofa left or right of the table?\nOptions:\nA. left\nB. right\n"
            "Please select the correct answer from the options above. \n"
        )
        assert self.ask(chat, [*pictures(frame(7, "JPEG"), detail="high"), words(text)]) == "B"
        assert chat.oracle.asked[-1]["question"] == "Is the sofa left or right of the table?"

    def test_examples_before_the_question(self, chat: Chatting) -> None:
        shot = [
            {"role": "user", "content": [*pictures(frame(1)), words("How long is the sofa?")]},
            {"role": "assistant", "content": [words("2.0")]},
            {"role": "user", "content": [*pictures(frame(2)), words(COUNT)]},
        ]
        assert self.ask(chat, [], messages=shot) == "4"
        assert chat.oracle.asked[-1]["dialogue"] == []

    def test_a_question_without_pictures_stops_nothing(self, chat: Chatting) -> None:
        assert self.ask(chat, [words("Reply with OK.")]).startswith("No answer")


class TestInspect:
    TEMPLATE = (
        "Answer the following multiple choice question. The entire content of your response should be of the "
        "following format: 'ANSWER: $LETTER' (without quotes) where LETTER is one of "
        "{letters}.\n\n{question}\n\n{choices}"
    )
    CHOICES = ("left", "right", "back")

    def ask(self, chat: Chatting, question: str, **fields: object) -> str:
        choices = "\n".join(f"{letter}) {text}" for letter, text in zip("ABC", self.CHOICES, strict=True))
        text = self.TEMPLATE.format(letters="A,B,C", question=question, choices=choices)
        content = [words(text), *pictures(frame(11), frame(12), detail="auto")]
        payload: dict[str, Any] = {
            "messages": [{"role": "system", "content": "Measure."}, {"role": "user", "content": content}],
            "model": MODEL,
            "max_tokens": 1024,
            "stop": ["\n\n"],
            "seed": 42,
            "temperature": 0.5,
            "top_p": 0.9,
            "n": 2,
            "logprobs": True,
            "top_logprobs": 3,
            "parallel_tool_calls": True,
            "reasoning_effort": "medium",
        }
        return content_of(chat.http.post("/chat/completions", json=payload | fields))

    @staticmethod
    def parsed(completion: str) -> str | None:
        found = re.search(r"(?i)ANSWER\s*:\s*([A-Za-z ,]+)(?:[^\w]|\n|$)", completion)
        return found[1] if found else None

    def test_a_choice(self, chat: Chatting) -> None:
        assert self.parsed(self.ask(chat, DIRECTION)) == "B"
        asked = chat.oracle.asked[-1]
        assert (asked["question"], asked["options"]) == (DIRECTION, ["A) left", "B) right", "C) back"])

    def test_a_refusal_is_none_of_the_options(self, chat: Chatting) -> None:
        assert self.parsed(self.ask(chat, "How wide is the piano?")) is None
