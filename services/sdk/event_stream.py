"""Server-sent events, read piece by piece as the HTML standard says."""

from dataclasses import dataclass

from spatial_agent.services.sdk.errors import ProtocolError

#: Bytes that one event may have; an answer with all its evidence is far smaller.
MOST_EVENT_BYTES = 16 * 2**20


@dataclass(frozen=True)
class ServerEvent:
    """An event of a stream.

    Attributes:
        id: The last id that the stream gave, of this event or one before.
        kind: What it is called.
        data: What it says.
    """

    id: str
    kind: str
    data: str


class EventStream:
    r"""Takes bytes as they come, and gives the events that are whole.

    Attributes:
        last_id: The last id that the stream gave.

    >>> EventStream().feed(b"id: 1.2\nevent: token\ndata: {}\n\ndata: more to co")
    [ServerEvent(id='1.2', kind='token', data='{}')]
    """

    def __init__(self, most_bytes: int = MOST_EVENT_BYTES) -> None:
        """Begin at the start of a stream, whose single events may have so many bytes."""
        self.last_id = ""
        self._most = most_bytes
        self._rest = bytearray()
        self._is_first = True
        self._size = 0
        self._kind = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> list[ServerEvent]:
        """Return the events that are whole with this piece.

        Raises:
            ProtocolError: If one grows beyond what an event may have, or is not text.
        """
        is_whole = b"\n" in piece or b"\r" in piece or self._rest.endswith(b"\r")
        self._rest += piece
        self._check()
        if not is_whole:
            return []
        events = []
        for line in self._lines():
            self._size += len(line)
            if (event := self._take(self._text(line))) is not None:
                events.append(event)
            self._check()
        return events

    def _lines(self) -> list[bytes]:
        """Return the lines that are whole; a carriage return at the very end may be half of its line end."""
        text = bytes(self._rest)
        held = text.endswith(b"\r")
        lines = (text[:-1] if held else text).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = bytearray(lines.pop() + (b"\r" if held else b""))
        if self._is_first and lines:
            lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
            self._is_first = False
        return lines

    def _text(self, line: bytes) -> str:
        try:
            return line.decode()
        except UnicodeDecodeError:
            raise ProtocolError("expected events in UTF-8, got bytes that are not") from None

    def _take(self, line: str) -> ServerEvent | None:
        if not line:
            return self._ended()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._kind = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self.last_id = value
        return None

    def _ended(self) -> ServerEvent | None:
        kind, data = self._kind or "message", self._data
        self._kind, self._data, self._size = "", [], 0
        return ServerEvent(self.last_id, kind, "\n".join(data)) if data else None

    def _check(self) -> None:
        if self._size + len(self._rest) > self._most:
            raise ProtocolError(f"expected events of at most {self._most} bytes, one is larger")
