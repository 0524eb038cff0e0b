"""What a model reads before it answers: the parts that matter for the task, within a number of tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from spatial_agent.prompts.task_card import TaskCard
from spatial_agent.tools.contract import Evidence, Json
from spatial_agent.tools.scene import Picture, SceneMap

PartName = Literal[
    "task_card",
    "marked_frames",
    "measurements",
    "relations",
    "cognitive_map",
    "egocentric",
    "trajectory",
    "novel_view",
    "unknown",
    "conclusion",
]
#: All parts, in the order in which a model reads them.
ALL: tuple[PartName, ...] = get_args(PartName)


@dataclass(frozen=True)
class PromptPart:
    """One part of a prompt.

    Attributes:
        name: Which part.
        text: Its words.
        pictures: Its pictures, in the order in which its words number them.
        tokens: What words and pictures take, estimated.
    """

    name: PartName
    text: str
    pictures: tuple[Picture, ...] = ()
    tokens: int = 0


@dataclass(frozen=True)
class Known:
    """Everything that a prompt may be made of.

    Attributes:
        task_card: What is asked.
        scene: The scene map; None where the source could not be measured.
        evidence: What was found out.
        weak: Why a piece of evidence is weak, by its id.
        failures: Calls that failed, each with ``tool`` and ``message``.
        conclusion: What follows from the evidence, in a sentence; None where nothing does.
        entities: Ids of the objects that the question is about, the one asked about first.
        observer: Ids of the object where the observer stands and of the one faced; None without observer.
        camera: Frame whose camera's left and right are meant; None without.
        owner: Id of the object whose own left and right are meant; None without.
        pictures: What was drawn, by the part that shows it.
    """

    task_card: TaskCard
    scene: SceneMap | None = None
    evidence: tuple[Evidence, ...] = ()
    weak: Mapping[str, str] = field(default_factory=dict)
    failures: tuple[Mapping[str, Json], ...] = ()
    conclusion: str | None = None
    entities: tuple[str, ...] = ()
    observer: tuple[str, str] | None = None
    camera: int | None = None
    owner: str | None = None
    pictures: Mapping[PartName, tuple[Picture, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class SpatialPrompt:
    """What a model reads.

    Attributes:
        parts: The parts, in reading order.
        left_out: What was relevant and did not fit, a few words each.
    """

    parts: tuple[PromptPart, ...]
    left_out: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The words, ending with the line that says what was left out."""
        raise NotImplementedError

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The pictures, in the order in which the words number them from 1."""
        return tuple(picture for part in self.parts for picture in part.pictures)

    @property
    def tokens(self) -> int:
        """What all of it takes, estimated."""
        raise NotImplementedError


def compose(known: Known, *, parts: Sequence[PartName] = ALL, most_tokens: int = 6000) -> SpatialPrompt:
    """Return the prompt for a task.

    Args:
        known: Everything known.
        parts: The parts that may appear. `ALL` leaves the choice to what is relevant to the task; any other
            selection is taken as it is.
        most_tokens: How many tokens it may take, pictures included. Only the task itself and the conclusion
            are never left out.
    """
    raise NotImplementedError
