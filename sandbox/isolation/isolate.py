"""From the entry point of a distribution nobody trusts to a tool, without importing any of its code."""

import json
from functools import partial
from importlib import metadata
from pathlib import Path

from spatial_agent.sandbox.isolation.description import Description, checked_description
from spatial_agent.sandbox.isolation.expert import describe
from spatial_agent.sandbox.isolation.origin import Origin, origin_of
from spatial_agent.sandbox.isolation.tool import IsolatedTarget, IsolatedTool
from spatial_agent.sandbox.kernel import bwrap
from spatial_agent.tools.contract import Json, ToolKind
from spatial_agent.tools.entry_points import distribution_of
from spatial_agent.tools.errors import (
    ConfigurationError,
    SandboxUnavailableError,
    ToolError,
    WireError,
)
from spatial_agent.tools.registry import GROUPS
from spatial_agent.tools.whole_file import write_whole

#: Changes whenever descriptions are read otherwise than before.
FORMAT = 1
_MOST_BYTES = 2**20


class Isolation:
    """Makes isolated tools; what they say of themselves is kept, so that it is asked for once.

    Args:
        folder: Where descriptions are kept.
    """

    def __init__(self, folder: Path) -> None:
        """Look at nothing yet."""
        self._folder = folder

    def __call__(self, point: metadata.EntryPoint) -> IsolatedTool:
        """Return the tool that an entry point stands for; its code runs in an isolated process, if at all.

        Raises:
            SandboxUnavailableError: If nothing can be isolated here.
            ConfigurationError: If it cannot be found, imported or described, or says what it must not.
        """
        reason = bwrap.why_not()
        if reason is not None:
            raise SandboxUnavailableError(
                f"it is not trusted, and cannot be isolated here: {reason}; or, where you know its authors, "
                f"let its code run in this process: SPATIAL_AGENT_TRUSTED_EXPERTS={distribution_of(point)}"
            )
        origin = origin_of(point)
        try:
            target = IsolatedTarget(point.value, origin, self._description(point, origin))
        except (ToolError, WireError) as error:
            raise ConfigurationError(f"it was asked, isolated, what it is: {error}") from error
        return IsolatedTool.of(target)

    def _description(self, point: metadata.EntryPoint, origin: Origin) -> Description:
        kind = _kind(point)
        file = self._folder / f"{origin.digest}.json"
        try:
            return checked_description(_read(file), point.name, kind)
        except (OSError, ValueError, WireError):
            data = describe(point.value, point.name, origin)
            description = checked_description(data, point.name, kind)
        write_whole(file, partial(_write, data))
        return description


def _kind(point: metadata.EntryPoint) -> ToolKind:
    return next(kind for kind, group in GROUPS.items() if group == point.group)


def _read(file: Path) -> Json:
    if file.stat().st_size > _MOST_BYTES:
        raise WireError(f"{file}: expected at most {_MOST_BYTES} bytes")
    kept = json.loads(file.read_text(encoding="utf-8"))
    return kept["description"] if isinstance(kept, dict) and kept.get("format") == FORMAT else None


def _write(data: Json, path: Path) -> None:
    path.write_text(json.dumps({"format": FORMAT, "description": data}), encoding="utf-8")
