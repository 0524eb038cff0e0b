"""Which sandbox programs run in on this machine: the first that holds, or none and a refusal."""

import sys
from collections.abc import Callable, Mapping

from spatial_agent.sandbox.environment import Sandbox
from spatial_agent.services.settings import Settings
from spatial_agent.tools.errors import ConfigurationError, SandboxUnavailableError


def _zygote() -> Sandbox:
    from spatial_agent.sandbox.zygote import open_zygote_sandbox

    return open_zygote_sandbox()


def _bubblewrap() -> Sandbox:
    from spatial_agent.sandbox.bubblewrap import BubblewrapLauncher
    from spatial_agent.sandbox.process import ProcessSandbox

    return ProcessSandbox(BubblewrapLauncher())


#: In the order of preference; each is built of what only Linux has.
PROVIDERS: Mapping[str, Callable[[], Sandbox]] = {"zygote": _zygote, "bubblewrap": _bubblewrap}


def open_sandbox(settings: Settings | None = None) -> Sandbox:
    """Return a sandbox that is up; close it when it is no longer needed.

    Args:
        settings: The installation; its ``sandbox`` decides.

    Raises:
        SandboxUnavailableError: If none works on this machine; the message says why, for each.
        ConfigurationError: If the setting names none.
    """
    if sys.platform != "linux":
        raise SandboxUnavailableError(f"programs run on Linux only; this is {sys.platform}")
    wanted = (settings or Settings()).sandbox
    if wanted not in ("auto", *PROVIDERS):
        return _unsandboxed(wanted)
    failures = []
    for name in PROVIDERS if wanted == "auto" else (wanted,):
        sandbox = PROVIDERS[name]()
        try:
            # To know its walls it has to be up.
            sandbox.layers  # noqa: B018
        except SandboxUnavailableError as error:
            sandbox.close()
            failures.append(f"{name}: {error}")
        else:
            return sandbox
    raise SandboxUnavailableError(f"programs cannot be run safely here. {'; '.join(failures)}")


def _unsandboxed(sentence: str) -> Sandbox:
    from spatial_agent.sandbox.process import ProcessSandbox
    from spatial_agent.sandbox.unsandboxed import ACKNOWLEDGEMENT, UnsandboxedLauncher

    if sentence != ACKNOWLEDGEMENT:
        raise ConfigurationError(
            f"SPATIAL_AGENT_SANDBOX: expected auto, {', '.join(PROVIDERS)}, or the sentence in the security "
            f"documentation that gives up all protection; got {sentence!r}"
        )
    return ProcessSandbox(UnsandboxedLauncher(sentence))
