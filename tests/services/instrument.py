"""An expert that keeps a ledger: what it did is known whatever becomes of the process around it.

This file is copied beside its readings and its ledger, as a distribution of its own.
"""

import json
import os
import random
import time
from pathlib import Path

from spatial_agent.tools.contract import Finding
from spatial_agent.tools.registry import expert

FOLDER = Path(__file__).parent
#: How long a reading takes, seconds.
SHORTEST_S, LONGEST_S = 0.005, 0.03


@expert("instrument.read", deterministic=False, idempotent=False)
def read_instrument(number: int) -> Finding:
    """Read one of the instruments in the room.

    Args:
        number: Which one.
    """
    reading = json.loads((FOLDER / "readings.json").read_text())[number]
    note("begin", number)
    time.sleep(random.uniform(SHORTEST_S, LONGEST_S))
    note("end", number)
    claim = f"Instrument {number} reads {reading:.3f} m."
    return Finding(claim, reading, "m", reading - 0.001, reading + 0.001, "instrument.read")


def note(what: str, number: int) -> None:
    """Add a line to the ledger, whole or not at all."""
    ledger = os.open(FOLDER / "ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(ledger, f"{what} {number} {os.getpid()}\n".encode())
    finally:
        os.close(ledger)
