"""All checks, and how they are run."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from spatial_agent.sandbox.conformance import (
    confinement,
    lifetime,
    limits,
    running,
    sizes,
    tool_calls,
    values,
)
from spatial_agent.sandbox.conformance.bench import Bench, Broken, OpenSandbox
from spatial_agent.sandbox.environment import Sandbox

#: Wall time of one check after which it is given up, seconds.
CHECK_S = 120.0

Check = Callable[[Bench], Awaitable[None]]


@dataclass(frozen=True)
class Failure:
    """A check that a sandbox does not pass.

    Attributes:
        check: Name of the check.
        behaviour: What every sandbox must do.
        reason: What this one did.
    """

    check: str
    behaviour: str
    reason: str


def _checks() -> Mapping[str, Check]:
    found: dict[str, Check] = {}
    for module in (running, values, tool_calls, limits, sizes, lifetime, confinement):
        for name, item in vars(module).items():
            is_own = inspect.iscoroutinefunction(item) and item.__module__ == module.__name__
            if is_own and not name.startswith("_"):
                found[name.replace("_", " ")] = item
    return found


#: Every check by its name, in the order they run.
CHECKS: Mapping[str, Check] = _checks()


async def check_sandbox(open_sandbox: OpenSandbox, *, only: str = "") -> list[Failure]:
    """Check a sandbox and return what it does not do as it should; an empty list is a pass.

    Most checks share one sandbox, as the sessions of a service do; those that close theirs open their own.

    Args:
        open_sandbox: Opens a sandbox that nobody else uses.
        only: Checks whose name contains this.

    Raises:
        ValueError: If no check has such a name.
    """
    chosen = {name: check for name, check in CHECKS.items() if only in name}
    if not chosen:
        raise ValueError(f"only: expected a part of one of {', '.join(CHECKS)}, got {only!r}")
    failures: list[Failure] = []
    sandbox = open_sandbox()
    try:
        for name, check in chosen.items():
            reason = await _reason(check, Bench(sandbox, open_sandbox))
            if reason is not None:
                failures.append(Failure(name, inspect.getdoc(check) or "", reason))
                # What a fault left behind must not be blamed on the checks that follow.
                sandbox = _another(sandbox, open_sandbox)
    finally:
        sandbox.close()
    return failures


def _another(sandbox: Sandbox, open_sandbox: OpenSandbox) -> Sandbox:
    sandbox.close()
    return open_sandbox()


async def _reason(check: Check, bench: Bench) -> str | None:
    """Return what is wrong, or None."""
    try:
        await asyncio.wait_for(check(bench), CHECK_S)
    except Broken as error:
        return str(error)
    except TimeoutError:
        return f"expected it to be done within {CHECK_S:g} s; it was given up"
    except Exception as error:  # whatever a sandbox raises where it should not is what is wrong with it
        return f"expected no exception, got {type(error).__name__}: {error}"
    return None
