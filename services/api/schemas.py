"""What requests and answers of the REST API look like; the SDK reads and writes the same."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from spatial_agent.services.store.records import JobState, SceneState

Seconds = Annotated[float, Field(ge=0.0)]
Id = Annotated[
    str, Field(pattern=r"^[a-z]{1,4}_[0-9a-z]{8,40}$", description="An id that this service gave.")
]
Text = Annotated[str, Field(min_length=1, max_length=8000)]
Pixel = Annotated[float, Field(ge=-1.0, le=100_000.0)]


class Wire(BaseModel):
    """A document on the wire: unknown fields are refused, values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Problem(BaseModel):
    """An error as problem+json (RFC 9457)."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str = Field(
        default="about:blank", description="Names the kind of problem; docs/reference.md lists them."
    )
    title: str = Field(description="The kind of problem in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(default="", description="What was expected, what came, and what to do.")
    instance: str = Field(default="", description="Id of the request, for the operator's log.")


class MaskModel(Wire):
    """A mask as run lengths, column by column, the first run outside it (COCO's uncompressed RLE)."""

    size: tuple[Annotated[int, Field(ge=1, le=20_000)], Annotated[int, Field(ge=1, le=20_000)]] = Field(
        description="Height and width of the picture, pixels."
    )
    counts: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=200_000)] = Field(
        description="Pixels of each run."
    )


def _given(*names: str) -> list[JsonValue]:
    """Return JSON schemas of which each says that one field is there and is not null."""
    return [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in names]


class RegionModel(Wire):
    """What is marked on a frame, in exactly one of several ways; integers are pixel centres."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"oneOf": _given("xyxy_px", "point_px", "outline_px", "mask")},
    )

    frame: Annotated[int, Field(ge=0, description="Index of the frame.")]
    xyxy_px: tuple[Pixel, Pixel, Pixel, Pixel] | None = Field(
        default=None, description="Left, top, right and bottom edge, pixels."
    )
    point_px: tuple[Pixel, Pixel] | None = Field(default=None, description="A point x, y, pixels.")
    outline_px: Annotated[list[tuple[Pixel, Pixel]], Field(min_length=3, max_length=1000)] | None = Field(
        default=None, description="Corners of an outline, pixels."
    )
    mask: MaskModel | None = None
    label: Annotated[str, Field(min_length=1, max_length=60)] = "region"


class QuestionRequest(Wire):
    """A question about a scene, or the next one of a dialogue."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"anyOf": _given("scene", "session")}
    )

    question: Text = Field(description="The question; <region 1> stands for the first region.")
    scene: Id | None = Field(default=None, description="The scene; left out where a session says it.")
    session: Id | None = Field(default=None, description="The dialogue that it goes on with.")
    options: Annotated[list[Annotated[str, Field(min_length=1, max_length=400)]], Field(max_length=26)] = (
        Field(default_factory=list, description="The answers offered, with or without letters.")
    )
    regions: Annotated[list[RegionModel], Field(max_length=20)] = Field(default_factory=list)
    profile: Annotated[str, Field(max_length=40)] | None = Field(
        default=None, description="Which experts; the scene's own where left out."
    )
    priority: Annotated[int, Field(ge=-100, le=100)] = Field(default=0, description="Higher first.")


class QuestionView(BaseModel):
    """A question and what has become of it."""

    model_config = ConfigDict(frozen=True)

    id: str
    state: JobState
    question: str
    options: list[str] = []
    scene: str
    session: str | None = None
    priority: int = 0
    created: float = Field(description="Seconds since 1970.")
    started: float | None = None
    finished: float | None = None
    attempts: int = Field(default=0, description="How often it was taken up; more than once after a crash.")
    answer: dict[str, Any] | None = Field(
        default=None, description="The answer (spatial-agent/answer@1), once done."
    )
    problem: Problem | None = Field(default=None, description="Why it failed.")
    links: dict[str, str] = Field(default_factory=dict, description="events, trace, picture, scene.")


class QuestionList(BaseModel):
    """Questions, newest first."""

    questions: list[QuestionView]
    next: str | None = Field(default=None, description="Give this as `before` for the ones before.")


class SceneReference(Wire):
    """Where a scene comes from that is not in this request; never a URL, never a path of the server."""

    sample: Annotated[str, Field(max_length=60)] | None = Field(default=None, description="Name of a sample.")
    upload: Id | None = Field(default=None, description="A finished resumable upload.")
    name: Annotated[str, Field(max_length=120)] | None = Field(default=None, description="What to call it.")
    profile: Annotated[str, Field(max_length=40)] | None = None


class ObjectView(BaseModel):
    """An object of a scene; metres, world axes with z up where gravity is known."""

    model_config = ConfigDict(frozen=True)

    id: str
    label: str
    centre_m: tuple[float, float, float]
    size_m: tuple[float, float, float] = Field(description="Edge lengths of its box, along the box's axes.")
    rotation: list[list[float]] = Field(description="3x3, columns are the box's axes in the scene.")
    quality: float | None = None


class CameraView(BaseModel):
    """A camera of a scene: OpenCV axes."""

    model_config = ConfigDict(frozen=True)

    index: int
    scene_from_camera: list[list[float]] = Field(description="4x4, metres.")
    width_px: int
    height_px: int
    focal_px: tuple[float, float]
    centre_px: tuple[float, float] | None = Field(
        default=None, description="Principal point; the middle where None."
    )
    timestamp_s: float | None = None


class SceneView(BaseModel):
    """A scene and what has become of it."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    state: SceneState
    profile: str
    created: float
    bytes: int
    kind: str | None = Field(default=None, description="What the source is, such as 'images' or 'scan'.")
    frames: int | None = None
    scale: str | None = Field(default=None, description="'metric' or 'relative'.")
    up: bool | None = Field(default=None, description="Whether gravity is known.")
    notes: list[str] = []
    objects: list[ObjectView] = []
    cameras: list[CameraView] = []
    room: dict[str, Any] | None = Field(
        default=None, description="Outline and area of the floor, where known."
    )
    artifacts: dict[str, str] = Field(default_factory=dict, description="Links by name.")
    problem: Problem | None = None


class SceneList(BaseModel):
    """Scenes, newest first; without their objects and cameras."""

    scenes: list[SceneView]
    samples: list[str] = []


class SessionRequest(Wire):
    """A new dialogue."""

    scene: Id


class SessionView(BaseModel):
    """A dialogue."""

    model_config = ConfigDict(frozen=True)

    id: str
    scene: str
    created: float
    exchanges: list[dict[str, Any]] = []


class SessionList(BaseModel):
    """Dialogues, newest first."""

    sessions: list[SessionView]


class ToolView(BaseModel):
    """An expert or skill."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: Literal["expert", "skill"]
    description: str
    parameters: dict[str, Any]
    available: bool = Field(description="Whether its weights, if any, are here.")
    needs: list[str] = Field(default_factory=list, description="Weights and their licences.")


class ToolList(BaseModel):
    """What can be called."""

    tools: list[ToolView]


class ToolCallRequest(Wire):
    """A call of one expert; "$scene" and "$frame/0" stand for the scene and its frames."""

    arguments: dict[str, Any] = Field(default_factory=dict)
    scene: Id | None = Field(default=None, description="What $scene and $frame/N are.")


class ToolCallView(BaseModel):
    """What an expert gave back."""

    model_config = ConfigDict(frozen=True)

    tool: str
    text: str = Field(description="What came of it in words, with units and margins.")
    value: Any = Field(default=None, description="Its value, where that is plain JSON.")
    evidence: list[dict[str, Any]] = []
    pictures: list[str] = Field(default_factory=list, description="PNG pictures as data URLs.")
    seconds: Seconds = 0.0


class UploadView(BaseModel):
    """A resumable upload (tus 1.0.0)."""

    model_config = ConfigDict(frozen=True)

    id: str
    length: int = Field(description="Bytes in all.")
    offset: int = Field(description="Bytes that are here.")
    name: str


class Health(BaseModel):
    """Whether the service lives, and whether it can be given work."""

    status: Literal["ok", "starting", "draining", "degraded"]
    version: str = ""
    queued: int = 0
    running: int = 0
    experts: dict[str, str] = Field(
        default_factory=dict,
        description="What each profile lacks, if anything, and experts that are left alone for now.",
    )
