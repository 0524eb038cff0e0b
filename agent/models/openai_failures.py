"""What went wrong with a request to a server, and what its refusal teaches about it.

Servers that call themselves compatible refuse different things in different words. What is known here:
OpenAI's parameters, vLLM's tool choice, context and picture limits, llama.cpp's grammars, templates, context
and missing picture projectors, Ollama's models without tools, Gemini's errors in a list, templates that know
no system message, and proxies that check every field.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from spatial_agent.agent.models.answer_limits import AnswerLimitError
from spatial_agent.agent.models.chat import ChatRequest, ModelLimits
from spatial_agent.agent.models.request_size import request_tokens
from spatial_agent.tools.contract import Json

#: What is to be done: try again, try otherwise or tell the caller, give the model up.
Kind = Literal["passing", "refused", "unavailable"]

#: Letters of a server's message that are read and shown.
MOST_SAID = 600
#: Share of a request that is tried where a server calls it too long although by estimate it is not.
SHORTER = 0.7

_REFUSALS = frozenset({400, 413, 415, 422, 501})
_PASSING = frozenset({408, 409, 425, 429})
#: Codes of 429 that waiting does not help.
_SPENT = re.compile(r"insufficient_quota|billing|credit balance|exceeded your current quota", re.IGNORECASE)
_TELLING = ("message", "msg", "detail", "loc", "type", "param", "code", "error", "errors", "metadata", "raw")
_TOO_LONG = re.compile(
    r"context (?:length|window|size)|context_length|exceed_context|prompt is too long|too many tokens"
    r"|input token|maximum number of tokens|maximum model length",
    re.IGNORECASE,
)
_CONTEXT = re.compile(
    r"(?:context (?:length|window|size)(?: of)?(?: is)?\D{0,20}|tokens > |tokens allowed \()"
    r"(\d{3,})",
    re.IGNORECASE,
)
_PICTURES = re.compile(r"\bimages?\b|image_url|multi-?modal|mmproj|vision", re.IGNORECASE)
#: A server that takes no pictures, as against one that does not take this picture.
_NO_PICTURES = re.compile(
    r"support|not a multi-?modal|at most \d+ image|only 'text'|mmproj|missing data required for image", re.I
)
_MOST_PICTURES = re.compile(r"at most (\d+) images?", re.IGNORECASE)
_TOOLS = re.compile(r"tool|function|jinja|grammar", re.IGNORECASE)
_SCHEMA = re.compile(
    r"response_format|json_schema|json mode|schema|structured output|guided|grammar", re.IGNORECASE
)
_SYSTEM_ROLE = re.compile(r"system role|system message|role.{0,20}system|roles must alternate", re.IGNORECASE)
_UNKNOWN = re.compile(
    r"unsupported|not supported|unknown|unexpected|unrecognized|not permitted|extra|cannot find field", re.I
)


@dataclass(frozen=True)
class Failure:
    """A request that came to nothing.

    Attributes:
        kind: What is to be done about it.
        status: Status of the answer; None where there was none, or it broke off.
        said: What the server said, or what happened, in a sentence without keys.
        wait_s: Seconds that the server asked to be left alone for, or None.
        is_slow: Whether trying it again more than once only takes longer.
    """

    kind: Kind
    status: int | None
    said: str
    wait_s: float | None = None
    is_slow: bool = False


@dataclass(frozen=True)
class Dialect:
    """How a server wants to be spoken to.

    Attributes:
        tokens_field: Field that limits the reply; OpenAI's own models take only the newer one, and Ollama
            only the older.
        has_stream_options: Whether it can be asked to count tokens of a stream.
        has_system_role: Whether the model takes a system message.
    """

    tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    has_stream_options: bool = True
    has_system_role: bool = True


def failure_of(error: BaseException, key: str | None) -> Failure:
    """Return what an exception of the client library means; what looks like the key is left out."""
    import openai

    limit = next((e for e in _chain(error) if isinstance(e, AnswerLimitError)), None)
    if limit is not None:
        return Failure("unavailable", None, str(limit))
    found = next((e for e in _chain(error) if isinstance(e, openai.APIError | TimeoutError)), None)
    if isinstance(found, openai.APIStatusError):
        said = without_key(what_was_said(found.body) or found.message, key)
        headers = {name.lower(): value for name, value in found.response.headers.items()}
        return _of_status(found.status_code, said, _wait_s(headers))
    if isinstance(found, openai.APITimeoutError | TimeoutError):
        return Failure("passing", None, "it did not answer in time", is_slow=True)
    if isinstance(found, openai.APIConnectionError):
        cause = type(found.__cause__).__name__ if found.__cause__ else "no connection"
        return Failure("passing", None, f"the connection failed ({cause})")
    if isinstance(found, openai.APIError):  # an error told in the middle of a stream
        said = without_key(what_was_said(found.body) or found.message, key)
        code = found.body.get("code") if isinstance(found.body, Mapping) else None
        if isinstance(code, int) and 400 <= code < 600:
            return _of_status(code, said, None)
        return Failure("passing", None, said)
    what = without_key(f"{type(error).__name__}: {error}", key)
    return Failure("unavailable", None, f"what came back is no chat completion ({what})")


def without_key(text: str, key: str | None) -> str:
    """Return the beginning of a text without a key, or what a server left readable of one."""
    if key:
        text = text.replace(key, "(key)")
    text = re.sub(
        r"\b(?:sk|pk|rk|hf|gsk|xai)[-_][\w*.-]{6,}|\bAIza[\w*-]{10,}|(?i:bearer )\S+", "(key)", text
    )
    return text if len(text) <= MOST_SAID else text[:MOST_SAID] + "..."


def what_was_said(body: object) -> str:
    """Return the words of an error's body, whatever its shape: never the request that some repeat in it."""
    if isinstance(body, str):
        return body.strip()[:MOST_SAID]
    return "; ".join(dict.fromkeys(_words(body, "")))[: 4 * MOST_SAID]


def learned(
    failure: Failure, request: ChatRequest, limits: ModelLimits, dialect: Dialect
) -> tuple[ModelLimits, Dialect] | None:
    """Return limits and dialect with which a refused request may succeed; None where nothing was learned."""
    said = failure.said
    if _TOO_LONG.search(said):
        return _shorter(said, request, limits), dialect
    if _UNKNOWN.search(said) and (spoken := _other_fields(said, dialect)):
        return limits, spoken
    has_pictures = any(message.pictures for message in request.messages)
    if has_pictures and _PICTURES.search(said) and _NO_PICTURES.search(said):
        most = _MOST_PICTURES.search(said)
        return replace(limits, most_pictures=int(most.group(1)) if most else 0), dialect
    if dialect.has_system_role and _SYSTEM_ROLE.search(said):
        return limits, replace(dialect, has_system_role=False)
    return _plainer(failure, request, limits, dialect)


def _plainer(
    failure: Failure, request: ChatRequest, limits: ModelLimits, dialect: Dialect
) -> tuple[ModelLimits, Dialect] | None:
    """Return limits without tools or schemas where these may be what was refused."""
    is_refusal = failure.status in _REFUSALS
    if request.tools and (is_refusal or _TOOLS.search(failure.said)):
        return replace(limits, has_tools=False), dialect
    if request.schema is not None and (is_refusal or _SCHEMA.search(failure.said)):
        return replace(limits, has_schemas=False), dialect
    return None


def _shorter(said: str, request: ChatRequest, limits: ModelLimits) -> ModelLimits:
    """Return limits with the context that a server named, and always less than was tried."""
    named = [int(number) for number in _CONTEXT.findall(said)]
    tried = request_tokens(request, limits) + request.most_tokens
    context = min([*named, limits.context_tokens])
    if tried <= context:
        context = int(SHORTER * tried)
    return replace(limits, context_tokens=context)


def _other_fields(said: str, dialect: Dialect) -> Dialect | None:
    if "stream_options" in said and dialect.has_stream_options:
        return replace(dialect, has_stream_options=False)
    if "max_tokens" in said and dialect.tokens_field == "max_tokens":
        return replace(dialect, tokens_field="max_completion_tokens")
    if "max_completion_tokens" in said and dialect.tokens_field == "max_completion_tokens":
        return replace(dialect, tokens_field="max_tokens")
    return None


def _of_status(status: int, said: str, wait_s: float | None) -> Failure:
    if status == 429 and _SPENT.search(said):
        return Failure("unavailable", status, said)
    if status in _PASSING:
        return Failure("passing", status, said, wait_s)
    if status in _REFUSALS or _is_refusal_by_mistake(status, said):
        return Failure("refused", status, said)
    return Failure("passing" if status >= 500 else "unavailable", status, said, wait_s)


def _is_refusal_by_mistake(status: int, said: str) -> bool:
    """Return whether a status that says otherwise comes with a refusal: llama.cpp's 500, routers' 404."""
    if status == 404:
        return re.search(r"support.{0,20}(?:tool|image)", said, re.IGNORECASE) is not None
    is_told = re.search(r"not supported|unsupported|requires|does not support|must alternate", said, re.I)
    about_request = (_PICTURES, _TOOLS, _SYSTEM_ROLE, _SCHEMA)
    return status == 500 and bool(is_told) and any(words.search(said) for words in about_request)


def _wait_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks to wait."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) * unit_s)
        except (KeyError, ValueError):
            continue
    return _until_s(headers.get("retry-after"))


def _until_s(date: str | None) -> float | None:
    import email.utils
    import time

    parsed = email.utils.parsedate_tz(date) if date else None
    return max(0.0, email.utils.mktime_tz(parsed) - time.time()) if parsed else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and those it came from: the client library warns where it should raise."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _words(value: Json, name: str, depth: int = 0) -> Iterator[str]:
    """Yield the telling words of an error's body; a message may be JSON of its own."""
    if depth > 6 or value is None or value == "":
        return
    if isinstance(value, str) and value.lstrip().startswith("{") and (inner := _parsed(value)) is not None:
        yield from _words(inner, name, depth + 1)
    elif isinstance(value, str) and name in _TELLING:
        yield value
    elif isinstance(value, Mapping):
        for key in _TELLING:
            yield from _words(value.get(key), key, depth + 1)
    elif isinstance(value, list):
        for item in value[:8]:
            yield from _words(item, name, depth + 1)


def _parsed(text: str) -> Json:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
