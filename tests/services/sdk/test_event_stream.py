"""Server-sent events are read as the HTML standard says, however the bytes are cut."""

import pytest

from spatial_agent.services.sdk import ProtocolError
from spatial_agent.services.sdk.event_stream import EventStream, ServerEvent


def read(text: bytes, cuts: list[int] | None = None) -> list[tuple[str, str, str]]:
    stream = EventStream()
    places = [0, *sorted({cut % (len(text) + 1) for cut in cuts or []}), len(text)]
    pieces = [text[start:end] for start, end in zip(places, places[1:], strict=False)]
    return [(event.id, event.kind, event.data) for piece in pieces for event in stream.feed(piece)]


#: The examples of the standard (section 9.2.6), and corners of its grammar.
STANDARD = {
    b"data: YHOO\ndata: +2\ndata: 10\n\n": [("", "message", "YHOO\n+2\n10")],
    b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n": [
        ("1", "message", "first event"),
        ("", "message", "second event"),
        ("", "message", " third event"),
    ],
    b"data\n\ndata\ndata\n\ndata:": [("", "message", ""), ("", "message", "\n")],
    b"data:test\n\ndata: test\n\n": [("", "message", "test"), ("", "message", "test")],
    b"\xef\xbb\xbfdata: after a mark\n\n": [("", "message", "after a mark")],
    b"event: a\r\ndata: 1\r\n\r\nevent: b\rdata: 2\r\rdata: 3\n\n": [
        ("", "a", "1"),
        ("", "b", "2"),
        ("", "message", "3"),
    ],
    b"id: 5\nevent: nothing\n\ndata: kept\n\n": [("5", "message", "kept")],
    b"id: 5\n\nid: 6\0\ndata: x\n\n": [("5", "message", "x")],
    "data: 3\u202893 m ± 0,2 \u0085\n\n".encode(): [("", "message", "3\u202893 m ± 0,2 \u0085")],
    b"unknown: field\nretry: 100\n:keepalive\n\n": [],
}


@pytest.mark.parametrize("text", STANDARD, ids=range(len(STANDARD)))
def test_streams_are_read_as_the_standard_says(text: bytes) -> None:
    assert read(text) == STANDARD[text]


@pytest.mark.parametrize("text", STANDARD, ids=range(len(STANDARD)))
def test_how_the_bytes_are_cut_changes_nothing(text: bytes) -> None:
    for cut in range(len(text)):
        assert read(text, [cut]) == STANDARD[text]
    assert read(text, list(range(len(text)))) == STANDARD[text]


def test_events_without_bounds_are_refused() -> None:
    stream = EventStream(most_bytes=1000)
    with pytest.raises(ProtocolError, match="at most 1000 bytes"):
        stream.feed(b"data: " + b"x" * 1000)
    lines = EventStream(most_bytes=1000)
    for _ in range(100):
        lines.feed(b"data: x\n")
    with pytest.raises(ProtocolError, match="at most 1000 bytes"):
        lines.feed(b"data: x\n" * 100)


def test_many_small_events_are_not_one_large_one() -> None:
    stream = EventStream(most_bytes=100)
    events = [event for _ in range(100) for event in stream.feed(b"id: 1.1\ndata: x\n\n")]
    assert events == [ServerEvent("1.1", "message", "x")] * 100


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(ProtocolError, match="UTF-8"):
        EventStream().feed(b"data: \xff\n\n")
