"""What a chat completion asks for, once it is understood: a question, what it is about, how to answer it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from spatial_agent.agent.plain import to_plain
from spatial_agent.services.api.chat_errors import ChatRequestError
from spatial_agent.services.api.chat_messages import Conversation, read_conversation, with_note
from spatial_agent.services.api.chat_pictures import SentPicture, read_pictures
from spatial_agent.services.api.chat_prompts import AnswerShape
from spatial_agent.services.api.chat_request import ChatRequest, Spatial
from spatial_agent.services.api.config import Limits
from spatial_agent.services.store.records import SceneRecord
from spatial_agent.tools.contract import Json

MOST_OPTIONS = 26
LONGEST_OPTION = 400
NOTHING_TO_LOOK_AT = (
    "there is nothing to look at: send pictures as parts of the type 'image_url', or name an uploaded scene "
    "as 'spatial': {'scene': ID}"
)
NO_WORDS = "there is no question: the message has no words; ask, for example, 'how tall is the sofa?'"


@dataclass(frozen=True)
class Understood:
    """A chat completion as it is understood.

    Attributes:
        conversation: What is asked, and what was said before.
        pictures: What it is about, where that came along.
        spatial: What only this service knows.
        shape: How the answer is to be written.
    """

    conversation: Conversation
    pictures: tuple[SentPicture, ...]
    spatial: Spatial
    shape: AnswerShape

    @property
    def why_not(self) -> str | None:
        """Why there is nothing that could be answered, or None."""
        if not self.conversation.prompt.question:
            return NO_WORDS
        return None if self.pictures or self.spatial.scene is not None else NOTHING_TO_LOOK_AT

    def job_request(self, scene: SceneRecord, profile: str) -> dict[str, Json]:
        """Return the question as the request of a job."""
        return {
            "question": self.conversation.prompt.question,
            "scene": scene.id,
            "options": list(self.spatial.options or self.conversation.prompt.options),
            "regions": [region.model_dump(mode="json") for region in self.spatial.regions],
            "profile": profile,
            "priority": self.spatial.priority,
            "dialogue": [to_plain(exchange) for exchange in with_note(self.conversation)],
        }


def understand(asked: ChatRequest, limits: Limits) -> Understood:
    """Return what a chat completion asks for; takes a while where many pictures came along.

    Raises:
        ChatRequestError: If it asks for what cannot be.
    """
    spatial = asked.spatial or Spatial()
    conversation = read_conversation(asked.messages, has_scene=spatial.scene is not None)
    if conversation.pictures and spatial.scene is not None:
        raise ChatRequestError(
            "expected pictures in the messages or an uploaded scene in 'spatial.scene', got both; "
            "leave one out",
            param="spatial.scene",
        )
    _check_options(conversation.prompt.options)
    shape = conversation.prompt.shape
    if asked.response_format is not None and asked.response_format.type == "json_object":
        shape = replace(shape, wrap="json")
    return Understood(conversation, read_pictures(conversation.pictures, limits), spatial, shape)


def _check_options(options: Sequence[str]) -> None:
    if len(options) > MOST_OPTIONS or any(len(option) > LONGEST_OPTION for option in options):
        raise ChatRequestError(
            f"expected at most {MOST_OPTIONS} options of at most {LONGEST_OPTION} characters, got more",
            param="messages",
        )
