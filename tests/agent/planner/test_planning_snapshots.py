"""What models are told is what it was when somebody last read it."""

import pytest

from tests.agent.planner.snapshot_planning import FOLDER, REQUESTS, VERSIONS, template_versions, written
from tests.prompts.snapshot_prompts import unversioned_changes

AGAIN = "read the difference; if it is meant, run python -m tests.agent.planner.snapshot_planning"


@pytest.mark.parametrize("name", REQUESTS)
def test_what_a_model_is_told_reads_as_it_was_reviewed(name: str) -> None:
    assert written(REQUESTS[name]()) == (FOLDER / f"{name}.md").read_text("utf-8"), AGAIN


def test_templates_changed_only_with_their_version() -> None:
    assert unversioned_changes(VERSIONS.read_text("utf-8"), template_versions()) == []
    assert VERSIONS.read_text("utf-8") == template_versions(), AGAIN
