"""Plain questions about directions: for an observer, in an image, on an object's own side."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import get_args

from spatial_agent.agent.planner.forms import Form, Words, compose, first_reading
from spatial_agent.agent.planner.units import NUMBER_WORDS, any_of
from spatial_agent.agent.planner.viewpoints import Seen
from spatial_agent.agent.planner.wording import DIRECTION, DIRECTION_OF, reference, sectors_for
from spatial_agent.agent.task import Comparison, Reference, Sectors, Side, SpatialTask, Viewpoint
from spatial_agent.tools.errors import QuestionError

NO_VIEWPOINT = (
    "a direction needs a viewpoint: say 'standing at the A, facing the B, ...', 'in frame 3, ...', "
    "or 'on the A's own left'"
)
HANDED = {"left", "right"}
OBSERVER_WORDS = {"me", "you", "us", "myself"}
WHAT = r"(?:what|which)"
CARRIER = r"(?:(?:to|on|at|in) )?(?:(?:the|my|your|its) )?"
ONE = rf"{CARRIER}{DIRECTION}(?:(?: of)? (?:me|you|us))?"
CHOICES = rf"(?P<choices>{ONE}(?:(?:,? or|,) {ONE}){{1,7}})"
BE = r"(?:is|are|would|will)"
TURN = r"(?:turn|look|rotate|go|walk|head|move)"
TO_FACE = r"(?:in order )?to (?:face|see|look at|get to|reach|find|go to|be facing)"
MUST = r"(?:do|should|must|would|will|can|does) (?:i|you|we|one|someone)(?: have to| need to| want to)?"


@dataclass(frozen=True)
class Wish:
    """What is asked of a direction, before it is known whose.

    Attributes:
        sectors: How finely, or None where the named directions or the viewpoint decide.
        names: The directions named.
        comparison: What a yes/no question compares with.
    """

    sectors: Sectors | None = None
    names: tuple[str, ...] = ()
    comparison: Comparison | None = None


def _choice(words: Words) -> Wish:
    return Wish(names=tuple(DIRECTION_OF[name] for name in re.findall(DIRECTION, words["choices"])))


def _is_it(words: Words) -> Wish:
    name = DIRECTION_OF[words["direction"]]
    return Wish(names=(name,), comparison=Comparison("is", name=name))


def _at_hour(words: Words) -> Wish:
    hour = int(NUMBER_WORDS.get(words["hour"]) or words["hour"])
    if not 1 <= hour <= 12:
        raise QuestionError(f"expected an hour from 1 to 12, got {hour} o'clock")
    return Wish("clock", comparison=Comparison("is", name=f"{hour} o'clock"))


def _where(_: Words) -> Wish:
    return Wish()


def _clock(_: Words) -> Wish:
    return Wish("clock")


def _degrees(_: Words) -> Wish:
    return Wish("degrees")


HOUR = rf"(?P<hour>1?\d|{any_of(word for word, value in NUMBER_WORDS.items() if value in range(1, 13))})"
FORMS: tuple[tuple[re.Pattern[str], Callable[[Words], Wish]], ...] = tuple(
    (re.compile(compose(pattern)), wish)
    for pattern, wish in (
        (rf"(?:(?:at|in) )?{WHAT} (?:o'clock|clock (?:position|direction|hour)) {BE} <t>(?: at)?", _clock),
        (rf"(?:at )?{WHAT} hour (?:of|on) the clock {BE} <t>", _clock),
        (rf"(?:by )?how many degrees (?:to the left or right )?{MUST} {TURN}"
         rf"(?: left or right)? {TO_FACE} <t>", _degrees),
        (rf"(?:by |at )?how many degrees (?:(?:to the |to my )?(?:left or right) )?{BE} <t>"
         r"(?: (?:(?:to )?(?:my |the )?left or right|off|(?:from|off) straight ahead))?", _degrees),
        (rf"(?:at )?{WHAT} (?:angle|bearing) {BE} <t>(?: at)?", _degrees),
        (r"what is the (?:angle|bearing) (?:to|of) <t>", _degrees),
        (rf"{BE} <t> (?:be )?at (?:my |your )?{HOUR} o'clock", _at_hour),
        (rf"{MUST} {TURN} {CHOICES} {TO_FACE} <t>", _choice),
        (rf"{BE} <t> (?:be |located )?{CHOICES}(?: side)?(?: (?:of|than) <ref>)?", _choice),
        (rf"(?:on|to|in|at) {WHAT} (?:side|direction) (?:of <ref> )?{BE} <t>(?: be)?", _where),
        (rf"{WHAT} (?:side|direction|way) (?:of <ref> )?{BE} <t>(?: (?:on|in|to|at))?", _where),
        (rf"(?:in )?{WHAT} (?:way|direction) {MUST} {TURN} {TO_FACE} <t>", _where),
        (rf"where {BE} <t>(?: be)?(?: located)?(?: (?:relative to|with respect to|in relation to) <ref>)?",
         _where),
        (rf"{BE} <t> (?:be |located |standing )?(?:directly |further |farther )?{CARRIER}<direction>"
         r"(?: (?:of|than) <ref>| (?:me|you|us))?", _is_it),
        (rf"{BE} <t> (?:directly )?(?P<direction>behind) <ref>", _is_it),
    )
)  # fmt: skip
EVERYTHING = re.compile(
    compose(rf"(?:what|which (?:objects?|things?)) (?:is|are)(?: there)? {CARRIER}<direction>(?: of)? <ref>")
)


def read_direction(seen: Seen) -> SpatialTask | None:
    """Return the task of a question about a direction, or None where it is about something else.

    Raises:
        QuestionError: If the direction means nothing from the stated viewpoint, or none is stated.
    """
    if found := EVERYTHING.fullmatch(seen.text):
        return _everything_on_side(seen.view, DIRECTION_OF[found["direction"]])
    return first_reading(
        (Form(pattern, partial(_build, seen.view, wish)) for pattern, wish in FORMS), seen.text
    )


def _build(view: Viewpoint | None, wish: Callable[[Words], Wish], words: Words) -> SpatialTask:
    return _task(view, words, wish(words))


def _everything_on_side(view: Viewpoint | None, name: str) -> SpatialTask:
    if view is None:
        raise QuestionError(NO_VIEWPOINT)
    side = next((side for side in get_args(Side) if side == name), None)
    if view.kind != "object_axes" or side is None:
        raise QuestionError(
            "everything on one side is listed only for an object's own left, right, front or back: "
            "'what is to the sofa's own left?'"
        )
    return SpatialTask("", "object_side", "plain", "name", viewpoint=view, side=side, sectors="four")


def _task(view: Viewpoint | None, words: Words, wish: Wish) -> SpatialTask:
    """Return the task of looking for `words["t"]`, beside `words["ref"]` where that is an object."""
    other = words.get("ref")
    if view is None:
        raise QuestionError(NO_VIEWPOINT)
    target = reference(words["t"])
    beside = reference(other) if other and other not in OBSERVER_WORDS else None
    draft = {"observer": _for_observer, "camera": _in_image, "object_axes": _own_side}[view.kind]
    task = draft(view, target, beside, wish)
    if wish.comparison:
        return replace(task, answer_form="yes_no", comparison=wish.comparison)
    return replace(task, answer_form="number", unit="deg") if task.sectors == "degrees" else task


def _for_observer(view: Viewpoint, target: Reference, beside: Reference | None, wish: Wish) -> SpatialTask:
    facing = view.facing.phrase if view.facing and not view.facing_away else None
    if beside is None or (beside.phrase == facing and set(wish.names) <= HANDED):
        sectors = wish.sectors or (sectors_for(wish.names) if wish.names else "eight")
        if beside is not None:
            sectors = "two"
        return SpatialTask("", "direction", "plain", "name", (target,), viewpoint=view, sectors=sectors)
    if not set(wish.names) <= HANDED:
        raise QuestionError(
            "for an observer a thing is left or right of another one, not in front of or behind it"
        )
    return SpatialTask("", "direction", "plain", "name", (target, beside), viewpoint=view, sectors="two")


def _in_image(view: Viewpoint, target: Reference, beside: Reference | None, wish: Wish) -> SpatialTask:
    if wish.sectors or not set(wish.names) <= HANDED:
        raise QuestionError(
            "in an image a thing is left or right; for other directions say 'standing at the A, facing the B'"
        )
    entities = (target, beside) if beside else (target,)
    return SpatialTask("", "camera_direction", "plain", "name", entities, viewpoint=view, sectors="two")


def _own_side(view: Viewpoint, target: Reference, beside: Reference | None, wish: Wish) -> SpatialTask:
    owner = view.at
    if beside and owner and beside.noun != owner.noun:
        raise QuestionError(
            f"from the {owner.phrase} a thing is on its own left or right, not left of '{beside.phrase}'"
        )
    sectors = wish.sectors or (sectors_for(wish.names) if wish.names else "four")
    return SpatialTask("", "object_side", "plain", "name", (target,), viewpoint=view, sectors=sectors)
