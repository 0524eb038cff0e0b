"""Messages in the sandbox's own protocol that no honest program sends; an attacker knows the protocol too."""

import os
import pickle
import struct
from collections.abc import Mapping
from typing import Any

from spatial_agent.sandbox import wire
from spatial_agent.sandbox.messages import Call, Done, Fetch, Text, to_parent


class _Acting:
    """What a pickle does when it is loaded."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self._path,)


def frames(aim: Mapping[str, Any]) -> dict[str, str]:
    """Return the frames in hexadecimal, by what is wrong with them."""
    made = {
        "done": to_parent(Done(None, None, 0)),
        "call": to_parent(Call("look", {"name": "nothing"})),
        "look_outside": to_parent(Call("look", {"name": aim["secret"]})),
        "unknown_tool": to_parent(Call("__class__", {})),
        "fetch_path": to_parent(Fetch("$" + aim["secret"])),
        "fetch_other": to_parent(Fetch("$secret.txt")),
        "unknown_kind": _frame({"kind": "__class__"}),
        "missing_parts": _frame({"kind": "call"}),
        "wrong_types": _frame({"kind": "text", "text": 12}),
        "pickle": _raw(pickle.dumps(_Acting(aim["new"]))),
        "text": to_parent(Text("x" * 10_000)),
    }
    return {name: made_frame.hex() for name, made_frame in made.items()}


def _frame(message: Mapping[str, object]) -> bytes:
    return wire.frame(wire.pack(message))


def _raw(payload: bytes) -> bytes:
    return struct.pack("<I", len(payload)) + payload
