"""What a model is told when it plans: the task, what is known, its own turns so far, and what is left."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from spatial_agent.agent.models.chat import Message, Part, ToolOffer, ToolRequest
from spatial_agent.agent.planner.call_checks import said_of
from spatial_agent.agent.planner.offers import signature
from spatial_agent.agent.situation import Interface, Reading, Situation, Turn
from spatial_agent.agent.task import Viewpoint
from spatial_agent.prompts.task_card import TaskCard, task_card
from spatial_agent.prompts.template import Template
from spatial_agent.prompts.untrusted import fenced, quoted
from spatial_agent.tools.contract import Evidence
from spatial_agent.tools.scene import Picture, SceneMap

#: First letter of the ids of a model's own calls.
BY_MODEL = "m"
#: Stands before what a model asked for in a turn and was not called.
NOT_CALLED = "\n\nNot called:"
MOST_LABELS = 60
MOST_KNOWN = 24
#: Longest words of a model that are kept, and longest sentence of a list, characters.
MOST_SAID, MOST_SENTENCE = 2000, 400


def conversation(
    situation: Situation,
    offers: Sequence[ToolOffer],
    interface: Interface,
    pictures: Sequence[Picture],
) -> tuple[Message, ...]:
    """Return what a model is shown before it decides what to call next.

    The task comes first and stays as it is from turn to turn; then come the model's own turns; what is left
    of the budget, what is weak, and pictures come last.

    Args:
        situation: What is known.
        offers: Tools that programs may call; with other interfaces they are part of the request.
        interface: How the model acts.
        pictures: What there is to look at.
    """
    messages = (
        Message("system", (_rules(offers, interface),)),
        Message("user", (_task(situation),)),
        *(message for turn in own_turns(situation) for message in _turn(turn, situation)),
        Message("user", (_now(situation, pictures), *_shown(pictures))),
    )
    return tuple(_joined(messages))


def own_turns(situation: Situation) -> tuple[Turn, ...]:
    """Return the turns in which the model called something."""
    return tuple(turn for turn in situation.turns if any(call.id.startswith(BY_MODEL) for call in turn.calls))


def refusals(requests: Sequence[ToolRequest], problems: Sequence[str]) -> Iterator[Message]:
    """Yield what a model is told of calls that cannot be made."""
    for request, problem in zip(requests, problems, strict=True):
        yield Message("tool", (fenced(problem),), answers=request.id)


def card_of(reading: Reading, question: str) -> TaskCard:
    """Return how a question was understood, for a prompt."""
    task = reading.task
    disagreement = (reading.disagreement,) if reading.disagreement else ()
    return TaskCard(
        question=question,
        intent=task.intent,
        answer_form=task.answer_form,
        options=tuple((option.letter, option.text) for option in task.options),
        entities=tuple(reference.phrase for reference in task.entities),
        viewpoint=_in_words(task.viewpoint),
        unit=task.unit,
        objective=task.objective,
        remarks=(*reading.remarks, *disagreement),
    )


def _in_words(view: Viewpoint | None) -> str | None:
    if view is None:
        return None
    if view.at is not None and view.facing is not None:
        facing = "with the back to" if view.facing_away else "facing"
        return f"standing at {view.at.phrase}, {facing} {view.facing.phrase}"
    if view.kind == "camera":
        return "the camera" if view.frame is None else f"the camera of frame {view.frame}"
    return f"the {view.at.phrase}'s own" if view.at is not None else "up and down"


def _rules(offers: Sequence[ToolOffer], interface: Interface) -> str:
    if interface == "code":
        return Template.load("plan_code").fill(tools="\n".join(map(signature, offers)))
    return Template.load("plan").fill()


def _task(situation: Situation) -> str:
    return Template.load("plan_task").fill(
        card=task_card(card_of(situation.reading, situation.question.text)),
        scene=_scene(situation.scene),
        frames=f"$frame/0 to $frame/{situation.frames - 1}" if situation.frames else "none",
        measured=_listed(
            _claim(item) for item in situation.evidence if not item.call_id.startswith(BY_MODEL)
        ),
        failed=_listed(
            f"{failure['tool']}: {quoted(str(failure['message']), MOST_SENTENCE)}"
            for failure in situation.failures
            if not str(failure["call_id"]).startswith(BY_MODEL)
        ),
    )


def _scene(scene: SceneMap | None) -> str:
    if scene is None:
        return "not measured: only pictures can be looked at, so nothing has a size in metres"
    counts = Counter(item.label for item in scene.objects)
    named = [f"{quoted(label)} ({number})" for label, number in counts.most_common(MOST_LABELS)]
    more = [f"and {len(counts) - MOST_LABELS} more labels"] if len(counts) > MOST_LABELS else []
    return ", ".join([*named, *more]) or "no objects"


def _listed(lines: Iterable[str]) -> str:
    kept = list(lines)
    more = [f"- and {len(kept) - MOST_KNOWN} more"] if len(kept) > MOST_KNOWN else []
    return "\n".join([*(f"- {line}" for line in kept[:MOST_KNOWN]), *more]) or "- nothing"


def _claim(evidence: Evidence) -> str:
    return f"{evidence.id}: {quoted(evidence.finding.claim, MOST_SENTENCE)}"


def _turn(turn: Turn, situation: Situation) -> Iterator[Message]:
    """Yield a turn as the model's message and the results."""
    said, _, refused = turn.said.partition(NOT_CALLED)
    requests = tuple(
        ToolRequest(call.id, call.tool, said_of(call.arguments, situation)) for call in turn.calls
    )
    yield Message("assistant", (said,) if said else (), requests)
    seen = {item.call_id: item for item in turn.seen}
    for call in turn.calls:
        result = seen[call.id].text if call.id in seen else "no result"
        yield Message("tool", (fenced(result),), answers=call.id)
    if refused:
        yield Message("user", (f"Not called:\n{fenced(refused.strip())}",))


def _now(situation: Situation, pictures: Sequence[Picture]) -> str:
    left = situation.left
    return Template.load("plan_now").fill(
        turns=left.turns,
        calls=left.calls,
        weak=_listed(f"{name}: {quoted(reason, MOST_SENTENCE)}" for name, reason in situation.weak.items()),
        pictures=len(pictures) or "none",
    )


def _joined(messages: Iterable[Message]) -> Iterator[Message]:
    """Yield messages, those of the user in a row as one: some chat templates take no two in a row."""
    last: Message | None = None
    for message in messages:
        if last is not None and last.role == message.role == "user":
            last = replace(last, parts=(*last.parts, *message.parts))
            continue
        if last is not None:
            yield last
        last = message
    if last is not None:
        yield last


def _shown(pictures: Sequence[Picture]) -> Iterator[Part]:
    for number, picture in enumerate(pictures, start=1):
        yield f"Picture {number}: {quoted(picture.caption, MOST_SENTENCE)}"
        yield picture
