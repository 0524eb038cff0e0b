"""JSON in what models write: right where it is JSON, bounded where it is anything."""

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_agent.agent.models.json_text import (
    MOST_LETTERS,
    clean_text,
    find_json,
    read_document,
    without_thinking,
)
from spatial_agent.tools.errors import InvalidValueError

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), words
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
documents = st.dictionaries(words, values, min_size=1, max_size=4)
#: What tolerance decides by, in any disorder.
hostile = st.lists(
    st.sampled_from(
        [*"{}[]\"'“”:,\\/ \n<>#`.-+01eEa", "{'a':", "//", "/*", "```json\n", "\\u12", "null", "<think>"]
    )
).map("".join)


def found(text: str) -> list[Any]:
    return [item.value for item in find_json(text).found]


@settings(max_examples=50)
@given(documents, st.sampled_from([None, 0, 2]), st.booleans())
def test_valid_json_is_read_as_the_standard_reader_does(
    document: dict[str, Any], indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    assert found(f"Here it is:\n```json\n{text}\n```\nDone.") == [document]
    assert read_document(text) == document


@settings(max_examples=50)
@given(documents)
def test_python_literals_are_read(document: dict[str, Any]) -> None:
    plain = json.loads(json.dumps(document).encode("ascii", "ignore"))
    # repr chooses the quotes by what is inside, and escapes otherwise than JSON does.
    if "\\" not in repr(plain):
        assert found(f"The task is {plain!r}.") == [plain]


@given(hostile | st.text(), st.integers(1, 50))
def test_no_text_raises_and_whatever_is_found_is_plain_json(text: str, times: int) -> None:
    in_text = find_json(text * times)
    for item in in_text.found:
        assert (text * times)[item.start] in "[{"
        assert json.loads(json.dumps(item.value)) == item.value
    with suppress(InvalidValueError):
        assert isinstance(read_document(text), dict | list)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{'a': 1, 'b': [1, 2,],}", {"a": 1, "b": [1, 2]}),
        ("{a: True, b: None, c: False}", {"a": True, "b": None, "c": False}),
        ('{"a": "the "big" sofa", "b": 1}', {"a": 'the "big" sofa', "b": 1}),
        ("{'a': 'it's the sofa's'}", {"a": "it's the sofa's"}),
        ("{“a”: “b”}", {"a": "b"}),
        ('{"a": {"b": 1} "c": 2}', {"a": {"b": 1}, "c": 2}),
        ('{"a": 1 // metres\n, /* more */ "b": 2}', {"a": 1, "b": 2}),
        ('{"a": "two\nlines\\_"}', {"a": "two\nlines_"}),
        ('{"a": .5, "b": +2, "c": 3.}', {"a": 0.5, "b": 2, "c": 3.0}),
        ('{"a": "\\ud83d\\ude00 \\ud83d"}', {"a": "😀 \N{REPLACEMENT CHARACTER}"}),
        ('the set {x, y} and [note: {"a": 1}]', {"a": 1}),
        ('He wrote "{" first, then {"a": 1}', {"a": 1}),
    ],
)
def test_mistakes_of_models_are_understood(text: str, value: object) -> None:
    assert found(text) == [value]


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 12',
        '{"a": [{"b": 1}, {"b":',
        '{"a": "cut',
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": 1.2.3}',
        '{"a": 9' + "9" * 500 + "}",
    ],
)
def test_half_a_document_and_numbers_that_are_none_are_no_document(text: str) -> None:
    assert found(text) == []
    with pytest.raises(InvalidValueError, match="JSON"):
        read_document(text)


def test_what_is_inside_of_a_broken_document_does_not_pass_for_it() -> None:
    in_text = find_json('{"intent": "distance", "a": {"name": "sofa"}, oops, "b": {"name": "lamp"}}')
    assert {"name": "sofa"} not in [item.value for item in in_text.found]
    assert in_text.problem is not None
    assert "oops" in in_text.problem


def test_the_document_is_the_last_that_fits_and_reasoning_is_not_read() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    assert read_document('{"a": 1} no, {"a": 2}; see [1] {"b": 3}', schema) == {"a": 2}
    assert read_document('<think>{"a": 1}</think>{"a": 2}', schema) == {"a": 2}
    with pytest.raises(InvalidValueError, match="nothing"):
        read_document('<think>maybe {"a": 1}', schema)
    with pytest.raises(InvalidValueError, match="a: expected integer, got 'two'"):
        read_document('{"a": "two"}', schema)
    assert without_thinking("no marks") == "no marks"


def test_halves_of_letters_are_replaced_so_that_every_file_can_hold_them() -> None:
    assert clean_text("a\ud800b\ud83d\ude00") == "a\N{REPLACEMENT CHARACTER}b😀"


@pytest.mark.parametrize(
    "opening",
    ["{", "[", '{"', '{"a":', "{'", "{/*", "{//", "{' ", "[[1,", '{"a": " ', "[1", '{"\\', '{"a":[{b:"'],
)
def test_a_hostile_text_costs_no_more_than_its_length(opening: str) -> None:
    def seconds(letters: int) -> float:
        text = (opening * letters)[:letters]
        started = time.process_time()
        find_json(text)
        return time.process_time() - started

    # Ten times the letters take a hundred times as long where each opening reads the rest again.
    long, short = min(seconds(20_000) for _ in range(2)), min(seconds(2_000) for _ in range(3))
    assert long < 40 * short + 0.05


def test_what_comes_after_the_most_letters_is_not_read() -> None:
    assert found(" " * MOST_LETTERS + '{"a": 1}') == []
