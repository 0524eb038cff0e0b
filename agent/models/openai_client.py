"""``ChatOpenAI`` of langchain-openai, without what it loses of servers that are only nearly OpenAI's.

Importing this takes seconds: import it where a model is first asked.
"""

import json
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import httpx
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI
from openai import BaseModel, DefaultAsyncHttpxClient
from pydantic import PrivateAttr, SecretStr

from spatial_agent.agent.models.answer_limits import UNPACKED, limited

#: Calls whose signatures are kept, the latest.
MOST_SIGNATURES = 512
#: Stands for a key where a server needs none; without one, the library would look for the user's own.
NO_KEY = "no-key"


class CompatibleChat(ChatOpenAI):
    """A client for any server that speaks chat completions.

    It reads what the library drops or chokes on: calls without ``index`` or with arguments that are no
    string, refusals, texts in parts; and it gives back the signatures (``extra_content``) that Gemini
    attaches to calls and wants to see again with them. A message's calls stand as they were written in its
    ``additional_kwargs["written_calls"]``, each with ``place``, ``id``, ``name`` and ``arguments``; calls of
    a stream come in pieces.
    """

    _signatures: dict[str, Any] = PrivateAttr(default_factory=dict)

    def _get_request_payload(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401
        payload = super()._get_request_payload(*args, **kwargs)
        for message in payload["messages"]:
            for call in message.get("tool_calls") or ():
                if call.get("id") in self._signatures:
                    call["extra_content"] = self._signatures[call["id"]]
        return payload

    def _create_chat_result(
        self, response: dict[str, Any] | BaseModel, generation_info: dict[str, Any] | None = None
    ) -> ChatResult:
        told: Any = response.model_dump(warnings=False) if isinstance(response, BaseModel) else response
        choices = told.get("choices") if isinstance(told, dict) else None
        calls = [self._taken_calls(choice["message"]) for choice in choices or ()]
        result = super()._create_chat_result(told, generation_info)
        for generation, written in zip(result.generations, calls, strict=True):
            generation.message.additional_kwargs["written_calls"] = written
        return result

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], default_chunk_class: type, base_generation_info: dict[str, Any] | None
    ) -> ChatGenerationChunk | None:
        calls = [
            call
            for choice in chunk.get("choices") or ()
            for call in (self._taken_calls(choice["delta"]) if choice.get("delta") else ())
        ]
        piece = super()._convert_chunk_to_generation_chunk(chunk, default_chunk_class, base_generation_info)
        if piece is not None and calls:
            piece.message.additional_kwargs["written_calls"] = calls
        return piece

    def _taken_calls(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        """Take the calls out of a message, as they were written, and make the rest what the library expects.

        The library completes arguments that were cut off, and loses calls without an index.
        """
        content = message.get("content")
        if isinstance(content, list):
            content = "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
        message["content"] = content or message.get("refusal") or ""
        calls = message.pop("tool_calls", None) or ()
        return [self._taken_call(call) for call in calls if isinstance(call, Mapping)]

    def _taken_call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        function = call.get("function") or {}
        arguments = function.get("arguments")
        if not isinstance(arguments, str):
            arguments = "" if arguments is None else json.dumps(arguments)
        self._keep_signature(call)
        return {
            "place": call.get("index"),
            "id": str(call.get("id") or ""),
            "name": str(function.get("name") or ""),
            "arguments": arguments,
        }

    def _keep_signature(self, call: Mapping[str, Any]) -> None:
        if call.get("id") and call.get("extra_content"):
            self._signatures[call["id"]] = call["extra_content"]
            while len(self._signatures) > MOST_SIGNATURES:
                self._signatures.pop(next(iter(self._signatures)))


def open_client(model: str, url: str, key: str | None, timeout_s: float) -> CompatibleChat:
    """Return a client that takes nothing from the environment but proxies, and repeats nothing by itself.

    Args:
        model: Name of the model at the server.
        url: Address that ``/chat/completions`` is appended to.
        key: The key; None where the server needs none.
        timeout_s: Longest wait for a connection, an answer, or the next piece of a stream.
    """
    chat = CompatibleChat(
        model=model,
        base_url=url,
        api_key=SecretStr(key or NO_KEY),
        timeout=timeout_s,
        stream_chunk_timeout=timeout_s,
        max_retries=0,
        use_responses_api=False,
        client="none: everything is asynchronous",
        # A client of its own: shared ones belong to whichever event loop came first.
        http_async_client=DefaultAsyncHttpxClient(
            timeout=timeout_s,
            verify=_certificates(),
            # Whoever is sent on would get the whole prompt, in whatever network this runs.
            follow_redirects=False,
            headers=UNPACKED,
            event_hooks={"response": [limited()]},
        ),
    )
    # The library puts the user's organisation into requests to any server at all.
    chat.root_async_client.organization = None
    chat.root_async_client.project = None
    return chat


@lru_cache(maxsize=1)
def _certificates() -> ssl.SSLContext:
    """Return whom to trust; reading that takes a tenth of a second."""
    return httpx.create_ssl_context()
