"""Lets a listener hear answers while they are written."""

from spatial_agent.agent.models.chat import ChatModel, ChatReply, ChatRequest, OnText
from spatial_agent.agent.models.wrapper import ModelWrapper


class Streamed(ModelWrapper):
    """A model whose answers are heard as they are written; what it plans is not.

    Args:
        inner: The model.
        on_text: Gets each piece.
    """

    def __init__(self, inner: ChatModel, on_text: OnText) -> None:
        """Wrap a model."""
        super().__init__(inner)
        self._on_text = on_text

    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        """Return what the model says; see `ChatModel.reply`."""
        is_answer = request.purpose in ("answer", "reconsider")
        return await self._inner.reply(request, self._on_text if is_answer and on_text is None else on_text)
