"""Conversations: which message asks, which pictures it is about, and what was said before."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spatial_agent.agent.memory import Dialogue, resolve_followup
from spatial_agent.agent.session import MOST_REMEMBERED
from spatial_agent.agent.situation import Exchange
from spatial_agent.services.api.chat_errors import ChatRequestError
from spatial_agent.services.api.chat_pictures import PictureUrl
from spatial_agent.services.api.chat_prompts import Prompt, is_caption, read_prompt, without_instructions
from spatial_agent.services.api.chat_request import ChatMessage, MediaUrl, Part
from spatial_agent.tools.errors import QuestionError

#: Exchanges that a question may go on from; what lies further back is forgotten.
MOST_EXCHANGES = 8
#: Of these many last exchanges a model is told; what the system says stands among them.
MOST_TOLD = 3
#: Longest question, and what is kept of a system message, characters.
LONGEST_QUESTION = 8000
LONGEST_NOTE = 2000
#: How what the system says is told to a model: as something said, not as a rule.
SAID_BEFOREHAND, NOTED = "(said beforehand)", "noted"
#: A system message that says nothing.
SMALL_TALK = re.compile(r"you are (?:an? )?[\w ,-]{0,60}(?:assistant|model|ai)[.!]?", re.IGNORECASE)
MEDIA = ("image_url", "video_url", "video")


@dataclass(frozen=True)
class Conversation:
    """A conversation as it is understood.

    Attributes:
        prompt: The question that is to be answered, with its options and the form of the answer.
        pictures: The pictures of the last message that has any.
        dialogue: What was asked and answered about them before, oldest first.
        note: What the system's messages say beside the form of answers; "" where that is nothing.
    """

    prompt: Prompt
    pictures: tuple[PictureUrl, ...] = ()
    dialogue: tuple[Exchange, ...] = ()
    note: str = ""


def read_conversation(messages: Sequence[ChatMessage], *, has_scene: bool = False) -> Conversation:
    """Return what a conversation asks.

    The last message of the user asks; several in a row ask together. It is about the pictures of the last
    message that has any, and goes on from what was said since they came.

    Args:
        messages: The messages.
        has_scene: Whether it is about an uploaded scene, so that all of it was about the same.

    Raises:
        ChatRequestError: If nobody asks anything, or a part of a message cannot be read.
    """
    system = "\n".join(
        text for number, item in enumerate(messages) if _is_system(item) for text in _texts(item, number)
    )
    users = [number for number, item in enumerate(messages) if item.role == "user"]
    if not users:
        raise ChatRequestError("expected a message of the role 'user', got none", param="messages")
    asking = _in_a_row(messages, users[-1])
    text = "\n".join(text for number in asking for text in _texts(messages[number], number)).strip()
    if len(text) > LONGEST_QUESTION:
        raise ChatRequestError(
            f"expected a question of at most {LONGEST_QUESTION} characters, got {len(text)}",
            param=f"messages.{asking[-1]}.content",
            code="string_above_max_length",
        )
    shown = [number for number in users if _has_pictures(messages[number])]
    pictures = tuple(_pictures(messages[shown[-1]], shown[-1])) if shown else ()
    since = 0 if has_scene or not shown else shown[-1]
    prompt = read_prompt(text, system)
    return Conversation(prompt, pictures, _dialogue(messages, since, asking[0]), _note(system))


def with_note(conversation: Conversation) -> tuple[Exchange, ...]:
    """Return the dialogue, with what the system said among the last exchanges, which a model is told of."""
    if not conversation.note:
        return conversation.dialogue
    note = Exchange(f"{SAID_BEFOREHAND} {conversation.note}", NOTED)
    earlier, last = conversation.dialogue[:-MOST_TOLD], conversation.dialogue[-MOST_TOLD:]
    return (*earlier, note, *last)


def _is_system(message: ChatMessage) -> bool:
    return message.role in ("system", "developer")


def _in_a_row(messages: Sequence[ChatMessage], last: int) -> list[int]:
    """Return the indices of the user's messages that end with one, with none of the assistant between."""
    row = [last]
    for number in range(last - 1, -1, -1):
        if messages[number].role == "user":
            row.insert(0, number)
        elif not _is_system(messages[number]):
            break
    return row


def _texts(message: ChatMessage, number: int) -> Iterator[str]:
    """Yield the words of a message, without those that only say which picture comes next."""
    if isinstance(message.content, str):
        yield message.content
        return
    parts = message.content or []
    for place, part in enumerate(parts):
        if part.type in MEDIA:
            continue
        if part.type not in ("text", "input_text", "refusal"):
            raise ChatRequestError(
                f"expected parts of the types 'text' and 'image_url', got {ascii(part.type[:40])}; frames of "
                "a video are sent as pictures, and scans uploaded as scenes",
                param=f"messages.{number}.content.{place}.type",
                code="unsupported_content",
            )
        is_before_picture = place + 1 < len(parts) and parts[place + 1].type in MEDIA
        if part.text and not (is_before_picture and is_caption(part.text)):
            yield part.text


def _has_pictures(message: ChatMessage) -> bool:
    return isinstance(message.content, list) and any(part.type in MEDIA for part in message.content)


def _pictures(message: ChatMessage, number: int) -> Iterator[PictureUrl]:
    parts = message.content if isinstance(message.content, list) else []
    for place, part in enumerate(parts):
        if part.type in MEDIA:
            where = f"messages.{number}.content.{place}.{part.type}"
            yield from (PictureUrl(url, where) for url in _urls(part, where))


def _urls(part: Part, where: str) -> list[str]:
    if part.type == "video" and part.video is not None:
        return part.video
    given = part.image_url if part.type == "image_url" else part.video_url
    if given is None:
        raise ChatRequestError(f"expected '{part.type}' with a data URL, got none", param=where)
    return [given.url if isinstance(given, MediaUrl) else given]


def _dialogue(messages: Sequence[ChatMessage], since: int, asking: int) -> tuple[Exchange, ...]:
    """Return what was asked and answered between two messages; each question as it stands by itself."""
    said: list[tuple[str, str]] = []
    asked: list[str] = []
    for number in range(since, asking):
        message = messages[number]
        if message.role == "user":
            asked += _texts(message, number)
        elif message.role == "assistant" and asked:
            said.append(("\n".join(asked), "\n".join(_texts(message, number))))
            asked = []
    dialogue = Dialogue()
    for question, answer in said[-MOST_EXCHANGES:]:
        whole = _whole(read_prompt(question[:LONGEST_QUESTION]).question, dialogue)
        dialogue = dialogue.then(Exchange(whole, answer.strip()[:MOST_REMEMBERED]))
    return dialogue.exchanges


def _whole(question: str, before: Dialogue) -> str:
    try:
        return resolve_followup(question, before)
    except QuestionError:  # it was refused when it was asked, too
        return question


def _note(system: str) -> str:
    text = without_instructions(system).strip()
    return "" if SMALL_TALK.fullmatch(text) else text[:LONGEST_NOTE]
