"""Conversations: who asks, about which pictures, and what was said before."""

import time
from typing import Any

import pytest

from spatial_agent.agent.situation import Exchange
from spatial_agent.services.api.chat_errors import ChatRequestError
from spatial_agent.services.api.chat_messages import Conversation, read_conversation, with_note
from spatial_agent.services.api.chat_request import ChatMessage

FIRST, SECOND = "data:image/png;base64,AAAA", "data:image/png;base64,BBBB"


def picture(url: str = FIRST) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, "detail": "low"}}


def words(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def understood(*messages: tuple[str, Any], has_scene: bool = False) -> Conversation:
    read = [ChatMessage.model_validate({"role": role, "content": content}) for role, content in messages]
    return read_conversation(read, has_scene=has_scene)


def urls(conversation: Conversation) -> list[str]:
    return [found.url for found in conversation.pictures]


def test_words_and_pictures_of_one_message() -> None:
    read = understood(("user", [picture(), words("How tall"), picture(SECOND), words("is the sofa?")]))
    assert read.prompt.question == "How tall\nis the sofa?"
    assert urls(read) == [FIRST, SECOND]
    assert read.pictures[1].place == "messages.0.content.2.image_url"
    assert read.dialogue == ()


@pytest.mark.parametrize(
    "caption", ["<2.5 seconds>", "Frame 3:", "Image-1: ", "[12]", "0.0s", "Timestamp: 4.20 s"]
)
def test_words_that_only_say_which_picture_comes_next_are_no_question(caption: str) -> None:
    read = understood(("user", [words(caption), picture(), words("How tall is the sofa?")]))
    assert read.prompt.question == "How tall is the sofa?"


def test_a_question_before_the_pictures_is_one() -> None:
    read = understood(("user", [words("How many chairs are there?"), picture()]))
    assert read.prompt.question == "How many chairs are there?"


def test_frames_of_a_video_in_one_part() -> None:
    read = understood(("user", [{"type": "video", "video": [FIRST, SECOND]}, words("How tall is the sofa?")]))
    assert urls(read) == [FIRST, SECOND]


def test_a_picture_as_a_bare_url() -> None:
    read = understood(("user", [{"type": "image_url", "image_url": FIRST}, words("Where?")]))
    assert urls(read) == [FIRST]


def test_what_was_said_about_the_same_pictures_is_the_dialogue() -> None:
    read = understood(
        ("user", [picture(), words("How tall is the sofa?")]),
        ("assistant", "The sofa is 0.82 m high."),
        ("user", "And how far is it from the door?"),
        ("assistant", [words("1.20 m.")]),
        ("user", "and the lamp?"),
    )
    assert urls(read) == [FIRST]
    assert read.prompt.question == "and the lamp?"
    assert read.dialogue == (
        Exchange("How tall is the sofa?", "The sofa is 0.82 m high."),
        Exchange("how far is the sofa from the door?", "1.20 m."),
    )


def test_examples_with_pictures_of_their_own_are_no_dialogue() -> None:
    read = understood(
        ("user", [picture(), words("How tall is the sofa?")]),
        ("assistant", "0.8"),
        ("user", [picture(SECOND), words("How tall is the lamp?")]),
    )
    assert (urls(read), read.dialogue) == ([SECOND], ())


def test_all_of_a_conversation_is_about_an_uploaded_scene() -> None:
    turns = [("user", "How tall is the sofa?"), ("assistant", "0.82 m."), ("user", "And the lamp?")]
    assert [item.answer for item in understood(*turns, has_scene=True).dialogue] == ["0.82 m."]


def test_harness_wrapping_is_taken_off_earlier_questions_too() -> None:
    read = understood(
        ("user", "How tall is the sofa?\nAnswer with a single number."),
        ("assistant", "0.82"),
        ("user", "And the lamp?"),
        has_scene=True,
    )
    assert read.dialogue == (Exchange("How tall is the sofa?", "0.82"),)


def test_messages_in_a_row_ask_together() -> None:
    read = understood(("user", [picture()]), ("system", "Be brief."), ("user", "How tall is the sofa?"))
    assert read.prompt.question == "How tall is the sofa?"
    assert urls(read) == [FIRST]


def test_what_comes_after_the_last_question_is_left_out() -> None:
    read = understood(("user", "How tall is the sofa?"), ("assistant", "The answer is"))
    assert read.prompt.question == "How tall is the sofa?"


def test_only_the_last_exchanges_are_kept_in_mind() -> None:
    turns = [
        turn
        for number in range(20)
        for turn in (("user", f"How tall is the sofa-{number}?"), ("assistant", f"{number} m."))
    ]
    read = understood(*turns, ("user", "And the lamp?"), has_scene=True)
    assert [item.answer for item in read.dialogue] == [f"{number} m." for number in range(12, 20)]


def test_what_the_system_says_is_told_as_something_said() -> None:
    said = "What I call the den is the north end.\nAnswer with the option's letter."
    turns = [turn for number in range(4) for turn in (("user", f"q{number}?"), ("assistant", f"a{number}"))]
    read = understood(("system", said), *turns, ("user", "How tall is the sofa?"), has_scene=True)
    assert read.note == "What I call the den is the north end."
    told = with_note(read)
    assert [item.answer for item in told] == ["a0", "noted", "a1", "a2", "a3"]
    assert told[1].question == f"(said beforehand) {read.note}"


@pytest.mark.parametrize(
    "said",
    [
        "You are a helpful assistant.",
        "",
        "You are ChatGPT, a large language model.",
        "Please answer briefly.",
    ],
)
def test_a_system_that_says_nothing_is_not_told(said: str) -> None:
    read = understood(("system", said), ("user", "How tall is the sofa?"))
    assert with_note(read) == ()


def test_no_conversation_takes_long() -> None:
    turns = [
        ("user" if number % 2 else "assistant", "and how far is it from there? " * 300)
        for number in range(999)
    ]
    began = time.process_time()
    understood(("system", "please answer " * 9000), *turns, ("user", "And the lamp?"), has_scene=True)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    ("messages", "param", "part"),
    [
        ([("system", "Be brief.")], "messages", "role 'user'"),
        (
            [("user", [{"type": "input_audio", "input_audio": {}}])],
            "messages.0.content.0.type",
            "input_audio",
        ),
        ([("user", [{"type": "file", "file": {}}])], "messages.0.content.0.type", "uploaded as scenes"),
        ([("user", [words("x"), {"type": "image_url"}])], "messages.0.content.1.image_url", "data URL"),
        ([("user", "x" * 8001)], "messages.0.content", "at most 8000 characters, got 8001"),
    ],
)
def test_what_cannot_be_read_is_refused(messages: list[tuple[str, Any]], param: str, part: str) -> None:
    with pytest.raises(ChatRequestError) as caught:
        understood(*messages)
    assert caught.value.param == param
    assert part in str(caught.value)
