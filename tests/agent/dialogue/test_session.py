"""Sessions: what was asked before is known, each has its own dialogue, and the source is kept alive."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.answerer import answer_task
from spatial_agent.agent.planner.grammar import parse
from spatial_agent.agent.session import Session, objects_of
from spatial_agent.agent.situation import Exchange
from spatial_agent.agent.state import Source
from spatial_agent.tools.contract import Evidence, Finding
from spatial_agent.tools.errors import QuestionError, ToolError
from spatial_agent.tools.scene import SceneMap
from spatial_agent.tools.skills.counting import count
from spatial_agent.tools.skills.direction import direction
from spatial_agent.tools.skills.distance import distance
from spatial_agent.tools.skills.nearest import nearest
from spatial_agent.tools.skills.size import size
from spatial_agent.tools.synthetic import SyntheticRoom

EXAMPLE, OTHER = SyntheticRoom.example().scene_map(), SyntheticRoom.random(3).scene_map()


def find(scene: SceneMap, question: str) -> tuple[str, Finding]:
    task = parse(question)
    names = [entity.phrase for entity in task.entities]
    if task.intent == "size":
        return "size", size(scene, names[0], task.dimension or "longest", unit=task.unit or "m")
    if task.intent == "nearest":
        kinds = any(entity.plural for entity in task.entities[1:])
        return "nearest", nearest(scene, names[0], names[1:], task.select or "least", each_of_kind=kinds)
    if task.intent == "count":
        return "count", count(scene, names[0])
    if task.viewpoint and task.viewpoint.at and task.viewpoint.facing:
        seen_from = (task.viewpoint.at.phrase, task.viewpoint.facing.phrase)
        return "direction", direction(scene, *seen_from, names[0], "eight")
    return "distance", distance(scene, names[0], names[1], unit=task.unit or "m")


@dataclass
class Measures:
    """Answers from scene maps through the skills; remembers what it was asked."""

    asked: list[str] = field(default_factory=list)
    told: list[tuple[Exchange, ...]] = field(default_factory=list)

    def ask(
        self,
        source: Source,
        question: str,
        *,
        options: Sequence[str] = (),
        dialogue: Sequence[Exchange] = (),
    ) -> Answer:
        assert isinstance(source, SceneMap)
        self.asked.append(question)
        self.told.append(tuple(dialogue))
        try:
            tool, finding = find(source, question)
        except ToolError as error:
            failure = {"call_id": "c1", "tool": "?", "error": "ToolError", "message": str(error)}
            return answer_task(parse(question), [], [failure], {})
        return answer_task(parse(question, options), [Evidence("e1", "c1", tool, finding)], [], {})

    async def aask(
        self,
        source: Source,
        question: str,
        *,
        options: Sequence[str] = (),
        dialogue: Sequence[Exchange] = (),
    ) -> Answer:
        await asyncio.sleep(0)
        return self.ask(source, question, options=options, dialogue=dialogue)


TALK = (
    "How far is the sofa from the tv?",
    "And how tall is it?",
    "and in cm?",
    "and the lamp?",
    "How many chairs are there?",
    "Which of them is closest to the sofa?",
    "and how far is it from the table?",
)


def test_a_dialogue_of_seven_questions_is_understood_and_measured() -> None:
    agent = Measures()
    session = Session(agent, EXAMPLE)
    answers = [session.ask(question) for question in TALK]

    assert agent.asked[:6] == [
        "How far is the sofa from the tv?",
        "how tall is sofa-1?",
        "how tall is sofa-1 in cm?",
        "how tall is the lamp in cm?",
        "How many chairs are there?",
        "which of chair-1 and chair-2 is closest to the sofa?",
    ]
    # Chair 1 stands half a metre nearer to the sofa than chair 2.
    assert agent.asked[6] == "how far is chair-1 from the table?"
    assert [(answer.value, answer.unit) for answer in answers[1:5]] == [
        (pytest.approx(0.82), "m"),
        (pytest.approx(82), "cm"),
        (pytest.approx(145), "cm"),
        (2, "count"),
    ]
    assert [exchange.question for exchange in session.dialogue.exchanges] == agent.asked
    assert agent.told[-1] == session.dialogue.exchanges[:-1]


def test_two_sessions_side_by_side_answer_as_each_does_alone() -> None:
    talks = {
        "one": (EXAMPLE, TALK),
        "two": (OTHER, ("How many chairs are there?", "how far apart are they?", "Which is taller?")),
    }
    alone = {}
    for name, (scene, talk) in talks.items():
        session = Session(Measures(), scene)
        alone[name] = [session.ask(question).text for question in talk]

    shared = Measures()
    sessions = {name: Session(shared, scene) for name, (scene, _) in talks.items()}
    got: dict[str, list[str]] = {name: [] for name in talks}
    for turn in range(len(TALK)):
        for name, (_, talk) in talks.items():
            if turn < len(talk):
                got[name].append(sessions[name].ask(talk[turn]).text)
    assert got == alone


def test_sessions_interleaved_on_one_event_loop_answer_as_each_does_alone() -> None:
    async def talk(agent: Measures, scene: SceneMap) -> list[str]:
        session = Session(agent, scene)
        return [
            (await session.aask(question)).text for question in ("How tall is the table?", "and how wide?")
        ]

    async def both() -> list[list[str]]:
        agent = Measures()
        return list(await asyncio.gather(talk(agent, EXAMPLE), talk(agent, OTHER)))

    together = asyncio.run(both())
    assert together == [asyncio.run(talk(Measures(), scene)) for scene in (EXAMPLE, OTHER)]
    assert together[0] != together[1]


def test_it_with_nothing_before_is_refused_and_not_remembered() -> None:
    agent = Measures()
    session = Session(agent, EXAMPLE)

    with pytest.raises(QuestionError, match="name it: 'how far is the A from the sofa"):
        session.ask("And how far is it from the sofa?")
    assert agent.asked == []
    assert session.dialogue.exchanges == ()


def test_an_answer_that_abstains_can_be_settled_by_a_name() -> None:
    session = Session(Measures(), EXAMPLE)
    first = session.ask("How tall is the chair?")
    settled = session.ask("the one near the sofa")

    assert first.abstained
    assert not settled.abstained
    assert session.dialogue.exchanges[-1].question == "how tall is the chair near the sofa?"
    assert session.dialogue.exchanges[-1].objects == ("chair-1",)


def test_a_session_forgets_when_told_to() -> None:
    session = Session(Measures(), EXAMPLE)
    session.ask("How tall is the sofa?")
    session.forget()

    with pytest.raises(QuestionError, match="nothing was asked before"):
        session.ask("how wide is it?")


def test_what_was_asked_about_comes_first() -> None:
    def spoken_of(question: str) -> tuple[str, ...]:
        return objects_of(Measures().ask(EXAMPLE, question))

    assert spoken_of("How far is the tv from the sofa?") == ("tv-1", "sofa-1")
    assert spoken_of("Which is closer to the sofa, the lamp or the tv?") == ("lamp-1", "sofa-1")
    assert spoken_of("Standing at the sofa, facing the tv, where is the lamp?") == (
        "lamp-1",
        "sofa-1",
        "tv-1",
    )


def test_a_second_route_counts_only_where_there_is_nothing_else() -> None:
    first = {"call_id": "c1", "tool": "distance", "objects": ["sofa-1", "tv-1"]}
    second = {"call_id": "v1", "tool": "distance", "objects": ["lamp-1", "tv-1"]}

    assert objects_of(Answer("", evidence=(second, first))) == ("sofa-1", "tv-1")
    assert objects_of(Answer("", evidence=(second,))) == ("lamp-1", "tv-1")
    assert objects_of(Answer("")) == ()
