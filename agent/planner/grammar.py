"""The grammar: a question in words becomes a formal spatial task, or is refused with what can be asked.

Forms are tried from the strictest to the loosest: VSI-Bench's word for word, directions once the
viewpoint is split off, then plain measuring and choosing. A form that fits but lacks something says
what it lacks. Every pattern is bounded, so that no input takes long.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from spatial_agent.agent.planner import choosing_forms, measuring_forms, vsi_forms
from spatial_agent.agent.planner.direction_forms import NO_VIEWPOINT, read_direction
from spatial_agent.agent.planner.forms import first_reading
from spatial_agent.agent.planner.options import read_options
from spatial_agent.agent.planner.units import check_unit, split_unit
from spatial_agent.agent.planner.viewpoints import Seen, split_viewpoint
from spatial_agent.agent.planner.wording import canonical_direction, clean, sectors_for
from spatial_agent.agent.task import Intent, Option, SpatialTask
from spatial_agent.tools.errors import InvalidValueError, QuestionError

#: A plain question; only the benchmark's own forms are longer.
LONGEST_PLAIN = 600
CAN_BE_ASKED = (
    "how many chairs are there?",
    "how far is the chair from the table (in feet)?",
    "how tall is the sofa?",
    "what is the area of the room?",
    "which is closer to the sofa, the lamp or the table?",
    "is the sofa longer than 2 m?",
    "standing at the door, facing the window, where is the sofa?",
    "in frame 3, is the chair left or right of the table?",
    "what is to the sofa's own left?",
    "is the cup above the table?",
    "in what order do the sofa, the lamp and the table appear?",
    "I start at the door facing the sofa, go to the table, then to the lamp: which turns do I take?",
)
MEASURED: dict[Intent, str] = {"distance": "length", "size": "length", "room": "area", "direction": "angle"}
CENTRES = re.compile(
    r",? ?\(?(?:measured )?(?:from )?\bcent(?:re|er)s?[- ]to[- ]cent(?:re|er)s?\)?,?"
    r"|\b(?:the )?cent(?:re|er)s? of (?=.)"
)
INLINE_OPTIONS = re.compile(r"\n[^\S\n]*options:\s*\n", re.IGNORECASE)
OPTION_LINE = re.compile(r"\s*\(?[A-Za-z][.):]\s*\S")
HINTS = (
    (r"\b(?:colou?rs?|made of|materials?|brands?|cost|expensive|old|weighs?|weight)\b",
     "only place, size, number and order are measured, not looks, material or weight"),
    (r"\bhow much (?:closer|nearer|farther|further|taller|wider|longer|bigger|larger)\b",
     "ask for the two measurements one by one"),
    (r"\bstand(?:ing)?\b|\bfacing\b|\blook(?:ing)? (?:at|towards?)\b",
     "a viewpoint has a place and a direction: 'standing at the A, facing the B, where is the C?'"),
    (r"\bwhere (?:is|are)\b|\b(?:left|right|behind)\b|\bin front of\b", NO_VIEWPOINT),
    (r"\bvolume\b", "sizes are edges: 'how tall', 'how wide', 'how deep', 'how long'"),
    (r"\bhow (?:far|close)\b|\bdistance\b",
     "a distance is between two objects: 'how far is the A from the B?'"),
    (r"\b(?:closest|nearest|closer|nearer)\b", "say to what: 'which is closer to the A, the B or the C?'"),
)  # fmt: skip


def parse(question: str, options: Sequence[str] = ()) -> SpatialTask:
    """Turn a question into a formal task.

    Args:
        question: The question; a list of options after a line "Options:" is read where none are given.
        options: The answers offered, with letters ("A. left") or without.

    Raises:
        QuestionError: If it cannot be understood; says what is missing, or what can be asked.
    """
    question, options = split_options(question, options)
    offered = read_options(options)
    text = clean(question)
    if not text:
        raise QuestionError(f"expected a question, got nothing to read; {_can_be_asked()}")
    try:
        task = first_reading(vsi_forms.FORMS, text) or _read_plain(text)
    except InvalidValueError as error:
        raise QuestionError(f"{_quoted(text)} makes no sense: {error}") from error
    if task is None:
        raise QuestionError(_not_understood(text))
    return _with_options(replace(task, question=question), offered)


def split_options(question: str, options: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Split the options written into a question from it; options given beside it come first."""
    asked, *rest = INLINE_OPTIONS.split(question, maxsplit=1)
    if not rest:
        return question, options
    lines = [line.strip() for line in rest[0].splitlines() if OPTION_LINE.match(line)]
    return asked, options or lines


def _read_plain(text: str) -> SpatialTask | None:
    if len(text) > LONGEST_PLAIN:
        raise QuestionError(
            f"expected a plain question of at most {LONGEST_PLAIN} characters, got {len(text)}; "
            f"{_can_be_asked()}"
        )
    text, unit = split_unit(text)
    task = (
        first_reading(choosing_forms.ROUTE, text)
        or _read_seen(split_viewpoint(text))
        or _read_seen(Seen(None, text))
    )
    return task and _in_unit(task, unit)


def _read_seen(seen: Seen) -> SpatialTask | None:
    task = read_direction(seen)
    if task is not None:
        return task
    text = " ".join(CENTRES.sub(" ", seen.text).split()).strip(" ,")
    task = first_reading((*choosing_forms.FORMS, *measuring_forms.FORMS), text)
    if task is None:
        return None
    if seen.view and (seen.view.kind != "camera" or seen.view.frame is not None):
        raise QuestionError(
            f"only directions depend on a viewpoint, and this asks for {task.intent}; leave the viewpoint out"
        )
    if text == seen.text:
        return task
    if task.intent != "distance":
        raise QuestionError("only a distance can be from centre to centre")
    return replace(task, centres=True)


def _in_unit(task: SpatialTask, unit: str | None) -> SpatialTask:
    if unit is None:
        return task
    if task.answer_form != "number" or task.intent not in MEASURED:
        raise QuestionError(f"the answer has no unit, so it cannot be given in {unit!r}; leave the unit out")
    return replace(task, unit=check_unit(unit, MEASURED[task.intent]))


def _with_options(task: SpatialTask, options: tuple[Option, ...]) -> SpatialTask:
    """Return the task with its options, which also say how finely a direction is asked for."""
    if not options:
        return task
    names = [canonical_direction(option.text) for option in options]
    open_ended = task.intent in ("direction", "object_side") and task.sectors in ("eight", "four")
    if task.definition == "plain" and open_ended and task.comparison is None and all(names):
        task = replace(task, sectors=sectors_for([name for name in names if name]))
    return replace(task, options=options, answer_form="letter")


def _not_understood(text: str) -> str:
    hints = [hint for pattern, hint in HINTS if re.search(pattern, text)][:1]
    return "; ".join([f"cannot make sense of {_quoted(text)}", *hints, _can_be_asked()])


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 120 else f"{text[:117]}...")


def _can_be_asked() -> str:
    return f"what can be asked: {' | '.join(CAN_BE_ASKED)}"
