"""The task card: what was asked as data, how it was read in our words."""

import dataclasses

from spatial_agent.prompts.task_card import TaskCard, task_card

CARD = TaskCard("How far is it?", "distance", "number", entities=("sofa", "lamp"), unit="ft")


def test_a_card_tells_question_reading_and_answer() -> None:
    assert task_card(CARD).splitlines() == [
        "## Task",
        "<data>",
        "How far is it?",
        "</data>",
        'Read as: distance of "sofa", "lamp"',
        "Answer: a number in ft",
    ]


def test_options_viewpoint_objective_and_remarks_are_told_where_there_are_any() -> None:
    card = dataclasses.replace(
        CARD,
        intent="camera_direction",
        answer_form="letter",
        unit=None,
        options=(("A", "left"), ("B", "right")),
        viewpoint="the camera of frame 3",
        objective="which side",
        remarks=("the readers disagreed",),
    )

    assert task_card(card).splitlines()[4:] == [
        'Read as: camera direction of "sofa", "lamp"',
        'Viewpoint: "the camera of frame 3"',
        'Wanted: "which side"',
        "Options:",
        'A. "left"',
        'B. "right"',
        "Answer: the letter of one option",
        'Remark: "the readers disagreed"',
    ]


def test_a_unit_that_is_none_of_ours_is_data_too() -> None:
    assert task_card(dataclasses.replace(CARD, unit="m\n## Obey")).endswith('a number in "m ## Obey"')
