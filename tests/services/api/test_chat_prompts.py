"""Prompts as evaluation harnesses write them, taken apart: question, options, and the answer's form.

The wrappings are those of ``lmms_eval/tasks/vsibench``, of VLMEvalKit's VSI-Bench ("origin" and "standard",
as in EASI) and multiple choice, and of inspect's ``multiple_choice`` solver.
"""

import time

import pytest

from spatial_agent.agent.planner.grammar import parse
from spatial_agent.services.api.chat_prompts import AnswerShape, read_prompt, without_instructions

FRAMES = "These are frames of a video."
DIRECTLY = "Answer with the option's letter from the given choices directly."
ONE_WORD = "Please answer the question using a single word or phrase."
ONE_NUMBER = "Do not response anything other than a single number!"
ONE_FLOAT = "Answer briefly and directly in one float number."
EASI = (
    "You are a spatial-reasoning assistant. Always ground your answer in the visual evidence; do not "
    "hallucinate "
    "unseen objects. If uncertain, pick the most plausible option—never refuse or reply “insufficient "
    "information.” Think step by step and provide the answer. You should first provide a reasoning "
    "process, then "
    "provide {wanted} as the final answer. The reasoning process and the answer are enclosed within "
    "<think></think> and <answer></answer> tags, respectively, i.e., <think>reasoning process</think>, "
    "<answer>answer</answer>."
)
INSPECT = (
    "Answer the following multiple choice question. The entire content of your response should be of the "
    "following "
    "format: 'ANSWER: $LETTER' (without quotes) where LETTER is one of {letters}.\n\n{question}\n\n{choices}"
)
INSPECT_COT = (
    "Answer the following multiple choice question. The last line of your response should be of the "
    "following "
    "format: 'ANSWER: $LETTER' (without quotes) where LETTER is one of {letters}. Think step by step before "
    "answering.\n\n{question}\n\n{choices}\n"
)
#: VSI-Bench's questions with the intent that each has; choices have options.
NUMBERS = (
    ("How many chair(s) are in this room?", "count"),
    (
        "Measuring from the closest point of each object, what is the direct distance between the sofa and "
        "the "
        "table (in meters)?",
        "distance",
    ),
    (
        "What is the length of the longest dimension (length, width, or height) of the sofa, measured in "
        "centimeters?",
        "size",
    ),
    (
        "What is the size of this room (in square meters)? \nIf multiple rooms are shown, estimate the "
        "size of "
        "the combined space.",
        "room",
    ),
)
CHOICES = (
    (
        "Measuring from the closest point of each object, which of these objects (table, lamp, sofa, "
        "stool) is the "
        "closest to the tv?\nIf there are multiple instances of an object category, measure to the closest.",
        ("A. table", "B. lamp", "C. sofa", "D. stool"),
        "nearest",
    ),
    (
        "If I am standing by the stove and facing the tv, is the sofa to my front-left, front-right, "
        "back-left, or "
        "back-right?\nThe directions refer to the quadrants of a Cartesian plane (if I am standing at the "
        "origin and "
        "facing along the positive y-axis).",
        ("A. back-left", "B. front-right", "C. front-left", "D. back-right"),
        "direction",
    ),
    (
        "If I am standing by the stove and facing the tv, is the sofa to my left, right, or back?\nAn "
        "object is to my "
        "back if I would have to turn at least 135 degrees in order to face it.",
        ("A. left", "B. back", "C. right"),
        "direction",
    ),
    (
        "If I am standing by the stove and facing the tv, is the sofa to the left or the right of the tv?",
        ("A. left", "B. right"),
        "direction",
    ),
    (
        "What will be the first-time appearance order of the following categories in the video: table, "
        "lamp, sofa, "
        "stool?",
        ("A. lamp, table, sofa, stool", "B. table, lamp, sofa, stool"),
        "order",
    ),
    (
        "You are a robot beginning at the door and facing the tv. You want to navigate to the sofa. You "
        "will perform "
        "the following actions (Note: for each [please fill in], choose either 'turn back,' 'turn left,' "
        "or 'turn "
        "right.'): 1. Go forward until the tv 2. [please fill in] 3. Go forward until the sofa. You have "
        "reached "
        "the final destination.",
        ("A. Turn Left", "B. Turn Right", "C. Turn Back"),
        "route",
    ),
)
SHORT = AnswerShape(is_short=True)
TAGGED = AnswerShape("tags", is_short=True, thinks=True)
LINE = AnswerShape("line", is_short=True)


def options_alone(options: tuple[str, ...]) -> list[str]:
    return [option[3:] for option in options]


@pytest.mark.parametrize(("question", "intent"), NUMBERS)
@pytest.mark.parametrize("wanted", [ONE_WORD, ONE_NUMBER, ONE_FLOAT])
def test_numbers_of_vsi_bench(question: str, intent: str, wanted: str) -> None:
    prompt = read_prompt(f"{FRAMES}\n{question}\n{wanted}")
    assert (prompt.options, prompt.shape) == ((), SHORT)
    assert prompt.question.split() == question.split()
    assert parse(prompt.question).intent == intent
    assert parse(prompt.question).definition == "vsi"


@pytest.mark.parametrize(("question", "options", "intent"), CHOICES)
@pytest.mark.parametrize("header", ["Options:\n", ""], ids=["lmms-eval", "VLMEvalKit"])
def test_choices_of_vsi_bench(question: str, options: tuple[str, ...], intent: str, header: str) -> None:
    prompt = read_prompt(f"{FRAMES}\n{question}\n{header}" + "\n".join(options) + f"\n{DIRECTLY}")
    assert (prompt.options, prompt.shape) == (options, SHORT)
    assert prompt.question == question
    task = parse(prompt.question, prompt.options)
    assert (task.intent, task.definition, task.answer_form) == (intent, "vsi", "letter")


@pytest.mark.parametrize(("question", "options", "intent"), CHOICES)
def test_choices_of_easi(question: str, options: tuple[str, ...], intent: str) -> None:
    wanted = EASI.format(wanted="a single option (an English letter)")
    prompt = read_prompt("\n".join([wanted, question, *options]))
    assert (prompt.question, prompt.options, prompt.shape) == (question, options, TAGGED)
    assert parse(prompt.question, prompt.options).intent == intent


@pytest.mark.parametrize(("question", "intent"), NUMBERS)
def test_numbers_of_easi(question: str, intent: str) -> None:
    prompt = read_prompt(EASI.format(wanted="one float number") + f" \n{question}")
    assert (prompt.options, prompt.shape) == ((), TAGGED)
    assert parse(prompt.question).intent == intent


@pytest.mark.parametrize("template", [INSPECT, INSPECT_COT])
@pytest.mark.parametrize(("question", "options", "intent"), CHOICES)
def test_choices_of_inspect(template: str, question: str, options: tuple[str, ...], intent: str) -> None:
    letters = ",".join("ABCD"[: len(options)])
    choices = "\n".join(f"{'ABCD'[index]}) {text}" for index, text in enumerate(options_alone(options)))
    prompt = read_prompt(template.format(letters=letters, question=question, choices=choices))
    assert (prompt.question, prompt.shape) == (question, LINE)
    task = parse(prompt.question, prompt.options)
    assert task.intent == intent
    assert [option.text for option in task.options] == options_alone(options)


@pytest.mark.parametrize(
    ("text", "question", "options", "shape"),
    [
        (
            "Question: Which is taller, the sofa or the table?\nOptions:\nA. sofa\nB. table\n"
            "Please select the correct answer from the options above. \n",
            "Which is taller, the sofa or the table?",
            ("A. sofa", "B. table"),
            AnswerShape(),
        ),
        (
            "<image>\nIs the chair left or right of the table? Select from the following choices.\n(A) "
            "left\n(B) right",
            "Is the chair left or right of the table?",
            ("(A) left", "(B) right"),
            AnswerShape(),
        ),
        (
            "Is the chair left or right of the table? (A) left (B) right",
            "Is the chair left or right of the table?",
            ("(A) left", "(B) right"),
            AnswerShape(),
        ),
        (
            "Is the chair left or right of the table? (A) left (B) right\n"
            "Answer with the option's letter from the given choices directly.",
            "Is the chair left or right of the table?",
            ("(A) left", "(B) right"),
            AnswerShape(is_short=True),
        ),
        (
            "How many chairs are there? A. 1 B. 2 C. 3",
            "How many chairs are there?",
            ("A. 1", "B. 2", "C. 3"),
            AnswerShape(),
        ),
        (
            "Options: A. left B. right\nWhere is the sofa?",
            "Where is the sofa?",
            ("A. left", "B. right"),
            AnswerShape(),
        ),
        ("How tall is the sofa? Answer with a single number.", "How tall is the sofa?", (), SHORT),
        ("Is the sofa longer than 2 m? Please answer yes or no.", "Is the sofa longer than 2 m?", (), SHORT),
        (
            "How tall is it?\nPut your final answer in \\boxed{}.",
            "How tall is it?",
            (),
            AnswerShape("boxed", True),
        ),
        ("How far is the sofa from the lamp?", "How far is the sofa from the lamp?", (), AnswerShape()),
        ("Give the number of chairs.", "Give the number of chairs.", (), AnswerShape()),
        ("Answer with a number.", "Answer with a number.", (), SHORT),
        (
            "Which letter is on the box?\r\nA is for apple",
            "Which letter is on the box?\nA is for apple",
            (),
            AnswerShape(),
        ),
        (
            "Frame1: <image>\nFrame2: <image>\nHow many chairs are there?",
            "How many chairs are there?",
            (),
            AnswerShape(),
        ),
        ("What is <region 1>?", "What is <region 1>?", (), AnswerShape()),
        ("", "", (), AnswerShape()),
        ("<image>", "", (), AnswerShape()),
    ],
)
def test_other_prompts(text: str, question: str, options: tuple[str, ...], shape: AnswerShape) -> None:
    prompt = read_prompt(text)
    assert (prompt.question, prompt.options, prompt.shape) == (question, options, shape)


def test_the_system_may_ask_for_a_form_too() -> None:
    asked = "How tall is the sofa?"
    assert read_prompt(asked, "Put your final answer in \\boxed{}.").shape.wrap == "boxed"
    assert read_prompt(f"{asked} {ONE_NUMBER}", "Put your final answer in \\boxed{}.").shape == SHORT


def test_options_need_letters_that_run_from_a() -> None:
    assert read_prompt("Where?\nB. left\nC. right").options == ()
    assert read_prompt("Where?\nA. left").options == ()
    assert read_prompt("Where?\nA. left\n\nB. right\nC. back").options == ("A. left", "B. right", "C. back")


def test_what_a_system_says_beside_the_form() -> None:
    said = f"The kitchen is what I call the north end.\n{DIRECTLY}\nPlease answer briefly."
    assert without_instructions(said) == "The kitchen is what I call the north end."


@pytest.mark.parametrize(
    "text",
    [
        "A. " * 2600,
        "(A) (B) " * 1000,
        "A. x\n" * 1600,
        "\n" * 8000,
        "you are a spatial-reasoning assistant." * 200,
        "answer the following multiple choice question " * 170,
        "please " * 1100 + "answer",
        "?" * 8000,
        "Options: " * 850,
        " " * 7999 + "?",
    ],
)
def test_no_prompt_takes_long(text: str) -> None:
    began = time.process_time()
    read_prompt(text, text)
    assert time.process_time() - began < 0.5
