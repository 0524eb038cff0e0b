"""Plain questions about how many, how far and how big."""

from collections.abc import Callable
from dataclasses import replace

from spatial_agent.agent.planner.forms import Form, Words, form
from spatial_agent.agent.planner.units import UNIT_OF, any_of, check_unit, read_quantity
from spatial_agent.agent.planner.wording import reference, references
from spatial_agent.agent.task import CompareRelation, Comparison, Dimension, SpatialTask
from spatial_agent.tools.errors import QuestionError

BE = r"(?:is|are|was|were)"
ROOM = r"(?:(?:the|this|that|my|our) )?(?:whole |entire )?(?:room|floor|space|apartment|flat|area|floor plan)"
PLACE_WORDS = (
    r"(?:in|inside|within|on|near|next to|by|beside|under|above|below|around|close to|closest to|at)"
)
SEEN = (
    r"(?: (?:are|is)(?: (?:there|visible|present|shown))?| (?:do|can) (?:you|i|we|one) (?:see|count|find)"
    r"| can be (?:seen|counted|found)| (?:does|do) (?:the|this) (?:room|scene) (?:have|contain))?"
)
#: How a number may be held against another one.
RELATIONS: dict[str, CompareRelation] = {
    "more than": "greater",
    "over": "greater",
    "greater than": "greater",
    "larger than": "greater",
    "bigger than": "greater",
    "longer than": "greater",
    "farther than": "greater",
    "further than": "greater",
    "less than": "less",
    "under": "less",
    "fewer than": "less",
    "smaller than": "less",
    "shorter than": "less",
    "closer than": "less",
    "nearer than": "less",
    "at least": "at_least",
    "at most": "at_most",
    "no more than": "at_most",
    "up to": "at_most",
    "within": "at_most",
    "exactly": "equal",
}
RELATION = rf"(?P<relation>{any_of(RELATIONS)})"
ADJECTIVES: dict[str, Dimension] = {
    "tall": "height",
    "high": "height",
    "wide": "width",
    "broad": "width",
    "deep": "depth",
    "long": "length",
    "big": "longest",
    "large": "longest",
}
NOUNS: dict[str, Dimension] = {
    "height": "height",
    "width": "width",
    "breadth": "width",
    "depth": "depth",
    "length": "length",
    "size": "longest",
    "longest side": "longest",
    "longest edge": "longest",
    "longest dimension": "longest",
    "largest dimension": "longest",
}
#: Comparatives of size, with the edge they speak of and whether "yes" means more of it.
COMPARATIVES: dict[str, tuple[Dimension, CompareRelation]] = {
    "taller": ("height", "greater"),
    "higher": ("height", "greater"),
    "less tall": ("height", "less"),
    "wider": ("width", "greater"),
    "broader": ("width", "greater"),
    "narrower": ("width", "less"),
    "less wide": ("width", "less"),
    "deeper": ("depth", "greater"),
    "shallower": ("depth", "less"),
    "less deep": ("depth", "less"),
    "longer": ("length", "greater"),
    "less long": ("length", "less"),
    "bigger": ("longest", "greater"),
    "larger": ("longest", "greater"),
    "smaller": ("longest", "less"),
}
ADJECTIVE = rf"(?P<adjective>{any_of(ADJECTIVES)})"
NOUN = rf"(?P<noun>{any_of(NOUNS)})"
COMPARATIVE = rf"(?P<comparative>{any_of(COMPARATIVES)})"
NEARER = r"(?P<nearer>closer|nearer|farther|further)(?: away)?"
DISTANCE = (
    r"(?:what is |measure |give me |how (?:long|large|big|great) is )?"
    r"(?:the )?(?:direct |shortest |smallest |closest |exact )?distance"
)


def holding(words: Words, text: str) -> Comparison:
    """Return the comparison with the quantity in `text`, related as `words["relation"]` says."""
    amount = read_quantity(text)
    if amount is None:
        raise QuestionError(f"expected a number with a unit, such as '2 m', got {text!r}")
    return Comparison(RELATIONS[words.get("relation", "exactly")], amount.value, amount.unit)


def _count(words: Words) -> SpatialTask:
    kind = reference(words["kind"] + words.get("where", ""))
    return SpatialTask("", "count", "plain", "number", (kind,), unit="count")


def _there_is(words: Words) -> SpatialTask:
    kind = reference(words["kind"])
    return SpatialTask("", "count", "plain", "yes_no", (kind,), comparison=Comparison("at_least", 1.0))


def _there_are(words: Words) -> SpatialTask:
    comparison = holding(words, words["number"])
    return SpatialTask("", "count", "plain", "yes_no", (reference(words["kind"]),), comparison=comparison)


def _more_of(words: Words) -> SpatialTask:
    relations: dict[str, CompareRelation] = {"more": "greater", "fewer": "less", "as many": "equal"}
    comparison = Comparison(relations[words["more"]], against=(reference(words["b"]),))
    return SpatialTask("", "count", "plain", "yes_no", (reference(words["a"]),), comparison=comparison)


def _distance(words: Words) -> SpatialTask:
    pair = (
        references(words["things"]) if "things" in words else (reference(words["a"]), reference(words["b"]))
    )
    if len(pair) != 2:
        raise QuestionError(
            f"a distance is between two objects, got {len(pair)}: 'the distance between A and B'"
        )
    unit = check_unit(UNIT_OF[words["unit"]], "length") if "unit" in words else None
    return SpatialTask("", "distance", "plain", "number", pair, unit=unit)


def _distance_holds(words: Words) -> SpatialTask:
    comparison = holding(words, words["quantity"])
    check_unit(comparison.unit, "length")
    return replace(_distance(words), answer_form="yes_no", comparison=comparison)


def _closer(words: Words) -> SpatialTask:
    a, b, c = (reference(words[name]) for name in "abc")
    relation: CompareRelation = "less" if words["nearer"] in ("closer", "nearer") else "greater"
    against = (c, b) if "subject" in words else (a, c)
    return SpatialTask(
        "", "distance", "plain", "yes_no", (a, b), comparison=Comparison(relation, against=against)
    )


def _closer_than_which(words: Words) -> SpatialTask:
    a, b, c = words["a"], words["b"], words["c"]
    raise QuestionError(
        f"two readings: say '... than to {c}' to compare the distances from {a}, "
        f"or '... than {c} is' to compare the distances to {b}"
    )


def _size(words: Words) -> SpatialTask:
    dimension = NOUNS[words["noun"]] if "noun" in words else ADJECTIVES[words.get("adjective", "big")]
    unit = check_unit(UNIT_OF[words["unit"]], "length") if "unit" in words else None
    what = (reference(words["a"]),)
    return SpatialTask("", "size", "plain", "number", what, dimension=dimension, unit=unit)


def _size_holds(words: Words) -> SpatialTask:
    if "comparative" in words:
        dimension, relation = COMPARATIVES[words["comparative"]]
        comparison = replace(holding({}, words["quantity"]), relation=relation)
    else:
        dimension, comparison = ADJECTIVES[words["adjective"]], holding(words, words["quantity"])
    check_unit(comparison.unit, "length")
    what = (reference(words["a"]),)
    return SpatialTask("", "size", "plain", "yes_no", what, dimension=dimension, comparison=comparison)


def _bigger(words: Words) -> SpatialTask:
    dimension, relation = COMPARATIVES[words["comparative"]]
    if words["comparative"] == "higher":
        raise QuestionError(
            "'higher' has two readings: say 'taller' for its height, or 'above' for where it is"
        )
    a, b = reference(words["a"]), reference(words["b"])
    comparison = Comparison(relation, against=(b,))
    return SpatialTask("", "size", "plain", "yes_no", (a,), dimension=dimension, comparison=comparison)


def _shorter(_: Words) -> SpatialTask:
    raise QuestionError("'shorter' has two readings: say 'less tall' or 'less long'")


def _room(words: Words) -> SpatialTask:
    unit = check_unit(UNIT_OF[words["unit"]], "area") if "unit" in words else None
    return SpatialTask("", "room", "plain", "number", unit=unit)


def _room_holds(words: Words) -> SpatialTask:
    comparison = holding(words, words["quantity"])
    check_unit(comparison.unit, "area")
    return SpatialTask("", "room", "plain", "yes_no", comparison=comparison)


def _only_area(_: Words) -> SpatialTask:
    raise QuestionError("of a room only the floor area is measured: 'what is the area of the room?'")


def _forms(*pairs: tuple[str, Callable[[Words], SpatialTask]]) -> tuple[Form, ...]:
    return tuple(form(pattern, build) for pattern, build in pairs)


COUNT_FORMS = _forms(
    (rf"{BE} there (?:a|an|any|some) <kind>", _there_is),
    (
        r"(?:does|do) (?:the|this) (?:room|scene|house|apartment) (?:have|contain) (?:a|an|any|some) <kind>",
        _there_is,
    ),
    (r"(?:do|can) (?:you|i|we|one) (?:see|find) (?:a|an|any|some) <kind>", _there_is),
    (rf"{BE} there (?P<more>more|fewer|as many) <a> (?:than|as) <b>", _more_of),
    (rf"{BE} there (?:{RELATION} )?<number> <kind>", _there_are),
    (rf"how many <kind>{SEEN}(?P<where> {PLACE_WORDS} .{{1,80}})?", _count),
    (r"count (?:up )?<kind>", _count),
    (r"(?:what is |give me )?(?:the )?(?:total )?(?:number|count) of <kind>", _count),
)
DISTANCE_FORMS = _forms(
    (rf"{BE} <a> {NEARER} (?:to|from) <b> than (?:it is |they are )?(?:to|from) <c>", _closer),
    (rf"{BE} <a> {NEARER} (?:to|from) <b> than <c> (?P<subject>is|are)", _closer),
    (rf"{BE} <a> {NEARER} (?:to|from) <b> than <c>", _closer_than_which),
    (rf"{BE} <a> {RELATION} <quantity>(?: away)? (?:of|from|to) <b>", _distance_holds),
    (rf"{BE} <things> {RELATION} <quantity> (?:apart|from each other)", _distance_holds),
    (rf"{BE} the distance (?:between|from) <a> (?:and|to) <b> {RELATION} <quantity>", _distance_holds),
    (rf"how many <unit> (?:away )?{BE} <a>(?: away)? from <b>", _distance),
    (rf"how many <unit> (?:apart )?{BE} <things>(?: apart)?", _distance),
    (rf"how many <unit> {BE} (?:there )?between <a> and <b>", _distance),
    (rf"how far(?: away)? {BE} <a>(?: away)? from <b>", _distance),
    (rf"how far(?: away)? from <b> {BE} <a>", _distance),
    (rf"how (?:close|near|far) {BE} <a> to <b>", _distance),
    (rf"how far apart {BE} <things>(?: from each other)?", _distance),
    (r"how far (?:is it )?(?:between|from) <a> (?:and|to) <b>", _distance),
    (rf"{DISTANCE} (?:between|from|of) <a> (?:and|to|from) <b>", _distance),
    (
        r"(?:how much space is (?:there )?|how (?:wide|large|big) is the (?:gap|space) |what is the gap )"
        r"between <a> and <b>",
        _distance,
    ),
)
ROOM_FORMS = _forms(
    (
        rf"(?:what is |measure )?(?:the )?(?:floor )?(?:area|size|space|surface|square footage) of {ROOM}",
        _room,
    ),
    (rf"what is {ROOM}'s (?:floor )?(?:area|size)", _room),
    (r"(?:what is )?the (?:room|floor) (?:size|area)", _room),
    (rf"how (?:big|large|spacious) {BE} {ROOM}", _room),
    (rf"how many <unit> (?:{BE}|does|big is|large is) {ROOM}(?: have| cover)?", _room),
    (rf"how much (?:floor )?(?:area|space) does {ROOM} (?:have|cover)", _room),
    (
        rf"{BE} {ROOM} {RELATION} <quantity>(?: (?:big|large|in size))?",
        _room_holds,
    ),
    (rf"how (?:tall|high|wide|long|deep) {BE} {ROOM}", _only_area),
)
SIZE_FORMS = _forms(
    (rf"how {ADJECTIVE} {BE} <a>", _size),
    (rf"how many <unit> {ADJECTIVE} {BE} <a>", _size),
    (rf"(?:what is |measure |give me )?the {NOUN} of <a>", _size),
    (rf"what is <a>'s {NOUN}", _size),
    (rf"what size {BE} <a>", _size),
    (rf"{BE} <a> {COMPARATIVE} than <quantity>", _size_holds),
    (rf"{BE} <a> {RELATION} <quantity> {ADJECTIVE}", _size_holds),
    (rf"{BE} <a> {COMPARATIVE} than <b>", _bigger),
    (rf"{BE} <a> shorter than <b>", _shorter),
)
FORMS = ROOM_FORMS + DISTANCE_FORMS + SIZE_FORMS + COUNT_FORMS
