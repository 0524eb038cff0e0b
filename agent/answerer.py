"""From evidence to an answer in the form asked for; with no model, the evidence decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.comparison import Verdict, compare
from spatial_agent.agent.evidence import to_json
from spatial_agent.agent.executor import OWN
from spatial_agent.agent.planner.options import match_option
from spatial_agent.agent.planner.units import read_quantity
from spatial_agent.agent.task import Option, SpatialTask
from spatial_agent.tools.contract import Evidence, Finding, Json
from spatial_agent.tools.errors import UnitError
from spatial_agent.tools.scene import convert

#: Measurements that a refusal names.
MOST_CLAIMS = 5
#: First letter of the ids of the calls of a question's other reading.
OTHER = "d"


def answer_task(
    task: SpatialTask,
    evidence: Sequence[Evidence],
    failures: Sequence[Mapping[str, Any]],
    weak: Mapping[str, str],
    *,
    own: str = OWN,
) -> Answer:
    """Answer a task, or abstain with the reason.

    Args:
        task: What is asked.
        evidence: Everything found out, the task's own calls before second routes.
        failures: Calls that failed.
        weak: Why a piece of evidence is weak, by its id.
        own: What the ids of the task's own calls begin with.
    """
    resting = rests_on(evidence, own)
    carried = tuple(to_json(item) for item in evidence)
    failed = [failure["message"] for failure in failures if failure["call_id"].startswith(own)]
    if task.intent == "open" and evidence:
        claims = " ".join(f"[{item.id}] {item.finding.claim}" for item in evidence[:MOST_CLAIMS])
        return abstain(f"what was measured does not answer it by itself: {claims}", carried)
    if failed or not resting:
        return abstain("; ".join(dict.fromkeys(failed)) or "nothing was measured", carried)
    findings = [item.finding for item in resting]
    verdict = compare(task, findings) if task.comparison else stated(findings[0])
    return conclude(task, verdict, findings[0].definition, weak_among(resting, weak), carried)


@dataclass(frozen=True)
class Readings:
    """The answers to the two readings of a question.

    Attributes:
        answer: The answer, which is the deciding reading's, and says what the other one gives.
        weak: Why the evidence that it rests on is weak, by its id.
    """

    answer: Answer
    weak: Mapping[str, str]


def answer_readings(
    task: SpatialTask,
    other: SpatialTask | None,
    evidence: Sequence[Evidence],
    failures: Sequence[Mapping[str, Any]],
    weak: Mapping[str, str],
    disagreement: str | None = None,
) -> Readings:
    """Answer a question that may be read two ways: the first reading decides, the other one is told.

    Args:
        task: The deciding reading, whose calls have ids that begin with `executor.OWN`.
        other: The other reading, whose calls have ids that begin with `OTHER`; None without one.
        evidence: Everything found out.
        failures: Calls that failed.
        weak: Why a piece of evidence is weak, by its id.
        disagreement: In what the readings differ, in a sentence.
    """
    answer = answer_task(task, evidence, failures, weak)
    resting = weak_among(rests_on(evidence), weak)
    if other is None:
        return Readings(answer, resting)
    alternative = answer_task(other, evidence, failures, weak, own=OTHER)
    two_ways = f"the question can be read two ways{f' ({disagreement})' if disagreement else ''}"
    if say_the_same(answer, alternative):
        return Readings(with_remark(task, answer, f"{two_ways}; both give this answer"), resting)
    given = (
        f"there is no answer: {alternative.reason}"
        if alternative.abstained
        else f"the answer is: {_told(alternative)}"
    )
    return Readings(with_remark(task, answer, f"{two_ways}; read the other way, {given}"), resting)


def say_the_same(one: Answer, other: Answer) -> bool:
    """Return whether two measured answers say the same: equal names, or numbers within their margins."""
    if one.abstained or other.abstained:
        return False
    if one.choice is not None or other.choice is not None:
        return one.choice == other.choice
    numbers = [
        isinstance(item.value, int | float) and not isinstance(item.value, bool) for item in (one, other)
    ]
    return _within_margins(one, other) if all(numbers) else bool(one.value == other.value)


def _within_margins(one: Answer, other: Answer) -> bool:
    unit = one.unit or other.unit
    if unit is None:
        return bool(one.value == other.value)
    try:
        value, margin = (
            convert(number, other.unit or unit, unit) for number in (other.value, other.margin or 0.0)
        )
    except UnitError:
        return False
    return bool(abs(one.value - value) <= margin + (one.margin or 0.0) + 1e-9)


def _told(answer: Answer) -> str:
    """Return an answer as part of a sentence."""
    if answer.choice is None:
        return answer.text.rstrip(".")
    return f"{answer.choice} ({answer.value}{f' {answer.unit}' if answer.unit else ''})"


def rests_on(evidence: Sequence[Evidence], own: str = OWN) -> list[Evidence]:
    """Return the evidence that answers a task: that of its own calls."""
    return [item for item in evidence if item.call_id.startswith(own)]


def weak_among(evidence: Sequence[Evidence], weak: Mapping[str, str]) -> dict[str, str]:
    """Return why pieces of evidence are weak, of those given."""
    return {item.id: weak[item.id] for item in evidence if item.id in weak}


def abstain(reason: str, evidence: tuple[Mapping[str, Json], ...] = ()) -> Answer:
    """Return the refusal that says why."""
    return Answer(text=f"No answer: {reason}", abstained=True, reason=reason, evidence=evidence)


def stated(finding: Finding) -> Verdict:
    """Return what a finding comes to by itself."""
    return Verdict(
        finding.value,
        finding.claim,
        finding.borderline,
        finding.unit if isinstance(finding.value, int | float) else None,
        finding.low,
        finding.high,
        finding.margin,
    )


def conclude(
    task: SpatialTask,
    verdict: Verdict,
    definition: str,
    weak: Mapping[str, str],
    carried: tuple[Mapping[str, Json], ...],
) -> Answer:
    """Return what evidence comes to as an answer in the form asked for.

    Args:
        task: What is asked.
        verdict: What the evidence comes to.
        definition: The operator whose meaning applies.
        weak: Why the evidence that the verdict rests on is weak, by its id.
        carried: All evidence as JSON.
    """
    close = verdict.borderline or (_close_options(task.options, verdict) if task.options else None)
    remarks = [close] if close else []
    remarks += [f"weak evidence: {reason}" for reason in dict.fromkeys(weak.values())]
    answer = Answer(
        text="",
        value=verdict.value,
        unit=verdict.unit,
        low=verdict.low,
        high=verdict.high,
        margin=verdict.margin,
        reason="; ".join(remarks) or None,
        definition=definition,
        evidence=carried,
    )
    return in_form(task, answer, verdict.text)


def in_form(task: SpatialTask, answer: Answer, sentence: str) -> Answer:
    """Return an answer with the text that the form asks for: a bare letter or number, or the sentence."""
    if task.options:
        matched = match_option(task.options, answer.value, answer.unit)
        if matched is None:
            offered = "; ".join(f"{option.letter}. {option.text}" for option in task.options)
            return abstain(f"{sentence.rstrip()} That is none of the options ({offered})", answer.evidence)
        return replace(answer, text=matched.letter, choice=matched.letter)
    if is_bare(task, answer):
        decimals = task.decimals or 0
        return replace(answer, text=f"{answer.value:.{decimals}f}")
    caution = f" ({answer.reason})" if answer.reason else ""
    return replace(answer, text=f"{sentence}{caution}")


def is_bare(task: SpatialTask, answer: Answer) -> bool:
    """Return whether the text of an answer is a letter or number that nothing may stand behind."""
    is_number = isinstance(answer.value, int | float) and not isinstance(answer.value, bool)
    return bool(task.options) or (task.definition == "vsi" and is_number)


def with_remark(task: SpatialTask, answer: Answer, remark: str) -> Answer:
    """Return an answer that says one thing more: in its reason, and in its text where that is a sentence."""
    reason = f"{answer.reason}; {remark}" if answer.reason else remark
    if is_bare(task, answer) and not answer.abstained:
        return replace(answer, reason=reason)
    return replace(answer, reason=reason, text=f"{answer.text} ({remark})")


def _close_options(options: Sequence[Option], verdict: Verdict) -> str | None:
    """Return the runner-up of options that are numbers, where the margin reaches the middle between two."""
    offered = offered_numbers(options, verdict.unit)
    if offered is None or not verdict.margin or verdict.unit is None:
        return None
    ranked = sorted(offered, key=lambda option: abs(offered[option] - verdict.value))
    first, second = (offered[option] for option in ranked[:2])
    to_boundary = abs(verdict.value - (first + second) / 2.0)
    if to_boundary >= verdict.margin:
        return None
    return (
        f"close: the runner-up is {ranked[1].letter}. {ranked[1].text}; the value is {to_boundary:.2f} "
        f"{verdict.unit} from the middle between the two, its margin {verdict.margin:.2f} {verdict.unit}"
    )


def offered_numbers(options: Sequence[Option], unit: str | None) -> dict[Option, float] | None:
    """Return the numbers that options offer, in a unit; None where one of them is none of that kind."""
    numbers: dict[Option, float] = {}
    for option in options:
        offered = read_quantity(option.text)
        if offered is None:
            return None
        try:
            numbers[option] = (
                convert(offered.value, offered.unit, unit) if offered.unit and unit else offered.value
            )
        except UnitError:
            return None
    return numbers
