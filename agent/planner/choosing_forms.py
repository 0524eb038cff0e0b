"""Plain questions that choose among objects, order them, relate them vertically, or lead past them."""

import re
from collections.abc import Callable
from dataclasses import replace

from spatial_agent.agent.planner.forms import Words, form
from spatial_agent.agent.planner.units import any_of
from spatial_agent.agent.planner.wording import reference, references
from spatial_agent.agent.task import (
    Comparison,
    Dimension,
    Leg,
    Reference,
    Select,
    SpatialTask,
    Viewpoint,
)
from spatial_agent.tools.errors import QuestionError
from spatial_agent.tools.labels import normalise, vocabulary

BE = r"(?:is|are|was|were)"
ONE_OF = (
    r"(?:which|what|who)(?: one| ones| object| thing| item| piece of furniture)?"
    r"(?: of (?:these|those|the following|them|the two)(?: objects| things)?)?"
)
NEAR: dict[str, Select] = {
    "closest": "least",
    "nearest": "least",
    "closer": "least",
    "nearer": "least",
    "farthest": "most",
    "furthest": "most",
    "farther": "most",
    "further": "most",
}
EXTREMES: dict[str, tuple[Dimension, Select]] = {
    "taller": ("height", "most"),
    "tallest": ("height", "most"),
    "least tall": ("height", "least"),
    "less tall": ("height", "least"),
    "wider": ("width", "most"),
    "widest": ("width", "most"),
    "broadest": ("width", "most"),
    "narrower": ("width", "least"),
    "narrowest": ("width", "least"),
    "deeper": ("depth", "most"),
    "deepest": ("depth", "most"),
    "longer": ("length", "most"),
    "longest": ("length", "most"),
    "less long": ("length", "least"),
    "bigger": ("longest", "most"),
    "biggest": ("longest", "most"),
    "larger": ("longest", "most"),
    "largest": ("longest", "most"),
    "smaller": ("longest", "least"),
    "smallest": ("longest", "least"),
}
VERTICAL = {
    "above": "above",
    "over": "above",
    "below": "below",
    "under": "below",
    "underneath": "below",
    "beneath": "below",
    "on": "on",
    "on top of": "on",
    "resting on": "on",
    "standing on": "on",
    "lying on": "on",
    "sitting on": "on",
}
NEAREST = rf"(?:the )?(?:one )?(?P<near>{any_of(NEAR)})(?: away)?"
EXTREME = rf"(?:the )?(?P<extreme>{any_of(EXTREMES)})(?: one)?"
HIGH = r"(?:the )?(?P<high>higher|highest|lower|lowest)(?: up| down| one)?"
SEEN_FIRST = r"(?:appears?|comes?|is seen|are seen|is shown|shows? up|is visible|comes? into view)"
APPEARANCE = r"(?:(?:first-time |first )?appearance order|order of (?:first )?appearance)"
AT_WHICH_END = r"(?P<end>first|last|earliest|latest)"
IN_VIDEO = r"(?: in (?:the|this) (?:video|scan|recording|scene|sequence))?"


def kind(text: str) -> tuple[Reference, ...]:
    """Return the kind of object that competes: empty for "object", which is every object."""
    if normalise(text) in vocabulary().anything:
        return ()
    return (replace(reference(text), plural=True),)


def competitors(text: str) -> tuple[Reference, ...]:
    """Return who competes: the objects of a list, or all objects of one kind."""
    found = references(text)
    if len(found) > 1:
        return found
    if not found or not found[0].plural:
        raise QuestionError(f"expected two or more objects to choose from, got {text!r}")
    return kind(text)


def _nearest(words: Words) -> SpatialTask:
    several = competitors(words["things"]) if "things" in words else kind(words.get("kind", "object"))
    if "a" in words:
        several = (reference(words["a"]), reference(words["b"]))
    entities = (reference(words["anchor"]), *several)
    return SpatialTask("", "nearest", "plain", "name", entities, select=NEAR[words["near"]])


def _largest(words: Words) -> SpatialTask:
    dimension, select = EXTREMES[words["extreme"]]
    several = competitors(words["things"]) if "things" in words else kind(words.get("kind", "object"))
    if "a" in words:
        several = (reference(words["a"]), reference(words["b"]))
    return SpatialTask("", "size", "plain", "name", several, dimension=dimension, select=select)


def _shortest(_: Words) -> SpatialTask:
    raise QuestionError("'short' has two readings: say 'less tall' or 'less long'")


def _highest(words: Words) -> SpatialTask:
    select: Select = "most" if words["high"].startswith("high") else "least"
    several = references(words["things"])
    if len(several) < 2:
        raise QuestionError(
            "'higher' chooses between two or more objects: 'which is higher, the A or the B?'"
        )
    gravity = Viewpoint("gravity")
    return SpatialTask("", "vertical", "plain", "name", several, viewpoint=gravity, select=select)


def _vertical(words: Words) -> SpatialTask:
    pair = (reference(words["a"]), reference(words["b"]))
    comparison = Comparison("is", name=VERTICAL[words["relation"]])
    view = Viewpoint("gravity")
    return SpatialTask("", "vertical", "plain", "yes_no", pair, viewpoint=view, comparison=comparison)


def _order(words: Words) -> SpatialTask:
    things = references(words["things"])
    if len(things) < 2:
        raise QuestionError(
            "an order needs two or more objects: 'in what order do the A, the B and the C appear?'"
        )
    if "end" not in words:
        return SpatialTask("", "order", "plain", "order", things)
    select: Select = "least" if words["end"] in ("first", "earliest") else "most"
    return SpatialTask("", "order", "plain", "name", things, select=select)


THEN = re.compile(
    r"[,;.]? ?(?:and )?(?:then |next |finally |after that )*(?:i )?(?:(?:go|walk|move|continue|head|turn) )?"
    r"(?:then |on |straight |forward |over )*to (?=\w)"
)


def _route(words: Words) -> SpatialTask:
    at, facing = reference(words["at"]), reference(words["facing"])
    stops = [stop.strip(" ,.;") for stop in THEN.split(" to " + words["way"]) if stop.strip(" ,.;")]
    places = [place for stop in stops for place in references(stop)]
    headed = [facing, *places]
    legs = tuple(
        # Who faces the first stop already needs no turn towards it.
        Leg(place, turn_asked=number > 0 or place.phrase != headed[0].phrase)
        for number, place in enumerate(places)
    )
    if not any(leg.turn_asked for leg in legs):
        raise QuestionError("that route has no turn: name a stop besides what is faced at the start")
    return SpatialTask("", "route", "plain", "order", viewpoint=Viewpoint("observer", at, facing), legs=legs)


START = (
    r"(?:(?:if |suppose )?(?:i|you|we) )?(?:am |are )?(?:start|starting|begin|beginning|stand|standing)"
    r"(?: out)? (?:at|by|from|near|next to) <at>,? (?:and )?(?:i )?(?:am |are )?"
    r"(?:facing|face|looking (?:at|towards?)) <facing>(?:[,.;]| and| then)?"
)
WHICH_TURNS = (
    r"(?:(?:which|what) (?:turns?|ways?) (?:do|should|must|will|would) (?:i|you|we)(?: have to| need to)? "
    r"(?:take|make|turn|do|go)|how (?:do|should|must) (?:i|you|we) turn|what are (?:the|my) turns)"
)
MOVE = (
    r"(?:(?:and |then )*(?:(?:i|you|we) )?(?:want to |will )?(?:go|walk|move|head)"
    r"(?: first| straight| forward)*(?: to)? )"
)
WAY = r"(?P<way>.{1,400}?)"
WHICH_OF = r"(?:which|what|who)(?: one)? of (?:the following )?(?:objects )?<things>,?"
NEAREST_FORMS: tuple[tuple[str, Callable[[Words], SpatialTask]], ...] = (
    (rf"{ONE_OF} \(<things>\) {BE} {NEAREST} (?:to|from) <anchor>", _nearest),
    (rf"{WHICH_OF} {BE} {NEAREST} (?:to|from) <anchor>", _nearest),
    (rf"{ONE_OF} {BE} {NEAREST} (?:to |from )?<anchor>(?:[,:;]| -) ?<things>", _nearest),
    (rf"{ONE_OF} {BE} {NEAREST} (?:to |from )?<anchor>", _nearest),
    (rf"(?:what|which|who) {BE} {NEAREST} <kind> (?:to|from) <anchor>", _nearest),
    (rf"(?:which|what) <kind> {BE} {NEAREST} (?:to|from) <anchor>", _nearest),
    (rf"{BE} <a> or <b> {NEAREST} (?:to|from) <anchor>", _nearest),
)
SIZE_FORMS: tuple[tuple[str, Callable[[Words], SpatialTask]], ...] = (
    (rf"{ONE_OF} \(<things>\) {BE} {EXTREME}", _largest),
    (rf"{WHICH_OF} {BE} {EXTREME}", _largest),
    (rf"{ONE_OF} {BE} {EXTREME}(?:[,:;]| -) ?<things>", _largest),
    (rf"{ONE_OF} {BE} {EXTREME}{IN_VIDEO}", _largest),
    (rf"(?:what|which) {BE} {EXTREME} <kind>", _largest),
    (rf"(?:which|what) <kind> {BE} {EXTREME}", _largest),
    (rf"{BE} <a> or <b> {EXTREME}", _largest),
    (rf"{ONE_OF} {BE} (?:the )?short(?:er|est)\b.{{0,200}}", _shortest),
)
ORDER_FORMS: tuple[tuple[str, Callable[[Words], SpatialTask]], ...] = (
    (rf"in (?:which|what) order (?:do|does|did|will|are|were) <things> (?:first )?"
     rf"(?:appear|come into view|show up|seen|shown)(?: for the first time)?{IN_VIDEO}", _order),
    (rf"(?:what is |what will be )?the {APPEARANCE} of "
     rf"(?:the following (?:objects|categories)?{IN_VIDEO}:? ?)?<things>{IN_VIDEO}", _order),
    (rf"{ONE_OF} {SEEN_FIRST} {AT_WHICH_END}{IN_VIDEO}(?:[,:;]| -) ?<things>{IN_VIDEO}", _order),
    (rf"(?:which|what)(?: one)? of <things>,? {SEEN_FIRST} {AT_WHICH_END}{IN_VIDEO}", _order),
    (rf"(?:do|does|did) (?:i|we|you) see <things> {AT_WHICH_END}{IN_VIDEO}", _order),
)  # fmt: skip
VERTICAL_FORMS: tuple[tuple[str, Callable[[Words], SpatialTask]], ...] = (
    (rf"{ONE_OF} {BE} {HIGH}(?:[,:;]| -) ?<things>", _highest),
    (rf"(?:which|what)(?: one)? of <things>,? {BE} {HIGH}", _highest),
    (rf"{BE} <a> (?:directly |located |placed )?(?P<relation>{any_of(VERTICAL)}) <b>", _vertical),
)
ROUTE_FORMS: tuple[tuple[str, Callable[[Words], SpatialTask]], ...] = (
    (rf"{START} {MOVE}{WAY}[,.:;?] ?{WHICH_TURNS}", _route),
    (rf"{WHICH_TURNS}(?: on the way)? (?:when |if )?{START} {MOVE}{WAY}", _route),
    (rf"{WHICH_TURNS} from <at>,? facing <facing>,? to {WAY}", _route),
)
ROUTE = tuple(form(pattern, build) for pattern, build in ROUTE_FORMS)
FORMS = tuple(
    form(pattern, build) for pattern, build in ORDER_FORMS + NEAREST_FORMS + SIZE_FORMS + VERTICAL_FORMS
)
