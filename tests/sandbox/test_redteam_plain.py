"""Every attack works in a plain Python process: one that does nothing anywhere would prove nothing."""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from _pytest.mark.structures import ParameterSet

from tests.sandbox.redteam import facilities
from tests.sandbox.redteam.attack import Attack
from tests.sandbox.redteam.attacks import ATTACKS
from tests.sandbox.redteam.ground import Ground
from tests.sandbox.redteam.plain import Plain

BUSY_S = 10.0
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the attacks are made on Linux")


@pytest.fixture(scope="module")
def plain() -> Iterator[Plain]:
    ground = Ground()
    process = Plain(ground)
    yield process
    process.close()
    ground.close()


def test_there_are_enough_attacks_of_every_subject() -> None:
    assert len(ATTACKS) >= 80
    assert {attack.subject for attack in ATTACKS} >= {
        "files", "numpy", "network", "processes", "neighbours", "kernel", "interpreter", "memory", "protocol",
    }  # fmt: skip


def cases() -> list[ParameterSet]:
    """Return every attack; those after the first of a subject are slow."""
    first = {attack.subject: attack for attack in reversed(ATTACKS)}
    return [
        pytest.param(
            attack, id=attack.name, marks=[] if attack is first[attack.subject] else [pytest.mark.slow]
        )
        for attack in ATTACKS
    ]


@pytest.mark.parametrize("attack", cases())
def test_the_attack_succeeds_in_plain_python(plain: Plain, attack: Attack) -> None:
    if attack.needs_root and os.geteuid() != 0:
        pytest.skip("outside a sandbox only root can do it")
    missing = facilities.missing(attack.rests_on)
    if missing is not None:
        pytest.skip(missing)
    seen = plain.run(attack)
    if not attack.succeeded(seen):
        # On a busy machine it may take longer to get so far.
        seen = plain.run(replace(attack, patience_s=BUSY_S))
    assert attack.succeeded(seen), seen
