"""What the compatible addresses of Gemini and Anthropic take and answer.

Sources: Gemini's page on OpenAI compatibility and its users' reports (errors in a list, unknown fields
refused, calls without a number, signatures of thoughts asked back); Anthropic's page on the OpenAI SDK (a
table of what is ignored, ``response_format`` among it).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.agent.models.dialects.openai_server import NAME
from tests.agent.models.dialects.served import Body, Called, Refusal, Says, Server


@dataclass
class GeminiServer(Server):
    """Gemini: a subset of JSON schema in tools, signatures on calls, calls of a stream without an index."""

    FIELDS = frozenset(
        {"model", "messages", "stream", "stream_options", "tools", "tool_choice", "response_format",
         "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "stop", "n"}
    )  # fmt: skip

    def check(self, body: Body, headers: Mapping[str, str]) -> None:
        for name in set(body) - self.FIELDS:
            raise gemini_error(f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.')
        for place, tool in enumerate(body.get("tools", ())):
            for name in ("const", "$ref"):
                if f"'{name}'" in str(tool):
                    where = f"tools[0].function_declarations[{place}].parameters"
                    raise gemini_error(
                        f"Invalid JSON payload received. Unknown name \"{name}\" at '{where}': "
                        "Cannot find field."
                    )
        for message in body["messages"]:
            for call in message.get("tool_calls", ()):
                if call.get("extra_content") != signature(call["id"]):
                    raise gemini_error(
                        "Function call is missing a thought_signature in functionCall parts. This is "
                        "required for tools to work correctly."
                    )

    def call(self, call: Called, place: int) -> Body:
        return super().call(call, place) | {"extra_content": signature(call.id)}

    def chunks(self, says: Says, body: Body) -> Iterator[Body]:
        """Yield pieces with the count so far in each; calls whole and without an index."""
        for place, piece in enumerate(says.pieces):
            counted = self.usage(Says(tokens=(says.tokens[0], place)))
            yield self.chunk(body, {"role": "assistant", "content": piece}, usage=counted)
        for place, call in enumerate(says.calls):
            yield self.chunk(body, {"role": "assistant", "tool_calls": [self.call(call, place)]})
        yield self.chunk(body, {"role": "assistant"}, "stop", usage=self.usage(says))


def signature(call_id: str) -> Body:
    return {"google": {"thought_signature": f"signed-{call_id}"}}


def gemini_error(message: str, status: int = 400) -> Refusal:
    return Refusal(status, [{"error": {"code": status, "message": message, "status": "INVALID_ARGUMENT"}}])


@dataclass
class AnthropicServer(Server):
    """Anthropic: ignores what it does not do; texts must not be empty."""

    def check(self, body: Body, headers: Mapping[str, str]) -> None:
        for tool in body.get("tools", ()):
            if not NAME.match(tool["function"]["name"]):
                raise anthropic_error(
                    "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"
                )
        for message in body["messages"]:
            content = message["content"]
            texts = [content] if isinstance(content, str) else [p.get("text", "-") for p in content or ()]
            if any(not re.search(r"\S", text) for text in texts) and "tool_calls" not in message:
                raise anthropic_error("messages: text content blocks must be non-empty")


def anthropic_error(message: str, status: int = 400) -> Refusal:
    error = {
        "code": "invalid_request_error",
        "message": message,
        "type": "invalid_request_error",
        "param": None,
    }
    return Refusal(status, {"error": error})
