"""What servers that people run themselves take and answer: vLLM, llama.cpp, Ollama, ``transformers serve``.

Sources: vLLM's documentation of tool calling and messages of its serving layer; llama.cpp's server README and
error types of its source; Ollama's page on OpenAI compatibility and its ``openai`` package; the ``serving``
module of transformers 5.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.agent.models.dialects.served import Body, Called, Refusal, Says, Server


def words_in(body: Body) -> int:
    """Return about how many tokens a conversation has, by its words."""
    return len(re.findall(r"\w+", json.dumps([m for m in body["messages"] if isinstance(m["content"], str)])))


def pictures_in(body: Body) -> int:
    return json.dumps(body["messages"]).count('"image_url": {')


@dataclass
class VllmServer(Server):
    """vLLM: tools only with a parser, pictures and context as the model was started with."""

    has_tool_parser: bool = True
    most_pictures: int = 999
    context: int = 32_768

    def check(self, body: Body, headers: Mapping[str, str]) -> None:
        if body.get("tools") and not self.has_tool_parser:
            raise vllm_error(
                '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
            )
        if pictures_in(body) > self.most_pictures:
            if self.most_pictures == 0:
                raise vllm_error(f"{body['model']} is not a multimodal model")
            raise vllm_error(f"At most {self.most_pictures} image(s) may be provided in one prompt.")
        words, reply = words_in(body), body.get("max_tokens", 16)
        if words + reply > self.context:
            raise vllm_error(
                f"This model's maximum context length is {self.context} tokens. However, you requested "
                f"{words + reply} tokens ({words} in the messages, {reply} in the completion). Please "
                "reduce the length of the messages or completion."
            )


def vllm_error(message: str) -> Refusal:
    error = {"message": message, "type": "BadRequestError", "param": None, "code": 400}
    return Refusal(400, {"error": error})


@dataclass
class LlamaCppServer(Server):
    """llama.cpp: tools with Jinja only, schemas as grammars, pictures with a projector only."""

    has_jinja: bool = True
    has_projector: bool = True
    has_system_role: bool = True
    grammar_fails: bool = False
    context: int = 4096

    def check(self, body: Body, headers: Mapping[str, str]) -> None:
        if body.get("tools") and not self.has_jinja:
            raise llama_error(500, "tools param requires --jinja flag", "server_error")
        if pictures_in(body) and not self.has_projector:
            hint = "hint: if this is unexpected, you may need to provide the mmproj"
            raise llama_error(500, f"image input is not supported - {hint}", "server_error")
        if self.grammar_fails and (body.get("tools") or body.get("response_format")):
            message = "Failed to initialize samplers: failed to parse grammar"
            raise llama_error(400, message, "invalid_request_error")
        if not self.has_system_role and any(m["role"] == "system" for m in body["messages"]):
            raise llama_error(500, "Jinja Exception: System role not supported", "server_error")
        if (words := words_in(body)) > self.context:
            message = (
                f"request ({words} tokens) exceeds the available context size ({self.context} tokens), try "
                "increasing it"
            )
            raise llama_error(
                400, message, "exceed_context_size_error", n_prompt_tokens=words, n_ctx=self.context
            )


def llama_error(status: int, message: str, kind: str, **more: int) -> Refusal:
    return Refusal(status, {"error": {"code": status, "message": message, "type": kind} | more})


@dataclass
class OllamaServer(Server):
    """Ollama: ignores fields that it does not know; counts no tokens of a prompt that it remembers."""

    has_tools: bool = True

    def check(self, body: Body, headers: Mapping[str, str]) -> None:
        if body.get("tools") and not self.has_tools:
            raise ollama_error(f"registry.ollama.ai/library/{body['model']} does not support tools")
        for message in body["messages"]:
            content = message.get("content")
            if content is None and "tool_calls" not in message:
                raise ollama_error("invalid message content type: <nil>")
            for part in content if isinstance(content, list) else ():
                is_base64 = part["type"] == "text" or re.match(
                    r"data:image/(jpeg|jpg|png|webp);base64,", part["image_url"]["url"]
                )
                if not is_base64:
                    raise ollama_error("invalid image input")
            for call in message.get("tool_calls", ()):
                if not isinstance(json.loads(call["function"]["arguments"]), dict):
                    raise ollama_error("invalid tool call arguments")

    def usage(self, says: Says) -> Body:
        return {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}

    def call(self, call: Called, place: int) -> Body:
        return super().call(call, place) | {"index": place}

    def chunks(self, says: Says, body: Body) -> Iterator[Body]:
        """Yield pieces with the role in each, and calls whole."""
        for piece in says.pieces:
            yield self.chunk(body, {"role": "assistant", "content": piece})
        calls = [self.call(call, place) for place, call in enumerate(says.calls)]
        yield self.chunk(
            body, {"role": "assistant", "content": ""} | ({"tool_calls": calls} if calls else {})
        )
        yield self.chunk(body, {"role": "assistant", "content": ""}, says.finish)


def ollama_error(message: str) -> Refusal:
    return Refusal(400, {"error": {"message": message, "type": "api_error", "param": None, "code": None}})


@dataclass
class TransformersServer(Server):
    """``transformers serve``: checks names of fields, ignores schemas, ends streams without a mark."""

    FIELDS = frozenset(
        {"model", "messages", "stream", "stream_options", "tools", "tool_choice", "response_format",
         "max_tokens", "max_completion_tokens", "temperature", "seed", "stop", "top_p", "generation_config"}
    )  # fmt: skip

    def check(self, body: Body, headers: Mapping[str, str]) -> None:
        if unexpected := set(body) - self.FIELDS:
            raise Refusal(422, {"detail": f"Unexpected fields in the request: {unexpected}"})

    def events(self, says: Says, body: Body) -> list[str]:
        return super().events(says, body)[:-1]

    def chunks(self, says: Says, body: Body) -> Iterator[Body]:
        """Yield pieces without empty fields, calls whole, tokens with the last."""
        yield self.chunk(body, {"role": "assistant"})
        for piece in says.pieces:
            yield self.chunk(body, {"content": piece})
        for place, call in enumerate(says.calls):
            yield self.chunk(body, {"tool_calls": [self.call(call, place) | {"index": place}]})
        yield self.chunk(body, {}, says.finish, usage=self.usage(says))

    def chunk(self, body: Body, delta: Body, finish: str | None = None, **more: object) -> Body:
        chunk = super().chunk(body, delta, finish, **more)
        if finish is None:
            del chunk["choices"][0]["finish_reason"]
        return chunk


@dataclass
class StrictProxy(Server):
    """A proxy that checks every field of a request against a schema of its own, as pydantic says it."""

    def check(self, body: Body, headers: Mapping[str, str]) -> None:
        for name in ("stream_options", "response_format", "tools"):
            if name in body:
                detail = {
                    "type": "extra_forbidden",
                    "loc": ["body", name],
                    "msg": "Extra inputs are not permitted",
                    "input": body[name],
                }
                raise Refusal(422, {"detail": [detail]})
