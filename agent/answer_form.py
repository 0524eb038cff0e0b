"""How a model is asked for an answer: the form in words, and as the JSON schema of its reply."""

from typing import Any

from spatial_agent.agent.task import SpatialTask
from spatial_agent.agent.view import is_list
from spatial_agent.prompts.untrusted import quoted
from spatial_agent.tools.contract import Json

#: What a model answers that cannot tell.
UNKNOWN = "unknown"
FORMS = {
    "number": 'the number alone, as text with as many digits as it deserves, such as "2.35"',
    "yes_no": '"yes" or "no"',
    "name": "the one name that answers the question, a few words",
    "order": 'the list of names in order, such as ["sofa", "lamp"]',
    "text": "a number, a name or one sentence",
}


def form_in_words(task: SpatialTask) -> str:
    """Return what the answer must look like, for a model."""
    if task.options:
        offered = "; ".join(f"{option.letter}. {quoted(option.text, 200)}" for option in task.options)
        return f"the letter of one of these options: {offered}"
    if task.side is not None:
        return 'the list of the names of all that is there, such as ["sofa", "lamp"], or [] where nothing is'
    words = FORMS[task.answer_form]
    if task.unit == "deg":
        words += ", in degrees, positive to the left and negative to the right"
    return words


def answer_schema(task: SpatialTask) -> dict[str, Json]:
    """Return the JSON schema of a reply: flat, every field required, so that every server takes it."""
    text: dict[str, Json] = {"type": "string"}
    properties: dict[str, Any] = {"reason": text, "answer": _answer(task)}
    if has_unit(task):
        properties["unit"] = text
    properties["cites"] = {"type": "array", "items": text}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def unknown_in_form(task: SpatialTask) -> str:
    """Return what a model answers that cannot tell, as it stands in its reply."""
    return f'["{UNKNOWN}"]' if is_list(task) else f'"{UNKNOWN}"'


def has_unit(task: SpatialTask) -> bool:
    """Return whether an answer may be a number with a unit."""
    return not task.options and task.answer_form in ("number", "text")


def _answer(task: SpatialTask) -> dict[str, Json]:
    if task.options:
        return {"type": "string", "enum": [*(option.letter for option in task.options), UNKNOWN]}
    if task.answer_form == "yes_no":
        return {"type": "string", "enum": ["yes", "no", UNKNOWN]}
    if is_list(task):
        return {"type": "array", "items": {"type": "string"}}
    return {"type": "string"}
