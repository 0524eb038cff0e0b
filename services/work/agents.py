"""The agents of a service, one for each profile that it offers."""

from collections.abc import Callable, Mapping, Sequence
from threading import Lock

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.tools.errors import ConfigurationError, SpatialAgentError

READY = "ready"


class Agents:
    """Opens the agent of a profile when it is first asked for, and keeps it; safe to use from threads.

    Attributes:
        profiles: The profiles that can be asked for.
    """

    def __init__(self, profiles: Sequence[str], open_one: Callable[[str], SpatialAgent]) -> None:
        """Open nothing yet.

        Args:
            profiles: Profiles on offer; the first is the default.
            open_one: Opens the agent of a profile.
        """
        self.profiles = tuple(profiles)
        self._open_one = open_one
        self._opened: dict[str, SpatialAgent] = {}
        self._lacking: dict[str, str] = {}
        self._lock = Lock()

    @property
    def default(self) -> str:
        """The profile of those who name none."""
        return self.profiles[0]

    def get(self, profile: str | None = None) -> SpatialAgent:
        """Return the agent of a profile.

        Raises:
            ConfigurationError: If this service does not offer it, or it lacks what it needs.
        """
        name = profile or self.default
        if name not in self.profiles:
            raise ConfigurationError(
                f"unknown profile {name!r}; this service offers {', '.join(self.profiles)}"
            )
        with self._lock:
            if name not in self._opened:
                self._opened[name] = self._open(name)
            return self._opened[name]

    def opened(self, profile: str | None = None) -> SpatialAgent | None:
        """Return the agent of a profile where it is open already; None else. Never waits."""
        return self._opened.get(profile or self.default)

    def open_all(self) -> None:
        """Open every agent, so that the first question need not wait; `state` says which failed."""
        for profile in self.profiles:
            try:
                self.get(profile).warm()
            except SpatialAgentError:
                continue

    def state(self) -> Mapping[str, str]:
        """Return what is the matter with each profile that was opened: ``"ready"``, or why it is not."""
        return dict.fromkeys(self._opened, READY) | self._lacking

    def close(self) -> None:
        """Close all agents."""
        with self._lock:
            for agent in self._opened.values():
                agent.close()
            self._opened.clear()

    def _open(self, profile: str) -> SpatialAgent:
        try:
            agent = self._open_one(profile)
        except SpatialAgentError as error:
            self._lacking[profile] = str(error)
            raise
        self._lacking.pop(profile, None)
        return agent
