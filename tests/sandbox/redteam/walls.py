"""Which walls hold which attack, each of them alone, as it was measured."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from spatial_agent.sandbox.environment import Layer
from tests.sandbox.redteam.attack import Attack
from tests.sandbox.redteam.walled import Walled

RECORD = Path(__file__).with_name("walls.toml")
#: Every wall; the check of the text before is none.
WALLS = tuple(layer for layer in Layer if layer is not Layer.SYNTAX)
EVERY_WALL = frozenset(WALLS)
#: How long an attack that is expected to be held may take to end; and one that is expected to get through.
HELD_S, THROUGH_S = 15.0, 2.0


def is_held(walled: Walled, attack: Attack, walls: frozenset[Layer], patience_s: float = HELD_S) -> bool:
    """Return whether an attack fails behind these walls, in its own words too."""
    seen = walled.run(attack, walls, patience_s).seen
    return not attack.succeeded(seen) and str(seen.aim["claim"]) not in seen.said


def measure(walled: Walled, attack: Attack) -> tuple[Layer, ...]:
    """Return the walls that hold an attack each by itself; none where it fails without any wall too."""
    if is_held(walled, attack, frozenset(), THROUGH_S):
        return ()
    return tuple(wall for wall in WALLS if is_held(walled, attack, frozenset({wall}), _patience(wall)))


def _patience(wall: Layer) -> float:
    # Walls that end a program take the time that it is given.
    return HELD_S if wall in (Layer.RLIMITS, Layer.WATCH) else THROUGH_S


def recorded() -> Mapping[str, tuple[Layer, ...]]:
    """Return what was measured last, by the name of the attack."""
    names = tomllib.loads(RECORD.read_text(encoding="utf-8"))
    return {attack: tuple(map(Layer, walls)) for attack, walls in names.items()}


def record(measured: Mapping[str, tuple[Layer, ...]]) -> None:
    """Write down what was measured."""
    lines = [
        "# Walls that hold an attack, each by itself; written by python -m tests.sandbox.redteam.measure"
    ]
    for attack, walls in measured.items():
        names = ", ".join(f'"{wall}"' for wall in walls)
        lines.append(f'"{attack}" = [{names}]')
    RECORD.write_text("\n".join(lines) + "\n", encoding="utf-8")
