"""What chat completions look like on the wire, for the OpenAPI document."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from spatial_agent.services.api.openapi import PROBLEM_RESPONSES


class View(BaseModel):
    """A document of OpenAI's protocol, as it is sent."""

    model_config = ConfigDict(frozen=True)


class ModelCard(View):
    """A model that can be asked: the experts of one profile."""

    id: str = Field(description="spatial-agent/PROFILE.")
    object: Literal["model"] = "model"
    created: int = Field(description="When this server began to offer it, seconds since 1970.")
    owned_by: str = "spatial-agent"


class ModelList(View):
    """The models that can be asked."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class ReplyMessage(View):
    """What the assistant says."""

    role: Literal["assistant"] = "assistant"
    content: str = Field(description="The answer in the form asked for; why there is none otherwise.")
    refusal: None = None


class ReplyChoice(View):
    """One choice; all say the same."""

    index: int
    message: ReplyMessage
    logprobs: None = None
    finish_reason: Literal["stop"] = "stop"


class Usage(View):
    """Tokens of the model; none where a profile has no model."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(View):
    """A chat completion."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int = Field(description="Seconds since 1970.")
    model: str
    choices: list[ReplyChoice]
    usage: Usage
    system_fingerprint: None = None
    spatial: dict[str, Any] = Field(
        description="The answer with margin and evidence (spatial-agent/answer@1)."
    )
    spatial_links: dict[str, str] = Field(
        description="The question with its trace and picture, and the scene."
    )


class ErrorBody(View):
    """What went wrong."""

    message: str
    type: str
    param: str | None = Field(description="What of the request is wrong.")
    code: str | None


class ErrorView(View):
    """An error as OpenAI's clients read it."""

    error: ErrorBody


#: Every error of the routes of this protocol; what is refused before a route is reached is problem+json.
ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {**known, "model": ErrorView} for status, known in PROBLEM_RESPONSES.items()
}
STREAMED = {
    "description": "The answer; with `stream` in pieces as server-sent events that end with `[DONE]`.",
    "model": ChatCompletion,
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}
#: A picture of one pixel.
DOT = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNg"
    "AAAAAgAB5Sfe/AAAAABJRU5ErkJggg=="
)
EXAMPLES: dict[str, Any] = {
    "scene": {
        "summary": "About an uploaded scene",
        "value": {
            "model": "spatial-agent/recorded",
            "messages": [{"role": "user", "content": "How far is the sofa from the television?"}],
            "spatial": {"scene": "sc_0123456789abcdef0123456789abcdef"},
        },
    },
    "pictures": {
        "summary": "About the pictures of the message, as evaluation harnesses ask",
        "value": {
            "model": "spatial-agent/open",
            "max_tokens": 16,
            "temperature": 0,
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "image_url",
                            "image_url": {"url": DOT, "detail": "low"},
                        },
                        {
                            "type": "text",
                            "text": "These are frames of a video.\nIs the sofa left or right of the table?\n"
                            "Options:\nA. left\nB. right\n"
                            "Answer with the option's letter from the given choices directly.",
                        },
                    ],
                }
            ],
        },
    },
}
