"""Everything that a prompt may be made of."""

from collections.abc import Mapping
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
        facing_away: Whether the observer has its back to the one faced.
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
    facing_away: bool = False
    camera: int | None = None
    owner: str | None = None
    pictures: Mapping[PartName, tuple[Picture, ...]] = field(default_factory=dict)
