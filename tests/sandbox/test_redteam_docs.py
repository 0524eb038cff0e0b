"""What the documentation says about attacks is what was measured."""

from pathlib import Path

from tests.sandbox.redteam.attacks import ATTACKS
from tests.sandbox.redteam.table import table
from tests.sandbox.redteam.walls import recorded

DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"


def test_every_attack_is_on_record() -> None:
    assert list(recorded()) == [attack.name for attack in ATTACKS]


def test_the_documentation_holds_the_table_of_all_attacks() -> None:
    assert table() in DOCUMENT.read_text(encoding="utf-8"), "print it: python -m tests.sandbox.redteam.table"


def test_an_attack_that_one_wall_alone_holds_says_why() -> None:
    on_record = recorded()
    for attack in ATTACKS:
        assert not (attack.single and attack.always), attack.name
        assert bool(on_record[attack.name]) != bool(attack.always), attack.name
        if attack.single:
            assert len(on_record[attack.name]) == 1, attack.name
