"""Attacks with values that break whoever handles them later."""

from tests.sandbox.redteam.attack import Attack
from tests.sandbox.redteam.proofs import poisons

_SUBJECT = "values"
_PLAIN = "an answer is a finite number, text, truth value or flat list of them; it is checked on both sides"


def _attack(name: str, source: str) -> Attack:
    return Attack(name, _SUBJECT, source, poisons, always=_PLAIN, uses_way_in=False)


ATTACKS = (
    _attack("a number of 5,000 digits", "answer(10 ** 5000)\n"),
    _attack("not a number", "answer(float('nan'))\n"),
    _attack("infinity in a list", "answer([1.0, float('inf')])\n"),
    _attack("a mapping of NaN to infinity", "answer({float('nan'): float('inf')})\n"),
    _attack("half a character", "answer('\\ud800')\n"),
    _attack("half a character in a list", "answer(['fine', '\\udfff'])\n"),
    _attack(
        "a list nested 5,000 deep",
        "import random\nrandom._os.sys.setrecursionlimit(50_000)\n"
        "deep = []\nfor _ in range(5_000):\n    deep = [deep]\nanswer(deep)\n",
    ),
    _attack("a list that holds itself", "own = []\nown.append(own)\nanswer(own)\n"),
    _attack("an object", "import decimal\nanswer(decimal.Decimal('1.5'))\n"),
    _attack("an array of dates", "answer(np.array(['2020-01-01'], dtype='datetime64[D]'))\n"),
    _attack("bytes", "answer(b'\\xff\\xfe')\n"),
    _attack("half a character in what is printed", "print('\\ud800')\nanswer('\\ud800')\n"),
)
