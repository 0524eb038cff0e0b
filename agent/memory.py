"""What was asked and answered before, and questions that go on from it made whole.

"And how far is it from the door?" is rewritten to a question that stands by itself, so that the grammar
reads it as it reads any other. The rewriting is deterministic: a candidate counts only where the grammar
can read it, and what already can be read is left word for word.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from spatial_agent.agent.antecedents import (
    EMPTY,
    first_pronoun,
    has_pronoun,
    read,
    speaks_of_a_list,
    stands_alone,
    things,
    with_names,
    with_placeholder,
)
from spatial_agent.agent.ellipsis import Before, completed
from spatial_agent.agent.planner.grammar import LONGEST_PLAIN
from spatial_agent.agent.planner.measuring_forms import COMPARATIVES
from spatial_agent.agent.planner.units import any_of
from spatial_agent.agent.planner.wording import clean
from spatial_agent.agent.situation import Exchange
from spatial_agent.tools.errors import QuestionError

#: Exchanges that a dialogue keeps; the oldest are forgotten.
MOST_EXCHANGES = 32
LEAD = re.compile(
    r"\s*(?:(?:and|but|also|then|ok|okay|so|now|well|yes|no|right|alright|thanks|thank you)[,.!]?\s+)+", re.I
)
GOES_ON = re.compile(r"(?:and|but|what about|how about|(?:the )?same(?: question)? for|from there)\b", re.I)
#: Comparatives choose between the two that were spoken of, where the question names none itself.
WHICH = re.compile(
    rf"which(?: one)? (?:is|are) (?P<how>(?:the )?(?:{any_of(COMPARATIVES)})(?: one)?"
    r"|(?:closer|nearer|farther|further) (?:to|from) (?:(?!,| or ).){1,60})"
)
WHICH_OF = re.compile(
    r"which(?: one)? of (?:them|these|those|the two|both)(?: two| objects)?,? (?:is|are) "
    r"(?P<how>(?:(?!,| or ).){1,80})"
)


@dataclass(frozen=True)
class Dialogue:
    """What was asked and answered before.

    Attributes:
        exchanges: Oldest first; at most `MOST_EXCHANGES`.

    >>> before = Dialogue().then(Exchange("how tall is the sofa?", "The sofa is 0.82 m high.", ("sofa-1",)))
    >>> resolve_followup("And how far is it from the door?", before)
    'how far is sofa-1 from the door?'
    >>> resolve_followup("and the lamp?", before)
    'how tall is the lamp?'
    """

    exchanges: tuple[Exchange, ...] = ()

    def then(self, exchange: Exchange) -> "Dialogue":
        """Return the dialogue with one more exchange."""
        return replace(self, exchanges=(*self.exchanges, exchange)[-MOST_EXCHANGES:])


def resolve_followup(text: str, dialogue: Dialogue) -> str:
    """Return a question that stands by itself.

    What the grammar can read is returned word for word, and so is what is too long to go on from another
    question, and what nothing can be made of: a model, which sees the dialogue, may still make sense of it.

    Args:
        text: What was asked.
        dialogue: What was asked and answered before.

    Raises:
        QuestionError: If it speaks of something that nobody has named, or may mean several things; says
            what to say instead.
    """
    exchanges = dialogue.exchanges
    if chosen := _between_them(text, exchanges):
        return chosen
    bare = _without_lead(text)
    # The grammar would take "the other one" for the name of something.
    if not speaks_of_a_list(bare):
        for whole in (text, bare):
            if read(whole) is not None:
                return whole
    if len(text) > LONGEST_PLAIN:
        return text
    if not exchanges:
        _check_stands_alone(text)
        return text
    said = with_names(bare, exchanges) if has_pronoun(bare) else bare
    for candidate in _candidates(bare, said, bare != text, exchanges):
        if read(candidate) is not None:
            return candidate
    return text if stands_alone(bare) or not has_pronoun(bare) else said


def _candidates(bare: str, said: str, goes_on: bool, exchanges: Sequence[Exchange]) -> Iterator[str]:
    if said != bare:
        yield said
        yield f"what is {said}"
    before = Before.of(exchanges[-1])
    if before is None:
        return
    for text in dict.fromkeys(map(clean, (said,) if speaks_of_a_list(bare) else (bare, said))):
        yield from completed(text, before, goes_on=goes_on)


def _between_them(text: str, exchanges: Sequence[Exchange]) -> str | None:
    """Return "which is taller?" with the two or more that were just spoken of."""
    said = clean(_without_lead(text))
    found = WHICH.fullmatch(said) or WHICH_OF.fullmatch(said)
    names = things(exchanges[-1]) if found and exchanges else ()
    if found is None or len(names) < 2:
        return None
    whole = f"which of {', '.join(names[:-1])} and {names[-1]} is {found['how']}?"
    return whole if read(whole) is not None else None


def _without_lead(text: str) -> str:
    return text[found.end() :] if (found := LEAD.match(text)) else text


def _check_stands_alone(text: str) -> None:
    """Refuse what goes on from something, where there is nothing before."""
    pronoun, bare = first_pronoun(text), _without_lead(text).strip()
    if pronoun and not stands_alone(text) and not EMPTY.search(text):
        raise QuestionError(
            f"'{pronoun}' does not say which object is meant, and nothing was asked before; "
            f"name it: '{with_placeholder(bare)}'"
        )
    if GOES_ON.match(text.strip()):
        raise QuestionError(
            f"'{text.strip()[:120]}' goes on from a question, and none was asked before; "
            "ask it whole, as in 'how tall is the sofa?'"
        )
