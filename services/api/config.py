"""How a service is set up: one file, whose every field is listed in docs/reference.md."""

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spatial_agent.tools.errors import ConfigurationError

Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]
#: What this machine calls itself.
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
Hostname = Annotated[str, Field(min_length=1, max_length=255)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Limits(_Section):
    """What one request may bring; what goes beyond is refused with problem+json."""

    request_bytes: Positive = Field(default=32 * 2**20, description="Body of a request that is no upload.")
    upload_bytes: Positive = Field(default=4 * 2**30, description="One uploaded scene, unpacked.")
    files: Positive = Field(default=20_000, description="Files of one uploaded scene.")
    file_bytes: Positive = Field(default=2 * 2**30, description="One uploaded file, unpacked.")
    decompression_ratio: Positive = Field(
        default=200, description="Unpacked against packed bytes of an archive."
    )
    pixels: Positive = Field(default=64_000_000, description="Pixels of one picture.")
    frames: Positive = Field(default=20_000, description="Frames of one scene, pictures or of a video.")
    video_seconds: Positive = Field(default=3600, description="Length of a video, seconds.")
    chat_pictures: Positive = Field(default=64, description="Pictures of one chat completion.")
    header_bytes: Positive = Field(default=32 * 2**10, description="Headers of a request.")
    wait_seconds: Seconds = Field(default=120.0, description="How long `Prefer: wait` may wait, seconds.")
    upload_hours: Positive = Field(default=24, description="How long an unfinished upload is kept, hours.")
    body_seconds: Seconds = Field(default=60.0, description="How long a body may stand still, seconds.")


class Retention(_Section):
    """How long things are kept."""

    jobs_days: Seconds = Field(default=30.0, description="Finished jobs, their events and traces, days.")
    scenes_days: Seconds | None = Field(
        default=None, description="Scenes after their last question, days; None keeps them."
    )
    chat_scenes_hours: Seconds = Field(
        default=1.0, description="Pictures that came with a chat completion, hours."
    )


class Work(_Section):
    """How jobs are run."""

    workers: Positive = Field(default=2, description="Jobs that run at a time in this process.")
    lease_seconds: Seconds = Field(
        default=30.0, description="After so long without a sign of life a job is taken up anew."
    )
    attempts: Positive = Field(
        default=5, description="How often a job is taken up before it counts as failed."
    )
    drain_seconds: Seconds = Field(
        default=60.0, description="How long running jobs may take to finish at shutdown."
    )
    queue: Positive = Field(default=10_000, description="Jobs that may wait, of all tenants.")


class ServiceConfig(_Section):
    """A service.

    What is secret is no part of it: the database's URL and the model's key come from the environment
    (``SPATIAL_AGENT_DATABASE``, ``SPATIAL_AGENT_MODEL_KEY``), API keys from the store.
    """

    host: Hostname = Field(default="127.0.0.1", description="Address to listen on.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8080, description="Port to listen on; 0 for any free one."
    )
    profiles: Annotated[list[str], Field(min_length=1)] = Field(
        default_factory=lambda: ["recorded"],
        description="Which experts can be asked for; the first by default.",
    )
    runner: str = Field(default="local", description="Where experts run: local or ray.")
    address: str | None = Field(default=None, description="A Ray cluster to join.")
    model: str | None = Field(default=None, description="The model; SPATIAL_AGENT_MODEL where left out.")
    interface: str = Field(default="tools", description="How the model acts: tools, code or single-pass.")
    folder: Path | None = Field(
        default=None, description="Where scenes and uploads are kept; in the cache by default."
    )
    keys_required: bool | None = Field(
        default=None,
        description="Whether requests need a key; by default wherever it listens beyond this machine.",
    )
    origins: list[str] = Field(default_factory=list, description="Web origins that may call it (CORS).")
    hosts: list[str] = Field(
        default_factory=list,
        description="Host names it answers to; on loopback those of this machine by default.",
    )
    web_page: bool = Field(default=True, description="Whether / is the web page.")
    log: str = Field(default="json", description="How requests are logged: json or text.")
    limits: Limits = Field(default_factory=Limits)
    retention: Retention = Field(default_factory=Retention)
    work: Work = Field(default_factory=Work)

    @property
    def needs_keys(self) -> bool:
        """Whether requests need a key."""
        return self.beyond_this_machine if self.keys_required is None else self.keys_required

    @property
    def beyond_this_machine(self) -> bool:
        """Whether other machines can reach it."""
        return self.host not in LOOPBACK_HOSTS


def read_config(path: Path | None, **overrides: Any) -> ServiceConfig:  # noqa: ANN401 - fields of the config
    """Return the configuration of a TOML file, and what overrides it; None overrides nothing.

    Raises:
        ConfigurationError: If the file cannot be read, or a field is unknown or out of range.
    """
    try:
        document = {} if path is None else tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path}: expected a TOML file, {error}") from error
    chosen = {name: value for name, value in overrides.items() if value is not None}
    try:
        return ServiceConfig.model_validate(document | chosen)
    except ValidationError as error:
        raise ConfigurationError(f"{path or 'options'}: {_in_words(error)}") from None


def _in_words(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
