"""Words of questions: cleaning, directions, lists of things, and what a noun phrase refers to."""

import re
import unicodedata
from collections.abc import Collection

from spatial_agent.agent.planner.units import any_of
from spatial_agent.agent.task import Reference, Sectors
from spatial_agent.tools.errors import QuestionError
from spatial_agent.tools.labels import singular
from spatial_agent.tools.skills.phrases import read_phrase

LONGEST_QUESTION = 4000
LONGEST_PHRASE = 80
MOST_THINGS = 12
MOST_WORDS = 6
NAME_BREAKS = re.compile(r"[?!:;,\"\[\]{}<>|]")
QUOTES = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-"}
)
MOST_WRAPPINGS = 3
#: What benchmarks put before and behind a question.
WRAPPING = re.compile(
    r"^these are frames of a video\. ?"
    r"| ?answer with the option's letter from the given choices directly\.?$"
    r"| ?please answer the question using a single word or phrase\.?$"
    r"| ?do not response anything other than a single number!?$"
    r"| ?answer briefly and directly in one float number\.?$"
)
POLITE = re.compile(
    r"(?:(?:please|hello|hi|hey|ok|okay|so|now),? "
    r"|(?:can|could|would|will) you (?:please )?(?:tell me|say|measure|find out)(?: for me)?,? "
    r"|(?:please )?tell me,? |i (?:want|would like) to know,? |do you know )+"
)
CONTRACTIONS = re.compile(r"\b(what|where|which|who|how|there|it|that)'s\b")
#: Words that stand for something said before, which nobody has said here.
PRONOUNS = {
    "it", "they", "them", "he", "she", "him", "her", "i", "me", "you", "we", "us", "this", "that", "these",
    "those", "one", "ones", "which", "what", "who", "there", "here", "myself", "each other", "both",
    "something", "anything", "everything",
}  # fmt: skip
#: A stretch of words with one of these in it is no name: the form that took it for one does not fit.
NEVER_IN_NAMES = {
    "is", "are", "was", "were", "do", "does", "did", "than", "then", "which", "what", "where", "when", "if",
    "how", "facing", "from", "to", "and", "or", "next", "closest", "nearest", "closer", "nearer", "farthest",
    "furthest", "apart", "away", "between",
}  # fmt: skip
DIRECTION_WORDS: dict[str, tuple[str, ...]] = {
    "left": ("left", "left side", "left hand side", "left-hand side", "turn left"),
    "right": ("right", "right side", "right hand side", "right-hand side", "turn right"),
    "front": ("front", "in front", "ahead", "straight ahead", "forward", "straight"),
    "back": ("back", "behind", "rear", "turn back", "turn around", "backward", "backwards", "backside"),
    "front-left": ("front-left", "front left", "left front", "left-front", "ahead left"),
    "front-right": ("front-right", "front right", "right front", "right-front", "ahead right"),
    "back-left": (
        "back-left",
        "back left",
        "left back",
        "left-back",
        "behind left",
        "rear left",
        "rear-left",
    ),
    "back-right": (
        "back-right",
        "back right",
        "right back",
        "right-back",
        "behind right",
        "rear right",
        "rear-right",
    ),
}
DIRECTION_OF = {word: name for name, words in DIRECTION_WORDS.items() for word in words}
DIAGONALS = {"front-left", "front-right", "back-left", "back-right"}
DIRECTION = rf"(?:{any_of(DIRECTION_OF)})"
SEPARATOR = re.compile(r" ?, ?(?:and |or )?| (?:and|or) ")
#: A noun phrase inside a regular expression: bounded, so that nothing can make matching slow.
THING = r".{1,80}?"
THINGS = r".{1,400}?"


def clean(question: str) -> str:
    """Return a question in one case and spacing, without what benchmarks wrap it in.

    Raises:
        QuestionError: If there is no question, or far too much of it.
    """
    if len(question) > LONGEST_QUESTION:
        raise QuestionError(
            f"expected a question of at most {LONGEST_QUESTION} characters, got {len(question)}"
        )
    text = unicodedata.normalize("NFKC", question.translate(QUOTES)).casefold()
    text = " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())
    for _ in range(MOST_WRAPPINGS):
        text = WRAPPING.sub("", text).strip()
    text = CONTRACTIONS.sub(r"\1 is", text)
    polite = POLITE.match(text)
    return text[polite.end() if polite else 0 :].strip(" ?!.,;:")


class NotANameError(QuestionError):
    """The words where a form expects a name are none, so another form may fit."""


def reference(text: str) -> Reference:
    """Return what a noun phrase refers to.

    Raises:
        NotANameError: If the words cannot name an object.
    """
    phrase = read_phrase(text.replace("(s)", "s").replace("(es)", "es"))
    _check_name(phrase.noun)
    anchor = phrase.anchor
    while anchor is not None:
        inner = read_phrase(anchor)
        _check_name(inner.noun)
        anchor = inner.anchor
    single = singular(phrase.noun)
    return Reference(phrase.text, single, phrase.qualifier, plural=single != phrase.noun)


def _check_name(noun: str) -> None:
    words = noun.split()
    if noun in PRONOUNS:
        raise NotANameError(f"'{noun}' does not say which object is meant; name it, as in 'the sofa'")
    if not any(mark.isalpha() for mark in noun) or len(words) > MOST_WORDS or NAME_BREAKS.search(noun):
        raise NotANameError(f"expected the name of one object, got {noun[:LONGEST_PHRASE]!r}")
    if odd := [word for word in words if word in NEVER_IN_NAMES]:
        raise NotANameError(f"expected the name of one object, got '{noun}', which has '{odd[0]}' in it")


def references(text: str) -> tuple[Reference, ...]:
    """Return what a list such as "the sofa, the lamp and the table" refers to.

    Raises:
        NotANameError: If a part names no object.
        QuestionError: If one stands twice, or there are too many.
    """
    parts = [part for part in SEPARATOR.split(text.strip(" :,")) if part]
    if len(parts) > MOST_THINGS:
        raise QuestionError(f"expected at most {MOST_THINGS} objects in a list, got {len(parts)}")
    found = tuple(reference(part) for part in parts)
    phrases = [item.phrase for item in found]
    if len(set(phrases)) < len(phrases):
        raise QuestionError(f"the list names an object twice: {', '.join(phrases)}")
    return found


def canonical_direction(text: str) -> str | None:
    """Return the name of a direction said in any of its ways, or None: "Turn Left" is ``"left"``.

    >>> canonical_direction("Behind me"), canonical_direction("to my front left"), canonical_direction("sofa")
    ('back', 'front-left', None)
    """
    bare = " ".join(text.casefold().replace("\u2019", "'").split()).strip(" .,")
    bare = re.sub(r"^(?:on|to|at|in)? ?(?:the|my|your|its)? ?(?=\w)|(?: of)? (?:me|you|us|it)$", "", bare)
    return DIRECTION_OF.get(bare) or DIRECTION_OF.get(text.casefold().strip(" .,"))


def sectors_for(names: Collection[str]) -> Sectors:
    """Return the coarsest division of the circle that has all the named directions."""
    wanted = set(names)
    if wanted <= {"left", "right"}:
        return "two"
    if wanted == {"left", "right", "back"}:
        return "vsi_three"
    if wanted <= DIAGONALS:
        return "quadrants"
    return "four" if not wanted & DIAGONALS else "eight"
