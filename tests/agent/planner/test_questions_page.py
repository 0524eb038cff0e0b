"""The page that says what can be asked tells the truth."""

import re
from pathlib import Path
from typing import get_args

import pytest

from spatial_agent.agent.planner.grammar import parse
from spatial_agent.agent.task import Intent
from spatial_agent.tools.errors import QuestionError

PAGE = Path(__file__).parents[3] / "docs" / "questions.md"


def examples(kind: str) -> list[str]:
    blocks = re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("question", examples("question"))
def test_a_question_on_the_page_can_be_asked(question: str) -> None:
    section = PAGE.read_text("utf-8").partition("## The forms of VSI-Bench")[2]
    assert parse(question).definition == ("vsi" if f"\n{question}\n" in section else "plain")


@pytest.mark.parametrize("question", examples("refused"))
def test_a_question_said_to_be_refused_is_refused(question: str) -> None:
    with pytest.raises(QuestionError):
        parse(question)


def test_the_page_shows_every_intent() -> None:
    # What is open no form reads; it takes a model.
    readable = set(get_args(Intent)) - {"open"}
    assert {parse(question).intent for question in examples("question")} == readable
