"""A dialogue about one source: what was asked before is known, and the scene is measured once."""

from collections.abc import Sequence
from threading import Lock
from typing import Protocol

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.executor import is_own
from spatial_agent.agent.memory import Dialogue, resolve_followup
from spatial_agent.agent.situation import Exchange
from spatial_agent.agent.state import Source

#: Which of its objects a tool was asked about, where that is not the first one.
ASKED_ABOUT = {"nearest": 1, "object_side": 1, "direction": 2, "route": -1}
#: Characters of an answer that are remembered.
MOST_REMEMBERED = 600


class Asks(Protocol):
    """Answers questions about sources."""

    def ask(
        self,
        source: Source,
        question: str,
        *,
        options: Sequence[str] = (),
        dialogue: Sequence[Exchange] = (),
    ) -> Answer:
        """Answer a question, and wait for it."""
        ...

    async def aask(
        self,
        source: Source,
        question: str,
        *,
        options: Sequence[str] = (),
        dialogue: Sequence[Exchange] = (),
    ) -> Answer:
        """Answer a question from any event loop."""
        ...


class Session:
    """Asks about one source, one question after the other: "and how far is *it* from the door?".

    Each session has a dialogue of its own, so that sessions side by side answer as they do alone. A question
    goes on from what had been answered when it was asked. Safe to use from several threads.

    Attributes:
        source: What it is about.
    """

    def __init__(self, agent: Asks, source: Source, *, dialogue: Dialogue | None = None) -> None:
        """Begin a dialogue; nothing is opened before the first question.

        Args:
            agent: Answers the questions.
            source: Path of a scan, video, image or scene file; or an opened `FrameSet`, or a `SceneMap`.
            dialogue: What was asked and answered before; nothing where None.
        """
        self._agent = agent
        # A source given as a value is known to the agent only for as long as somebody holds it.
        self.source = source
        self._dialogue = dialogue or Dialogue()
        self._lock = Lock()

    @property
    def dialogue(self) -> Dialogue:
        """What was asked, as it was understood, and answered so far."""
        return self._dialogue

    def ask(self, question: str, *, options: Sequence[str] = ()) -> Answer:
        """Answer a question, which may go on from those before, and wait for it.

        An answer that abstains is remembered too, so that "the one near the door" can settle which was meant.
        A question that was refused is not.

        Args:
            question: The question.
            options: The answers offered, with or without letters.

        Raises:
            QuestionError: If it speaks of something that nobody has named, may mean several things, or cannot
                be understood.
            SourceError: If the source cannot be read.
            ToolError: If the scene could not be measured.
        """
        before = self._dialogue
        whole = resolve_followup(question, before)
        answer = self._agent.ask(self.source, whole, options=options, dialogue=before.exchanges)
        self._remember(whole, answer)
        return answer

    async def aask(self, question: str, *, options: Sequence[str] = ()) -> Answer:
        """Answer a question from any event loop; see `ask`."""
        before = self._dialogue
        whole = resolve_followup(question, before)
        answer = await self._agent.aask(self.source, whole, options=options, dialogue=before.exchanges)
        self._remember(whole, answer)
        return answer

    def forget(self) -> None:
        """Begin the dialogue anew."""
        with self._lock:
            self._dialogue = Dialogue()

    def _remember(self, question: str, answer: Answer) -> None:
        with self._lock:
            self._dialogue = self._dialogue.then(exchange_of(question, answer))


def exchange_of(question: str, answer: Answer) -> Exchange:
    """Return what a dialogue remembers of a question, as it was understood, and its answer."""
    return Exchange(question, answer.text[:MOST_REMEMBERED], objects_of(answer))


def objects_of(answer: Answer) -> tuple[str, ...]:
    """Return the ids of the objects that an answer speaks of, the one asked about first.

    Second routes count only where there is nothing else.
    """
    own = [item for item in answer.evidence if is_own(str(item.get("call_id", "")))]
    ids: list[str] = []
    for item in own or answer.evidence:
        spoken_of = [str(name) for name in item.get("objects", ())]
        place = ASKED_ABOUT.get(str(item.get("tool", "")), 0)
        if -len(spoken_of) <= place < len(spoken_of):
            spoken_of.insert(0, spoken_of.pop(place))
        ids += spoken_of
    return tuple(dict.fromkeys(ids))
