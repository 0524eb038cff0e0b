"""The ten question forms of VSI-Bench, word for word, with the wordings seen in released rows.

Source: the templates of the VLM-3R data pipeline, and rows of ``nyu-visionx/VSI-Bench``.
"""

import re

from spatial_agent.agent.planner.forms import Words, form
from spatial_agent.agent.planner.units import UNIT_OF, check_unit
from spatial_agent.agent.planner.wording import reference, references
from spatial_agent.agent.task import Leg, Sectors, SpatialTask, Viewpoint
from spatial_agent.tools.errors import QuestionError

#: The benchmark rounds to tenths of a metre or square metre, and to whole centimetres.
DECIMALS = {"m": 1, "m2": 1, "cm": 0}
CLOSEST_POINT = "measuring from the closest point of each object, "
STANDING = "if i am standing by (?:the )?<at> and facing (?:the )?<facing>, is (?:the )?<target> to "


def _count(words: Words) -> SpatialTask:
    return SpatialTask("", "count", "vsi", "number", (reference(words["kind"]),), unit="count", decimals=0)


def _distance(words: Words) -> SpatialTask:
    unit = check_unit(UNIT_OF[words["unit"]], "length")
    pair = (reference(words["a"]), reference(words["b"]))
    return SpatialTask("", "distance", "vsi", "number", pair, unit=unit, decimals=DECIMALS.get(unit or ""))


def _size(words: Words) -> SpatialTask:
    unit = check_unit(UNIT_OF[words["unit"]], "length")
    what = (reference(words["a"]),)
    decimals = DECIMALS.get(unit or "")
    return SpatialTask("", "size", "vsi", "number", what, dimension="longest", unit=unit, decimals=decimals)


def _room(words: Words) -> SpatialTask:
    unit = check_unit(UNIT_OF[words["unit"]], "area")
    return SpatialTask("", "room", "vsi", "number", unit=unit, decimals=DECIMALS.get(unit or ""))


def _nearest(words: Words) -> SpatialTask:
    entities = (reference(words["anchor"]), *references(words["things"]))
    return SpatialTask("", "nearest", "vsi", "name", entities, select="least", closest_instance=True)


def _direction(words: Words, sectors: Sectors) -> SpatialTask:
    view = Viewpoint("observer", reference(words["at"]), reference(words["facing"]))
    target = (reference(words["target"]),)
    return SpatialTask("", "direction", "vsi", "name", target, viewpoint=view, sectors=sectors)


def _left_or_right(words: Words) -> SpatialTask:
    if reference(words["of"]).phrase != reference(words["facing"]).phrase:
        raise QuestionError(
            "the benchmark asks for left or right of what is faced; got "
            f"'{words['of']}' where '{words['facing']}' was expected"
        )
    return _direction(words, "two")


def _order(words: Words) -> SpatialTask:
    return SpatialTask("", "order", "vsi", "order", references(words["things"]))


def _route(words: Words) -> SpatialTask:
    view = Viewpoint("observer", reference(words["at"]), reference(words["facing"]))
    legs = _legs(words["steps"])
    if words.get("end") and reference(words["end"]).noun != legs[-1].to.noun:
        raise QuestionError(
            f"the route ends at '{legs[-1].to.phrase}', but is said to lead to '{words['end']}'"
        )
    return SpatialTask("", "route", "vsi", "order", viewpoint=view, legs=legs)


STEP = re.compile(r"(?:^| )\d{1,2}\. ?")
FORWARD = re.compile(
    r"(?:go|walk|move) (?:straight |forward )*(?:until|to|till|towards?) (?:you (?:reach|see) )?(.{1,80})"
)


def _legs(steps: str) -> tuple[Leg, ...]:
    """Return the legs of numbered steps, each either a turn to fill in or a way forward."""
    legs: list[Leg] = []
    asked = False
    for step in (part.strip(" .") for part in STEP.split(steps)):
        forward = FORWARD.fullmatch(step)
        if forward:
            legs.append(Leg(reference(forward[1]), turn_asked=asked))
        elif step and step != "[please fill in]":
            raise QuestionError(
                f"route step {step!r}: expected 'go forward until the ...' or '[please fill in]'"
            )
        asked = not forward and bool(step)
    if asked or not any(leg.turn_asked for leg in legs):
        raise QuestionError("every '[please fill in]' of a route needs a 'go forward until the ...' after it")
    return tuple(legs)


FORMS = (
    form(r"how many <kind>\(e?s\) are (?:there )?in this room", _count),
    form(
        rf"{CLOSEST_POINT}what is the (?:direct )?distance between (?:the )?<a> and (?:the )?<b> "
        r"\(in <unit>\)",
        _distance,
    ),
    form(
        r"what is the length of the longest dimension \(length, width,? or height\) of (?:the )?<a>, "
        r"measured in <unit>",
        _size,
    ),
    form(
        r"what is the size of this room \(in <unit>\)(?:\? ?if multiple rooms are shown, "
        r"estimate the size of the combined space)?",
        _room,
    ),
    form(
        rf"{CLOSEST_POINT}which of these objects \(<things>\) is the closest to (?:the )?<anchor>"
        r"(?:\? ?if there are multiple instances of an object category, measure to the closest)?",
        _nearest,
    ),
    form(
        rf"{STANDING}my front-left, front-right, back-left, or back-right(?:\? ?the directions refer to the "
        r"quadrants of a cartesian plane \(if i am standing at the origin and facing along the positive "
        r"y-axis\))?",
        lambda words: _direction(words, "quadrants"),
    ),
    form(
        rf"{STANDING}my left, right, or back(?:\? ?an object is to my back if i would have to turn at least "
        r"135 degrees in order to face it)?",
        lambda words: _direction(words, "vsi_three"),
    ),
    form(rf"{STANDING}the left or the right of (?:the )?<of>", _left_or_right),
    form(
        r"what will be the first-time appearance order of the following categories in the video: <things>",
        _order,
    ),
    form(
        r"you are a robot beginning at (?:the )?<at>,?(?: and)? facing (?:the )?<facing>\. "
        r"you want to navigate to (?:the )?<end>\. you will perform the following actions "
        r"\(note: for each \[please fill in\], choose either 'turn back,' 'turn left,' or 'turn right\.'\): ?"
        r"(?P<steps>.{1,2000}?)(?:[ .]*you have reached the final destination)?",
        _route,
    ),
)
