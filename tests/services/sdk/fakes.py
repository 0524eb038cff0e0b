"""Replies as the service gives them, written out by hand."""

import json
from collections.abc import Mapping
from typing import Any

import httpx

SCENE = "sc_0123456789abcdef"
QUESTION = "qu_0123456789abcdef"
ANSWER: dict[str, Any] = {
    "format": "spatial-agent/answer@1",
    "text": "The sofa is 2.10 m ± 0.05 m wide.",
    "value": 2.1,
    "unit": "m",
    "low": 2.05,
    "high": 2.15,
    "margin": 0.05,
    "evidence": [{"id": "e1", "tool": "size", "claim": "sofa-1 is 2.10 m wide"}],
    "degraded": [],
    "scene": SCENE,
    "trace_id": QUESTION,
}


def question(state: str = "done", **fields: object) -> dict[str, Any]:
    """A question as the service shows it."""
    view: dict[str, Any] = {
        "id": QUESTION,
        "state": state,
        "question": "How wide is the sofa?",
        "scene": SCENE,
        "created": 1_700_000_000.0,
        "answer": ANSWER if state == "done" else None,
        "links": {},
    }
    return view | fields


def scene(state: str = "ready", **fields: object) -> dict[str, Any]:
    """A scene as the service shows it."""
    view = {"id": SCENE, "name": "den", "state": state, "profile": "recorded", "created": 1.0, "bytes": 9}
    return view | fields


def problem(
    status: int, type: str = "about:blank", retry_after: str | int | None = None, **members: object
) -> httpx.Response:
    """A refusal, as problem+json."""
    headers = {"Content-Type": "application/problem+json"}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    body = {"type": type, "title": "Refused", "status": status, "detail": "because", **members}
    return httpx.Response(status, headers=headers, text=json.dumps(body))


def copy_of(response: httpx.Response) -> httpx.Response:
    """The same response once more: each can be read only once."""
    return httpx.Response(response.status_code, headers=response.headers, content=response.content)


def told(id: str, kind: str, data: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return f"id: {id}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()
