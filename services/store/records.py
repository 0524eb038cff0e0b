"""What the store keeps, as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from spatial_agent.tools.contract import Json

JobKind = Literal["question", "scene"]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]
#: States that a job never leaves.
FINAL: frozenset[JobState] = frozenset({"done", "failed", "cancelled"})
SceneState = Literal["queued", "measuring", "ready", "failed"]
Scope = Literal["read", "ask", "upload", "tools", "metrics"]
#: Everything a key may be allowed: reading what its tenant has, asking, uploading and deleting, calling
#: single experts, and reading the service's numbers.
SCOPES: tuple[Scope, ...] = ("read", "ask", "upload", "tools", "metrics")
#: The tenant of a service that runs without keys.
LOCAL_TENANT = "local"


@dataclass(frozen=True)
class NewJob:
    """A job that is handed in.

    Attributes:
        tenant: Whose it is.
        kind: A question, or the measuring of a scene.
        request: What is asked for, plain JSON; for a question that of `api.schemas.QuestionRequest`.
        scene: Id of the scene it is about.
        session: Id of the dialogue it belongs to; jobs of one session run one after the other.
        priority: Higher first; jobs of one priority in the order they came.
        key: Id of the API key that handed it in; None without keys.
        request_id: Of the request that handed it in, for the log.
    """

    tenant: str
    kind: JobKind
    request: Mapping[str, Json]
    scene: str
    session: str | None = None
    priority: int = 0
    key: str | None = None
    request_id: str = ""


@dataclass(frozen=True)
class Job:
    """A job as the store knows it; times are seconds since 1970.

    Attributes:
        id: Its id, which is also the id of its run: of its checkpoints and its trace.
        new: What was handed in.
        state: What has become of it.
        created: When it was handed in.
        started: When it was last taken up, or None.
        finished: When it reached its final state, or None.
        attempts: How often it was taken up.
        answer: What came of it (JSON of `Answer` for a question), or None.
        problem: Why it failed, as problem+json, or None.
        cancelling: Whether somebody wants it cancelled while it runs.
    """

    id: str
    new: NewJob
    state: JobState
    created: float
    started: float | None = None
    finished: float | None = None
    attempts: int = 0
    answer: Mapping[str, Json] | None = None
    problem: Mapping[str, Json] | None = None
    cancelling: bool = False


@dataclass(frozen=True, order=True)
class EventId:
    """Where in the events of a job something happened; written ``"2.17"``.

    Attributes:
        attempt: The attempt, from 1: a job that is taken up again after a crash begins another.
        number: The place within it, from 1.
    """

    attempt: int
    number: int

    def __str__(self) -> str:
        """Return it as the ``id`` of a server-sent event."""
        return f"{self.attempt}.{self.number}"


@dataclass(frozen=True)
class JobEvent:
    """Something that happened in a job.

    Attributes:
        id: Its place.
        kind: ``"started"``, ``"stage"``, ``"tool_call"``, ``"evidence"``, ``"token"``, or one that ends the
            job: ``"answer"``, ``"failed"``, ``"cancelled"``.
        data: Plain JSON.
    """

    id: EventId
    kind: str
    data: Mapping[str, Json]


@dataclass(frozen=True)
class SceneRecord:
    """An uploaded scene.

    Attributes:
        id: Its id, which nobody can guess.
        tenant: Whose it is.
        name: What its owner calls it.
        source: Its source, as a path relative to the scene's own folder ("" is the folder itself).
        bytes: What was stored.
        state: Whether it has been measured.
        created: When it came, seconds since 1970.
        job: Id of the job that measures it, or None.
        profile: Which experts measured it.
        facts: What a list of scenes shows: ``frames``, ``objects``, ``measurable``, ``kind``, plain JSON.
        problem: Why it could not be measured, as problem+json, or None.
        short_lived: Whether it goes soon after its last question, as the pictures of a chat do.
    """

    id: str
    tenant: str
    name: str
    source: str
    bytes: int
    state: SceneState
    created: float
    job: str | None = None
    profile: str = "recorded"
    facts: Mapping[str, Json] = field(default_factory=dict)
    problem: Mapping[str, Json] | None = None
    short_lived: bool = False


@dataclass(frozen=True)
class UploadRecord:
    """A resumable upload.

    Attributes:
        id: Its id.
        tenant: Whose it is.
        name: What the file is called by whoever uploads it.
        length: Bytes in all.
        created: When it began, seconds since 1970.
        offset: Bytes that are here.
    """

    id: str
    tenant: str
    name: str
    length: int
    created: float
    offset: int = 0


@dataclass(frozen=True)
class SessionRecord:
    """A dialogue about a scene.

    Attributes:
        id: Its id.
        tenant: Whose it is.
        scene: Id of the scene.
        created: When it began, seconds since 1970.
        exchanges: What was asked and answered, oldest first, as JSON of `agent.situation.Exchange`.
    """

    id: str
    tenant: str
    scene: str
    created: float
    exchanges: tuple[Mapping[str, Json], ...] = ()


@dataclass(frozen=True)
class Allowance:
    """What a key may use.

    Attributes:
        requests_per_minute: Requests, in bursts of as many.
        questions_per_day: Questions and calls of experts, per day (UTC).
        queued: Jobs that wait or run at a time.
        stored_bytes: What its tenant's scenes may take.
        priority: The highest priority it may ask for.
    """

    requests_per_minute: int = 600
    questions_per_day: int = 20_000
    queued: int = 500
    stored_bytes: int = 20 * 2**30
    priority: int = 0


@dataclass(frozen=True)
class KeyRecord:
    """An API key; the secret itself is not kept.

    Attributes:
        id: Its public part.
        tenant: Whose scenes, jobs and sessions it sees.
        name: What its owner calls it.
        scopes: What it may do.
        allowance: What it may use.
        created: When it was made, seconds since 1970.
        expires: When it ends, or None.
        revoked: When it was revoked, or None.
    """

    id: str
    tenant: str
    name: str
    scopes: frozenset[Scope]
    allowance: Allowance
    created: float
    expires: float | None = None
    revoked: float | None = None
