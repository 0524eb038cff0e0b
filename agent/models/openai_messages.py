"""Conversations and tools as the chat completions interface of OpenAI writes them.

What the interface does not allow is written in another way: pictures stand only in messages of the user, so
those of a tool's result follow in one; every call has an answer right behind it, and every answer a call;
messages of one side in a row become one; names of tools have no dots.
"""

import base64
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spatial_agent.agent.models.chat import Message, Part, ToolOffer, ToolRequest
from spatial_agent.agent.models.json_text import clean_text
from spatial_agent.agent.models.request_size import scaled_size
from spatial_agent.tools.contract import Json
from spatial_agent.tools.scene import Picture

#: What is written, as JSON.
WireMessage = dict[str, Any]

#: Letters of a tool's name that servers take at most; OpenAI and Anthropic allow ``[a-zA-Z0-9_-]`` in it.
MOST_NAME_LETTERS = 64
#: Pictures of at most so many colours are drawings, which PNG keeps sharp in few bytes.
DRAWING_COLOURS = 256
JPEG_QUALITY = 90
#: Said for the answer of a call that has none, since a call without an answer is refused.
NO_ANSWER = "(the result of this call was not kept)"

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")
_STRICT_TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
_STRICT_UNKNOWN = ("allOf", "oneOf", "not", "if", "then", "else", "patternProperties", "dependentRequired")


class ToolNames:
    """Names of tools as a server may be told them, and back."""

    def __init__(self, names: Iterable[str]) -> None:
        """Give each name one of its own that every server takes."""
        self._written: dict[str, str] = {}
        for name in names:
            if name not in self._written:
                self._written[name] = self._free(_NOT_IN_NAMES.sub("_", name.replace(".", "__")))
        self._read = {written: name for name, written in self._written.items()}

    def written(self, name: str) -> str:
        """Return a name as the server is told it; one that was not offered is only made fit."""
        fit = _NOT_IN_NAMES.sub("_", name.replace(".", "__"))[:MOST_NAME_LETTERS]
        return self._written.get(name, fit or "_")

    def read(self, name: str) -> str:
        """Return what the model means by a name; what is no tool's name is returned as it came."""
        return self._read.get(name, name)

    def _free(self, wanted: str) -> str:
        taken, fit, number = set(self._written.values()), wanted[:MOST_NAME_LETTERS], 1
        while fit in taken:
            number += 1
            ending = f"_{number}"
            fit = wanted[: MOST_NAME_LETTERS - len(ending)] + ending
        return fit


def wire_messages(
    messages: Sequence[Message], names: ToolNames, *, side_px: int, has_system_role: bool = True
) -> list[WireMessage]:
    """Return a conversation as the server takes it.

    Args:
        messages: The conversation; calls without answers and answers without calls, as compacting leaves
            them, are made whole.
        names: Names of tools.
        side_px: Longest side of a picture; larger ones are scaled down.
        has_system_role: Whether the model takes a system message; where not, the user says it.
    """
    writing = _Writing(names, side_px)
    for message in messages:
        if message.role == "tool":
            writing.answer(message)
        elif message.role == "assistant":
            writing.assistant(message)
        elif message.role == "system" and has_system_role:
            writing.system(message)
        else:
            writing.user(message.parts)
    return writing.finished()


def wire_tools(offers: Iterable[ToolOffer], names: ToolNames) -> list[dict[str, Json]]:
    """Return tools as the server takes them."""
    return [
        {
            "type": "function",
            "function": {
                "name": names.written(offer.name),
                "description": clean_text(offer.description),
                "parameters": dict(offer.parameters) or {"type": "object", "properties": {}},
            },
        }
        for offer in offers
    ]


def wire_schema(schema: Mapping[str, Json], name: str) -> dict[str, Json]:
    """Return what is asked of a server that keeps to a schema; strictly where its rules allow it.

    Args:
        schema: JSON schema of the document.
        name: What the document is for.
    """
    written = {"name": name, "schema": dict(schema), "strict": is_strict(schema)}
    return {"type": "json_schema", "json_schema": written}


def is_strict(schema: Mapping[str, Json]) -> bool:
    """Return whether a schema keeps to what OpenAI's strict mode takes: closed objects, nothing optional."""
    return schema.get("type") == "object" and "anyOf" not in schema and _is_strict(schema)


def data_url(picture: Picture, side_px: int) -> str:
    """Return a picture, scaled down to a longest side, as PNG if it is a drawing and as JPEG if it is not."""
    from PIL import Image

    image = Image.fromarray(picture.rgb)
    is_drawing = image.getcolors(DRAWING_COLOURS) is not None
    size = scaled_size(picture, side_px)
    if size != image.size:
        image = image.resize(size, Image.Resampling.BOX)
    written = io.BytesIO()
    if is_drawing:
        image.save(written, "PNG")
    else:
        # Without subsampling, coloured marks keep their edges.
        image.save(written, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    kind = "png" if is_drawing else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(written.getvalue()).decode('ascii')}"


@dataclass
class _Writing:
    """A conversation being written.

    Attributes:
        names: Names of tools.
        side_px: Longest side of a picture.
        written: What stands.
        said: What the user says next, not yet written.
        open: Ids of calls that have no answer yet, with the tools that were called.
    """

    names: ToolNames
    side_px: int
    written: list[WireMessage] = field(default_factory=list)
    said: list[Part] = field(default_factory=list)
    open: dict[str, str] = field(default_factory=dict)

    def system(self, message: Message) -> None:
        """Write the system message; its pictures, and any system message but the first, are the user's."""
        if self.written or self.said:
            self.user(message.parts)
            return
        if message.text:
            self.written.append({"role": "system", "content": clean_text(message.text)})
        self.said += message.pictures

    def user(self, parts: Iterable[Part]) -> None:
        """Let the user say something."""
        self._close_calls()
        self.said += parts

    def assistant(self, message: Message) -> None:
        """Write what the model said and called."""
        self._close_calls()
        text, calls = clean_text(message.text), [self._call(call) for call in message.requests]
        if text or calls:
            self._write_said()
        last = self.written[-1] if self.written else {}
        if last.get("role") == "assistant" and not calls and "tool_calls" not in last:
            last["content"] = "\n".join(filter(None, (last["content"], text)))
        elif calls:
            self.written.append({"role": "assistant", "content": text, "tool_calls": calls})
        elif text:
            self.written.append({"role": "assistant", "content": text})
        self.open = {call.id: call.tool for call in message.requests}
        self.said += message.pictures

    def answer(self, message: Message) -> None:
        """Write what came of a call; of a call that is not there, the user says it."""
        tool = self.open.pop(message.answers or "", None)
        if tool is None:
            self.user(("Result of an earlier call:", *message.parts))
            return
        content = clean_text(message.text) or "(no words)"
        self.written.append({"role": "tool", "tool_call_id": message.answers, "content": content})
        if message.pictures:
            self.said += (f"Pictures in the result of {self.names.written(tool)}:", *message.pictures)

    def finished(self) -> list[WireMessage]:
        """Return the whole conversation."""
        self._close_calls()
        self._write_said()
        return self.written

    def _call(self, call: ToolRequest) -> dict[str, Json]:
        arguments = clean_text(json.dumps(dict(call.arguments), ensure_ascii=False))
        function = {"name": self.names.written(call.tool), "arguments": arguments}
        return {"id": call.id, "type": "function", "function": function}

    def _close_calls(self) -> None:
        for unanswered in self.open:
            self.written.append({"role": "tool", "tool_call_id": unanswered, "content": NO_ANSWER})
        self.open = {}

    def _write_said(self) -> None:
        """Write what the user said as one message; words alone as a string, which every server takes."""
        parts = [part for part in self.said if part != ""]
        self.said = []
        if not parts:
            return
        words = [part for part in parts if isinstance(part, str)]
        if len(words) == len(parts):
            self.written.append({"role": "user", "content": clean_text("\n".join(words))})
        else:
            self.written.append({"role": "user", "content": [self._part(part) for part in parts]})

    def _part(self, part: Part) -> dict[str, Json]:
        if isinstance(part, str):
            return {"type": "text", "text": clean_text(part)}
        return {"type": "image_url", "image_url": {"url": data_url(part, self.side_px)}}


def _is_strict(schema: Json) -> bool:
    if not isinstance(schema, Mapping):
        return True
    if any(word in schema for word in _STRICT_UNKNOWN):
        return False
    properties = schema.get("properties", {})
    if "object" in _types(schema) or properties:
        is_closed = schema.get("additionalProperties") is False
        if not is_closed or set(schema.get("required", ())) != set(properties):
            return False
    is_known = bool(_types(schema)) or any(word in schema for word in ("anyOf", "$ref", "enum", "const"))
    inner = [*properties.values(), *schema.get("$defs", {}).values(), *schema.get("anyOf", ())]
    return is_known and all(map(_is_strict, [*inner, schema.get("items")]))


def _types(schema: Mapping[str, Json]) -> tuple[str, ...]:
    kinds = schema.get("type", ())
    return tuple(kind for kind in ((kinds,) if isinstance(kinds, str) else kinds) if kind in _STRICT_TYPES)
