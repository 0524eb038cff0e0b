"""Lets a listener hear answers while they are written."""

from spatial_agent.agent.models.chat import ChatModel, ChatReply, ChatRequest, ModelLimits, OnText


class Streamed:
    """A model whose answers are heard as they are written; what it plans is not.

    Args:
        inner: The model.
        on_text: Gets each piece.
    """

    def __init__(self, inner: ChatModel, on_text: OnText) -> None:
        """Wrap a model."""
        self._inner = inner
        self._on_text = on_text

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._inner.name

    @property
    def limits(self) -> ModelLimits:
        """What it can take and do."""
        return self._inner.limits

    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        """Return what the model says; see `ChatModel.reply`."""
        is_answer = request.purpose in ("answer", "reconsider")
        return await self._inner.reply(request, self._on_text if is_answer and on_text is None else on_text)

    async def close(self) -> None:
        """Close the model."""
        await self._inner.close()
