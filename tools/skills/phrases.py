"""Reading a noun phrase: the noun, what picks one of several, and what it is next to.

Only words are looked at here, never a scene. Understood are ids ("chair-2", "chair 2"), a superlative
in front ("the tallest lamp"), and one relation behind ("the lamp next to the sofa", "the chair
farthest from the door", "the cup on the table"); the object of the relation is a phrase again.
"""

import re
from dataclasses import dataclass
from typing import Literal

Relation = Literal["near", "closest", "farthest", "on", "above", "under", "viewpoint"]
Superlative = Literal["biggest", "smallest", "tallest", "shortest", "longest", "widest", "highest", "lowest"]

#: Longest wording first, so that "on top of" is not read as "on".
RELATIONS: dict[str, Relation] = {
    "to the left of": "viewpoint",
    "to the right of": "viewpoint",
    "on the left of": "viewpoint",
    "on the right of": "viewpoint",
    "in the middle of": "viewpoint",
    "that is closest to": "closest",
    "farthest away from": "farthest",
    "furthest away from": "farthest",
    "standing next to": "near",
    "that is next to": "near",
    "in front of": "viewpoint",
    "farthest from": "farthest",
    "furthest from": "farthest",
    "closest to": "closest",
    "nearest to": "closest",
    "on top of": "on",
    "right of": "viewpoint",
    "close to": "near",
    "left of": "viewpoint",
    "next to": "near",
    "opposite": "viewpoint",
    "adjacent to": "near",
    "between": "viewpoint",
    "beneath": "under",
    "nearest": "closest",
    "behind": "viewpoint",
    "beside": "near",
    "above": "above",
    "below": "under",
    "under": "under",
    "near": "near",
    "upon": "on",
    "at": "near",
    "by": "near",
    "on": "on",
}
SUPERLATIVES: dict[str, Superlative] = {
    "largest": "biggest",
    "biggest": "biggest",
    "smallest": "smallest",
    "tallest": "tallest",
    "shortest": "shortest",
    "longest": "longest",
    "widest": "widest",
    "highest": "highest",
    "lowest": "lowest",
}
RELATION = re.compile(rf" (?:(?:that|which) is )?({'|'.join(sorted(RELATIONS, key=len, reverse=True))}) ")
SUPERLATIVE = re.compile(rf"({'|'.join(SUPERLATIVES)}) ")
ARTICLE = re.compile(
    r"(?:all of the|all the|each of the|the|an|a|this|that|these|those|my|your|our|all|any|one of the) "
)
#: Says nothing: every object is in the room.
PLACE = re.compile(
    r" (?:(?:that (?:is|are) )?(?:visible |shown |seen )?(?:in|inside|of) (?:the|this|that|my|our) "
    r"(?:room|scene|video|picture|image|scan|house|apartment|flat|space)|here|there)$"
)


@dataclass(frozen=True)
class Phrase:
    """A noun phrase taken apart.

    Attributes:
        text: The phrase without article, in one case and spacing.
        noun: The noun as said, possibly plural, possibly an id.
        superlative: Which extreme of several is meant, or None.
        relation: How it stands to `anchor`, or None; ``"viewpoint"`` for those that mean nothing
            without one ("left of", "behind").
        relation_words: The relation as said.
        anchor: The phrase of the other object, or None.
    """

    text: str
    noun: str
    superlative: Superlative | None = None
    relation: Relation | None = None
    relation_words: str | None = None
    anchor: str | None = None

    @property
    def qualifier(self) -> str | None:
        """What picks one of several, as said; None where nothing does."""
        before, _, after = self.text.partition(self.noun)
        return f"{before.strip()} {after.strip()}".strip() or None


def plain_words(phrase: str) -> str:
    """Return a phrase in lower case and single spaces, without article, punctuation or "in the room"."""
    text = " ".join(phrase.casefold().replace("\u2019", "'").split()).strip(" .,;:!?\"'`")
    while article := ARTICLE.match(text):
        text = text[article.end() :]
    return PLACE.sub("", text).strip()


def read_phrase(phrase: str) -> Phrase:
    """Take a noun phrase apart.

    >>> read_phrase("the tallest lamp").superlative, read_phrase("a lamp next to the sofa").anchor
    ('tallest', 'sofa')
    """
    text = plain_words(phrase)
    found = RELATION.search(text)
    front = text[: found.start()] if found else text
    best = SUPERLATIVE.match(front)
    return Phrase(
        text=text,
        noun=front[best.end() :] if best else front,
        superlative=SUPERLATIVES[best[1]] if best else None,
        relation=RELATIONS[found[1]] if found else None,
        relation_words=found[1] if found else None,
        anchor=plain_words(text[found.end() :]) if found else None,
    )
