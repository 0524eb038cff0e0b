"""The formal spatial task that a question is turned into: what to measure, of what, as seen from where.

A `SpatialTask` knows nothing of the scene. Whether "the lamp" exists, and which lamp is meant, is
decided when its references are resolved (`tools.skills.references`).

What `SpatialTask.entities` holds depends on the intent:

=====================  ==========================================================================
intent                 entities, in this order
=====================  ==========================================================================
``count``              the kind of object that is counted
``distance``           the two objects
``size``               the object; with `select`, the candidates (one noun: all objects of that
                       kind; none: all objects)
``room``               none
``nearest``            the anchor, then the candidates (as for ``size``)
``direction``          the object looked for; a second one where it is compared with that object's
                       bearing rather than with straight ahead
``camera_direction``   the object looked for; a second one where it is compared with that object
                       rather than with the middle of the image
``object_side``        the object looked for; none where all objects on one side are asked for
``vertical``           the object and what it is above, below or on; with `select`, the candidates
``order``              the objects or kinds to put in order of first appearance
``route``              none: the start is the viewpoint, the way is in `legs`
``open``               whatever it is about; no one skill answers it, so `objective` says what would
=====================  ==========================================================================
"""

from dataclasses import dataclass
from typing import Any, Literal

from spatial_agent.agent.plain import from_plain, to_plain
from spatial_agent.tools.errors import InvalidValueError

Intent = Literal[
    "count",
    "distance",
    "size",
    "room",
    "nearest",
    "direction",
    "camera_direction",
    "object_side",
    "vertical",
    "order",
    "route",
    "open",
]
Definition = Literal["vsi", "plain"]
AnswerForm = Literal["letter", "number", "yes_no", "name", "order", "text"]
Dimension = Literal["longest", "height", "width", "depth", "length"]
Sectors = Literal["two", "vsi_three", "quadrants", "four", "eight", "clock", "degrees"]
Select = Literal["least", "most"]
Side = Literal["left", "right", "front", "back"]
CompareRelation = Literal["less", "greater", "at_most", "at_least", "equal", "is"]

#: Fewest and most entities of each intent; None where there is no limit.
ENTITY_COUNTS: dict[Intent, tuple[int, int | None]] = {
    "count": (1, 1),
    "distance": (2, 2),
    "size": (0, None),
    "room": (0, 0),
    "nearest": (1, None),
    "direction": (1, 2),
    "camera_direction": (1, 2),
    "object_side": (0, 1),
    "vertical": (2, None),
    "order": (2, None),
    "route": (0, 0),
    "open": (0, None),
}
#: The viewpoint an intent cannot do without.
NEEDED_VIEWPOINT: dict[Intent, str] = {
    "direction": "observer",
    "camera_direction": "camera",
    "object_side": "object_axes",
    "vertical": "gravity",
    "route": "observer",
}


@dataclass(frozen=True)
class Option:
    """One of the answers offered.

    Attributes:
        letter: Capital letter, ``"A"`` for the first.
        text: What stands behind the letter, as given.
    """

    letter: str
    text: str


@dataclass(frozen=True)
class Reference:
    """Something the question names.

    Attributes:
        phrase: The noun phrase as said, without its article; this is what is resolved.
        noun: Its head noun in the singular, without qualifiers: ``"lamp"`` of "lamp near the sofa".
        qualifier: What picks one of several, as said: ``"near the sofa"``, ``"tallest"``; or None.
        plural: Whether a kind of object is meant rather than one object.
    """

    phrase: str
    noun: str
    qualifier: str | None = None
    plural: bool = False

    def __post_init__(self) -> None:
        """Check that something is named."""
        if not self.phrase or not self.noun:
            raise InvalidValueError(
                f"reference: expected a phrase and a noun, got {self.phrase!r}, {self.noun!r}"
            )


@dataclass(frozen=True)
class Viewpoint:
    """Whose left, whose up.

    Attributes:
        kind: ``"observer"`` stands at `at` and faces `facing`; ``"camera"`` is the camera of frame
            `frame`; ``"object_axes"`` is the object `at` itself, its left being an occupant's left;
            ``"gravity"`` knows up and down only.
        at: Where the observer stands, or whose axes are meant.
        facing: What the observer faces.
        frame: Frame number counted from 0 as the source counts (negative: from the end), or None
            where the question names no frame.
        facing_away: Whether the observer has its back to `facing`.
    """

    kind: Literal["observer", "camera", "object_axes", "gravity"]
    at: Reference | None = None
    facing: Reference | None = None
    frame: int | None = None
    facing_away: bool = False

    def __post_init__(self) -> None:
        """Check that an observer stands somewhere and faces something."""
        if self.kind == "observer" and (self.at is None or self.facing is None):
            raise InvalidValueError("viewpoint: an observer needs a place to stand and something to face")
        if self.kind == "object_axes" and self.at is None:
            raise InvalidValueError("viewpoint: object axes need the object whose axes they are")


@dataclass(frozen=True)
class Comparison:
    """What a yes/no question holds the measurement against: exactly one of the three.

    Attributes:
        relation: How the measurement must relate to it for "yes"; ``"is"`` goes with `name`.
        value: A number in `unit`.
        unit: Unit of `value` (`tools.scene.UNITS`); None for a bare number.
        against: The entities of a second measurement of the same intent.
        name: A direction (``"left"``, ``"back-right"``, ``"above"``, ``"below"``, ``"on"``, ...) or
            a clock hour (``"3 o'clock"``).
    """

    relation: CompareRelation
    value: float | None = None
    unit: str | None = None
    against: tuple[Reference, ...] = ()
    name: str | None = None

    def __post_init__(self) -> None:
        """Check that there is exactly one thing to compare with."""
        if (self.value is not None) + bool(self.against) + (self.name is not None) != 1:
            raise InvalidValueError("comparison: expected exactly one of value, against and name")
        if (self.relation == "is") != (self.name is not None):
            raise InvalidValueError("comparison: the relation 'is' goes with a name, and only with one")


@dataclass(frozen=True)
class Leg:
    """One straight part of a route.

    Attributes:
        to: Where it ends.
        turn_asked: Whether the turn before it is one of those asked for.
    """

    to: Reference
    turn_asked: bool = True


@dataclass(frozen=True)
class SpatialTask:
    """A question made formal; plain JSON by `to_json`.

    Attributes:
        question: The question as asked.
        intent: What is to be measured.
        definition: ``"vsi"`` for the benchmark-exact operator, ``"plain"`` for the ordinary one.
        answer_form: What the answer must look like; ``"letter"`` whenever there are options.
        entities: What it is about; see the table above.
        options: The answers offered, in order.
        viewpoint: Whose left, whose up; None where it does not matter.
        dimension: Which edge is meant, of a size; ``"longest"`` where only "big" is said;
            ``"length"`` ("how long") is the longer horizontal edge, as ``"width"`` is.
        sectors: How finely a direction is asked for.
        select: Which end wins: ``"least"`` is nearest, smallest, lowest or first; ``"most"`` is
            farthest, largest, highest or last.
        centres: Whether a distance is between centres rather than surfaces.
        closest_instance: Whether the closest of several objects of a kind is the one meant.
        comparison: What a yes/no question compares with.
        legs: The way of a route.
        side: The side asked about where all objects on it are wanted.
        unit: The unit asked for (`tools.scene.UNITS`), or None for the operator's own.
        decimals: Decimals to round to in that unit, or None for as many as the margin allows.
        objective: What would answer an ``"open"`` question, in a sentence; None for all others.
    """

    question: str
    intent: Intent
    definition: Definition
    answer_form: AnswerForm
    entities: tuple[Reference, ...] = ()
    options: tuple[Option, ...] = ()
    viewpoint: Viewpoint | None = None
    dimension: Dimension | None = None
    sectors: Sectors | None = None
    select: Select | None = None
    centres: bool = False
    closest_instance: bool = False
    comparison: Comparison | None = None
    legs: tuple[Leg, ...] = ()
    side: Side | None = None
    unit: str | None = None
    decimals: int | None = None
    objective: str | None = None

    # An unknown field in JSON is refused instead of dropped.
    __pydantic_config__ = {"extra": "forbid"}

    def __post_init__(self) -> None:
        """Check that the intent has what it cannot do without."""
        fewest, most = ENTITY_COUNTS[self.intent]
        if len(self.entities) < fewest or (most is not None and len(self.entities) > most):
            raise InvalidValueError(
                f"task: {self.intent!r} takes {fewest} to {'any number' if most is None else most} entities, "
                f"got {len(self.entities)}"
            )
        needed = NEEDED_VIEWPOINT.get(self.intent)
        if needed and (self.viewpoint is None or self.viewpoint.kind != needed):
            raise InvalidValueError(f"task: {self.intent!r} needs a viewpoint of kind {needed!r}")
        if (self.answer_form == "letter") != bool(self.options):
            raise InvalidValueError("task: the answer is a letter exactly when there are options")
        if self.intent == "route" and not self.legs:
            raise InvalidValueError("task: a route needs somewhere to go")
        if (self.intent == "open") != bool(self.objective):
            raise InvalidValueError("task: an open question has an objective, and only an open one")

    def to_json(self) -> dict[str, Any]:
        """Return the task as plain JSON, which `from_json` reads back unchanged."""
        document: dict[str, Any] = to_plain(self)
        return document

    @classmethod
    def from_json(cls, document: object) -> "SpatialTask":
        """Read a task back from plain JSON.

        Raises:
            InvalidValueError: If a field is missing, unknown or of the wrong kind.
        """
        return from_plain(cls, document)
