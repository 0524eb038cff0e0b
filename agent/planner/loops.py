"""Going in circles: calls made before, tools that keep failing, turns that bring nothing."""

import json
from collections import Counter
from collections.abc import Sequence

from spatial_agent.agent.situation import Seen, Turn
from spatial_agent.tools.contract import ToolCall

#: Failures of one tool, without a success, after which it is not offered any more.
MOST_FAILURES = 3
#: Turns in a row in which everything failed, after which it is no use to go on.
MOST_FRUITLESS = 3
#: How much of an earlier result is repeated.
MOST_REPEATED = 300


def fingerprint(call: ToolCall) -> str:
    """Return what two calls have in common that ask for the same, in whatever order their arguments stand."""
    return f"{call.tool} {json.dumps(call.arguments, sort_keys=True, default=str)}"


def made_before(call: ToolCall, turns: Sequence[Turn]) -> str | None:
    """Return why a call is not made again: what came of it before; None where it is new."""
    wanted = fingerprint(call)
    for turn in turns:
        seen = {item.call_id: item for item in turn.seen}
        for earlier in turn.calls:
            if fingerprint(earlier) == wanted:
                return _told_before(earlier, seen.get(earlier.id))
    return None


def worn_out(turns: Sequence[Turn]) -> frozenset[str]:
    """Return the tools that have failed often and never worked."""
    results = [seen for turn in turns for seen in turn.seen]
    failures = Counter(seen.tool for seen in results if seen.failed)
    worked = {seen.tool for seen in results if not seen.failed}
    return frozenset(tool for tool, times in failures.items() if times >= MOST_FAILURES) - worked


def is_fruitless(turns: Sequence[Turn]) -> bool:
    """Return whether everything failed in each of the last few turns."""
    last = turns[-MOST_FRUITLESS:]
    return len(last) == MOST_FRUITLESS and all(
        turn.seen and all(seen.failed for seen in turn.seen) for turn in last
    )


def _told_before(earlier: ToolCall, seen: Seen | None) -> str:
    if seen is None:
        return f"this very call was made before ({earlier.id}); call something else"
    came = seen.text if len(seen.text) <= MOST_REPEATED else seen.text[:MOST_REPEATED] + "…"
    if seen.failed:
        return f"this very call failed before ({earlier.id}): {came}; change it, or call another tool"
    return f"this very call was made before ({earlier.id}) and gave: {came}; use that"
