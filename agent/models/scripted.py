"""A model that plays a script: for tests, demonstrations, and trying the loop without any model.

A script file is JSON::

    {
      "format": "spatial-agent/model-script@1",
      "name": "careful planner",
      "limits": {"context_tokens": 8192, "most_pictures": 4},
      "replies": [
        {"purpose": "plan", "calls": [{"tool": "distance", "arguments": {"scene": "$scene", "a": "sofa"}}]},
        {"purpose": "answer", "document": {"answer": "1.2 m"}},
        "plain words, for whatever is asked next",
        {"error": "unavailable", "text": "the server is down"}
      ]
    }

``name`` and ``limits`` may be missing. Each request gets the first reply not yet played whose ``purpose`` is
that of the request or is left out. A reply is plain words or an object of `REPLY_KEYS`; one that has a
``document`` and no ``text`` has the document as its text.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from spatial_agent.agent.models.chat import (
    ChatReply,
    ChatRequest,
    ModelLimits,
    OnText,
    Purpose,
    ToolRequest,
    Usage,
)
from spatial_agent.agent.models.json_text import read_document
from spatial_agent.tools.errors import (
    InvalidValueError,
    ModelError,
    ModelRequestError,
    ModelUnavailableError,
    SourceError,
)

FORMAT = "spatial-agent/model-script@1"
#: What a reply may say: its purpose, words, calls (each with ``tool``, ``arguments`` and perhaps an own
#: ``id``), the document, an error (``"unavailable"`` or ``"request"``, with the text as message), its usage.
REPLY_KEYS = ("purpose", "text", "calls", "document", "error", "usage")

ScriptedReply = ChatReply | str | Mapping[str, Any]
_ERRORS: Mapping[str, type[ModelError]] = {
    "unavailable": ModelUnavailableError,
    "request": ModelRequestError,
}
_PIECE = re.compile(r"\s*\S+\s*|\s+")


class Scripted:
    """A `ChatModel` that says what it was told to say.

    Attributes:
        requests: Everything it was asked, in order.
    """

    def __init__(
        self,
        replies: Sequence[ScriptedReply] | Callable[[ChatRequest], ScriptedReply],
        *,
        limits: ModelLimits | None = None,
        name: str = "scripted",
    ) -> None:
        """Play a script.

        Args:
            replies: What it says, in the order of a script file; or a function of the request.
            limits: What it pretends to take and do; everything where left out.
            name: For traces and people.

        Raises:
            InvalidValueError: If a reply is none.
        """
        self.requests: list[ChatRequest] = []
        self._limits = limits or ModelLimits()
        self._name = name
        self._play = replies if callable(replies) else _Script(replies).next
        self._calls = 0

    @classmethod
    def from_file(cls, path: Path) -> "Scripted":
        """Play the script of a file.

        Raises:
            SourceError: If the file cannot be read or is no script; the message says what was expected.
        """
        try:
            script = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(script, dict) or script.get("format") != FORMAT:
                raise InvalidValueError(f"expected an object with format {FORMAT!r}")
            limits = ModelLimits(**script.get("limits", {}))
            return cls(list(script["replies"]), limits=limits, name=str(script.get("name", path.stem)))
        except KeyError as error:
            raise SourceError(f"{path.name} is no model script: {error} is missing") from None
        except (OSError, ValueError, TypeError) as error:
            raise SourceError(f"{path.name} is no model script: {error}") from error

    @property
    def name(self) -> str:
        """Name for traces and people."""
        return self._name

    @property
    def limits(self) -> ModelLimits:
        """What it pretends to take and do."""
        return self._limits

    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        """Return what the script says next, word by word to `on_text` first.

        Raises:
            ModelUnavailableError: If the script is over, or says so.
            ModelRequestError: If the script says so.
            InvalidValueError: If the function gave back what is no reply.
        """
        self.requests.append(request)
        await asyncio.sleep(0)  # as with any model, others get their turn, and a cancelled call ends
        reply = self._with_ids(_reply(self._play(request), request))
        if on_text is not None:
            for piece in _PIECE.findall(reply.text):
                on_text(piece)
        return reply

    async def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def _with_ids(self, reply: ChatReply) -> ChatReply:
        """Give calls without an id one that no other call of this model has."""
        named = []
        for call in reply.requests:
            self._calls += 1
            named.append(call if call.id else replace(call, id=f"call-{self._calls}"))
        return replace(reply, requests=tuple(named))


class _Script:
    """Replies not yet played."""

    def __init__(self, replies: Sequence[ScriptedReply]) -> None:
        for number, reply in enumerate(replies):
            _check(reply, f"reply {number + 1}")
        self._left = list(replies)
        self._played = 0

    def next(self, request: ChatRequest) -> ScriptedReply:
        for place, reply in enumerate(self._left):
            purpose = reply.get("purpose") if isinstance(reply, Mapping) else None
            if purpose in (None, request.purpose):
                self._played += 1
                return self._left.pop(place)
        raise ModelUnavailableError(
            f"the script has no reply for a request to {request.purpose}: {self._played} were played, "
            f"{len(self._left)} for other purposes are left; add one"
        )


def _check(reply: object, where: str = "a scripted reply") -> None:
    """Refuse what is no reply, with what was expected."""
    if isinstance(reply, ChatReply | str):
        return
    if not isinstance(reply, Mapping):
        raise InvalidValueError(f"{where}: expected words or an object, got {type(reply).__name__}")
    unknown = sorted(set(reply) - set(REPLY_KEYS))
    if unknown or not reply:
        raise InvalidValueError(f"{where}: expected some of {', '.join(REPLY_KEYS)}, got {unknown or 'none'}")
    if reply.get("purpose") not in (None, *get_args(Purpose)):
        raise InvalidValueError(f"{where}: expected purpose {get_args(Purpose)}, got {reply['purpose']!r}")
    if reply.get("error") not in (None, *_ERRORS):
        raise InvalidValueError(f"{where}: expected error {tuple(_ERRORS)}, got {reply['error']!r}")
    calls = reply.get("calls", ())
    if not isinstance(calls, Sequence) or not all(isinstance(c, Mapping) and "tool" in c for c in calls):
        raise InvalidValueError(f"{where}: expected calls with a tool each, got {calls!r}")


def _reply(scripted: ScriptedReply, request: ChatRequest) -> ChatReply:
    _check(scripted)
    if isinstance(scripted, ChatReply):
        return scripted
    if isinstance(scripted, str):
        return _said(scripted, request)
    if error := scripted.get("error"):
        raise _ERRORS[error](str(scripted.get("text", f"scripted error: {error}")))
    text = scripted.get("text")
    if text is None:
        text = json.dumps(scripted["document"], ensure_ascii=False) if "document" in scripted else ""
    reply = replace(_said(str(text), request), usage=Usage(**scripted.get("usage", {})))
    if "document" in scripted and request.schema is not None:
        reply = replace(reply, document=scripted["document"], problem=None)
    return replace(reply, requests=tuple(_call(call) for call in scripted.get("calls", ())))


def _said(text: str, request: ChatRequest) -> ChatReply:
    """Return a reply of words; where a document is wanted, it is what can be read in them."""
    if request.schema is None:
        return ChatReply(text)
    try:
        return ChatReply(text, document=read_document(text))
    except InvalidValueError as error:
        return ChatReply(text, problem=str(error))


def _call(call: Mapping[str, Any]) -> ToolRequest:
    """Return a call; arguments that are no object are a problem, as they are from any model."""
    arguments, tool, own_id = call.get("arguments", {}), str(call["tool"]), str(call.get("id", ""))
    if isinstance(arguments, Mapping):
        return ToolRequest(own_id, tool, dict(arguments))
    return ToolRequest(own_id, tool, problem=f"expected the arguments as a JSON object, got {arguments!r}")
