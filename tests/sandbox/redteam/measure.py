"""Measures, as root, which walls hold which attack: ``python -m tests.sandbox.redteam.measure [WORD ...]``.

Attacks that are on record are left out, unless a word of the command line is is their name, or ``all``.
"""

import sys

from spatial_agent.sandbox.environment import Layer
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
    measured: dict[str, tuple[Layer, ...]] = dict.fromkeys((attack.name for attack in ATTACKS), ())
    measured.update((name, holding) for name, holding in known.items() if name in measured)
    try:
        for attack in ATTACKS:
            if attack.name in known and not any(word in ("all", attack.name) for word in words):
                continue
            measured[attack.name] = walls.measure(walled, attack)
            print(f"{attack.name}: {', '.join(measured[attack.name])}", flush=True)
            walls.record({name: measured[name] for name in measured if name in known or measured[name]})
    finally:
        walled.close()
        ground.close()
    walls.record(measured)


if __name__ == "__main__":
    main()
