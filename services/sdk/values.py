"""What the client hands out: the service's documents, with the values of the package in them."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spatial_agent.agent.answer import FORMAT, Answer
from spatial_agent.agent.regions import Region
from spatial_agent.services.api.schemas import MaskModel, Problem, QuestionView, RegionModel, ToolCallView
from spatial_agent.services.sdk.errors import ProtocolError, error_of, unexplained
from spatial_agent.services.store.records import FINAL, JobState
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import InvalidValueError, SpatialAgentError, StoppedError

PNG_URL = "data:image/png;base64,"


@dataclass(frozen=True)
class Question:
    """A question that was handed in, and what has become of it; times are seconds since 1970.

    Attributes:
        id: Its id, which is also the `Answer.trace_id`.
        state: ``"queued"``, ``"running"``, ``"done"``, ``"failed"`` or ``"cancelled"``.
        text: The question.
        scene: Id of the scene.
        session: Id of the dialogue, or None.
        options: The answers offered.
        priority: Higher first.
        created: When it was handed in.
        started: When it was last taken up, or None.
        finished: When it reached its final state, or None.
        attempts: How often it was taken up; more than once after a crash.
        answer: The answer, once done.
        error: Why there is none, once failed or cancelled; raised by those who wait for the answer.
    """

    id: str
    state: JobState
    text: str
    scene: str
    session: str | None = None
    options: tuple[str, ...] = ()
    priority: int = 0
    created: float = 0.0
    started: float | None = None
    finished: float | None = None
    attempts: int = 0
    answer: Answer | None = None
    error: SpatialAgentError | None = None

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in FINAL

    @classmethod
    def of(cls, view: QuestionView) -> "Question":
        """Return the question that a document of the service shows.

        Raises:
            ProtocolError: If it is done and has no answer that can be read.
        """
        return cls(
            id=view.id,
            state=view.state,
            text=view.question,
            scene=view.scene,
            session=view.session,
            options=tuple(view.options),
            priority=view.priority,
            created=view.created,
            started=view.started,
            finished=view.finished,
            attempts=view.attempts,
            answer=answer_of(view.answer or {}) if view.state == "done" else None,
            error=failure_of(view.state, view.problem),
        )


@dataclass(frozen=True)
class CallResult:
    """What one expert gave back.

    Attributes:
        tool: Which one.
        text: What came of it in words, with units and margins.
        value: Its value where that is plain JSON, else None.
        evidence: What it found out, as in `Answer.evidence`.
        pictures: PNG files.
        seconds: Wall time.
    """

    tool: str
    text: str
    value: Json = None
    evidence: tuple[Mapping[str, Json], ...] = ()
    pictures: tuple[bytes, ...] = ()
    seconds: float = 0.0

    @classmethod
    def of(cls, view: ToolCallView) -> "CallResult":
        """Return the result that a document of the service shows.

        Raises:
            ProtocolError: If a picture is none.
        """
        pictures = tuple(_picture(url) for url in view.pictures)
        return cls(view.tool, view.text, view.value, tuple(view.evidence), pictures, view.seconds)


def answer_of(data: Mapping[str, Any]) -> Answer:
    """Return the answer that a document of the service is.

    Raises:
        ProtocolError: If it is none of this version.
    """
    if data.get("format") != FORMAT:
        raise ProtocolError(f"expected an answer ({FORMAT}), got {str(data.get('format'))[:100]!r}")
    try:
        return Answer.from_json(data)
    except TypeError as error:
        raise ProtocolError(f"expected an answer ({FORMAT}), {error}") from None


def failure_of(state: JobState, problem: Problem | None) -> SpatialAgentError | None:
    """Return why there is no answer, or None where there is or may yet be one."""
    if state == "cancelled":
        return StoppedError("the question was cancelled; ask it again where an answer is still wanted")
    if state != "failed":
        return None
    return error_of(problem or unexplained("The question failed without a reason", 500))


def region_model(region: Region) -> RegionModel:
    """Return a region as the service takes it.

    Raises:
        InvalidValueError: If it is beyond what the service takes.
    """
    mask = region.mask
    try:
        return RegionModel(
            frame=region.frame,
            xyxy_px=region.xyxy_px,
            point_px=region.point_px,
            outline_px=None if region.outline_px is None else list(region.outline_px),
            mask=None if mask is None else MaskModel(size=mask.size, counts=list(mask.counts)),
            label=region.label,
        )
    except ValueError as error:
        raise InvalidValueError(f"region: {error}") from None


def _picture(url: str) -> bytes:
    try:
        return base64.b64decode(url.removeprefix(PNG_URL), validate=True)
    except binascii.Error:
        raise ProtocolError("expected PNG pictures as data URLs, got something else") from None
