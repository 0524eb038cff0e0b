"""From a question to a formal task: the model writes one, the grammar holds it against its own reading."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spatial_agent.agent.models.chat import ChatModel, ChatReply, ChatRequest, Message
from spatial_agent.agent.planner.grammar import parse, split_options
from spatial_agent.agent.planner.grounding import invented
from spatial_agent.agent.planner.options import read_options
from spatial_agent.agent.planner.planning import measured_by
from spatial_agent.agent.planner.task_document import read_task
from spatial_agent.agent.planner.task_schema import SCHEMA
from spatial_agent.agent.planner.wording import clean
from spatial_agent.agent.situation import Question, Reading
from spatial_agent.agent.task import Comparison, Definition, Option, SpatialTask
from spatial_agent.prompts.template import Template
from spatial_agent.prompts.untrusted import fenced, quoted
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import InvalidValueError, QuestionError
from spatial_agent.tools.scene import UNITS

#: How often the model may write the document: once, and once more with what was wrong.
ATTEMPTS = 2
#: Longest document, tokens; ours are about 100.
MOST_TOKENS = 512
MOST_LABELS = 60
MOST_EXCHANGES = 4
#: How much of a refused document the model sees again, and of a problem anybody.
MOST_REPEATED = 800
MOST_PROBLEM = 400
MOST_DIFFERENCE = 200


@dataclass(frozen=True)
class _Proposal:
    """What came of asking the model."""

    task: SpatialTask | None
    problems: tuple[str, ...]


async def formalise(question: Question, model: ChatModel | None, labels: Sequence[str]) -> Reading:
    """Return how a question is understood.

    The grammar's reading is the one that counts where it has one, and the model's where it has none. Where
    both read the question and would measure different things, both readings are kept.

    Args:
        question: The question.
        model: Reads it too; None where there is none, or none any more.
        labels: Labels of what is in the scene.

    Raises:
        QuestionError: If neither can read it; says what can be asked, and why the model was not believed.
        ModelError: If the model fails.
        BudgetExceededError: If the run may not ask the model any more.
    """
    read = _by_grammar(question)
    text, options = split_options(question.text, question.options)
    offered = read_options(options)
    if isinstance(read, QuestionError):
        if model is None or not clean(text):
            raise read
        return _only_by_model(await _Asking(question, text, offered, tuple(labels)).ask(model), read)
    if model is None:
        return Reading(read, "grammar")
    asking = _Asking(question, text, offered, tuple(labels), read.definition)
    return _settled(read, await asking.ask(model))


def _by_grammar(question: Question) -> SpatialTask | QuestionError:
    try:
        return parse(question.text, question.options)
    except QuestionError as error:
        return error


def _only_by_model(proposal: _Proposal, refusal: QuestionError) -> Reading:
    if proposal.task is None:
        raise QuestionError(
            f"{refusal}; the model's reading was refused: {proposal.problems[-1]}"
        ) from refusal
    return Reading(proposal.task, "model", remarks=_repaired(proposal))


def _settled(read: SpatialTask, proposal: _Proposal) -> Reading:
    """Return the grammar's reading, and how the model's differs."""
    task = proposal.task
    if task is None:
        return Reading(
            read, "grammar", remarks=(f"the model's reading was refused: {proposal.problems[-1]}",)
        )
    if task.intent == "open":
        remark = f"the model would leave it open: {quoted(task.objective or '', MOST_DIFFERENCE)}"
        return Reading(read, "grammar", remarks=(*_repaired(proposal), remark))
    if measured_by(task) != measured_by(read):
        return Reading(read, "grammar", task, _difference(read, task), _repaired(proposal))
    if _compared(task.comparison) != _compared(read.comparison):
        remark = "the model reads the same measurement, and compares it otherwise"
        return Reading(read, "grammar", remarks=(*_repaired(proposal), remark))
    return Reading(read, "both", remarks=_repaired(proposal))


def _repaired(proposal: _Proposal) -> tuple[str, ...]:
    return tuple(f"the model's first reading was refused: {problem}" for problem in proposal.problems)


def _difference(read: SpatialTask, other: SpatialTask) -> str:
    return f"the grammar reads it as {_in_words(read)}, the model as {_in_words(other)}"


def _in_words(task: SpatialTask) -> str:
    calls = "; ".join(f"{tool} {_arguments(arguments)}" for tool, arguments in measured_by(task))
    return calls if len(calls) <= MOST_DIFFERENCE else f"{calls[:MOST_DIFFERENCE]}…"


def _arguments(arguments: Mapping[str, Json]) -> str:
    given = {name: value for name, value in arguments.items() if value not in (None, False)}
    return json.dumps(given, ensure_ascii=False)


def _compared(comparison: Comparison | None) -> tuple[object, ...] | None:
    if comparison is None:
        return None
    value, unit = comparison.value, comparison.unit
    if value is not None and unit is not None:
        value = round(value * UNITS[unit][1], 4)
    return comparison.relation, value, comparison.name


@dataclass(frozen=True)
class _Asking:
    """Asks a model what a question asks, and holds its document against the question."""

    question: Question
    text: str
    options: tuple[Option, ...]
    labels: tuple[str, ...]
    definition: Definition = "plain"

    async def ask(self, model: ChatModel) -> _Proposal:
        """Return the task it wrote, with the problems there were on the way."""
        messages = [
            Message("system", (Template.load("formalise").fill(),)),
            Message("user", (self._asked(),)),
        ]
        problems: list[str] = []
        for _ in range(ATTEMPTS):
            request = ChatRequest(tuple(messages), "formalise", schema=SCHEMA, most_tokens=MOST_TOKENS)
            reply = await model.reply(request)
            try:
                return _Proposal(self._read(reply), tuple(problems))
            except InvalidValueError as error:
                problems.append(_short(str(error)))
            messages[2:] = _repair(reply, problems[-1])
        return _Proposal(None, tuple(problems))

    def _asked(self) -> str:
        return Template.load("formalise_question").fill(
            dialogue=self._dialogue(),
            labels=", ".join(map(quoted, self.labels[:MOST_LABELS])) or "unknown",
            question=fenced(self.text, 4000),
            options="\n".join(f"{option.letter}. {quoted(option.text, 300)}" for option in self.options)
            or "none",
        )

    def _dialogue(self) -> str:
        exchanges = self.question.dialogue[-MOST_EXCHANGES:]
        return (
            "\n".join(
                f"{quoted(item.question, 300)} was answered {quoted(item.answer, 300)}" for item in exchanges
            )
            or "nothing"
        )

    def _read(self, reply: ChatReply) -> SpatialTask:
        """Return the task of a reply.

        Raises:
            InvalidValueError: If it has none, or one that the question does not bear out.
        """
        if reply.document is None:
            raise InvalidValueError(reply.problem or "expected a JSON object, got words")
        task = read_task(reply.document, self.text, self.options, self.definition)
        unknown = invented(task, self.question, self.labels)
        if unknown:
            raise InvalidValueError(
                f"the question does not say {', '.join(unknown)}: copy names and numbers from it, and "
                "leave out what it does not name"
            )
        return task


def _repair(reply: ChatReply, problem: str) -> list[Message]:
    said = reply.text.strip()[:MOST_REPEATED] or "(nothing)"
    words = Template.load("formalise_repair").fill(problem=fenced(problem, MOST_PROBLEM))
    return [Message("assistant", (said,)), Message("user", (words,))]


def _short(problem: str) -> str:
    return problem if len(problem) <= MOST_PROBLEM else f"{problem[:MOST_PROBLEM]}…"
