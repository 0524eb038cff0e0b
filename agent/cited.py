"""Answers that rest on what a model cites: for open questions, and where a task's own calls measured nothing.

The model says which measurement carries its answer; value, unit and interval then come from that
measurement, never from the model. What no cited measurement carries is the model's conclusion, and says so.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.answerer import abstain, conclude, stated, with_remark
from spatial_agent.agent.evidence import to_json
from spatial_agent.agent.gate import Gate, agrees, as_asked, gate, is_number, of_model
from spatial_agent.agent.situation import PROGRAM
from spatial_agent.agent.task import Intent, SpatialTask
from spatial_agent.agent.view import View
from spatial_agent.agent.written_number import WrittenNumber
from spatial_agent.tools.contract import Evidence, Finding

#: Errors of a failed call that say nothing of the question, only that a tool could not work.
TROUBLE = {"ToolTimeoutError", "ToolCrashedError", "ToolUnavailableError", "MissingWeightsError"}
#: Errors that say the question cannot be answered of this scene, whatever else is measured.
ABOUT_OBJECTS = {"NoSuchObjectError", "AmbiguousReferenceError"}
#: What may be measured by other means than the task's own calls and still mean the same; a direction may
#: not, since it means nothing apart from its viewpoint.
MAGNITUDES: set[Intent] = {"distance", "size", "room", "count"}
MOST_NAMED = 5


def may_cite(task: SpatialTask, failures: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether an answer may rest on measurements that the model chose.

    Args:
        task: What is asked.
        failures: The task's own calls that failed.
    """
    if any(failure["error"] in ABOUT_OBJECTS for failure in failures):
        return False
    return task.intent == "open" or task.intent in MAGNITUDES and task.comparison is None


def is_of_question(failures: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether failures say something of the question rather than of the tools."""
    return any(failure["error"] not in TROUBLE for failure in failures)


def carried_by(
    task: SpatialTask, evidence: Sequence[Evidence], view: View, weak: Mapping[str, str]
) -> Gate | None:
    """Return the answer that a cited measurement carries; None where none does.

    A single cited measurement of the very quantity that was asked for, with another number than the model
    states, is a contradiction, and the measurement decides as everywhere. What an open question asks for may
    be another quantity than any one measurement, such as a difference.

    Args:
        task: What is asked.
        evidence: Everything found out.
        view: What the model holds to be the answer, with what it cites.
        weak: Why a piece of evidence is weak, by its id.
    """
    asked = as_asked(task, view)
    if asked is None:
        return None
    cited = [item for item in evidence if item.id in view.cites and not _is_own_word(item)]
    answers = [(item, _answer(task, item, evidence, weak)) for item in cited]
    carrying = [pair for pair in answers if not pair[1].abstained and agrees(task, pair[1], asked)]
    of_its_kind = [pair for pair in answers if not pair[1].abstained and _same_kind(pair[1], asked)]
    strong_first = sorted(carrying, key=lambda pair: pair[0].id in weak)
    contradicted = of_its_kind if len(of_its_kind) == 1 and task.intent != "open" else []
    decisive = strong_first[:1] or contradicted
    if not decisive:
        return None
    item, answer = decisive[0]
    if task.intent == "open":
        # Whether this is what was asked for is the model's word; only the number is measured.
        answer = with_remark(task, answer, f"the model takes {item.id} to be the answer")
    return gate(task, answer, view, {item.id: weak[item.id]} if item.id in weak else {})


def concluded_from(
    task: SpatialTask, evidence: Sequence[Evidence], measured: Answer, view: View
) -> Answer | None:
    """Return a model's own conclusion from what it cites; None where there is no view that can be read.

    A number of a quantity that was measured is no conclusion as long as it rests on no measurement: it is
    refused.
    """
    asked = as_asked(task, view)
    if asked is None:
        return None
    if not view.cites:
        if is_number(asked.value) and any(_same_kind(_alone(item.finding), asked) for item in evidence):
            why = f"the model's number, {view.said!r}, rests on none of the measurements"
            return abstain(why, measured.evidence)
        return of_model(task, asked, measured, "not measured: the model cites no measurement for it")
    named = ", ".join(view.cites[:MOST_NAMED])
    return of_model(task, asked, measured, f"concluded by the model from {named}, not measured itself")


def _is_own_word(item: Evidence) -> bool:
    """Return whether it is what a program of the model concludes without a measurement behind it."""
    return item.finding.definition == PROGRAM and item.finding.quality == "weak"


def _alone(finding: Finding) -> Answer:
    """Return the number of a finding as an answer of no form."""
    return Answer("", finding.value, finding.unit, finding.low, finding.high, finding.margin)


def _answer(
    task: SpatialTask, item: Evidence, evidence: Sequence[Evidence], weak: Mapping[str, str]
) -> Answer:
    """Return what one piece of evidence answers by itself; a refusal where it is none of the options."""
    reasons = {item.id: weak[item.id]} if item.id in weak else {}
    carried = tuple(map(to_json, evidence))
    return conclude(task, stated(item.finding), item.finding.definition, reasons, carried)


def _same_kind(answer: Answer, view: View) -> bool:
    """Return whether both are numbers of one quantity, or an answer that chose between options by number."""
    if not is_number(answer.value):
        return False
    if view.choice is not None:
        return True
    number = WrittenNumber(float(view.value), view.unit, view.rounding) if is_number(view.value) else None
    return number is not None and number.unit is not None and number.to(answer.unit) is not None
