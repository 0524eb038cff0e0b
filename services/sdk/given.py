"""What callers may give, and where it goes: the same for both clients."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypedDict

from spatial_agent.agent.plain import from_plain
from spatial_agent.agent.regions import Region
from spatial_agent.agent.situation import Exchange
from spatial_agent.services.api.schemas import SessionView
from spatial_agent.services.sdk.asking import Asking, question_request
from spatial_agent.services.sdk.errors import ProtocolError
from spatial_agent.services.sdk.pacing import Pace
from spatial_agent.tools.errors import InvalidValueError

if TYPE_CHECKING:
    from typing import Unpack


class HasId(Protocol):
    """A scene, question or session."""

    @property
    def id(self) -> str:
        """Its id."""
        ...


class Asked(TypedDict, total=False):
    """What a question may come with.

    Attributes:
        options: The answers offered, with or without letters.
        regions: What is marked on frames; ``<region 1>`` in the question stands for the first.
        profile: Which experts measure; those of the scene where left out.
        priority: Higher first, as far as the key allows.
        session: The dialogue that it goes on with, or its id.
        timeout_s: How long to wait, seconds; for ever where left out.
    """

    options: Sequence[str]
    regions: Sequence[Region]
    profile: str | None
    priority: int
    session: str | HasId | None
    timeout_s: float | None


def id_of(given: str | HasId) -> str:
    """Return the id of what is named or given."""
    return given if isinstance(given, str) else given.id


def asking(pace: Pace, scene: str | HasId | None, question: str, **asked: "Unpack[Asked]") -> Asking:
    """Return a question that is ready to be asked.

    Raises:
        QuestionError: If it is empty, or longer than a question can be.
        InvalidValueError: If something else is beyond what the service takes.
    """
    session = asked.get("session")
    request = question_request(
        question,
        scene=None if scene is None else id_of(scene),
        session=None if session is None else id_of(session),
        options=asked.get("options", ()),
        regions=asked.get("regions", ()),
        profile=asked.get("profile"),
        priority=asked.get("priority", 0),
    )
    return Asking(pace, request, asked.get("timeout_s"))


def exchanges_of(view: SessionView) -> tuple[Exchange, ...]:
    """Return what was asked and answered in a dialogue, oldest first.

    Raises:
        ProtocolError: If it is none.
    """
    try:
        return tuple(from_plain(Exchange, exchange) for exchange in view.exchanges)
    except InvalidValueError as error:
        raise ProtocolError(f"expected the exchanges of a dialogue, {error}") from None
