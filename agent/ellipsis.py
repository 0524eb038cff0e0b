"""Questions that leave out what the one before them said: "and the lamp?", "in feet?", "and how wide?".

What is left out is taken word for word from the question before. Each function gives the questions that
may be meant, likeliest first; whether one makes sense is for the grammar to say.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from spatial_agent.agent.antecedents import label_of, named, read, things
from spatial_agent.agent.planner.measuring_forms import (
    ADJECTIVES,
    COMPARATIVES,
    NOUNS,
    RELATIONS,
)
from spatial_agent.agent.planner.units import QUANTITY, UNIT, any_of, split_unit
from spatial_agent.agent.planner.wording import NotANameError, clean, reference
from spatial_agent.agent.situation import Exchange
from spatial_agent.agent.task import Reference, SpatialTask, Viewpoint
from spatial_agent.tools.errors import QuestionError

ARTICLE = r"(?:(?:the|a|an|this|that|my|your|our|any|some) )?"
ABOUT = re.compile(
    r"(?:(?:what|how) about|(?:the )?same(?: question| thing)?(?: again)?,? (?:for|with|but)|do the same for"
    r"|i (?:meant|mean)|not that,?|rather|now|for|what if|and) "
)
BE = r"(?:is|are|was|were)"
ASKED_UNIT = re.compile(rf"(?:(?:in|as) )?(?P<unit>{UNIT})(?: please)?")
ADJECTIVE = re.compile(rf"how (?P<adjective>{any_of(ADJECTIVES)})(?: (?:{BE} )?(?:it|that))?")
NOUN = re.compile(rf"(?:what (?:is|about) )?(?:the |its )?(?P<noun>{any_of(NOUNS)})")
FAR_FROM = re.compile(r"how (?:far|close)(?: away)? (?P<word>from|to) (?P<what>.{1,80})")
CENTRES = re.compile(r"(?:measured )?(?:from )?cent(?:re|er)[- ]to[- ]cent(?:re|er)")
RELATED = rf"(?:{any_of(RELATIONS)}|{any_of(COMPARATIVES)} than)"
LIMIT = re.compile(rf"(?P<limit>{RELATED} {QUANTITY})")
HOW_FAR = re.compile(rf"how (?:far|close)(?: away)? {BE} (?P<what>.{{1,80}})")
NEARER = re.compile(rf"{BE} (?P<what>.{{1,80}}) (?P<nearer>closer|nearer|farther|further)(?: away)?")
BIGGER = re.compile(rf"{BE} (?P<what>.{{1,80}}) (?P<comparative>{any_of(COMPARATIVES)})")
AMOUNT = re.compile(rf"{BE} (?:that|it|this) (?P<relation>{RELATED}) (?P<amount>{QUANTITY})")
#: What may stand before the name of the thing that is exchanged, and where it then stands before.
PLACED = re.compile(r"(?P<word>from|to|than|of|above|below|under|on|near|next to|by) (?P<what>.{1,80})")
SAME_PLACE = {"from": ("from", "to", "and"), "to": ("to", "from", "and")}
STANDING = re.compile(
    r"(?:if |when )?(?:i |you )?(?:am |are )?(?:standing|stand|at|sitting) (?:at |by |near |next to )?"
    r"(?P<at>.{1,80}?)(?:,? (?:and )?(?:facing|looking at) (?P<facing>.{1,80}))?"
)
FACING = re.compile(r"(?:when |if i am |but )?(?:facing|looking at) (?P<facing>.{1,80})")
FRAME = re.compile(
    r"(?:seen )?(?:in|from) (?P<frame>(?:frame|image|picture|photo) \d{1,6}|the \S{2,12} frame)"
)
FRAME_SAID = re.compile(r"(?:frame|image|picture|photo) \d{1,6}|the \S{2,12} frame")
FROM_THERE = re.compile(r"(?:from|seen from) (?:there|the same (?:place|spot|viewpoint)),? ?")
THERE = re.compile(r"\b(?P<stand>stand|standing) there\b")
#: Questions that choose among what they list: a further name may be an anchor or a candidate.
CHOOSING = ("nearest", "order")
#: How the name of a thing begins where nothing else says that it is one; or it is an id.
NAMING = re.compile(r"(?:the|a|an|this|that|my|your|our|any|some) |[^\W\d][\w -]*-\d+$")
#: Words that ask something of their own, where a name could stand.
NO_NAMES = {"why", "how", "when", "really", "sure", "thanks", "ok", "okay", "again", "more", "else"}
SIZED = {"height": "tall", "width": "wide", "depth": "deep", "length": "long", "longest": "big"}


@dataclass(frozen=True)
class Before:
    """The question that a follow-up goes on from.

    Attributes:
        exchange: It, with what came of it.
        text: It, cleaned.
        task: It, as the grammar reads it.
    """

    exchange: Exchange
    text: str
    task: SpatialTask

    @classmethod
    def of(cls, exchange: Exchange) -> "Before | None":
        """Return an exchange taken apart; None where the grammar cannot read its question."""
        task = read(exchange.question)
        return None if task is None else cls(exchange, clean(exchange.question), task)


def completed(text: str, before: Before, *, goes_on: bool) -> Iterator[str]:
    """Give the questions that a follow-up may mean, likeliest first.

    Args:
        text: The follow-up, cleaned, without "and" in front.
        before: What it goes on from.
        goes_on: Whether it was said to go on, by "and" or the like.

    Raises:
        QuestionError: If it can be read in two ways.
    """
    bare = text
    while found := ABOUT.match(bare):
        bare, goes_on = bare[found.end() :], True
    for form, complete in FORMS:
        if found := form.fullmatch(bare):
            yield from complete(found, before)
    yield from _seen_from_there(FROM_THERE.sub("", bare), before)
    if goes_on or NAMING.match(bare):
        yield from _another_thing(bare, before)


def _another_unit(found: re.Match[str], before: Before) -> Iterator[str]:
    unit = found["unit"]
    base, _ = split_unit(before.text)
    if (
        f"how many {unit}" != (asked := re.sub(rf"^how many {UNIT}\b", f"how many {unit}", base))
        and asked != base
    ):
        yield f"{asked}?"
    else:
        yield f"{base} in {unit}?"


def _another_edge(found: re.Match[str], before: Before) -> Iterator[str]:
    names = things(before.exchange)
    if names and "noun" in found.re.groupindex:
        yield f"what is the {found['noun']} of {names[0]}?"
    elif names:
        yield f"how {found['adjective']} is {names[0]}?"


def _how_far(found: re.Match[str], before: Before) -> Iterator[str]:
    if before.task.intent == "distance":
        yield from _exchanged(found["what"], before, before.task.entities[0])


def _far_from(found: re.Match[str], before: Before) -> Iterator[str]:
    if names := things(before.exchange):
        yield f"how far is {names[0]} {found['word']} {found['what']}?"


def _between_centres(_: re.Match[str], before: Before) -> Iterator[str]:
    if before.task.intent == "distance":
        yield f"{before.text}, centre to centre?"


def _another_limit(found: re.Match[str], before: Before) -> Iterator[str]:
    yield re.sub(rf"\b{RELATED} {QUANTITY}", found["limit"], before.text) + "?"


def _nearer(found: re.Match[str], before: Before) -> Iterator[str]:
    if before.task.intent == "distance":
        first, second = map(named, before.task.entities)
        yield f"is {found['what']} {found['nearer']} to {second} than {first} is?"


def _bigger(found: re.Match[str], before: Before) -> Iterator[str]:
    if before.task.intent == "size" and before.task.entities:
        yield f"is {found['what']} {found['comparative']} than {_subject(before)}?"


def _held_against(found: re.Match[str], before: Before) -> Iterator[str]:
    """Give "is that more than 2 m?" with what was measured in the place of "that"."""
    task, relation, amount = before.task, found["relation"], found["amount"]
    if task.intent == "room":
        yield f"is the room {relation} {amount}?"
    elif task.intent == "distance":
        first, second = map(named, task.entities)
        yield f"is {first} {relation} {amount} from {second}?"
    elif task.intent == "size" and task.entities and task.dimension:
        yield f"is {_subject(before)} {relation} {amount} {SIZED[task.dimension]}?"
        yield f"is {_subject(before)} {relation} {amount}?"


def _from_elsewhere(found: re.Match[str], before: Before) -> Iterator[str]:
    view, text = before.task.viewpoint, before.text
    if view is None or view.kind != "observer" or view.at is None or view.facing is None:
        return
    said = found.groupdict()
    if said.get("at") and said["at"] != "there":
        text = _put(text, view.at, said["at"])
    if said.get("facing"):
        text = _put(text, view.facing, said["facing"])
    yield f"{text}?"


def _another_frame(found: re.Match[str], before: Before) -> Iterator[str]:
    if before.task.intent == "camera_direction":
        yield f"{FRAME_SAID.sub(found['frame'], before.text)}?"
        yield f"in {found['frame']}, {before.text}?"


def _at_the_place(found: re.Match[str], before: Before) -> Iterator[str]:
    """Give "and from the window?" with the window in the place of what stood behind that word."""
    what = found["what"]
    if not _is_name(what):
        return
    against = before.task.comparison.against if before.task.comparison else ()
    for entity in (*before.task.entities, *against)[::-1]:
        for word in SAME_PLACE.get(found["word"], (found["word"],)):
            pattern = re.compile(rf"\b{word} {ARTICLE}{re.escape(entity.phrase)}(?![\w-])")
            if found_there := pattern.search(before.text):
                start, end = found_there.span()
                yield f"{before.text[:start]}{word} {what}{before.text[end:]}?"


def _seen_from_there(text: str, before: Before) -> Iterator[str]:
    """Give a direction asked for without a viewpoint, with that of the question before."""
    view = before.task.viewpoint
    stated = _stated(view) if view else None
    if stated:
        yield f"{stated}, {text}?"
    if view and view.kind == "observer" and view.at:
        place = named(view.at)
        if THERE.search(text):
            yield THERE.sub(lambda found: f"{found['stand']} at {place}", text) + "?"


def _stated(view: Viewpoint) -> str | None:
    if view.kind == "observer" and view.at and view.facing:
        looking = "with my back to" if view.facing_away else "facing"
        return f"standing at {named(view.at)}, {looking} {named(view.facing)}"
    if view.kind == "object_axes" and view.at:
        return f"from {named(view.at)}'s own point of view"
    if view.kind == "camera" and view.frame is not None:
        return "in the last frame" if view.frame == -1 else f"in frame {view.frame}"
    return None


def _another_thing(text: str, before: Before) -> Iterator[str]:
    """Give the question before, asked of another thing."""
    task, text = before.task, text.removesuffix("'s")
    if not _is_name(text) or text in NO_NAMES:
        return
    if task.intent in CHOOSING and (task.intent == "order" or len(task.entities) > 2):
        raise QuestionError(_two_readings(text, before))
    if task.intent == "distance" and (both := _said_alike(before)):
        first, second = both
        readings = [next(_exchanged(text, before, item)) for item in (first, second)]
        raise QuestionError(f"'{text}' may stand for either object: say '{readings[0]}' or '{readings[1]}'")
    if task.entities:
        yield from _exchanged(text, before, task.entities[0])
    elif task.viewpoint and task.viewpoint.at:
        yield f"{_put(before.text, task.viewpoint.at, text)}?"


def _two_readings(text: str, before: Before) -> str:
    if before.task.intent == "order":
        return f"'{text}' does not say which object it takes the place of; ask with the whole list again"
    anchor = named(before.task.entities[0])
    return (
        f"'{text}' may be a further candidate or stand for {anchor}: say 'and to {text}?', or ask with the "
        "whole list again"
    )


def _said_alike(before: Before) -> tuple[Reference, Reference] | None:
    """Return the two objects of a distance that are joined by "and", so that neither is the subject."""
    first, second = before.task.entities
    joined = rf"{re.escape(first.phrase)} and {ARTICLE}{re.escape(second.phrase)}"
    return (first, second) if re.search(joined, before.text) else None


def _exchanged(what: str, before: Before, old: Reference) -> Iterator[str]:
    if not _is_name(what):
        return
    if before.task.intent == "count":
        what = re.sub(r"^the ", "", what)
    yield f"{_put(before.text, old, what)}?"


def _put(text: str, old: Reference, new: str) -> str:
    """Return a cleaned question with another name in the place of one of its names."""
    pattern = rf"\b{ARTICLE}{re.escape(old.phrase)}(?![\w-])"
    return re.sub(pattern, lambda _: new, text, count=1)


def _is_name(text: str) -> bool:
    try:
        reference(text)
    except (NotANameError, QuestionError):
        return False
    return True


def _subject(before: Before) -> str:
    """Return what the question before was about: its id where that is known."""
    names = things(before.exchange)
    said = named(before.task.entities[0])
    same = [name for name in names if label_of(name) == before.task.entities[0].noun]
    return same[0] if same else said


Complete = Callable[[re.Match[str], Before], Iterator[str]]
FORMS: tuple[tuple[re.Pattern[str], Complete], ...] = (
    (ASKED_UNIT, _another_unit),
    (AMOUNT, _held_against),
    (FRAME, _another_frame),
    (FACING, _from_elsewhere),
    (STANDING, _from_elsewhere),
    (ADJECTIVE, _another_edge),
    (NOUN, _another_edge),
    (HOW_FAR, _how_far),
    (FAR_FROM, _far_from),
    (CENTRES, _between_centres),
    (LIMIT, _another_limit),
    (NEARER, _nearer),
    (BIGGER, _bigger),
    (PLACED, _at_the_place),
)
