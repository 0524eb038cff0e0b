"""Finding out whose left is meant: the part of a question that states the viewpoint, and the rest."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from spatial_agent.agent.planner.forms import compose
from spatial_agent.agent.planner.wording import reference
from spatial_agent.agent.task import Viewpoint
from spatial_agent.tools.errors import QuestionError

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")

SIGHT = r"(?:point of view|perspective|viewpoint|vantage point|own view)"
WHO = (
    r"(?:(?:i|you|we|someone|somebody|a person|one|an observer|who)(?:'m|'re)? )?(?:(?:am|are|is|was|were) )?"
)
STAND = r"(?:stand|stands|standing|sit|sits|sitting|located|positioned)(?: right)?"
AT = r"(?:at|by|next to|near|beside|on|in|close to)"
LOOK = r"(?:facing|face|faces|looking (?:at|to|towards?)|look (?:at|towards?)|looks (?:at|towards?))"
AWAY = r"(?P<away>(?:facing|looking) away from|with (?:my|your|their|one's) back (?:turned )?(?:to|towards?))"
FACE = rf",? (?:and )?(?:(?:i|you|we|they) )?(?:am |are |is )?(?:{AWAY}|{LOOK})"
AM = r"(?:(?:i|you|we) (?:am|are)|i'm|you're|we're|someone|somebody|(?:someone|somebody) is)"
OBSERVER = rf"(?:(?:{WHO}{STAND}|{AM}) {AT}|from(?! the {SIGHT} of)) <at>{FACE} <facing>"
INTRO = (
    r"(?:(?:(?:if|when|while|suppose|supposing|imagine|assume|assuming|say)(?: that)?"
    rf"|from the {SIGHT} of) )?"
)
SEEN = (
    r"(?:(?:if|when|while|as|as seen|seen|as seen by|for"
    rf"|from the {SIGHT} of) )?"
)
#: A viewpoint in front ends at a punctuation mark or where the question proper begins.
ASK = (
    r"(?:[,.;:] ?(?:and |then )?"
    r"| (?=(?:where|which|what|is|are|at what|in which|in what|how|by how|on which|do) ))"
)
FRAME = (
    r"(?:the |this |that )?(?:(?P<ordinal>[a-z]{2,12}|\d{1,5}(?:st|nd|rd|th)) )?(?:video )?"
    r"(?:frame|image|picture|photo|photograph|view|camera)(?:'s (?:view|point of view|perspective|image))?"
    r"(?: (?:number |no\.? ?|# ?)?(?P<number>\d{1,6}))?"
)
#: A picture may hang on the wall, so "from the picture" states no viewpoint.
NOT_ON_THE_WALL = r"(?!(?:the |this |that )?(?:\S+ )?(?:picture|photo|photograph)$)"
NOT_CAMERA = r"(?!(?:the )?(?:camera|image|frame|picture|photo|video|my|your)\b)"


@dataclass(frozen=True)
class Seen:
    """A question taken apart.

    Attributes:
        view: The viewpoint it states, or None.
        text: The question without it.
    """

    view: Viewpoint | None
    text: str


Build = Callable[[re.Match[str]], Viewpoint]


def _observer(found: re.Match[str]) -> Viewpoint:
    at, facing = reference(found["at"]), reference(found["facing"])
    if at.phrase == facing.phrase:
        raise QuestionError(f"nobody can stand at the {at.phrase} and face it too; name two objects")
    return Viewpoint("observer", at, facing, facing_away=bool(found["away"]))


def _camera(found: re.Match[str]) -> Viewpoint:
    return Viewpoint("camera", frame=_frame_number(found["number"], found["ordinal"]))


def _frame_number(number: str | None, ordinal: str | None) -> int | None:
    """Return a frame number counted from 0: "frame 3" is 3, "the third frame" is 2."""
    if number is not None:
        return int(number)
    if ordinal in (None, "same", "given", "whole"):
        return None
    if ordinal == "last":
        return -1
    digits = ordinal[:-2]
    if digits.isdigit() and int(digits) > 0:
        return int(digits) - 1
    if ordinal in ORDINALS:
        return ORDINALS.index(ordinal)
    raise QuestionError(
        f"'{ordinal} frame': expected 'frame 3' (counted from 0), 'the third frame' or 'the last'"
    )


def _owner(found: re.Match[str]) -> Viewpoint:
    return Viewpoint("object_axes", reference(found["owner"]))


CAMERA_WORDS = (
    rf"(?:in|as seen in|seen in|looking at|(?<=side )of|(?<=half )of"
    rf"|(?:on|from|of|from the {SIGHT} of|as seen from|seen from)(?= {NOT_ON_THE_WALL})) {FRAME}"
)
STATED: tuple[tuple[re.Pattern[str], Build], ...] = tuple(
    (re.compile(compose(pattern)), build)
    for pattern, build in (
        (rf"{INTRO}{OBSERVER}{ASK}(?P<text>.+)", _observer),
        (rf"(?P<text>.+?),? {SEEN}{OBSERVER}", _observer),
        (rf"(?P<text>.+?),? \(?(?:as seen |seen )?from (?P<owner>its) own {SIGHT}\)?", _owner),
        (rf"(?:as seen |seen )?from {NOT_CAMERA}<owner>'s (?:own )?{SIGHT}{ASK}(?P<text>.+)", _owner),
        (rf"(?P<text>.+?),? \(?(?:as seen |seen )?from {NOT_CAMERA}<owner>'s (?:own )?{SIGHT}\)?", _owner),
        (rf"(?P<text>.+?),? \(?(?:as seen |seen )?from the {SIGHT} of {NOT_CAMERA}<owner>\)?", _owner),
        (rf"{CAMERA_WORDS}{ASK}(?P<text>.+)", _camera),
        (rf"(?P<text>.+?),? {CAMERA_WORDS}", _camera),
    )
)
OWN_SIDE = re.compile(
    compose(r"(?P<start>.+ )?(?:to|on|at|in) <owner>'s own (?P<side>left|right|front|back)(?P<end>.*)")
)
ITS_SIDE = re.compile(compose(r".+ (?:left|right|front|back|side) of <owner>(?: (?:is|are) .+)?"))


def split_viewpoint(text: str) -> Seen:
    """Split a cleaned question into the viewpoint it states and the rest.

    Raises:
        QuestionError: If it states a viewpoint that cannot be.
    """
    if own := OWN_SIDE.fullmatch(text):
        rest = f"{own['start'] or ''}to the {own['side']}{own['end']} of {own['owner']}"
        return Seen(_owner(own), rest)
    for pattern, build in STATED:
        if found := pattern.fullmatch(text):
            return Seen(_its_own(found) or build(found), found["text"])
    return Seen(None, text)


def _its_own(found: re.Match[str]) -> Viewpoint | None:
    """Return the viewpoint of "from its own point of view": that of the object whose side is asked."""
    if found.groupdict().get("owner") != "its":
        return None
    side = ITS_SIDE.fullmatch(found["text"])
    if side is None:
        raise QuestionError("'its own point of view' does not say whose; name the object, as in 'the sofa's'")
    return Viewpoint("object_axes", reference(side["owner"]))
