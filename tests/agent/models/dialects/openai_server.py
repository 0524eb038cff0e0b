"""What api.openai.com takes and answers, by its reference of the chat completions interface.

Sources: the API reference (fields, patterns of names, order of messages, chunks of a stream), the guide to
structured outputs (strict schemas), and messages of errors as its users report them.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.agent.models.dialects.served import Body, Refusal, Server

KEY = "sk-proj-abcdefghijklmnop0123456789"
FIELDS = {
    "model", "messages", "stream", "stream_options", "tools", "tool_choice", "response_format", "temperature",
    "max_tokens", "max_completion_tokens", "seed", "stop", "top_p", "n", "parallel_tool_calls", "user",
}  # fmt: skip
NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
SIGNATURES = {"png": b"\x89PNG\r\n", "jpeg": b"\xff\xd8\xff"}


def refuse(message: str, param: str | None = None, code: str | None = None, status: int = 400) -> Refusal:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return Refusal(status, {"error": error})


@dataclass
class OpenAIServer(Server):
    """OpenAI: strict about everything; newer models take only the newer field for lengths."""

    def check(self, body: Body, headers: Mapping[str, str]) -> None:
        key = headers.get("authorization", "").removeprefix("Bearer ")
        if key != KEY:
            shown = f"{key[:8]}{'*' * 8}{key[-4:]}"
            raise refuse(f"Incorrect API key provided: {shown}.", code="invalid_api_key", status=401)
        if body["model"] != "gpt-test":
            message = f"The model `{body['model']}` does not exist or you do not have access to it."
            raise refuse(message, code="model_not_found", status=404)
        for name in set(body) - FIELDS:
            raise refuse(f"Unrecognized request argument supplied: {name}")
        if "max_tokens" in body:
            message = (
                "Unsupported parameter: 'max_tokens' is not supported with this model. "
                "Use 'max_completion_tokens' instead."
            )
            raise refuse(message, "max_tokens", "unsupported_parameter")
        check_messages(body["messages"])
        check_tools(body.get("tools"))
        check_response_format(body.get("response_format"))


def check_messages(messages: list[Any]) -> None:
    open_calls: set[str] = set()
    for place, message in enumerate(messages):
        role, where = message.get("role"), f"messages[{place}]"
        if role == "tool":
            if message["tool_call_id"] not in open_calls:
                raise refuse(
                    f"Invalid parameter: {where} with role 'tool' must be a response to a preceding message "
                    "with 'tool_calls'."
                )
            open_calls.discard(message["tool_call_id"])
        elif open_calls:
            raise refuse(
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
                f"'tool_call_id'. The following tool_call_ids did not have response messages: {open_calls}"
            )
        if role == "assistant":
            open_calls = {call["id"] for call in message.get("tool_calls", ())}
            for call in message.get("tool_calls", ()):
                if not NAME.match(call["function"]["name"]):
                    raise refuse(f"Invalid '{where}.tool_calls[0].function.name': string does not match.")
                json.loads(call["function"]["arguments"])
        if role not in ("system", "user", "assistant", "tool"):
            raise refuse(f"Invalid value: '{role}'.", f"{where}.role")
        check_content(message, where)
    if open_calls:
        raise refuse(f"An assistant message with 'tool_calls' must be followed: {open_calls}")


def check_content(message: Body, where: str) -> None:
    content = message.get("content")
    if isinstance(content, str) or (content is None and message.get("tool_calls")):
        return
    if not isinstance(content, list) or not content:
        raise refuse(f"Invalid value for 'content': expected a string, got {content!r}.", where)
    for part in content:
        if part["type"] == "text" and isinstance(part["text"], str):
            continue
        if message["role"] != "user":
            raise refuse(
                f"Invalid '{where}'. Image URLs are only allowed for messages with role 'user', but this "
                f"message with role '{message['role']}' contains an image URL."
            )
        check_picture(part["image_url"]["url"])


def check_picture(url: str) -> None:
    match = re.fullmatch(r"data:image/(png|jpeg);base64,([A-Za-z0-9+/]+=*)", url)
    if match is None or not base64.b64decode(match[2], validate=True).startswith(SIGNATURES[match[1]]):
        raise refuse("You uploaded an unsupported image. Please make sure your image is valid.")


def check_tools(tools: list[Any] | None) -> None:
    if tools is not None and not tools:
        raise refuse("Invalid 'tools': empty array.", "tools")
    names = [tool["function"]["name"] for tool in tools or ()]
    for place, name in enumerate(names):
        if not NAME.match(name):
            raise refuse(
                f"Invalid 'tools[{place}].function.name': string does not match pattern. Expected a string "
                "that matches the pattern '^[a-zA-Z0-9_-]+$'."
            )
    if len(set(names)) < len(names):
        raise refuse("Invalid 'tools': names must be unique.")


def check_response_format(form: Body | None) -> None:
    if form is None:
        return
    if form["type"] != "json_schema" or not NAME.match(form["json_schema"]["name"]):
        raise refuse("Invalid 'response_format'.", "response_format")
    if form["json_schema"].get("strict"):
        check_strict(form["json_schema"]["schema"], ())


def check_strict(schema: Body, where: tuple[str, ...]) -> None:
    if schema.get("type") == "object":
        wanted = sorted(schema.get("properties", {}))
        if schema.get("additionalProperties") is not False:
            raise bad_schema(where, "'additionalProperties' is required to be supplied and to be false.")
        if sorted(schema.get("required", ())) != wanted:
            raise bad_schema(
                where, "'required' is required to be supplied and to be an array including every key"
            )
    for name, inner in schema.get("properties", {}).items():
        check_strict(inner, (*where, "properties", name))
    if "items" in schema:
        check_strict(schema["items"], (*where, "items"))


def bad_schema(where: tuple[str, ...], what: str) -> Refusal:
    return refuse(f"Invalid schema for response_format 'plan': In context={where}, {what}", "response_format")
