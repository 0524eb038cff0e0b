"""Whole prompts are what they were when somebody last read them."""

import pytest

from tests.prompts.snapshot_prompts import (
    FOLDER,
    PROMPTS,
    VERSIONS,
    template_versions,
    unversioned_changes,
)

AGAIN = "read the difference; if it is meant, run python -m tests.prompts.snapshot_prompts"


@pytest.mark.parametrize("name", PROMPTS)
def test_a_prompt_reads_as_it_was_reviewed(name: str) -> None:
    assert PROMPTS[name]().text + "\n" == (FOLDER / f"{name}.md").read_text("utf-8"), AGAIN


def test_no_snapshot_is_left_over() -> None:
    assert {file.stem for file in FOLDER.glob("*.md")} == {*PROMPTS}


def test_templates_changed_only_with_their_version() -> None:
    assert unversioned_changes(VERSIONS.read_text("utf-8"), template_versions()) == []
    assert VERSIONS.read_text("utf-8") == template_versions(), AGAIN


def test_a_change_of_words_without_a_higher_version_is_noticed() -> None:
    assert unversioned_changes("a 1 x\nb 1 y\nc 1 z\n", "a 1 w\nb 2 w\nc 1 z\nd 1 v\n") == ["a"]
