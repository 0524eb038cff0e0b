"""What a program prints: sent to its parent line by line, up to a limit, and counted beyond it."""

import io
from collections.abc import Callable

#: Characters that are looked at in one go, so that printing something huge takes little memory.
_PIECE = 2**14
#: Characters that are kept back at most until a line ends.
_MOST_PENDING = 4096


class Output(io.TextIOBase):
    """The stream that stands for a program's standard output and standard error alike.

    Lone surrogates, which no encoding of text has, come out as their escape sequences.

    Args:
        send: Takes text that may be sent on as it is.
        limit_bytes: Text that is sent, as UTF-8.

    Attributes:
        dropped_bytes: Text beyond the limit, as UTF-8.
    """

    encoding = "utf-8"

    def __init__(self, send: Callable[[str], None], limit_bytes: int) -> None:
        """Start with nothing printed."""
        self._send = send
        self._room = limit_bytes
        self._pending: list[str] = []
        self._pending_size = 0
        self.dropped_bytes = 0

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str, /) -> int:
        """Take text; what came before a line's end is sent at once.

        Raises:
            TypeError: If it is not text.
        """
        if not isinstance(text, str):
            raise TypeError(f"write: expected text, got {type(text).__name__}")
        for start in range(0, len(text), _PIECE):
            self._take(text[start : start + _PIECE])
        if self._pending_size > _MOST_PENDING or "\n" in text:
            self.flush()
        return len(text)

    def flush(self) -> None:
        """Send what was kept back."""
        text = "".join(self._pending)
        self._pending.clear()
        self._pending_size = 0
        if text:
            self._send(text)

    def _take(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        kept = data[: self._room].decode("utf-8", "ignore")
        if len(data) > self._room:
            self.dropped_bytes += len(data) - len(kept.encode())
            # Nothing after a gap: what follows would seem to belong to what came before it.
            self._room = 0
        else:
            self._room -= len(data)
        if kept:
            self._pending.append(kept)
            self._pending_size += len(kept)
