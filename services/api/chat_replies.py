"""Answers as chat completions, whole or in pieces, in the form that was asked for."""

import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from spatial_agent.agent.answer import Answer
from spatial_agent.services.api.chat_prompts import PLAIN, AnswerShape
from spatial_agent.tools.contract import Json

#: Sentences of evidence that stand before an answer where a harness wants to see how it came about.
MOST_CLAIMS = 3
#: Most decimals of a bare number.
MOST_DECIMALS = 4
ENDS_STREAM = "data: [DONE]\n\n"


@dataclass(frozen=True)
class Reply:
    """What all parts of a reply say alike.

    Attributes:
        id: Its id, which has the job's in it.
        model: The model that was asked for.
        shape: How the answer is to be written.
        choices: How often it is said; OpenAI calls it ``n``.
        links: Where the question, its trace and picture, and the scene are.
        created: When it began, seconds since 1970.
    """

    id: str
    model: str
    shape: AnswerShape = PLAIN
    choices: int = 1
    links: Mapping[str, str] = field(default_factory=dict)
    created: int = field(default_factory=lambda: int(time.time()))

    def completion(self, answer: Answer) -> dict[str, Any]:
        """Return a whole chat completion; ``spatial`` is the answer with its evidence."""
        message = {"role": "assistant", "content": content_of(answer, self.shape), "refusal": None}
        choices = [
            {"index": index, "message": message, "logprobs": None, "finish_reason": "stop"}
            for index in range(self.choices)
        ]
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "usage": usage_of(answer),
            "system_fingerprint": None,
            "spatial": answer.to_json(),
            "spatial_links": dict(self.links),
        }

    def beginning(self) -> Iterator[str]:
        """Yield the first pieces of a stream: who speaks."""
        yield from self._pieces({"role": "assistant", "content": "", "refusal": None})

    def on_the_way(self, kind: str, data: Mapping[str, Json]) -> str:
        """Return a piece that says nothing, and carries what happens for those who know of it."""
        return _sent(self._chunk([_piece(0, {})]) | {"spatial_event": {"event": kind, "data": dict(data)}})

    def ending(self, answer: Answer, *, with_usage: bool) -> Iterator[str]:
        """Yield the last pieces of a stream: the answer, its evidence, and what it cost where wanted."""
        yield from self._pieces({"content": content_of(answer, self.shape)})
        last = [_piece(index, {}, "stop") for index in range(self.choices)]
        yield _sent(self._chunk(last) | {"spatial": answer.to_json(), "spatial_links": dict(self.links)})
        if with_usage:
            yield _sent(self._chunk([]) | {"usage": usage_of(answer)})
        yield ENDS_STREAM

    def _pieces(self, delta: Mapping[str, Any]) -> Iterator[str]:
        for index in range(self.choices):
            yield _sent(self._chunk([_piece(index, delta)]))

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "system_fingerprint": None,
        }


def failing(error: Mapping[str, Any]) -> Iterator[str]:
    """Yield the last pieces of a stream that failed."""
    yield _sent(error)
    yield ENDS_STREAM


def content_of(answer: Answer, shape: AnswerShape) -> str:
    """Return what an assistant says: the answer in the form asked for, or the refusal that says why.

    >>> content_of(Answer("The sofa is 2.12 m long.", 2.1234, "m", margin=0.03), AnswerShape(is_short=True))
    '2.123'
    """
    if shape.wrap == "json":
        return json.dumps(answer.to_json(), ensure_ascii=False)
    if shape.wrap == "none" and not shape.is_short:
        return answer.text
    if answer.abstained:
        # Harnesses take what follows "answer:" for the letter of an option.
        return f"No answer ({answer.reason or answer.text})"
    short = short_of(answer)
    if shape.wrap == "line":
        return f"ANSWER: {short}"
    if shape.wrap == "boxed":
        return f"\\boxed{{{short}}}"
    if shape.wrap == "tags":
        thought = f"<think>{_reasons(answer)}</think>\n" if shape.thinks else ""
        return f"{thought}<answer>{short}</answer>"
    return short


def short_of(answer: Answer) -> str:
    """Return an answer as one letter, number or word, without its margin."""
    value = answer.value
    if answer.choice is not None:
        return answer.choice
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        # A benchmark's own question has the number as the benchmark rounds it.
        return answer.text if _is_number(answer.text) else _rounded(float(value), answer.margin)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value) if isinstance(value, str) and value else answer.text


def usage_of(answer: Answer) -> dict[str, int]:
    """Return what the model read and wrote, tokens; nothing where there is no model."""
    return {
        "prompt_tokens": answer.tokens - answer.tokens_written,
        "completion_tokens": answer.tokens_written,
        "total_tokens": answer.tokens,
    }


def _reasons(answer: Answer) -> str:
    claims = [str(item.get("claim", "")) for item in answer.evidence[:MOST_CLAIMS]]
    # Names in a scene may look like tags.
    return " ".join(filter(None, claims)).replace("<", "(").replace(">", ")") or "measured"


def _rounded(value: float, margin: float | None) -> str:
    """Return a number with two digits of its margin."""
    if margin is None or not math.isfinite(margin) or margin <= 0:
        return f"{value:.6g}"
    decimals = min(MOST_DECIMALS, max(0, 1 - math.floor(math.log10(margin))))
    return f"{value:.{decimals}f}"


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _piece(index: int, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": dict(delta), "logprobs": None, "finish_reason": finish}


def _sent(document: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(document, ensure_ascii=False)}\n\n"
