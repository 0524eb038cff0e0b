"""Every attack is held: by all walls together, and by those that are left when any one of them is down.

Attacks come with the check of their text switched off, for it would refuse most of them, and nothing would
ever reach the walls.
"""

import sys
from collections.abc import Iterator

import pytest

from spatial_agent.sandbox import session
from spatial_agent.sandbox.environment import Layer
from spatial_agent.tools.errors import SandboxUnavailableError
from tests.sandbox.redteam.attack import Attack
from tests.sandbox.redteam.attacks import ATTACKS
from tests.sandbox.redteam.ground import Ground
from tests.sandbox.redteam.walled import Outcome, Walled
from tests.sandbox.redteam.walls import EVERY_WALL, HELD_S, THROUGH_S, WALLS, measure, recorded

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the walls are those of Linux")


@pytest.fixture(scope="module")
def walled() -> Iterator[Walled]:
    ground = Ground()
    with pytest.MonkeyPatch.context() as patch:
        # A program that does not end when it is asked to need not be waited for as long as a user would.
        patch.setattr(session, "GRACE_S", 0.1)
        sandboxes = Walled(ground)
        try:
            sandboxes.sandbox(EVERY_WALL)
        except SandboxUnavailableError as error:
            pytest.skip(str(error))
        yield sandboxes
        sandboxes.close()
    ground.close()


def only_wall_against(attack: Attack) -> Layer | None:
    return recorded()[attack.name][0] if attack.single else None


def assert_held(attack: Attack, outcome: Outcome) -> None:
    assert not attack.succeeded(outcome.seen), outcome
    assert str(outcome.seen.aim["claim"]) not in outcome.seen.said, outcome
    assert outcome.harm == ()
    assert outcome.seen.broken is None
    assert outcome.seen.left == 0


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_the_attack_is_held_with_everything_up(walled: Walled, attack: Attack) -> None:
    assert_held(attack, walled.run(attack, EVERY_WALL | {Layer.SYNTAX}, HELD_S))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_the_attack_is_held_by_the_walls_alone(walled: Walled, attack: Attack) -> None:
    outcome = walled.run(attack, EVERY_WALL, HELD_S)
    assert_held(attack, outcome)
    assert outcome.has_begun, outcome


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_the_attack_is_held_with_one_wall_down(walled: Walled, attack: Attack) -> None:
    walls = [wall for wall in WALLS if wall is not only_wall_against(attack)]
    # Neighbours in the list are of one kind, and each has another wall taken away.
    assert_held_without(walled, attack, walls[ATTACKS.index(attack) % len(walls)])


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_the_attack_is_held_with_any_one_wall_down(walled: Walled, attack: Attack) -> None:
    for wall in WALLS:
        if wall is not only_wall_against(attack):
            assert_held_without(walled, attack, wall)


def assert_held_without(walled: Walled, attack: Attack, wall: Layer) -> None:
    outcome = walled.run(attack, EVERY_WALL - {wall}, HELD_S)
    assert outcome.has_begun, (wall, outcome)
    assert_held(attack, outcome)


@pytest.mark.parametrize(
    "attack", [attack for attack in ATTACKS if attack.single], ids=lambda attack: attack.name
)
def test_an_attack_said_to_be_held_by_one_wall_only_gets_through_without_it(
    walled: Walled, attack: Attack
) -> None:
    only = only_wall_against(attack)
    assert only is not None
    outcome = walled.run(attack, EVERY_WALL - {only}, THROUGH_S)
    assert attack.succeeded(outcome.seen), outcome
    assert outcome.harm == ()


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_the_walls_that_hold_an_attack_alone_are_those_on_record(walled: Walled, attack: Attack) -> None:
    on_record = recorded()[attack.name]
    measured = measure(walled, attack)
    assert bool(attack.always) == (measured == ())
    late = {Layer.IDENTITY} if attack.imports_late else set()
    assert set(measured) ^ set(on_record) <= late
