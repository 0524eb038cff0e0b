"""Questions: handed in once however often they are sent, waited for, followed, and given up."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.events import Answered, Event
from spatial_agent.agent.regions import Region
from spatial_agent.services.api.event_json import ANSWER, KINDS, LAST, event_from_json
from spatial_agent.services.api.schemas import Problem, QuestionRequest, QuestionView
from spatial_agent.services.sdk.errors import ProtocolError, UnreachableError, WaitTimeoutError, unexplained
from spatial_agent.services.sdk.event_stream import EventStream, ServerEvent
from spatial_agent.services.sdk.pacing import Deadline, Pace
from spatial_agent.services.sdk.requesting import (
    document,
    json_object,
    json_request,
    path,
    paused,
    refusal,
    send,
    within,
)
from spatial_agent.services.sdk.steps import Give, Open, Plan, Receive, Reply, Request, Send
from spatial_agent.services.sdk.values import Question, answer_of, failure_of, region_model
from spatial_agent.tools.errors import InvalidValueError, QuestionError, SpatialAgentError

if TYPE_CHECKING:
    from spatial_agent.services.store.records import JobState

#: How long the service is asked to hold a request until there is an answer, seconds.
HOLD_S = 30.0
#: How long after that its reply may take, and that to a question that is given up, seconds.
REPLY_S, GIVEN_UP_S = 15.0, 2.0
#: Between two looks at a question, where the service does not hold the request, seconds.
LOOK_S = (0.1, 2.0)
#: A stream of events is silent no longer than this, seconds: the service sends keepalives.
SILENCE_S = 60.0
KNOWN = frozenset({*KINDS.values(), *LAST})


def question_request(
    question: str,
    *,
    scene: str | None = None,
    session: str | None = None,
    options: Sequence[str] = (),
    regions: Sequence[Region] = (),
    profile: str | None = None,
    priority: int = 0,
) -> QuestionRequest:
    """Return a question as the service takes it.

    Raises:
        QuestionError: If it is empty, or longer than a question can be.
        InvalidValueError: If something else is beyond what the service takes.
    """
    given: dict[str, Any] = {"scene": scene, "session": session, "profile": profile}
    given |= {"options": list(options), "priority": priority}
    given |= {"regions": [region_model(region) for region in regions]}
    try:
        return QuestionRequest(question=question, **{name: value for name, value in given.items() if value})
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)[0]
        kind = QuestionError if found["loc"][0] == "question" else InvalidValueError
        raise kind(f"{'.'.join(map(str, found['loc']))}: {found['msg']}") from None


class Asking:
    """A question on its way: it is asked once, however often it has to be sent.

    Attributes:
        id: Its id, once known.
        is_open: Whether it may still be worked on though nobody waits.
    """

    def __init__(self, pace: Pace, request: QuestionRequest, timeout_s: float | None = None) -> None:
        """Prepare to ask; the time counts from here.

        Args:
            pace: When something is tried again.
            request: The question.
            timeout_s: How long an answer is waited for, seconds.
        """
        self.id: str | None = None
        self.is_open = False
        self._pace = pace
        self._deadline = pace.until(timeout_s)
        self._request = json_request(
            "POST", path("questions"), request, headers={"Idempotency-Key": uuid.uuid4().hex}
        )

    def submitted(self, hold_s: float = 0.0) -> Plan[Question]:
        """Plan to hand it in, and to wait for the answer a little where that is asked for.

        Raises:
            QuestionError: If it cannot be understood.
            ServiceError: If it could not be handed in.
        """
        self.is_open = True
        try:
            reply = yield from send(self._pace, _held(self._request, hold_s), self._deadline)
            question = Question.of(document(reply, QuestionView))
        except (UnreachableError, WaitTimeoutError):
            raise
        except SpatialAgentError:
            self.is_open = False
            raise
        self.id = question.id
        return question

    def answered(self) -> Plan[Answer]:
        """Plan to hand it in and to wait for its answer.

        Raises:
            SpatialAgentError: If it fails; see `result_of`.
            WaitTimeoutError: If that takes too long.
        """
        question = yield from self.submitted(min(HOLD_S, self._deadline.left_s))
        question = yield from finished(self._pace, question, self._deadline)
        self.is_open = False
        return result_of(question)

    def told(self) -> Plan[None]:
        """Plan to hand it in and to give what happens; the last event is `Answered`.

        Raises:
            SpatialAgentError: If it fails.
            WaitTimeoutError: If that takes too long.
        """
        question = yield from self.submitted()
        yield from followed(self._pace, question.id, self._deadline)
        self.is_open = False

    def given_up(self) -> Plan[None]:
        """Plan to cancel it, with one try; where its id is not known, the same request tells it."""
        if self.id is None:
            reply = yield Send(replace(self._request, patience_s=GIVEN_UP_S))
            if reply.is_success:
                self.id = document(reply, QuestionView).id
        if self.id is not None:
            yield Send(Request("DELETE", path("questions", self.id), patience_s=GIVEN_UP_S))
        self.is_open = False


def looked_up(pace: Pace, id: str) -> Plan[Question]:
    """Plan to see what has become of a question."""
    reply = yield from send(pace, Request("GET", path("questions", id)))
    return Question.of(document(reply, QuestionView))


def waited_for(pace: Pace, id: str, timeout_s: float | None) -> Plan[Answer]:
    """Plan to wait for the answer of a question that was handed in; it goes on where that takes too long."""
    deadline = pace.until(timeout_s)
    question = yield from looked_up(pace, id)
    question = yield from finished(pace, question, deadline)
    return result_of(question)


def cancelled(pace: Pace, id: str) -> Plan[Question]:
    """Plan to cancel a question."""
    reply = yield from send(pace, Request("DELETE", path("questions", id)))
    if reply.body:
        return Question.of(document(reply, QuestionView))
    return (yield from looked_up(pace, id))


def finished(pace: Pace, question: Question, deadline: Deadline) -> Plan[Question]:
    """Plan to wait until nothing more happens to a question."""
    pause_s = LOOK_S[0]
    while not question.is_final:
        hold_s = min(HOLD_S, deadline.left_s)
        asked = pace.clock.now()
        request = _held(Request("GET", path("questions", question.id)), hold_s)
        reply = yield from send(pace, request, deadline)
        question = Question.of(document(reply, QuestionView))
        if question.is_final:
            break
        if deadline.left_s <= 0:
            raise deadline.error("an answer")
        if pace.clock.now() - asked < hold_s / 2:
            yield from deadline.pause(pause_s, "an answer")
            pause_s = min(2 * pause_s, LOOK_S[1])
    return question


def result_of(question: Question) -> Answer:
    """Return the answer of a question that is over.

    Raises:
        StoppedError: If it was cancelled.
        SpatialAgentError: If it failed; see `error_of`.
    """
    if question.error is not None:
        raise question.error
    if question.answer is None:
        raise ProtocolError(f"expected the answer of {question.id}, it is {question.state} without one")
    return question.answer


def followed(pace: Pace, id: str, deadline: Deadline) -> Plan[None]:
    """Plan to give the events of a question, from its first to its last, over broken connections."""
    stream = _Following(id)
    failures = 0
    while True:
        before = stream.last_id
        error = yield from stream.read(pace, deadline)
        if stream.is_over:
            return
        if deadline.left_s <= 0:
            raise deadline.error("the last event")
        failures = 1 if stream.last_id != before else failures + 1
        yield from paused(pace, failures, stream.request, error or _ended_early(id), deadline)


class _Following:
    """The events of one question, over however many connections."""

    def __init__(self, id: str) -> None:
        self.last_id = ""
        self.is_over = False
        self._id = id

    @property
    def request(self) -> Request:
        """What asks for the events that are not here yet."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self.last_id} if self.last_id else {})
        return Request("GET", path("questions", self._id, "events"), headers, patience_s=SILENCE_S)

    def read(self, pace: Pace, deadline: Deadline) -> Plan[UnreachableError | None]:
        """Plan to give events as long as one connection brings them; returns how it broke."""
        try:
            yield from self._opened(pace, deadline)
            events = EventStream()
            while not self.is_over and deadline.left_s > 0 and (piece := (yield Receive())):
                for event in events.feed(piece):
                    yield from self._told(event)
        except UnreachableError as lost:
            return lost
        return None

    def _opened(self, pace: Pace, deadline: Deadline) -> Plan[None]:
        failures = 0
        while True:
            reply: Reply = yield Open(within(self.request, pace, deadline))
            if reply.is_success:
                break
            failures += 1
            yield from paused(pace, failures, self.request, refusal(reply, pace), deadline)
        if "text/event-stream" not in reply.headers.get("content-type", ""):
            raise ProtocolError("expected a stream of events from the service, got something else")

    def _told(self, event: ServerEvent) -> Plan[None]:
        if self.is_over or (event.id and event.id == self.last_id):
            return
        self.is_over = event.kind in LAST
        if event.kind in KNOWN:
            yield Give(_event_of(event))
        self.last_id = event.id


def _event_of(event: ServerEvent) -> Event:
    """Return an event of the agent.

    Raises:
        SpatialAgentError: If it says that the question failed or was cancelled.
    """
    data = json_object(event.data, f"the event {event.kind}")
    if event.kind == ANSWER:
        return Answered(answer_of(data))
    if event.kind in LAST:
        state: JobState = "cancelled" if event.kind == "cancelled" else "failed"
        error = failure_of(state, _problem_of(data))
        assert error is not None
        raise error
    try:
        return event_from_json(event.kind, data)
    except InvalidValueError as error:
        raise ProtocolError(f"expected an event {event.kind}, {error}") from None


def _problem_of(data: Any) -> Problem:  # noqa: ANN401 - JSON
    try:
        return Problem.model_validate(data)
    except ValidationError:
        return unexplained("The question failed without a reason that this client reads", 500)


def _ended_early(id: str) -> UnreachableError:
    return UnreachableError(f"expected the events of {id} to the last one, the stream ended before")


def _held(request: Request, hold_s: float) -> Request:
    """Return a request that the service is asked to hold until there is an answer, whole seconds."""
    whole_s = int(hold_s)
    if whole_s < 1:
        return request
    headers = {**request.headers, "Prefer": f"wait={whole_s}"}
    return replace(request, headers=headers, patience_s=whole_s + REPLY_S)
