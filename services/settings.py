"""The one reader of environment variables."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from spatial_agent.tools.errors import ConfigurationError

OPENAI_HOST = "api.openai.com"
DEFAULT_CACHE_LIMIT_MB = 2048
DEFAULT_API_URL = "http://127.0.0.1:8080"


def _cache_folder() -> Path:
    given = os.environ.get("SPATIAL_AGENT_CACHE")
    if given:
        return Path(given)
    from platformdirs import user_cache_path

    return user_cache_path("spatial-agent")


def _weights_folder() -> Path | None:
    given = os.environ.get("SPATIAL_AGENT_WEIGHTS")
    return Path(given) if given else None


def _cache_limit_mb() -> int:
    given = os.environ.get("SPATIAL_AGENT_CACHE_LIMIT_MB", str(DEFAULT_CACHE_LIMIT_MB))
    if not given.isdecimal() or int(given) == 0:
        raise ConfigurationError(f"SPATIAL_AGENT_CACHE_LIMIT_MB: expected megabytes above 0, got {given!r}")
    return int(given)


def _model() -> str:
    return os.environ.get("SPATIAL_AGENT_MODEL", "none")


def _model_key() -> str | None:
    return os.environ.get("SPATIAL_AGENT_MODEL_KEY") or None


def _openai_key() -> str | None:
    return os.environ.get("OPENAI_API_KEY") or None


def _database() -> str | None:
    return os.environ.get("SPATIAL_AGENT_DATABASE") or None


def _api_url() -> str:
    return os.environ.get("SPATIAL_AGENT_URL", DEFAULT_API_URL)


def _api_key() -> str | None:
    return os.environ.get("SPATIAL_AGENT_API_KEY") or None


def _sandbox() -> str:
    return os.environ.get("SPATIAL_AGENT_SANDBOX", "auto")


def _trusted_experts() -> frozenset[str]:
    given = os.environ.get("SPATIAL_AGENT_TRUSTED_EXPERTS", "")
    return frozenset(name.strip() for name in given.split(",") if name.strip())


@dataclass(frozen=True)
class Settings:
    """Where this installation keeps things.

    Attributes:
        cache_folder: Scenes, runs and traces (``SPATIAL_AGENT_CACHE``).
        cache_limit_mb: Size at which the oldest scenes go (``SPATIAL_AGENT_CACHE_LIMIT_MB``).
        weights_folder: Model weights (``SPATIAL_AGENT_WEIGHTS``), or None.
        sandbox: What programs run in (``SPATIAL_AGENT_SANDBOX``): ``"zygote"``, ``"bubblewrap"``, or
            ``"auto"`` for the first that works here.
        trusted_experts: Names of the distributions whose experts and skills run in this process, with all its
            rights (``SPATIAL_AGENT_TRUSTED_EXPERTS``, separated by commas); those of others run isolated.
        model: The model of an agent that was opened without naming one (``SPATIAL_AGENT_MODEL``), such as
            ``"openai:NAME@URL"``; ``"none"`` for none.
        model_key: The key of whatever server a model is behind (``SPATIAL_AGENT_MODEL_KEY``); never printed.
        openai_key: The key of OpenAI's own server (``OPENAI_API_KEY``), which no other one gets; never
            printed.
        database: Where the service keeps jobs and checkpoints (``SPATIAL_AGENT_DATABASE``), such as
            ``"postgresql://USER:PASSWORD@HOST/NAME"``; files in its folder where None. Never printed.
        api_url: The service that the SDK talks to (``SPATIAL_AGENT_URL``).
        api_key: The key that it shows there (``SPATIAL_AGENT_API_KEY``); never printed.
    """

    cache_folder: Path = field(default_factory=_cache_folder)
    cache_limit_mb: int = field(default_factory=_cache_limit_mb)
    weights_folder: Path | None = field(default_factory=_weights_folder)
    sandbox: str = field(default_factory=_sandbox)
    trusted_experts: frozenset[str] = field(default_factory=_trusted_experts)
    model: str = field(default_factory=_model, repr=False)
    model_key: str | None = field(default_factory=_model_key, repr=False)
    openai_key: str | None = field(default_factory=_openai_key, repr=False)
    database: str | None = field(default_factory=_database, repr=False)
    api_url: str = field(default_factory=_api_url)
    api_key: str | None = field(default_factory=_api_key, repr=False)

    def key_for(self, model: str) -> str | None:
        """Return the key that a model's server gets; None for none.

        Args:
            model: The choice of the model, such as ``"openai:NAME@URL"``.

        Raises:
            ConfigurationError: If it names no address that can be.
        """
        from spatial_agent.agent.models.opening import address_of

        address = urlsplit(address_of(model) or "")
        if not address.hostname:
            return None
        is_openai = (address.scheme, address.hostname) == ("https", OPENAI_HOST)
        return self.model_key or (self.openai_key if is_openai else None)

    @property
    def scenes_folder(self) -> Path:
        """Where scene maps are cached by content."""
        return self.cache_folder / "scenes"

    @property
    def results_folder(self) -> Path:
        """Where results of experts are cached by content."""
        return self.cache_folder / "results"

    @property
    def experts_folder(self) -> Path:
        """Where it is kept what isolated experts say of themselves."""
        return self.cache_folder / "experts"

    @property
    def service_folder(self) -> Path:
        """Where the service keeps scenes, jobs, checkpoints and traces, unless it is told otherwise."""
        return self.cache_folder / "service"

    @property
    def runs_folder(self) -> Path:
        """Where checkpoints and traces are kept."""
        return self.cache_folder / "runs"
