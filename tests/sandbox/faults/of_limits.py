"""Faults in how limits are kept and named."""

from dataclasses import replace

from spatial_agent.sandbox import ProgramError, ProgramResult
from spatial_agent.sandbox.environment import Limit
from spatial_agent.tools.errors import SandboxUnavailableError
from tests.sandbox.faults.faulty import Fault, FaultySession, Ran


def mislabels(limit: Limit, marker: str) -> Fault:
    """A cell that ended at a limit is said to have crashed."""

    def mislabelled(ran: Ran) -> ProgramResult:
        error = ran.result.error
        if error is None or error.limit != limit or marker not in ran.cell:
            return ran.result
        return ran.but(error=ProgramError("crash", "its process died"))

    return Fault(outcome=mislabelled)


def silent_at_the_end(ran: Ran) -> ProgramResult:
    error = ran.result.error
    return ran.but(output="") if error is not None and error.limit == "wall" else ran.result


def over_the_wall(ran: Ran) -> ProgramResult:
    return ran.but(error=ProgramError("limit", "it took too long", "wall"))


def wall_of_all_cells(ran: Ran) -> ProgramResult:
    ran.kept["seconds"] = ran.kept.get("seconds", 0.0) + ran.result.seconds
    return over_the_wall(ran) if ran.kept["seconds"] > ran.policy.wall_s else ran.result


def wall_with_tools(ran: Ran) -> ProgramResult:
    is_over = ran.seconds > ran.policy.wall_s and ran.result.error is None
    return over_the_wall(ran) if is_over else ran.result


def output_of_all_cells(ran: Ran) -> ProgramResult:
    room = ran.policy.output_bytes - ran.kept.get("printed", 0)
    ran.kept["printed"] = ran.kept.get("printed", 0) + len(ran.result.output)
    return ran.result if room >= ran.policy.output_bytes else ran.but(output=ran.result.output[:room])


def crash_for_breakdown(ran: Ran) -> ProgramResult:
    if ran.result.error is not None and ran.result.error.kind == "crash":
        raise SandboxUnavailableError("a process died")
    return ran.result


class TakesNeighboursAlong(FaultySession):
    """A session that is killed takes all others with it."""

    async def run(self, cell: str) -> ProgramResult:
        result = await super().run(cell)
        if result.error is not None and result.error.kind == "limit":
            for session in self.owner.sessions:
                await session.close()
        return result


MANY = 10**9

#: Each by the one check that has to find it.
FAULTS = {
    "wall": mislabels("wall", "sum(range"),
    "output until then": Fault(outcome=silent_at_the_end),
    "wall of each cell": Fault(outcome=wall_of_all_cells),
    "wall without tools": Fault(outcome=wall_with_tools),
    "cpu": mislabels("cpu", "while True"),
    "cpu of the session": mislabels("cpu", "process_time"),
    "session time": mislabels("session", "while True"),
    "session time in tools": mislabels("session", "tools.pause"),
    "idle session": mislabels("session", "still here"),
    "memory": Fault(limits=lambda policy: replace(policy, memory_mb=2 * policy.memory_mb)),
    "memory of the session": mislabels("memory", "kept.append"),
    "useful memory": Fault(limits=lambda policy: replace(policy, memory_mb=int(0.4 * policy.memory_mb))),
    "calls": Fault(limits=lambda policy: replace(policy, calls=policy.calls and 30)),
    "no calls": Fault(limits=lambda policy: replace(policy, calls=policy.calls or 1)),
    "cells": Fault(limits=lambda policy: replace(policy, cells=MANY)),
    "neighbours": Fault(session=TakesNeighboursAlong),
    "crash": Fault(outcome=crash_for_breakdown),
    "output": Fault(limits=lambda policy: replace(policy, output_bytes=MANY)),
    "output of each cell": Fault(outcome=output_of_all_cells),
    "sent bytes": Fault(limits=lambda policy: replace(policy, cell_bytes=MANY)),
    "large messages": Fault(limits=lambda policy: replace(policy, message_bytes=2**25)),
    "images": Fault(limits=lambda policy: replace(policy, images=policy.images and MANY)),
}
