"""Attacks that take time, and keep the parent from having control again."""

from dataclasses import replace

from tests.sandbox.redteam.attack import QUICK, Attack
from tests.sandbox.redteam.proofs import burns_on, floods, holds, never_returns

_SUBJECT = "time and output"
_TIME = replace(QUICK, wall_s=0.1, cpu_s=1.0)
_SLEEP = replace(_TIME, session_s=6.0)
_DEADLINE = "the zygote ends every session at its deadline, whatever anybody says"
_CUT = "text beyond the limit is cut off and counted, in the program's process and again in its parent"
_ASLEEP = "who sleeps takes no processor time; without the watch the zygote ends it at the session's deadline"


def _endless(name: str, source: str, uses_way_in: bool = False) -> Attack:
    return Attack(
        name, _SUBJECT, source, never_returns, policy=_TIME, patience_s=0.6, uses_way_in=uses_way_in
    )


def _asleep(name: str, source: str, uses_way_in: bool = False) -> Attack:
    return replace(_endless(name, source, uses_way_in), policy=_SLEEP, single=_ASLEEP)


ATTACKS = (
    _endless("loop for ever", "while True:\n    pass\n"),
    _asleep("sleep for ever", "import time\nwhile True:\n    time.sleep(3600)\n"),
    _endless(
        "catch whatever should end it",
        "while True:\n    try:\n        while True:\n            pass\n"
        "    except BaseException:\n        pass\n",
    ),
    _endless("loop where Python cannot be interrupted", "sum(range(10**15))\n"),
    _endless("raise a number to a huge power", "print(len(str(3 ** (3 ** 19))))\n"),
    _endless("match a pattern that backtracks", "import re\nre.match(r'(a+)+$', 'a' * 60 + 'b')\n"),
    _endless(
        "ignore every signal",
        """\
for number in range(1, 65):
    try:
        sys.modules["_signal"].signal(number, 1)
    except (OSError, ValueError):
        pass
while True:
    pass
""",
        uses_way_in=True,
    ),
    _endless(
        "block every signal and sleep",
        """\
everything = set(range(1, 65)) - {32, 33}
sys.modules["_signal"].pthread_sigmask(0, everything)
while True:
    sys.modules["time"].sleep(3600)
""",
        uses_way_in=True,
    ),
    _endless(
        "an exception whose text never ends",
        "class Endless(Exception):\n    def __str__(self):\n        while True:\n            pass\n"
        "raise Endless\n",
    ),
    _endless(
        "an exception whose text never ends and cannot be interrupted",
        "class Endless(Exception):\n    def __str__(self):\n        while True:\n            try:\n"
        "                while True:\n                    pass\n            except BaseException:\n"
        "                pass\nraise Endless\n",
    ),
    _endless(
        "a destructor that never ends",
        "class Endless:\n    def __del__(self):\n        while True:\n            pass\n"
        "kept = Endless()\ndel kept\n",
    ),
    Attack(
        "print without end",
        _SUBJECT,
        "for _ in range(2000):\n    print('x' * 10_000)\n",
        floods(1_000_000),
        always=_CUT,
        uses_way_in=False,
        patience_s=10.0,
    ),
    Attack(
        "an exception with a book in it",
        _SUBJECT,
        "raise ValueError('x' * 5_000_000)\n",
        floods(1_000_000),
        always=_CUT,
        uses_way_in=False,
        patience_s=10.0,
    ),
    Attack(
        "a name with a book in it",
        _SUBJECT,
        "raise type('x' * 5_000_000, (Exception,), {})\n",
        floods(1_000_000),
        always=_CUT,
        uses_way_in=False,
        patience_s=10.0,
    ),
    Attack(
        "open descriptors without end",
        _SUBJECT,
        "count = sum(kernel('fcntl', 4, 0, 10) >= 0 for _ in range(500))\n"
        "if count > 100:\n    print(aim['claim'])\n",
        holds("pipe:", 100),
    ),
    Attack(
        "burn on after it has answered",
        _SUBJECT,
        """\
# The parent is told that the cell is done, while it is not.
os.write(4, bytes.fromhex(aim["frames"]["done"]))
while True:
    pass
""",
        burns_on,
        always=_DEADLINE,
        policy=replace(QUICK, session_s=0.25),
        lingers=True,
        ruins_session=True,
    ),
)
