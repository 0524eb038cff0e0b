"""What was measured and answered, for resources and for questions that go on from an answer."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.situation import Exchange

#: Scenes and answers that are remembered; the oldest are forgotten.
MOST = 64
Item = TypeVar("Item")


@dataclass(frozen=True)
class ShelvedScene:
    """A scene that was measured.

    Attributes:
        id: Names it in addresses of resources.
        source: What it was measured from, as a later request could name it.
        name: What to call it.
    """

    id: str
    source: str
    name: str

    @classmethod
    def of(cls, source: str, name: str) -> "ShelvedScene":
        """Return the scene of a source, which always has the same id."""
        return cls(f"s-{hashlib.sha256(source.encode()).hexdigest()[:16]}", source, name)


@dataclass(frozen=True)
class ShelvedAnswer:
    """A question that was answered.

    Attributes:
        id: Names it in addresses of resources.
        answer: The answer.
        scene: What it is about.
        exchanges: The dialogue up to this answer, oldest first.
    """

    id: str
    answer: Answer
    scene: ShelvedScene
    exchanges: tuple[Exchange, ...]


class Shelf:
    """Remembers the last scenes and answers. Safe to use from several threads."""

    def __init__(self) -> None:
        """Begin empty."""
        self._scenes: OrderedDict[str, ShelvedScene] = OrderedDict()
        self._answers: OrderedDict[str, ShelvedAnswer] = OrderedDict()
        self._lock = Lock()

    @property
    def scenes(self) -> dict[str, ShelvedScene]:
        """The scenes by their ids, oldest first."""
        with self._lock:
            return dict(self._scenes)

    @property
    def answers(self) -> dict[str, ShelvedAnswer]:
        """The answers by their ids, oldest first."""
        with self._lock:
            return dict(self._answers)

    def put_scene(self, scene: ShelvedScene) -> None:
        """Remember a scene."""
        self._put(self._scenes, scene.id, scene)

    def put_answer(
        self, answer: Answer, scene: ShelvedScene, exchanges: tuple[Exchange, ...]
    ) -> ShelvedAnswer:
        """Remember an answer, under the id of its run, and what it is about."""
        self.put_scene(scene)
        shelved = ShelvedAnswer(answer.trace_id, answer, scene, exchanges)
        self._put(self._answers, shelved.id, shelved)
        return shelved

    def _put(self, items: OrderedDict[str, Item], identity: str, item: Item) -> None:
        with self._lock:
            items[identity] = item
            items.move_to_end(identity)
            while len(items) > MOST:
                items.popitem(last=False)
