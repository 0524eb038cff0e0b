"""From evidence to an answer in the form asked for; with no model, the evidence decides."""

from collections.abc import Mapping, Sequence
from typing import Any

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.comparison import Verdict, compare
from spatial_agent.agent.evidence import to_json
from spatial_agent.agent.executor import is_own
from spatial_agent.agent.planner.options import match_option
from spatial_agent.agent.task import SpatialTask
from spatial_agent.tools.contract import Evidence, Finding, Json


def answer_task(
    task: SpatialTask,
    evidence: Sequence[Evidence],
    failures: Sequence[Mapping[str, Any]],
    weak: Mapping[str, str],
) -> Answer:
    """Answer a task, or abstain with the reason.

    Args:
        task: What is asked.
        evidence: Everything found out, the task's own calls before second routes.
        failures: Calls that failed.
        weak: Why a piece of evidence is weak, by its id.
    """
    own = [item for item in evidence if is_own(item.call_id)]
    carried = tuple(to_json(item) for item in evidence)
    failed = [failure["message"] for failure in failures if is_own(failure["call_id"])]
    if failed or not own:
        return abstain("; ".join(failed) or "nothing was measured", carried)
    verdict = compare(task, [item.finding for item in own]) if task.comparison else _stated(own[0].finding)
    caution = _caution(verdict, [weak[item.id] for item in own if item.id in weak])
    answer = Answer(
        text="",
        value=verdict.value,
        unit=verdict.unit,
        low=verdict.low,
        high=verdict.high,
        margin=verdict.margin,
        reason=caution,
        definition=own[0].finding.definition,
        evidence=carried,
    )
    return _in_form(task, answer, verdict)


def abstain(reason: str, evidence: tuple[Mapping[str, Json], ...] = ()) -> Answer:
    """Return the refusal that says why."""
    return Answer(text=f"No answer: {reason}", abstained=True, reason=reason, evidence=evidence)


def _stated(finding: Finding) -> Verdict:
    return Verdict(
        finding.value,
        finding.claim,
        finding.borderline,
        finding.unit if isinstance(finding.value, int | float) else None,
        finding.low,
        finding.high,
        finding.margin,
    )


def _caution(verdict: Verdict, weak: Sequence[str]) -> str | None:
    remarks = [verdict.borderline] if verdict.borderline else []
    remarks += [f"weak evidence: {reason}" for reason in dict.fromkeys(weak)]
    return "; ".join(remarks) or None


def _in_form(task: SpatialTask, answer: Answer, verdict: Verdict) -> Answer:
    from dataclasses import replace

    if task.options:
        matched = match_option(task.options, answer.value, answer.unit)
        if matched is None:
            offered = "; ".join(f"{option.letter}. {option.text}" for option in task.options)
            return abstain(
                f"measured {answer.value!r}, which is none of the options ({offered})", answer.evidence
            )
        return replace(answer, text=matched.letter, choice=matched.letter)
    if task.definition == "vsi" and isinstance(answer.value, int | float):
        decimals = task.decimals or 0
        return replace(answer, text=f"{answer.value:.{decimals}f}")
    caution = f" ({answer.reason})" if answer.reason else ""
    return replace(answer, text=f"{verdict.text}{caution}")
