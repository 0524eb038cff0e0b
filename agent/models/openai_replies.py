"""What a server answered, put together and read."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING

from spatial_agent.agent.models.chat import ChatReply, ChatRequest, ModelLimits, ToolRequest, Usage
from spatial_agent.agent.models.json_text import clean_text, find_json, read_document
from spatial_agent.agent.models.openai_messages import ToolNames
from spatial_agent.agent.models.request_size import request_tokens
from spatial_agent.agent.models.text_protocol import read_calls
from spatial_agent.prompts.tokens import text_tokens
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import InvalidValueError

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

#: Stands where a key stood.
HIDDEN = "(key)"


@dataclass
class WrittenCall:
    """A call as a model wrote it.

    Attributes:
        place: Its number in the reply; None where the server does not number calls.
        id: Its id, or nothing.
        name: Name of the tool as the server was told it.
        arguments: Text that should be a JSON object.
    """

    place: int | None
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass
class Heard:
    """An answer as it comes.

    Attributes:
        texts: The words, in pieces.
        calls: The calls, in order.
        ended: Why the model stopped, in the server's word; None where it did not say so.
        usage: Tokens, where the server counted.
    """

    texts: list[str] = field(default_factory=list)
    calls: list[WrittenCall] = field(default_factory=list)
    ended: str | None = None
    usage: Usage | None = None

    @property
    def text(self) -> str:
        """The words."""
        return clean_text("".join(self.texts))

    @property
    def is_cut_off(self) -> bool:
        """Whether the reply was longer than it may be."""
        return self.ended in ("length", "max_tokens")

    def without(self, key: str | None) -> "Heard":
        """Return the answer without a key, which servers that repeat what they are sent put into it."""
        if not key:
            return self
        calls = [
            replace(call, name=call.name.replace(key, HIDDEN), arguments=call.arguments.replace(key, HIDDEN))
            for call in self.calls
        ]
        return replace(self, texts=["".join(self.texts).replace(key, HIDDEN)], calls=calls)

    def add(self, message: "BaseMessage", *, is_piece: bool) -> str:
        """Take in a message, or a piece of one, and return its words."""
        text = str(message.content)
        if text:
            self.texts.append(text)
        calls = [WrittenCall(**call) for call in message.additional_kwargs.get("written_calls", ())]
        if is_piece:
            for call in calls:
                self._add_piece(call)
        else:
            self.calls += calls
        self.ended = message.response_metadata.get("finish_reason") or self.ended
        counted = getattr(message, "usage_metadata", None) or {}
        if counted.get("input_tokens"):
            # Some servers repeat the count with every piece: the last one is the whole.
            self.usage = Usage(counted["input_tokens"], counted.get("output_tokens", 0))
        return text

    def _add_piece(self, piece: WrittenCall) -> None:
        """Add a piece to the call that it belongs to; Gemini numbers none of its calls, or all with 0."""
        last = self.calls[-1] if self.calls else None
        same = next((call for call in reversed(self.calls) if call.place == piece.place), None)
        belongs = last if piece.place is None else same
        if belongs is None or (piece.name and piece.id != belongs.id and (piece.id or piece.place is None)):
            self.calls.append(piece)
            return
        belongs.id = belongs.id or piece.id
        belongs.name = belongs.name or piece.name
        belongs.arguments += piece.arguments


def read_reply(heard: Heard, request: ChatRequest, limits: ModelLimits, names: ToolNames) -> ChatReply:
    """Return what a model said: calls, a document, or words.

    Args:
        heard: The whole answer.
        request: What was asked.
        limits: Limits of the model, by which tokens are estimated where nobody counted.
        names: Names of the tools as they were told.
    """
    text, usage = heard.text, heard.usage or _estimated(heard, request, limits)
    if request.schema is not None:
        return _read_document(text, heard, request, usage)
    used = {call.id for message in request.messages for call in message.requests}
    if heard.calls or not request.tools:
        calls = tuple(_request(call, names, used, heard.is_cut_off) for call in heard.calls)
        return ChatReply(text, calls, usage=usage)
    # Servers that were not told the model's own marks leave calls in the words.
    offered = [name for offer in request.tools for name in (offer.name, names.written(offer.name))]
    found = read_calls(text, offered, used)
    calls = tuple(ToolRequest(c.id, names.read(c.tool), c.arguments, c.problem) for c in found.requests)
    return ChatReply(found.text if calls else text, calls, usage=usage)


def read_arguments(text: str) -> tuple[Mapping[str, Json], str | None]:
    """Return the arguments that a model wrote, or none and what is wrong with them.

    >>> read_arguments('{"a": "sofa",}'), read_arguments("[3]")
    (({'a': 'sofa'}, None), ({}, "expected the arguments as a JSON object, got '[3]'"))
    """
    if not text.strip():
        return {}, None
    try:
        value = json.loads(text, parse_constant=_no_number)
        text = value if isinstance(value, str) else text  # JSON in a string of JSON
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, Mapping):
        found = find_json(text).found
        value = found[0].value if len(found) == 1 else value
    if isinstance(value, Mapping):
        return json.loads(clean_text(json.dumps(value, ensure_ascii=False))), None
    return {}, f"expected the arguments as a JSON object, got {text[:80]!r}"


def _request(call: WrittenCall, names: ToolNames, used: set[str], is_cut_off: bool) -> ToolRequest:
    arguments, problem = read_arguments(call.arguments)
    if problem and is_cut_off:
        problem += " (the reply was cut off for its length; write less)"
    own_id = _unused(call.id, used)
    used.add(own_id)
    return ToolRequest(own_id, names.read(clean_text(call.name)), arguments, problem)


def _unused(wanted: str, used: Iterable[str]) -> str:
    """Return an id that the conversation does not have yet: some servers number each reply's calls anew."""
    taken = frozenset(used)
    if wanted and wanted not in taken:
        return wanted
    stem = wanted or "call"
    return next(name for number in count(1) if (name := f"{stem}-{number}") not in taken)


def _read_document(text: str, heard: Heard, request: ChatRequest, usage: Usage) -> ChatReply:
    try:
        return ChatReply(text, document=read_document(text, request.schema), usage=usage)
    except InvalidValueError as error:
        cut = " (the reply was cut off for its length; write less)" if heard.is_cut_off else ""
        return ChatReply(text, problem=f"{error}{cut}", usage=usage)


def _estimated(heard: Heard, request: ChatRequest, limits: ModelLimits) -> Usage:
    written = text_tokens(heard.text) + sum(text_tokens(call.name + call.arguments) for call in heard.calls)
    return Usage(request_tokens(request, limits), written, is_estimated=True)


def _no_number(word: str) -> Json:
    raise ValueError(f"{word} is no number of JSON")
