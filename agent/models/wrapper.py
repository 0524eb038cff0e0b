"""What all wrappers of models share: they are models themselves and pass on what is not their concern."""

from spatial_agent.agent.models.chat import ChatModel, ChatReply, ChatRequest, ModelLimits, OnText


class ModelWrapper:
    """A `ChatModel` around another one; by itself it changes nothing."""

    def __init__(self, inner: ChatModel) -> None:
        """Wrap a model, which may be a wrapper itself."""
        self._inner = inner

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._inner.name

    @property
    def limits(self) -> ModelLimits:
        """What the model can take and do."""
        return self._inner.limits

    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        """Return what the model says; see `ChatModel.reply`."""
        return await self._inner.reply(request, on_text)

    async def close(self) -> None:
        """Close the model."""
        await self._inner.close()
