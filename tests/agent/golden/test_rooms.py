"""Models that mean well, on every golden question: the right answer, or the refusal that says why."""

import pytest

from tests.agent.golden.harness import Golden, ids
from tests.agent.golden.honest import ByPrograms, ByTools, Careful, Tabular
from tests.agent.golden.questions import (
    GOLDEN,
    Asked,
    differences,
    measured_in_rooms,
    open_questions,
    refused_in_rooms,
)


def test_there_are_enough_questions_and_none_twice() -> None:
    asked = [(item.place, item.text, item.options) for questions in GOLDEN.values() for item in questions()]
    assert len(set(asked)) == len(asked) >= 55


@pytest.mark.parametrize("asked", ids(measured_in_rooms()))
def test_a_careful_model_answers_every_question_as_measured(agent: Golden, asked: Asked) -> None:
    run = agent.ask(asked, Careful()).check("right")
    assert run.answer.decided_by == "both"
    assert run.requested[-1] == "answer"


@pytest.mark.parametrize("asked", ids(refused_in_rooms()))
def test_what_has_no_answer_is_refused_with_the_reason(agent: Golden, asked: Asked) -> None:
    agent.ask(asked, Careful()).check("refused")


@pytest.mark.parametrize("asked", ids([a for a in measured_in_rooms() if a.options or a.unit == "ft"]))
def test_a_model_that_reads_only_the_table_chooses_the_same(agent: Golden, asked: Asked) -> None:
    assert agent.ask(asked, Tabular()).check("right").answer.decided_by == "both"


@pytest.mark.parametrize("asked", ids(measured_in_rooms()[::13]))
def test_pictures_change_nothing_and_leave_no_bytes_in_the_trace(agent: Golden, asked: Asked) -> None:
    run = agent.ask(asked, Careful(), sighted=True).check("right")
    pictures = [
        part for data in run.of("model_request") for message in data["messages"] for part in message["parts"]
    ]
    assert [part for part in pictures if not isinstance(part, str)]


@pytest.mark.parametrize("asked", ids(open_questions()))
def test_open_questions_are_planned_by_calling_tools(agent: Golden, asked: Asked) -> None:
    run = agent.ask(asked, ByTools()).check("right")
    assert run.called[0] == "distance"
    assert run.requested == ["formalise", "plan", "plan", "answer"]
    # A number is the measurement's own; yes and no are the model's conclusion from it, and say so.
    concluded = isinstance(asked.truth, bool)
    assert run.answer.decided_by == ("model" if concluded else "both")
    assert ("concluded by the model from e1" in (run.answer.reason or "")) == concluded


@pytest.mark.parametrize("asked", ids(differences()))
def test_what_a_model_works_out_itself_is_never_called_measured(agent: Golden, asked: Asked) -> None:
    answer = agent.ask(asked, ByTools()).check("right", "unmeasured").answer
    # It was computed from printed numbers with two decimals each.
    assert answer.value == pytest.approx(asked.truth, abs=0.011)
    assert (answer.decided_by, answer.margin) == ("model", None)


@pytest.mark.parametrize("asked", ids([open_questions()[0], open_questions()[2], *differences()]))
def test_open_questions_are_answered_by_programs(programs: Golden, asked: Asked) -> None:
    run = programs.ask(asked, ByPrograms()).check("right")
    checked = [str(call["id"]) for data in run.of("plan") for call in data["calls"]]
    assert [tool for tool, name in zip(run.called, checked, strict=True) if name[0] != "v"] == ["program"]
    assert run.answer.evidence[0]["definition"] == "program"
    if not isinstance(asked.truth, bool):
        assert run.answer.low is not None
        assert run.answer.low <= asked.truth + 1e-6
        assert run.answer.high is not None
        assert run.answer.high >= asked.truth - 1e-6
