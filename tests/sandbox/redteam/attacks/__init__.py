"""The attacks, by subject."""

from collections import Counter

from tests.sandbox.redteam.attack import Attack
from tests.sandbox.redteam.attacks import (
    arrays,
    exhaustion,
    files,
    interpreter,
    kernel_calls,
    memory,
    neighbours,
    network,
    processes,
    protocol,
    values,
)

ATTACKS: tuple[Attack, ...] = (
    *files.ATTACKS,
    *arrays.ATTACKS,
    *network.ATTACKS,
    *processes.ATTACKS,
    *neighbours.ATTACKS,
    *kernel_calls.ATTACKS,
    *interpreter.ATTACKS,
    *exhaustion.ATTACKS,
    *memory.ATTACKS,
    *protocol.ATTACKS,
    *values.ATTACKS,
)
_TWICE = [name for name, count in Counter(attack.name for attack in ATTACKS).items() if count > 1]
if _TWICE:
    raise ValueError(f"several attacks have the same name: {_TWICE}")
