"""Frames as values of a run: decoded when they are first referred to, a few at a time."""

import asyncio
from collections import OrderedDict
from threading import Lock

from spatial_agent.tools.call_json import references_in
from spatial_agent.tools.contract import ToolCall, ToolResult, ToolRunner
from spatial_agent.tools.scene import FrameSet
from spatial_agent.tools.wrappers.wrapper import RunnerWrapper

#: Decoded frames that a run keeps at once.
MOST_FRAMES = 8
_FRAME = "$frame/"


class WithFrames(RunnerWrapper):
    """A runner that keeps the frames of a source as ``$frame/N``.

    Attributes:
        frames: The opened source; None until it is attached, or where there is none.
    """

    def __init__(self, inner: ToolRunner, frames: FrameSet | None = None) -> None:
        """Decode nothing yet.

        Args:
            inner: Runs the calls.
            frames: The opened source, where it is known already.
        """
        super().__init__(inner)
        self.frames = frames
        self._kept: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()

    async def call(self, call: ToolCall) -> ToolResult:
        """Run a call, with the frames it refers to."""
        for reference in references_in(call.arguments):
            if reference.startswith(_FRAME):
                await asyncio.to_thread(self._provide, reference)
        return await self._inner.call(call)

    def value(self, reference: str) -> object:
        """Return the value behind a reference, a frame included."""
        self._provide(reference)
        return self._inner.value(reference)

    def _provide(self, reference: str) -> None:
        number = reference.removeprefix(_FRAME)
        if number == reference or not (number.isascii() and number.isdecimal()) or len(number) > 9:
            return
        # An index beyond the last is left to the runner, which says what there is.
        if self.frames is None or int(number) >= len(self.frames):
            return
        with self._lock:
            if reference not in self._kept:
                self._inner.keep(reference[1:], self.frames.load(int(number)))
            self._kept[reference] = None
            self._kept.move_to_end(reference)
            while len(self._kept) > MOST_FRAMES:
                self._inner.drop(self._kept.popitem(last=False)[0])
