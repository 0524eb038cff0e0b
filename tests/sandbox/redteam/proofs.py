"""Ways of seeing from outside that an attack succeeded."""

import json
import re

from tests.sandbox.redteam.attack import Observation, Proof

_MEGA = 2**20


def leaks(secret: str = "file") -> Proof:
    """See a secret in what came back."""
    return lambda seen: seen.secrets[secret] in seen.said


def changes(*canaries: str) -> Proof:
    """See a file that is not what it was."""
    return lambda seen: bool(seen.changed & set(canaries))


def reaches(seen: Observation) -> bool:
    """See this run's own token arrive at a listener or in a queue."""
    token = str(seen.aim["token"]).encode()
    return any(token in data for data in seen.received)


def harms(*kinds: str) -> Proof:
    """See what was done to another process."""
    return lambda seen: bool(seen.victim & set(kinds))


def spawns(least: int) -> Proof:
    """See processes beside the program's own."""
    return lambda seen: seen.processes >= least


def stays(seen: Observation) -> bool:
    """See a process that outlives its session."""
    return seen.left > 0


def holds(kind: str, least: int = 1) -> Proof:
    """See what descriptors stand for; where nobody may look, a program's own word has to do."""

    def proof(seen: Observation) -> bool:
        is_claimed = str(seen.aim["claim"]) in seen.said
        return sum(kind in item for item in seen.held) >= least or (not seen.held and is_claimed)

    return proof


def has_status(name: str, least: int) -> Proof:
    """See a number the kernel reports of one of the program's processes."""
    return lambda seen: any(int(status.get(name, "0").split()[0]) >= least for status in seen.status)


def becomes(user: int) -> Proof:
    """See a process that belongs to another user."""
    return lambda seen: any(str(user) in status.get("Uid", "").split() for status in seen.status)


def times_victim(seen: Observation) -> bool:
    """See how much processor time another process has taken, told in milliseconds."""
    told = re.search(r"took (\d+)", seen.said)
    return told is not None and int(told[1]) > 0 and abs(int(told[1]) / 1000 - seen.victim_cpu_seconds) < 0.03


def mounts(seen: Observation) -> bool:
    """See a mount that bears this run's own token."""
    return str(seen.aim["token"]) in seen.mounts


def takes(megabytes: int) -> Proof:
    """See a process that took more memory than it may."""
    return lambda seen: seen.grown_bytes >= megabytes * _MEGA


def has_parent_take(megabytes: int) -> Proof:
    """See a parent that took much memory for what it was told."""
    return lambda seen: seen.parent_grown_bytes >= megabytes * _MEGA


def burns_on(seen: Observation) -> bool:
    """See processor time that is taken long after the program has come back."""
    return seen.idle_cpu_seconds > 0


def never_returns(seen: Observation) -> bool:
    """See that the parent never had control again."""
    return seen.stuck


def breaks_parent(seen: Observation) -> bool:
    """See that the parent ended, was stopped, or never had control again."""
    return seen.stuck or seen.broken is not None


def floods(most_bytes: int) -> Proof:
    """See that more text came out than anybody can use."""
    return lambda seen: len(seen.said) > most_bytes


def calls(more_than: int) -> Proof:
    """See that more tool calls were carried out than allowed."""
    return lambda seen: seen.calls > more_than


def poisons(seen: Observation) -> bool:
    """See that the parent was handed something it cannot put into strict JSON, or broke on it."""
    if breaks_parent(seen):
        return True
    try:
        json.dumps(seen.answer, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError):
        return True
    return False


def does_any(*proofs: Proof) -> Proof:
    """See one of several."""
    return lambda seen: any(proof(seen) for proof in proofs)
