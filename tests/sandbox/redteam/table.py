"""The table of all attacks for people: ``python -m tests.sandbox.redteam.table`` prints it."""

from itertools import groupby

from tests.sandbox.redteam.attack import Attack
from tests.sandbox.redteam.attacks import ATTACKS
from tests.sandbox.redteam.walls import recorded

_HEAD = "| attack | in plain Python | held by each of these alone |\n| --- | --- | --- |"


def table() -> str:
    """Return the table as Markdown, with a row for each attack and one above each subject."""
    known = recorded()
    rows = [_HEAD]
    for subject, attacks in groupby(ATTACKS, key=lambda attack: attack.subject):
        rows.append(f"| **{subject}** | | |")
        rows += [_row(attack, known[attack.name]) for attack in attacks]
    return "\n".join(rows) + "\n"


def _row(attack: Attack, walls: tuple[str, ...]) -> str:
    who = " (as root)" if attack.needs_root else ""
    return f"| {attack.name} | succeeds{who} | {_held(attack, walls)} |"


def _held(attack: Attack, walls: tuple[str, ...]) -> str:
    if attack.always:
        return f"no wall needed: {attack.always}"
    if attack.single:
        return f"**{walls[0]}** only: {attack.single}"
    if len(walls) == 1:
        return f"{walls[0]}, or the others together"
    return ", ".join(walls) or "several together"


if __name__ == "__main__":
    print(table(), end="")
