"""Tools and JSON documents for models that take neither natively, in plain text.

What the model is told stands in the templates ``text_tools``, ``text_document`` and ``text_repair``. It calls
tools in blocks::

    <tool_call>
    {"name": "distance", "arguments": {"scene": "$scene", "a": "sofa", "b": "lamp"}}
    </tool_call>

and is shown what came of them, in the order of its calls, in the next message of the user::

    <tool_result name="distance">
    ...
    </tool_result>

What it writes is read tolerantly: mistakes in JSON (`agent.models.json_text`), blocks without an end, fences
instead of blocks, bare objects that name an offered tool, and the forms that other protocols have taught
models (``tool`` or ``function`` for ``name``; ``parameters``, ``args`` or ``input`` for ``arguments``; lists
of calls; arguments as a string of JSON). What cannot be read is put to the model once, with what was wrong.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from spatial_agent.agent.models.chat import (
    ChatReply,
    ChatRequest,
    Message,
    ModelLimits,
    OnText,
    Part,
    ToolOffer,
    ToolRequest,
    Usage,
)
from spatial_agent.agent.models.json_text import FoundJson, find_json, read_document, without_thinking
from spatial_agent.agent.models.wrapper import ModelWrapper
from spatial_agent.prompts.template import Template
from spatial_agent.prompts.untrusted import quoted
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import InvalidValueError, ModelRequestError

#: Calls of one reply that are read; what comes behind them is not.
MOST_CALLS = 32
#: Letters of an unreadable reply that the model is shown again.
MOST_SHOWN = 2000

_BEGINS, _ENDS = "<tool_call>", "</tool_call>"
#: Marks of a call in this protocol and in those that models were taught; what they enclose is no prose.
_MARK = re.compile(
    r"</?tool_calls?>|</?function_calls?>|\[/?TOOL_CALLS\]|<\|python_tag\|>|```(?:json|tool_calls?|tool_code)?"
)
_CALL_MARK = re.compile(
    r"(?:<(?:tool|function)_calls?>|\[TOOL_CALLS\]|<\|python_tag\|>|```tool_(?:calls?|code))\s*"
)
_NAME_GUESS = re.compile(r"""["'](?:name|tool|function)["']\s*:\s*["']([\w.-]{1,80})["']""")
_NAMES = ("name", "tool", "function", "tool_name")
_ARGUMENTS = ("arguments", "parameters", "args", "input")
_LISTS = ("tool_calls", "calls", "tools")


@dataclass(frozen=True)
class ReadCalls:
    """What was read in a reply of a model that was offered tools.

    Attributes:
        text: The words around the calls.
        requests: The calls, their ids still to be made up.
        problem: Why something that was meant as a call is none, or None.
    """

    text: str
    requests: tuple[ToolRequest, ...]
    problem: str | None = None


class TextProtocol(ModelWrapper):
    """A `ChatModel` that gives tools and schemas to a model without them; what it has is passed on."""

    @property
    def limits(self) -> ModelLimits:
        """What the model takes and does, tools and schemas included."""
        return replace(self._inner.limits, has_tools=True, has_schemas=True)

    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        """Return what the model says; words around calls and documents come to `on_text` in one piece.

        Raises:
            ModelUnavailableError: If the model cannot be reached.
            ModelRequestError: If the model refuses the request.
        """
        written = written_out(request, self._inner.limits)
        if written.tools == request.tools and written.schema == request.schema:
            return await self._inner.reply(written, on_text)
        reply = _read(await self._inner.reply(written), request)
        if reply.problem is not None:
            reply = await self._repaired(written, request, reply)
        if on_text is not None and reply.text:
            on_text(reply.text)
        return reply if request.schema is not None else _unread_call(reply, request)

    async def _repaired(self, written: ChatRequest, request: ChatRequest, first: ChatReply) -> ChatReply:
        """Tell the model once what could not be read, and return its second reply."""
        form = "with one JSON object only." if request.tools == () else "with calls in <tool_call> blocks."
        words = Template.load("text_repair").fill(problem=first.problem or "", form=form)
        said = Message("assistant", (first.text[:MOST_SHOWN] or "(nothing)",))
        again = replace(written, messages=(*written.messages, said, Message("user", (words,))))
        try:
            second = _read(await self._inner.reply(again), request)
        except ModelRequestError:  # with its own words added the request is too long
            return first
        return replace(second, usage=_sum(first.usage, second.usage))


def written_out(request: ChatRequest, limits: ModelLimits) -> ChatRequest:
    """Return a request with tools and schema, where a model lacks them, as words of the conversation."""
    messages = request.messages
    rules = []
    if not limits.has_tools:
        messages = tuple(_plain_turns(messages))
        if request.tools:
            offers = "\n".join(_offer(offer) for offer in request.tools)
            rules.append(Template.load("text_tools").fill(tools=offers))
            request = replace(request, tools=())
    if request.schema is not None and not limits.has_schemas:
        rules.append(Template.load("text_document").fill(schema=json.dumps(dict(request.schema))))
        request = replace(request, schema=None)
    return replace(request, messages=tuple(_with_rules(messages, rules)))


def read_calls(text: str, offered: Iterable[str], used_ids: Iterable[str] = ()) -> ReadCalls:
    """Return the calls that a model wrote, whatever else it wrote; never raises.

    Args:
        text: The reply.
        offered: Names of the tools it was offered.
        used_ids: Ids of earlier calls of the conversation, which are not given again.

    >>> read_calls('I measure. {"tool": "size", "args": {"of": "sofa"}}', ["size"]).requests
    (ToolRequest(id='call-1', tool='size', arguments={'of': 'sofa'}, problem=None),)
    """
    text = without_thinking(text)
    names, in_text = frozenset(offered), find_json(text)
    calls: list[tuple[FoundJson, Mapping[str, Json]]] = []
    for item in in_text.found:
        marked = _is_marked(text, item)
        calls += [(item, call) for call in _calls_in(item.value) if marked or _tool(call) in names]
    ids = _new_ids(frozenset(used_ids))
    requests = tuple(_request(next(ids), call) for _, call in calls[:MOST_CALLS])
    words = _words_around(text, [item for item, _ in calls])
    if requests or not (_CALL_MARK.search(text) or in_text.problem):
        return ReadCalls(words, requests)
    problem = in_text.problem or "an object without the name of a tool"
    return ReadCalls(text.strip(), (), f'expected {{"name": ..., "arguments": {{...}}}}, got {problem}')


def _read(reply: ChatReply, request: ChatRequest) -> ChatReply:
    """Return a reply of words as what was asked for: calls, or a document."""
    if request.schema is not None:
        try:
            return replace(reply, document=read_document(reply.text, request.schema), problem=None)
        except InvalidValueError as error:
            return replace(reply, document=None, problem=str(error))
    read = read_calls(reply.text, [offer.name for offer in request.tools], _ids(request))
    return replace(reply, text=read.text, requests=read.requests, problem=read.problem)


def _unread_call(reply: ChatReply, request: ChatRequest) -> ChatReply:
    """Return a reply whose unreadable call, where it was marked as one, is a call with a problem."""
    if reply.problem is None or not _CALL_MARK.search(reply.text):
        return replace(reply, problem=None)
    guess = _NAME_GUESS.search(reply.text)
    call = ToolRequest(next(_new_ids(_ids(request))), guess.group(1) if guess else "", problem=reply.problem)
    return replace(reply, requests=(call,), problem=None)


def _ids(request: ChatRequest) -> frozenset[str]:
    return frozenset(call.id for message in request.messages for call in message.requests)


def _offer(offer: ToolOffer) -> str:
    return f"- {offer.name}: {offer.description}\n  arguments: {json.dumps(dict(offer.parameters))}"


def _with_rules(messages: Sequence[Message], rules: Sequence[str]) -> Iterator[Message]:
    """Yield messages with rules at the end of the system message, which is made where there is none."""
    if not rules:
        yield from messages
        return
    has_system = bool(messages) and messages[0].role == "system"
    own: tuple[Part, ...] = messages[0].parts if has_system else ()
    yield Message("system", (*own, *rules))
    yield from messages[1:] if has_system else messages


def _plain_turns(messages: Iterable[Message]) -> Iterator[Message]:
    """Yield messages with calls and results as words; what one side says in a row becomes one message."""
    tools: dict[str, str] = {}
    last: Message | None = None
    for message in messages:
        tools |= {call.id: call.tool for call in message.requests}
        plain = _plain_turn(message, tools)
        if last is not None and last.role == plain.role:
            last = replace(last, parts=(*last.parts, *plain.parts))
            continue
        if last is not None:
            yield last
        last = plain
    if last is not None:
        yield last


def _plain_turn(message: Message, tools: Mapping[str, str]) -> Message:
    if message.role == "tool":
        return Message("user", _result(message, tools.get(message.answers or "", "tool")))
    return Message(message.role, (*message.parts, *map(_call_block, message.requests)))


def _result(message: Message, tool: str) -> tuple[Part, ...]:
    return (f"<tool_result name={quoted(tool)}>", *message.parts, "</tool_result>")


def _call_block(call: ToolRequest) -> str:
    written = {"name": call.tool, "arguments": dict(call.arguments)}
    return f"{_BEGINS}\n{json.dumps(written, ensure_ascii=False)}\n{_ENDS}"


def _is_marked(text: str, item: FoundJson) -> bool:
    """Return whether a mark of a call stands right before an object, so that it must be meant as one."""
    before = text[max(0, item.start - 40) : item.start]
    return any(mark.end() == len(before) for mark in _CALL_MARK.finditer(before))


def _calls_in(value: Json) -> Iterator[Mapping[str, Json]]:
    """Yield the calls of an object or a list: objects that name a tool."""
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, Mapping) and _tool(item))
        return
    inner = next((value[name] for name in _LISTS if isinstance(value.get(name), list)), None)
    if inner is not None and not _tool(value):
        yield from (item for item in inner if isinstance(item, Mapping) and _tool(item))
    elif _tool(value):
        yield value


def _tool(call: Mapping[str, Json]) -> str:
    """Return the tool that an object names, or nothing."""
    call = _unpacked(call)
    return next((call[name] for name in _NAMES if isinstance(call.get(name), str)), "")


def _unpacked(call: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return the call inside ``{"type": "function", "function": {...}}``."""
    function = call.get("function")
    return function if isinstance(function, Mapping) else call


def _request(own_id: str, call: Mapping[str, Json]) -> ToolRequest:
    tool, call = _tool(call), _unpacked(call)
    arguments: Any = next((call[name] for name in _ARGUMENTS if name in call), None)
    if arguments is None:  # some write the arguments beside the name
        arguments = {name: value for name, value in call.items() if name not in (*_NAMES, "id", "type")}
    if isinstance(arguments, str):
        found = find_json(arguments).found
        arguments = found[0].value if len(found) == 1 else arguments
    if isinstance(arguments, Mapping):
        return ToolRequest(own_id, tool, dict(arguments))
    got = repr(arguments)[:80]
    return ToolRequest(own_id, tool, problem=f"expected the arguments as a JSON object, got {got}")


def _words_around(text: str, items: Sequence[FoundJson]) -> str:
    """Return the text without calls and their marks."""
    if not items:
        return text.strip()
    kept, position = [], 0
    for item in items:
        kept.append(text[position : max(position, item.start)])
        position = max(position, item.end)
    return _MARK.sub("", " ".join([*kept, text[position:]])).strip()


def _new_ids(used: frozenset[str]) -> Iterator[str]:
    return (name for name in (f"call-{number}" for number in count(1)) if name not in used)


def _sum(first: Usage, second: Usage) -> Usage:
    return Usage(
        first.input_tokens + second.input_tokens,
        first.output_tokens + second.output_tokens,
        first.is_estimated or second.is_estimated,
    )
