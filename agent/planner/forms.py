"""What a form of question is: a pattern with named places, and what to make of the words found there."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from spatial_agent.agent.planner.units import NUMBER, QUANTITY, UNIT
from spatial_agent.agent.planner.wording import DIRECTION, THING, THINGS, NotANameError
from spatial_agent.agent.task import SpatialTask

Words = Mapping[str, str]
Build = Callable[[Words], SpatialTask]

#: What may stand at a named place; any other name stands for a noun phrase.
PLACES = {
    "things": THINGS,
    "unit": UNIT,
    "quantity": QUANTITY,
    "number": NUMBER,
    "direction": DIRECTION,
}


@dataclass(frozen=True)
class Form:
    """One way of asking.

    Attributes:
        pattern: Matches a whole cleaned question.
        build: Makes the task of the words at the named places; its question is filled in later.
    """

    pattern: re.Pattern[str]
    build: Build

    def read(self, text: str) -> SpatialTask | None:
        """Return the task of a cleaned question, or None where it has another form."""
        found = self.pattern.fullmatch(text)
        if found is None:
            return None
        return self.build({name: words for name, words in found.groupdict().items() if words is not None})


def form(pattern: str, build: Build) -> Form:
    """Return a form; ``<sofa>`` in the pattern is a named place, for a noun phrase or as `PLACES` says."""
    return Form(re.compile(compose(pattern)), build)


def compose(pattern: str) -> str:
    """Return a pattern in which every place ``<name>`` has become a bounded named group."""
    return re.sub(
        r"(?<!\?P)(?<!\(\?)<(\w+)>", lambda place: f"(?P<{place[1]}>{PLACES.get(place[1], THING)})", pattern
    )


def first_reading(forms: Iterable[Form], text: str) -> SpatialTask | None:
    """Return what the first form that fits makes of a question, or None where none fits.

    Raises:
        QuestionError: If forms fit only but for what stands in the place of a name.
    """
    first_error: NotANameError | None = None
    for form in forms:
        try:
            task = form.read(text)
        except NotANameError as error:
            first_error = first_error or error
            continue
        if task is not None:
            return task
    if first_error is not None:
        raise first_error
    return None
