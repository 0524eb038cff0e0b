"""Measures which walls hold which attack, as root: ``python -m tests.sandbox.redteam.measure [WORD ...]``.

With words, only attacks whose names hold one of them are measured again.
"""

import sys

from tests.sandbox.redteam import walls
from tests.sandbox.redteam.attacks import ATTACKS
from tests.sandbox.redteam.ground import Ground
from tests.sandbox.redteam.walled import Walled


def main() -> None:
    """Measure, and write the record anew."""
    words = sys.argv[1:]
    known = walls.recorded() if walls.RECORD.exists() else {}
    ground = Ground()
    walled = Walled(ground)
    measured = {}
    try:
        for attack in ATTACKS:
            if attack.name in known and not any(word in attack.name for word in words or [""]):
                measured[attack.name] = known[attack.name]
                continue
            measured[attack.name] = walls.measure(walled, attack)
            print(f"{attack.name}: {', '.join(measured[attack.name])}", flush=True)
    finally:
        walled.close()
        ground.close()
    walls.record(measured)


if __name__ == "__main__":
    main()
