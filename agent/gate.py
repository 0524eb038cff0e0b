"""Between what was measured and what a model holds to be so: which of the two an answer comes from.

======================  ==================  =====================================================
measured                the model's view    the answer
======================  ==================  =====================================================
on strong evidence      the same            as measured, decided by both
on strong evidence      another             as measured; the view is kept in the reason
on weak evidence        the same            as measured and called weak, decided by both
on weak evidence        another             the model's view, without a margin
where routes disagree   another             a refusal: nobody confirms either measurement
refused                 any                 the refusal
not at all              any                 the model's view, called unmeasured
anything                none to be read     as measured, or the refusal
======================  ==================  =====================================================

Everything here is a function of its arguments: nothing is asked, drawn or measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.answerer import abstain, in_form, with_remark
from spatial_agent.agent.planner.options import match_option
from spatial_agent.agent.task import Option, SpatialTask
from spatial_agent.agent.view import View
from spatial_agent.agent.written_number import WrittenNumber
from spatial_agent.tools.contract import Json
from spatial_agent.tools.labels import main_name
from spatial_agent.tools.skills.wording import UNIT_TEXT

#: The unit of a number without one, where the question asks for none either.
USUAL_UNITS = {"distance": "m", "size": "m", "room": "m2", "count": "count", "direction": "deg"}
#: Longest conclusion that is quoted in the reason of another one, characters.
MOST_QUOTED = 300


@dataclass(frozen=True)
class Gate:
    """What came through.

    Attributes:
        answer: The answer.
        contradicts: Whether the model's view contradicts strong evidence, and may be put to it once.
    """

    answer: Answer
    contradicts: bool = False


def gate(
    task: SpatialTask,
    measured: Answer,
    view: View,
    weak: Mapping[str, str],
    *,
    refusal_stands: bool = True,
    is_disputed: bool = False,
) -> Gate:
    """Decide between a measured answer and a model's view.

    Args:
        task: What is asked.
        measured: What follows from the evidence alone; a refusal where nothing does.
        view: What the model holds to be the answer.
        weak: Why the evidence that `measured` rests on is weak, by its id; empty where all of it is strong.
        refusal_stands: Whether a refusal says something of the question, as "there is no such object" does,
            rather than that nothing could be measured.
        is_disputed: Whether the evidence is weak because another measurement contradicts it.
    """
    stated = as_asked(task, view)
    if stated is None:
        return Gate(measured)
    if measured.abstained:
        why = f"not measured: {measured.reason}"
        return Gate(measured if refusal_stands else of_model(task, stated, measured, why))
    if agrees(task, measured, stated):
        return Gate(replace(measured, decided_by="both"))
    if weak and is_disputed:
        why = "; ".join(dict.fromkeys(weak.values()))
        return Gate(
            abstain(
                f"measurements contradict each other ({why}), and the model sees it otherwise: {view.said!r}",
                measured.evidence,
            )
        )
    if weak:
        why = f"not measured reliably; what was measured says otherwise: {measured.text[:MOST_QUOTED]}"
        return Gate(of_model(task, stated, measured, why))
    remark = f"the model's own view, {view.said!r}, contradicts what was measured"
    return Gate(with_remark(task, measured, remark), contradicts=True)


def as_asked(task: SpatialTask, view: View) -> View | None:
    """Return a view in the unit asked for; None where there is none, or it is of another kind.

    A number without a unit is taken to be in the unit that was asked for.
    """
    if view.value is None or not is_number(view.value):
        return None if view.value is None else view
    written = WrittenNumber(float(view.value), view.unit, view.rounding)
    usual = USUAL_UNITS.get(task.intent)
    if written.to(task.unit or usual) is None:
        return None
    number = written.to(task.unit or view.unit or usual)
    if number is None:
        return None
    return replace(view, value=number.value, unit=number.unit, rounding=number.rounding)


def agrees(task: SpatialTask, measured: Answer, view: View) -> bool:
    """Return whether a view says the same as a measured answer.

    A number does where it lies within the measured interval, widened by how coarsely it was written.
    """
    if task.options:
        return view.choice == measured.choice
    if isinstance(measured.value, bool) or isinstance(view.value, bool):
        return measured.value is view.value
    if is_number(measured.value) or is_number(view.value):
        return is_number(measured.value) and is_number(view.value) and _is_within(measured, view)
    if task.side and isinstance(measured.value, list | tuple):
        return _kinds(measured.value) == _kinds(view.value)
    return is_same(measured.value, view.value)


def of_model(task: SpatialTask, view: View, measured: Answer, why: str) -> Answer:
    """Return a view as the answer, without any margin, and saying that nothing measured carries it."""
    answer = Answer(
        text="",
        value=view.value,
        unit=view.unit if is_number(view.value) else None,
        reason=why,
        evidence=measured.evidence,
        decided_by="model",
    )
    if task.options:
        return replace(answer, text=view.choice or "", choice=view.choice)
    return in_form(task, answer, sentence(view))


def sentence(view: View) -> str:
    """Return a view as words for people.

    >>> sentence(View(value=2.0, unit="m")), sentence(View(value=["lamp", "sofa"]))
    ('About 2 m', 'lamp, sofa')
    """
    if isinstance(view.value, bool):
        return "Yes" if view.value else "No"
    if is_number(view.value):
        unit = "" if view.unit in (None, "count") else f" {UNIT_TEXT.get(view.unit or '', view.unit)}"
        return f"About {view.value:.6g}{unit}"
    if isinstance(view.value, list | tuple):
        return ", ".join(str(item) for item in view.value)
    return str(view.value)


def is_number(value: Json) -> bool:
    """Return whether a value is a number, which yes and no are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_same(one: Json, other: Json) -> bool:
    """Return whether two names, or two lists of names, mean the same.

    >>> is_same("left", "to the left"), is_same("sofa", "the couch"), is_same(["lamp", "tv"], ["tv", "lamp"])
    (True, True, False)
    """
    if isinstance(one, list | tuple):
        many = other if isinstance(other, list | tuple) else [other]
        return len(one) == len(many) and all(map(is_same, one, many))
    return match_option((Option("A", str(one)),), str(other)) is not None


def _is_within(measured: Answer, view: View) -> bool:
    number = WrittenNumber(float(view.value), view.unit, view.rounding).to(measured.unit)
    if number is None:
        return False
    if measured.unit == "count":
        return bool(round(number.value, 9) == measured.value)
    turns = (-360.0, 0.0, 360.0) if measured.unit == "deg" else (0.0,)
    low, high = _ends(measured)
    return any(replace(number, value=number.value + turn).lies_within(low, high) for turn in turns)


def _ends(measured: Answer) -> tuple[float | None, float | None]:
    """Return the ends of the interval; a number that has neither is exactly what it says."""
    if measured.low is None and measured.high is None:
        return float(measured.value), float(measured.value)
    return measured.low, measured.high


def _kinds(names: Json) -> list[str]:
    listed = names if isinstance(names, list | tuple) else [names]
    return sorted(main_name(str(name)) for name in listed)
