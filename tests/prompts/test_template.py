"""Templates are filled strictly and once."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_agent.prompts import template
from spatial_agent.prompts.template import Template, templates
from spatial_agent.tools.errors import InvalidValueError

NOTE = Template("note", 1, 'To {{who}}: {{what}} and { "json": {} }')


def test_every_place_gets_its_value() -> None:
    assert NOTE.fill(who="Ann", what=3) == 'To Ann: 3 and { "json": {} }'


@pytest.mark.parametrize("values", [{"who": "Ann"}, {"who": "Ann", "what": "x", "when": "now"}, {}])
def test_a_missing_or_unknown_value_is_refused(values: dict[str, str]) -> None:
    with pytest.raises(InvalidValueError, match="no value for|no place for"):
        NOTE.fill(**values)


def test_the_refusal_names_what_is_missing_and_what_is_too_much() -> None:
    with pytest.raises(InvalidValueError, match="template note: no value for what; no place for when"):
        NOTE.fill(who="Ann", when="now")


def test_a_value_that_is_not_words_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="expected words for what, got a list"):
        NOTE.fill(who="Ann", what=["x"])  # type: ignore[arg-type]


@given(st.text(), st.text())
def test_values_are_never_filled_again(who: str, what: str) -> None:
    values = {"who": who + "{{what}}", "what": what + "{{who}}"}

    assert NOTE.fill(**values) == f'To {values["who"]}: {values["what"]} and {{ "json": {{}} }}'


def test_backslashes_in_values_stay() -> None:
    assert Template("one", 1, "{{x}}").fill(x=r"\1 \g<0>") == r"\1 \g<0>"


@pytest.mark.parametrize("text", ["{{ who }}", "{{Who}}", "{{who", "who}}", "{{}}"])
def test_what_looks_like_a_place_and_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="double braces"):
        Template("broken", 1, text)


@pytest.mark.parametrize("name", ["no-such", "../known", "", "task_card.md"])
def test_an_unknown_name_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(InvalidValueError, match="there are .*task_card"):
        Template.load(name)


@pytest.mark.parametrize("name", templates())
def test_every_template_of_the_package_loads(name: str) -> None:
    loaded = Template.load(name)

    assert loaded.version >= 1
    assert loaded.text.strip()
    assert "<!--" not in loaded.text


@pytest.mark.parametrize("first_line", ["", "# Title", "<!-- version: one -->", "<!-- version: 0 -->"])
def test_a_template_without_a_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first_line: str
) -> None:
    (tmp_path / "unversioned.md").write_text(f"{first_line}\nHello\n")
    monkeypatch.setattr(template, "FOLDER", tmp_path)

    with pytest.raises(InvalidValueError, match="first line '<!-- version: 1 -->'"):
        Template.load("unversioned")
