"""What a multimodal model is asked, and what it says: the seam between the agent and any model.

Everything here is plain: words, pictures, JSON. Adapters turn it into what a server or a library wants;
wrappers (`Fitted`, `TextProtocol`, `Metered`) are models themselves and add one concern each.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from spatial_agent.tools.contract import Json
from spatial_agent.tools.scene import Picture

Role = Literal["system", "user", "assistant", "tool"]
#: Words, or a picture; a picture's caption is for people and is not sent by itself.
Part = str | Picture
Purpose = Literal["formalise", "plan", "answer", "reconsider"]
#: Gets each piece of text as the model writes it.
OnText = Callable[[str], None]


@dataclass(frozen=True)
class ToolOffer:
    """A tool that the model may call.

    Attributes:
        name: Name to call it by, as registered; may contain dots, which adapters replace where a server
            does not allow them.
        description: What it does, for the model.
        parameters: JSON schema of its arguments.
    """

    name: str
    description: str
    parameters: Mapping[str, Json]


@dataclass(frozen=True)
class ToolRequest:
    """A call that the model wants.

    Attributes:
        id: Unique in the conversation; made up by the adapter where the model gave none.
        tool: Name of the tool, as offered, or whatever the model wrote.
        arguments: Its arguments; empty where they could not be read.
        problem: What was wrong with the arguments as written, or None.
    """

    id: str
    tool: str
    arguments: Mapping[str, Json] = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True)
class Message:
    """One message of a conversation.

    Attributes:
        role: Whose it is.
        parts: Words and pictures in order.
        requests: Calls that an assistant's message asked for.
        answers: Id of the request that a tool's message answers.
    """

    role: Role
    parts: tuple[Part, ...]
    requests: tuple[ToolRequest, ...] = ()
    answers: str | None = None

    @property
    def text(self) -> str:
        """The words alone."""
        return "\n".join(part for part in self.parts if isinstance(part, str))

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The pictures alone."""
        return tuple(part for part in self.parts if isinstance(part, Picture))


@dataclass(frozen=True)
class ChatRequest:
    """What a model is asked.

    Attributes:
        messages: The conversation: at most one system message, which comes first.
        purpose: What the agent wants it for; kept in traces, and scripted models go by it.
        tools: Tools it may call.
        schema: JSON schema of the document that its reply must be; None where plain words are wanted. A
            request has tools or a schema, not both.
        most_tokens: Longest reply.
    """

    messages: tuple[Message, ...]
    purpose: Purpose
    tools: tuple[ToolOffer, ...] = ()
    schema: Mapping[str, Json] | None = None
    most_tokens: int = 1024


@dataclass(frozen=True)
class Usage:
    """What a reply cost.

    Attributes:
        input_tokens: Tokens read, those of pictures included.
        output_tokens: Tokens written.
        is_estimated: Whether nobody counted, so that these are our own estimates.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    is_estimated: bool = False

    @property
    def tokens(self) -> int:
        """All tokens."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True)
class ChatReply:
    """What a model said.

    Attributes:
        text: Its words.
        requests: The calls it wants, where tools were offered.
        document: The document, where a schema was given and what it wrote could be read as one.
        problem: Why there is no document although a schema was given, or None; says what was expected and
            what came, so that it can be put to the model.
        usage: What it cost.
    """

    text: str
    requests: tuple[ToolRequest, ...] = ()
    document: Json = None
    problem: str | None = None
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class ModelLimits:
    """What a model can take and do.

    Attributes:
        context_tokens: Tokens of a request and its reply together.
        most_pictures: Pictures in a request; 0 for a model that sees none.
        picture_side_px: Longest side at which pictures are sent; larger ones are scaled down.
        has_tools: Whether it takes tools natively.
        has_schemas: Whether it keeps to a JSON schema natively.
    """

    context_tokens: int = 32_768
    most_pictures: int = 16
    picture_side_px: int = 1024
    has_tools: bool = True
    has_schemas: bool = True


class ChatModel(Protocol):
    """An unmodified multimodal model, somewhere."""

    @property
    def name(self) -> str:
        """Name for traces and people, such as ``"openai:gpt-4o"``; holds no key and no address."""
        ...

    @property
    def limits(self) -> ModelLimits:
        """What it can take and do."""
        ...

    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        """Return what the model says; cancelling the call cancels the request.

        Args:
            request: What it is asked.
            on_text: Gets the words as they come, where the model can stream.

        Raises:
            ModelUnavailableError: If it cannot be reached, refuses the key, or keeps failing.
            ModelRequestError: If it refuses this very request: too long, or a part it does not take.
        """
        ...

    async def close(self) -> None:
        """Let go of connections and memory."""
        ...
