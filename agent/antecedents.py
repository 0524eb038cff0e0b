"""What pronouns of a question stand for: "it", "they", "the other one", by what was said before.

An object that an answer spoke of stands under its id from then on, because the id can mean no other.
Where two objects of the exchange before are spoken of alike ("how far apart are the A and the B?"), "it"
may be either, and is refused rather than guessed.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from spatial_agent.agent.planner.grammar import parse
from spatial_agent.agent.planner.measuring_forms import NOUNS
from spatial_agent.agent.planner.units import any_of
from spatial_agent.agent.planner.wording import clean
from spatial_agent.agent.situation import Exchange
from spatial_agent.agent.task import Reference, SpatialTask
from spatial_agent.tools.errors import QuestionError
from spatial_agent.tools.labels import matches

#: An id that may stand in a question; ids of given scenes may hold anything.
SAFE_ID = re.compile(r"[^\W_](?:[\w. -]{0,60}[^\W_])?")
NUMBERED = re.compile(r"(?P<label>.*?)[-_ ]?\d+$")
#: Both objects of such a distance are spoken of alike.
ALIKE = re.compile(r"\b(?:apart|between|from each other)\b")
OTHERWISE = r"(?<!other )(?<!another )(?<!second )(?<!next )"
#: What may follow "this" and "that" where they stand for a thing, and not before its name.
ENDS = (
    r"(?=['\u2019]s\b|\s*(?:[?.!,]|$|(?:from|to|than|in|on|at|above|below|under|within|more|less|closer|nearer|farther"
    r"|further|taller|wider|deeper|longer|bigger|larger|smaller|narrower|higher|or|and)\b))"
)
EDGE = rf"(?P<edge>{any_of(NOUNS)})"
SINGULAR = re.compile(
    rf"\b(?:its (?P<own>own)\b|its {EDGE}\b|(?P<is>it['\u2019]s)\b|(?P<its>its)\b|it\b"
    rf"|(?:this|that)(?: one)?\b{ENDS})",
    re.IGNORECASE,
)
PLURAL = re.compile(
    rf"\b(?:they|them|both(?: of them)?|(?:these|those)(?: two)?\b{ENDS}|the two(?: of them)?\b{ENDS})\b",
    re.IGNORECASE,
)
NUMBERS = {"first": 0, "former": 0, "second": 1, "latter": 1, "third": 2}
LISTED = re.compile(
    rf"\bthe (?:(?P<other>other)(?: one)?|(?P<number>{any_of(NUMBERS)})(?: one)?)\b{ENDS}", re.IGNORECASE
)
ONE = re.compile(r"\bthe one\b(?= (?:near|next to|by|beside|on|under|above|closest|nearest|farthest))", re.I)
#: "It" that stands for nothing: "is it possible to ...".
EMPTY = re.compile(
    r"\b(?:(?:is|was|would|will|could|can|does) it (?:be )?"
    r"|it (?:is|was|would be|seems) )(?:possible|true|likely|safe|easy|hard|better|best|correct|enough|ok"
    r"|okay|fine|worth|matter|possible|necessary|sensible|clear)\b",
    re.IGNORECASE,
)
#: Something named, which a pronoun behind it may stand for.
NAMED = re.compile(r"\b(?:the|a|an|my|your|our|this|that) [^\W\d]|\b[a-z]+-\d+\b", re.IGNORECASE)


class NothingBeforeError(QuestionError):
    """A pronoun stands for something that nobody has spoken of."""


def read(question: str) -> SpatialTask | None:
    """Return the task of a question, or None where the grammar cannot read it."""
    try:
        return parse(question)
    except QuestionError:
        return None


def named(reference: Reference) -> str:
    """Return what a question named, with its article where it has one."""
    bare = reference.plural or reference.phrase[-1:].isdigit()
    return reference.phrase if bare else f"the {reference.phrase}"


def things(exchange: Exchange) -> tuple[str, ...]:
    """Return the names of what an exchange was about: ids where it has any, else as the question said."""
    if ids := tuple(name for name in exchange.objects if SAFE_ID.fullmatch(name)):
        return ids
    task = read(exchange.question)
    return tuple(map(named, task.entities)) if task else ()


def label_of(name: str) -> str:
    """Return the noun of a name: ``office chair`` of ``office chair-2`` and of ``the office chair``."""
    found = NUMBERED.fullmatch(name)
    label = found["label"] if found and found["label"] else name
    return label.removeprefix("the ").replace("_", " ").strip(" -")


def has_pronoun(text: str) -> bool:
    """Return whether something in a question stands for what was said before."""
    return any(pattern.search(text) for pattern in (SINGULAR, PLURAL, LISTED, ONE))


def speaks_of_a_list(text: str) -> bool:
    """Return whether a question says "the other one", "the second" or the like."""
    return bool(LISTED.search(text))


def stands_alone(text: str) -> bool:
    """Return whether the pronouns of a question may stand for nothing, or for what it names itself."""
    first = min((found.start() for found in _pronouns(text)), default=len(text))
    return bool(EMPTY.search(text)) or bool(NAMED.search(text[:first]))


def first_pronoun(text: str) -> str | None:
    """Return the first word or words of a question that stand for something said before."""
    found = min(_pronouns(text), key=lambda match: match.start(), default=None)
    return found[0] if found else None


def with_names(text: str, exchanges: Sequence[Exchange]) -> str:
    """Return a question with names in place of its pronouns; as it is where there is nothing to name.

    Raises:
        QuestionError: If a pronoun may stand for one of several objects.
    """
    for pattern, name in REPLACED:
        text = pattern.sub(_replacing(name, text, exchanges), text)
    return text


def with_placeholder(text: str) -> str:
    """Return a question with "the A" in place of a pronoun, to show what to say."""
    text = PLURAL.sub("the A and the B", LISTED.sub("the A", text))
    return SINGULAR.sub(lambda found: _in_place(found, "the A"), text)


def _pronouns(text: str) -> Iterator[re.Match[str]]:
    for pattern in (SINGULAR, PLURAL, LISTED, ONE):
        yield from pattern.finditer(text)


Namer = Callable[[re.Match[str], str, Sequence[Exchange]], str | None]


def _replacing(name: Namer, text: str, exchanges: Sequence[Exchange]) -> Callable[[re.Match[str]], str]:
    def replaced(found: re.Match[str]) -> str:
        meant = name(found, text, exchanges)
        return found[0] if meant is None else _in_place(found, meant)

    return replaced


def _in_place(found: re.Match[str], name: str) -> str:
    words = found.groupdict()
    if words.get("edge"):
        return f"the {words['edge']} of {name}"
    if words.get("own"):
        return f"{name}'s own"
    if words.get("its"):
        return f"{name}'s"
    return f"{name} is" if words.get("is") else name


def _the_one(_: re.Match[str], text: str, exchanges: Sequence[Exchange]) -> str | None:
    """Return the kind that "the one near the sofa" is one of."""
    for exchange in reversed(exchanges):
        if names := things(exchange):
            return f"the {label_of(names[0])}"
    return None


def _of_the_list(found: re.Match[str], text: str, exchanges: Sequence[Exchange]) -> str | None:
    names = things(exchanges[-1]) if exchanges else ()
    if found["other"]:
        others = names[1:]
        return others[0] if len(others) == 1 else None
    number = NUMBERS[found["number"].casefold()]
    return names[number] if len(names) > 1 and number < len(names) else None


def _all_of_them(found: re.Match[str], text: str, exchanges: Sequence[Exchange]) -> str | None:
    for exchange in reversed(exchanges):
        names = things(exchange)
        if len(names) == 2 or (
            len(names) > 2 and "two" not in found[0] and "both" not in found[0].casefold()
        ):
            return f"{', '.join(names[:-1])} and {names[-1]}"
    return None


def _it(found: re.Match[str], text: str, exchanges: Sequence[Exchange]) -> str | None:
    if EMPTY.search(text):
        return None
    for exchange in reversed(exchanges):
        names = [name for name in things(exchange) if not _is_named(name, text)]
        if len(names) > 1 and _alike(exchange):
            raise QuestionError(_which(found[0], text, names))
        if names:
            return names[0]
    return None


def _is_named(name: str, text: str) -> bool:
    """Return whether a question names a thing itself, so that "it" beside the name is another one."""
    said = clean(text)
    return any(
        re.search(rf"{OTHERWISE}\b{re.escape(words)}\b", said)
        for words in {name.casefold(), label_of(name).casefold()}
    ) or any(matches(word, label_of(name)) for word in re.findall(r"\bthe ([a-z]+)\b", said))


def _alike(exchange: Exchange) -> bool:
    """Return whether an exchange speaks of all its objects alike, so that none of them is "it"."""
    task = read(exchange.question)
    if task is None:
        return False
    if task.intent == "distance":
        return bool(ALIKE.search(clean(exchange.question)))
    if task.intent == "object_side":
        return not task.entities
    return task.intent in ("count", "order") and task.select is None


def _which(pronoun: str, text: str, names: Sequence[str]) -> str:
    said = " or ".join(f"'{SINGULAR.sub(partial(_in_place, name=name), text)}'" for name in names[:2])
    return f"'{pronoun}' may be {' or '.join(names[:12])}; name it: {said}"


#: What stands for something, and what it is replaced by; the longer wordings first.
REPLACED: tuple[tuple[re.Pattern[str], Namer], ...] = (
    (ONE, _the_one),
    (LISTED, _of_the_list),
    (PLURAL, _all_of_them),
    (SINGULAR, _it),
)
