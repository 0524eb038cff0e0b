"""Multipart forms read as they come: files go on in pieces, fields are kept, nothing waits in memory."""

import logging
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from spatial_agent.services.api.problems import BadRequestError, TooLargeError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

# What is wrong with a form is told to whoever sent it; the log of the service is no place for it.
logging.getLogger("python_multipart").setLevel(logging.ERROR)

MEDIA_TYPE = "multipart/form-data"
#: Bytes of one field that is no file, such as the scene's name.
MOST_FIELD_BYTES = 2048
MOST_FIELDS = 16
#: Bytes of one header of a part: a long file name.
MOST_HEADER_BYTES = 4096
MOST_HEADERS = 8
EXPECTED = "expected multipart/form-data with a boundary, got something that cannot be read as that"


@dataclass(frozen=True)
class _Happening:
    """Something that the parser found: where a part begins or ends, or bytes of it."""

    kind: Literal["begin", "data", "end"]
    data: bytes = b""
    options: dict[bytes, bytes] = field(default_factory=dict)


class UploadForm:
    """A multipart form that is being received.

    Attributes:
        fields: The fields that are no files, as far as they have come.
    """

    def __init__(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        """Read a body.

        Args:
            content_type: Header of the request.
            body: The body as it comes.

        Raises:
            BadRequestError: If the content type has no usable boundary.
        """
        self.fields: dict[str, str] = {}
        self._body = body
        self._found = _Found()
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise BadRequestError(EXPECTED)
        try:
            self._parser = MultipartParser(
                boundary,
                self._found.callbacks(),
                max_header_count=MOST_HEADERS,
                max_header_size=MOST_HEADER_BYTES,
            )
        except FormParserError:
            raise BadRequestError(EXPECTED) from None

    async def files(self) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
        """Yield the name and the pieces of every file; the pieces must be taken before the next file.

        Raises:
            BadRequestError: If the body is no multipart form, or ends in the middle.
            TooLargeError: If there are too many fields that are no files, or one is too long.
        """
        while (happened := await self._next()) is not None:
            if b"filename" in happened.options:
                # What is no UTF-8 becomes letters that no name has.
                yield happened.options[b"filename"].decode(errors="surrogateescape"), self._pieces()
            else:
                await self._keep_field(happened.options.get(b"name", b"").decode(errors="replace"))

    async def _pieces(self) -> AsyncIterator[bytes]:
        while (happened := await self._next()) is not None and happened.kind == "data":
            yield happened.data

    async def _keep_field(self, name: str) -> None:
        value = bytearray()
        async for piece in self._pieces():
            value += piece
            if len(value) > MOST_FIELD_BYTES:
                raise TooLargeError(
                    f"field {ascii(name)[:60]}: expected at most {MOST_FIELD_BYTES} bytes, got more; "
                    "files need a filename"
                )
        if len(self.fields) >= MOST_FIELDS:
            raise TooLargeError(f"expected at most {MOST_FIELDS} fields beside the files, got more")
        self.fields[name] = bytes(value).decode(errors="replace")

    async def _next(self) -> _Happening | None:
        """Return what happens next in the form; None at its end."""
        while not self._found.happened:
            if self._found.is_whole:
                return None
            chunk = await anext(self._body, None)
            if chunk is None:
                raise BadRequestError("the multipart form is cut off: its last boundary is missing")
            try:
                self._parser.write(chunk)
            except FormParserError:
                raise BadRequestError(EXPECTED) from None
        return self._found.happened.popleft()


class _Found:
    """What the parser has found and nobody has taken yet: no more than is in one piece of the body."""

    def __init__(self) -> None:
        self.happened: deque[_Happening] = deque()
        self.is_whole = False
        self._name = b""
        self._value = b""
        self._options: dict[bytes, bytes] = {}

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._name_of_header,
            "on_header_value": self._value_of_header,
            "on_header_end": self._header,
            "on_headers_finished": self._headers,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._whole,
        }

    def _begin(self) -> None:
        self._options = {}

    def _name_of_header(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _value_of_header(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._options = parse_options_header(self._value)[1]
        self._name = self._value = b""

    def _headers(self) -> None:
        self.happened.append(_Happening("begin", options=self._options))

    def _data(self, data: bytes, start: int, end: int) -> None:
        self.happened.append(_Happening("data", data[start:end]))

    def _end(self) -> None:
        self.happened.append(_Happening("end"))

    def _whole(self) -> None:
        self.is_whole = True
