"""A chair is pushed away from a table while a camera films; the truth of every frame follows by formula."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.answerer import answer_task
from spatial_agent.agent.planner.grammar import parse
from spatial_agent.agent.situation import Exchange
from spatial_agent.agent.state import Source
from spatial_agent.tools.contract import Evidence
from spatial_agent.tools.errors import ToolError
from spatial_agent.tools.experts.instances import RecordedInstances
from spatial_agent.tools.mapping.build import build_scene
from spatial_agent.tools.progress import report
from spatial_agent.tools.scene import Frame, FrameSet
from spatial_agent.tools.skills.distance import distance
from spatial_agent.tools.skills.size import size
from spatial_agent.tools.synthetic import SensorNoise, SyntheticObject, SyntheticRoom
from spatial_agent.tools.synthetic.layout import look_at

QUESTION = "How far is the chair from the table?"


def rooms(places_m: list[float]) -> list[SyntheticRoom]:
    """Return the room at every frame: the chair at x along the wall, the table where it always is."""
    eye = look_at(np.array([3.4, 0.35, 1.55]), np.array([2.9, 3.0, 0.35]))
    return [
        SyntheticRoom(
            6.0,
            4.0,
            objects=(
                SyntheticObject.placed("table", (1.6, 2.9)),
                SyntheticObject.placed("chair", (x_m, 2.9), -np.pi / 2),
            ),
            cameras=(eye,),
        ).resized(160, 120)
        for x_m in places_m
    ]


def film(filmed: list[SyntheticRoom], noise: SensorNoise | None = None, seed: int = 0) -> FrameSet:
    """Return one recording whose frame k shows room k, one frame every half second; seeds count up."""
    single = [
        room.frames(noise=noise, seed=seed + k) if noise else room.frames() for k, room in enumerate(filmed)
    ]
    headers = tuple(
        replace(scan.headers[0], index=k, name=f"{k:06d}", time_s=0.5 * k) for k, scan in enumerate(single)
    )

    def load(index: int, rgb: bool, depth: bool, instances: bool) -> Frame:
        frame = single[index].load(0, rgb=rgb, depth=depth, instances=instances)
        return replace(frame, header=headers[index])

    return replace(single[0], name="a chair is moved", headers=headers, loader=load, content_hash="moved")


@dataclass
class Measures:
    """Measures what it is given, with the grammar and the skills, and nothing else.

    Attributes:
        asked: The sources it was asked about.
    """

    asked: list[FrameSet] = field(default_factory=list)

    def ask(
        self,
        source: Source,
        question: str,
        *,
        options: Sequence[str] = (),
        dialogue: Sequence[Exchange] = (),
    ) -> Answer:
        task = parse(question)
        assert isinstance(source, FrameSet)
        self.asked.append(source)
        scene = build_scene(source, RecordedInstances())
        names = [entity.phrase for entity in task.entities]
        try:
            if task.intent == "distance":
                finding = distance(scene, names[0], names[1])
            else:
                finding = size(scene, names[0], "height")
        except ToolError as error:
            failure = {"call_id": "c1", "tool": task.intent, "error": "ToolError", "message": str(error)}
            return answer_task(task, [], [failure], {})
        return answer_task(task, [Evidence("e1", "c1", task.intent, finding)], [], {})

    async def aask(
        self,
        source: Source,
        question: str,
        *,
        options: Sequence[str] = (),
        dialogue: Sequence[Exchange] = (),
    ) -> Answer:
        return self.ask(source, question)


class Counts(Measures):
    """Reads the question, and answers with the number of frames; tells its progress, as measuring does."""

    def ask(
        self,
        source: Source,
        question: str,
        *,
        options: Sequence[str] = (),
        dialogue: Sequence[Exchange] = (),
    ) -> Answer:
        parse(question)
        assert isinstance(source, FrameSet)
        self.asked.append(source)
        report("frames", len(source), len(source))
        return Answer("", value=len(source), unit="count")
