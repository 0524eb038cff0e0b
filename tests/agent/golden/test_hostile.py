"""Models that err, rave and insist: what was measured stays right, what was not never passes for it."""

import pytest

from tests.agent.golden.harness import BUDGET, Golden, ids
from tests.agent.golden.hostile import HOSTILE, Chaotic, Contradictor, Repentant, Restless
from tests.agent.golden.questions import (
    Asked,
    differences,
    measured_in_rooms,
    open_questions,
    refused_in_rooms,
)

MEASURED = {item.name: item for item in measured_in_rooms()}
#: One of each form: number, letter, yes or no, name.
FEW = [
    MEASURED["example: How far is the sofa from the tv?"],
    MEASURED["example: How far is the trash can from the sofa?"],
    MEASURED["example: Is the sofa longer than 2 m?"],
    MEASURED["example: Standing at the lamp facing the sofa, where is the tv?"],
]
KINDS = pytest.mark.parametrize("kind", HOSTILE)
CONTRADICTED = measured_in_rooms()[:31:5]


@KINDS
@pytest.mark.parametrize("asked", ids(FEW))
def test_what_was_measured_is_answered_whatever_a_model_says(agent: Golden, kind: str, asked: Asked) -> None:
    run = agent.ask(asked, HOSTILE[kind]()).check("right")
    # Nobody but evidence decides; "both" where the model happens to say the same.
    assert run.answer.decided_by in ("evidence", "both")
    assert run.requested.count("answer") <= 2
    assert run.requested.count("reconsider") <= 1


@KINDS
@pytest.mark.parametrize("asked", ids(refused_in_rooms()[:1]))
def test_what_has_no_answer_is_refused_whatever_a_model_says(agent: Golden, kind: str, asked: Asked) -> None:
    agent.ask(asked, HOSTILE[kind]()).check("refused")


@KINDS
@pytest.mark.parametrize("asked", ids([open_questions()[2], differences()[0]]))
def test_open_questions_end_within_the_budget(agent: Golden, kind: str, asked: Asked) -> None:
    run = agent.ask(asked, HOSTILE[kind]()).check("right", "refused", "unmeasured", "cited")
    assert len(run.of("model_request")) <= 2 + 2 * BUDGET.turns + 3


@pytest.mark.slow
@KINDS
@pytest.mark.parametrize("asked", ids([*measured_in_rooms(), *refused_in_rooms()]))
def test_all_questions_and_all_kinds_of_bad_models(agent: Golden, kind: str, asked: Asked) -> None:
    run = agent.ask(asked, HOSTILE[kind]()).check("right" if asked.truth is not None else "refused")
    assert run.answer.decided_by in ("evidence", "both")


@pytest.mark.parametrize("asked", ids(CONTRADICTED))
def test_a_contradiction_is_put_to_the_model_once_and_kept_in_the_reason(agent: Golden, asked: Asked) -> None:
    run = agent.ask(asked, Contradictor()).check("right")
    assert run.requested[-2:] == ["answer", "reconsider"]
    assert run.answer.decided_by == "evidence"
    assert "contradicts what was measured" in (run.answer.reason or "")


def test_a_model_that_takes_it_back_agrees(agent: Golden) -> None:
    run = agent.ask(FEW[0], Repentant()).check("right")
    assert run.requested[-2:] == ["answer", "reconsider"]
    assert run.answer.decided_by == "both"


def test_the_second_look_shows_what_was_measured(agent: Golden) -> None:
    run = agent.ask(FEW[0], Contradictor(), sighted=True).check("right")
    first, second = run.of("model_request")[-2:]
    assert _pictures(second) == _pictures(first) + 1


def test_endless_calls_end_with_the_calls_of_the_budget(agent: Golden) -> None:
    run = agent.ask(open_questions()[0], Restless()).check("refused", "unmeasured")
    assert len(run.called) == BUDGET.calls
    assert run.of("plan")[-1]["stopped"] == "all calls are used up"
    assert "all calls are used up" in run.answer.degraded


def test_the_same_call_is_made_once(agent: Golden) -> None:
    run = agent.ask(open_questions()[0], HOSTILE["the same call for ever"]())
    own = [call for data in run.of("plan") for call in data["calls"] if call["id"].startswith("m")]
    assert len(own) == 1


def test_an_invented_object_is_told_to_the_model_and_not_measured(agent: Golden) -> None:
    run = agent.ask(FEW[0], HOSTILE["invented object"]())
    (reading,) = (data["reading"] for data in run.of("formalise"))
    assert reading["by"] == "grammar"
    assert any("unicorn" in remark for remark in reading["remarks"])
    assert "unicorn" not in str([call["arguments"] for call in run.of("call")])


@pytest.mark.parametrize("seed", range(8))
def test_chance_decides_nothing_that_was_measured(agent: Golden, seed: int) -> None:
    agent.ask(FEW[seed % len(FEW)], Chaotic(seed)).check("right")
    agent.ask(open_questions()[seed % 3], Chaotic(seed)).check("right", "refused", "unmeasured", "cited")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8, 48))
def test_chance_decides_nothing_seed_by_seed(agent: Golden, seed: int) -> None:
    for asked in [*FEW, *refused_in_rooms()]:
        agent.ask(asked, Chaotic(seed)).check("right" if asked.truth is not None else "refused")
    for asked in [*open_questions(), *differences()]:
        agent.ask(asked, Chaotic(seed)).check("right", "refused", "unmeasured", "cited")


def _pictures(request: dict[str, list[dict[str, list[object]]]]) -> int:
    return sum(isinstance(part, dict) for message in request["messages"] for part in message["parts"])
