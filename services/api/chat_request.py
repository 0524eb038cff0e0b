"""What a chat completion may ask for: the part of OpenAI's request that matters here.

What clients send besides (sampling, penalties, seeds, log probabilities, tools, users, metadata) is left
unread: an answer is measured, not sampled.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from spatial_agent.services.api.schemas import Id, RegionModel, Wire

#: Longest conversation that is read, messages.
MOST_MESSAGES = 1000
#: Most parts of one message: pictures and the words between them.
MOST_PARTS = 4096
#: Most choices of one completion; all say the same.
MOST_CHOICES = 16


class Lenient(BaseModel):
    """A document of OpenAI's protocol: fields that are not known here are left unread."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class MediaUrl(Lenient):
    """Where a picture is: a data URL."""

    url: str
    detail: Any = None


class Part(Lenient):
    """A part of a message: words, a picture, or frames of a video."""

    type: str
    text: str | None = None
    image_url: MediaUrl | str | None = None
    video_url: MediaUrl | str | None = None
    video: Annotated[list[str], Field(max_length=MOST_PARTS)] | None = None


class ChatMessage(Lenient):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | Annotated[list[Part], Field(max_length=MOST_PARTS)] | None = None


class StreamOptions(Lenient):
    """What a stream tells besides the answer."""

    include_usage: bool | None = None


class ResponseFormat(Lenient):
    """How the answer is to be written: as text, or as the JSON of the whole answer."""

    type: Literal["text", "json_object"] = "text"

    @field_validator("type", mode="before")
    @classmethod
    def _known(cls, given: object) -> object:
        if given not in ("text", "json_object"):
            raise ValueError(
                "expected 'text' or 'json_object'; the whole answer is in the field 'spatial' of the reply"
            )
        return given


class Spatial(Wire):
    """What only this service knows: `extra_body={"spatial": {...}}` of OpenAI's client."""

    scene: Id | None = Field(
        default=None, description="An uploaded scene; the pictures of the messages otherwise."
    )
    options: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=400)]],
        Field(max_length=26, description="The answers offered; those in the question otherwise."),
    ] = []
    regions: Annotated[list[RegionModel], Field(max_length=20, description="What is marked on frames.")] = []
    profile: Annotated[str, Field(max_length=40)] | None = Field(
        default=None, description="Which experts; as the model's name says otherwise."
    )
    priority: Annotated[int, Field(ge=-100, le=100)] = Field(default=0, description="Higher first.")


class ChatRequest(Lenient):
    """A chat completion as OpenAI's clients ask for it."""

    model: Annotated[
        str, Field(min_length=1, max_length=200, description="spatial-agent/PROFILE; see /v1/models.")
    ]
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MOST_MESSAGES)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=MOST_CHOICES)] | None = Field(
        None, description="Choices; an answer is measured, so all say the same."
    )
    response_format: ResponseFormat | None = Field(
        None, description="text, or json_object for the whole answer."
    )
    tool_choice: Literal["auto", "none"] | None = Field(
        None, description="Tools of the caller are never called, so none can be required."
    )
    spatial: Spatial | None = None

    @field_validator("tool_choice", mode="before")
    @classmethod
    def _needs_no_tool(cls, given: object) -> object:
        if given not in ("auto", "none", None):
            raise ValueError("expected 'auto' or 'none': this service never calls tools of the caller")
        return given
