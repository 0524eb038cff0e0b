"""The answer with a model in the loop: it reads what was measured, says its view, and the gate decides.

At most two questions are put to the model: for its answer, and then once more where it contradicts strong
evidence (with the marked picture) or where nothing else than its words could answer and they cannot be read.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.answer_form import answer_schema, form_in_words, has_unit, unknown_in_form
from spatial_agent.agent.answerer import Readings, answer_readings
from spatial_agent.agent.cited import carried_by, concluded_from, is_of_question, may_cite
from spatial_agent.agent.executor import is_own
from spatial_agent.agent.gate import Gate, gate
from spatial_agent.agent.models.chat import ChatModel, ChatReply, ChatRequest, Message, Part, Purpose
from spatial_agent.agent.task import SpatialTask
from spatial_agent.agent.view import View, read_view
from spatial_agent.prompts.spatial import SpatialPrompt
from spatial_agent.prompts.template import Template
from spatial_agent.prompts.untrusted import quoted
from spatial_agent.tools.contract import Evidence
from spatial_agent.tools.errors import BudgetExceededError, ModelError
from spatial_agent.tools.scene import Picture

#: Draws what was measured into a frame; None where there is nothing to draw on.
Reconsider = Callable[[], Awaitable[Picture | None]]
#: Longest conclusion that is put to a model again, characters.
MOST_SHOWN = 600


async def answer_with_model(
    task: SpatialTask,
    evidence: Sequence[Evidence],
    failures: Sequence[Mapping[str, Any]],
    weak: Mapping[str, str],
    prompt: SpatialPrompt,
    model: ChatModel,
    most_tokens: int,
    reconsider: Reconsider | None = None,
    *,
    other: SpatialTask | None = None,
    disagreement: str | None = None,
    measurable: bool = True,
    disputed: Collection[str] = (),
) -> Answer:
    """Answer a task from the evidence and a model's reading of it.

    Args:
        task: What is asked: the reading that decides.
        evidence: Everything found out.
        failures: Calls that failed: ``call_id``, ``error`` (class), ``message``.
        weak: Why a piece of evidence is weak, by its id.
        prompt: What the model reads.
        model: The model.
        most_tokens: Longest reply.
        reconsider: Gives the marked picture for a second look; it is called at most once, and only where
            the model contradicts strong evidence.
        other: The other reading of the question, measured by calls whose ids begin with ``"d"``.
        disagreement: In what the readings differ, in a sentence.
        measurable: Whether there is a scene that could be measured; where there is none, a refusal only
            says that nothing was measured, and the model's view is given as unmeasured.
        disputed: Ids of the evidence that another measurement contradicts.

    Raises:
        ModelError: If the model fails before it has given a view; `answer_readings` then answers without it.
        BudgetExceededError: If the first question to the model would exceed the budget; likewise.
    """
    measured = answer_readings(task, other, evidence, failures, weak, disagreement)
    asked = Asked(task, tuple(evidence), tuple(failures), weak, measured, measurable, frozenset(disputed))
    talk = Talk(task, prompt, model, most_tokens, [item.id for item in evidence])
    view = await talk.first_view()
    outcome = decide(asked, view)
    try:
        return await _looked_at_again(asked, talk, view, outcome, reconsider)
    except (ModelError, BudgetExceededError) as error:
        lost = f"the model could not be asked a second time: {error}"
        return replace(outcome.answer, degraded=(*outcome.answer.degraded, lost))


@dataclass(frozen=True)
class Asked:
    """All that decides beside the model's view.

    Attributes:
        task: What is asked.
        evidence: Everything found out.
        failures: Calls that failed.
        weak: Why a piece of evidence is weak, by its id.
        measured: What follows from the evidence alone.
        measurable: Whether there is a scene that could be measured.
        disputed: Ids of the evidence that another measurement contradicts.
    """

    task: SpatialTask
    evidence: tuple[Evidence, ...]
    failures: tuple[Mapping[str, Any], ...]
    weak: Mapping[str, str]
    measured: Readings
    measurable: bool = True
    disputed: frozenset[str] = frozenset()

    @property
    def own_failures(self) -> list[Mapping[str, Any]]:
        """The task's own calls that failed."""
        return [failure for failure in self.failures if is_own(failure["call_id"])]

    @property
    def was_measured(self) -> bool:
        """Whether the task's own calls gave anything."""
        return any(is_own(item.call_id) for item in self.evidence)


def decide(asked: Asked, view: View) -> Gate:
    """Return the answer that a view leads to; nothing is asked or drawn."""
    task, measured = asked.task, asked.measured
    if not measured.answer.abstained or (asked.was_measured and not asked.own_failures):
        # What was measured and is none of the options is a refusal on evidence, as strong as that is.
        return gate(
            task,
            measured.answer,
            view,
            measured.weak,
            refusal_stands=not measured.weak,
            is_disputed=not asked.disputed.isdisjoint(measured.weak),
        )
    if may_cite(task, asked.own_failures if asked.measurable else ()):
        carried = carried_by(task, asked.evidence, view, asked.weak)
        if carried is not None:
            return carried
    if task.intent == "open" and asked.evidence:
        return Gate(concluded_from(task, asked.evidence, measured.answer, view) or measured.answer)
    stands = asked.measurable and (bool(asked.evidence) or is_of_question(asked.own_failures))
    return gate(task, measured.answer, view, {}, refusal_stands=stands)


async def _looked_at_again(
    asked: Asked, talk: "Talk", view: View, outcome: Gate, reconsider: Reconsider | None
) -> Answer:
    """Put a contradiction, or an answer that could not be read, to the model once."""
    if outcome.contradicts:
        picture = await reconsider() if reconsider is not None else None
        again = await talk.view_after_contradiction(view, outcome.answer, picture)
        # Who says nothing that can be read the second time has not taken the first back.
        return decide(asked, again).answer if again.is_given else outcome.answer
    if view.is_given or not outcome.answer.abstained:
        return outcome.answer
    return decide(asked, await talk.view_after_unread(view)).answer


class Talk:
    """The conversation in which a model is asked for its view."""

    def __init__(
        self,
        task: SpatialTask,
        prompt: SpatialPrompt,
        model: ChatModel,
        most_tokens: int,
        evidence_ids: Sequence[str],
    ) -> None:
        """Begin with the rules and the prompt; nothing is asked yet."""
        rules = Template.load("answer").fill(
            form=form_in_words(task),
            unit='"unit": the unit of a number, such as "m", else "", ' if has_unit(task) else "",
            unknown=unknown_in_form(task),
        )
        self._task = task
        self._model = model
        self._most_tokens = most_tokens
        self._evidence_ids = evidence_ids
        self._messages = [Message("system", (rules,)), Message("user", (prompt.text, *_numbered(prompt)))]

    async def first_view(self) -> View:
        """Ask for the answer."""
        return await self._view("answer")

    async def view_after_contradiction(self, view: View, measured: Answer, picture: Picture | None) -> View:
        """Ask again, with what was measured and the picture that shows it."""
        shown = "The picture shows what was measured, drawn in." if picture else "There is no picture of it."
        words = Template.load("reconsider").fill(
            said=quoted(view.said, 200),
            measured=quoted(_conclusion(measured, view.cites), MOST_SHOWN),
            picture=shown,
        )
        self._messages.append(Message("user", (words,) if picture is None else (words, picture)))
        return await self._view("reconsider")

    async def view_after_unread(self, view: View) -> View:
        """Ask again for an answer that can be read."""
        words = Template.load("answer_again").fill(
            problem=view.problem or "there was none", form=form_in_words(self._task)
        )
        self._messages.append(Message("user", (words,)))
        return await self._view("answer")

    async def _view(self, purpose: Purpose) -> View:
        request = ChatRequest(
            tuple(self._messages), purpose, schema=answer_schema(self._task), most_tokens=self._most_tokens
        )
        reply = await self._model.reply(request)
        self._messages.append(Message("assistant", (_shortened(reply),)))
        return read_view(self._task, reply, self._evidence_ids)


def _numbered(prompt: SpatialPrompt) -> list[Part]:
    """Return the pictures, each behind its number."""
    numbered = enumerate(prompt.pictures, start=1)
    return [part for number, picture in numbered for part in (f"Picture {number}:", picture)]


def _conclusion(measured: Answer, cites: Sequence[str]) -> str:
    """Return what was measured in sentences, also where the answer is a bare letter or number."""
    own = [item for item in measured.evidence if is_own(str(item["call_id"]))]
    resting = own or [item for item in measured.evidence if item["id"] in cites]
    return " ".join(str(item["claim"]) for item in resting) or measured.text


def _shortened(reply: ChatReply) -> str:
    return reply.text[:MOST_SHOWN] or "(no words)"
