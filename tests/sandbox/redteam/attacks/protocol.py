"""Attacks on the line to the parent: bytes, frames and messages that no honest program sends."""

from dataclasses import replace

from tests.sandbox.redteam.attack import QUICK, Attack, Proof
from tests.sandbox.redteam.proofs import breaks_parent, calls, changes, has_parent_take, leaks

_SUBJECT = "protocol"
_CHECKED = "frames and messages are bounded and checked, and whoever breaks them is killed"
# Far apart, so that a busy machine cannot take a cell that was ended for one that lasted its whole session.
_HASTY = replace(QUICK, wall_s=0.2, session_s=6.0)
_ASLEEP = "who sleeps takes no processor time; without the watch the zygote ends it at the session's deadline"


def _attack(name: str, source: str, proof: Proof = breaks_parent, always: str = _CHECKED) -> Attack:
    return Attack(name, _SUBJECT, source, proof, always=always, patience_s=0.6, ruins_session=True)


def _hanging(name: str, source: str, single: str = _ASLEEP) -> Attack:
    return replace(_attack(name, source, always=""), policy=_HASTY, single=single)


def _send(frame: str) -> str:
    return f"os.write(4, bytes.fromhex(aim['frames'][{frame!r}]))\n"


def _ask(frame: str) -> str:
    return _send(frame) + "print(os.read(3, 65536))\n"


ATTACKS = (
    _attack("write garbage", "os.write(4, b'\\xff\\x00garbage' * 50)\n"),
    _attack("write zeros", "os.write(4, bytes(4096))\n"),
    _attack("write text", "os.write(4, b'HTTP/1.1 200 OK\\r\\n\\r\\n' * 3)\n"),
    _hanging(
        "announce a frame that never comes",
        "os.write(4, b'\\xff\\xff\\x0f\\x00')\nwhile True:\n    sys.modules['time'].sleep(60)\n",
    ),
    _attack(
        "announce a frame of four gigabytes",
        "os.write(4, b'\\xff\\xff\\xff\\xff')\nwhile True:\n    sys.modules['time'].sleep(60)\n",
    ),
    _attack(
        "end in the middle of a frame",
        "frame = bytes.fromhex(aim['frames']['text'])\nos.write(4, frame[:50])\nos._exit(0)\n",
    ),
    _attack(
        "close its end",
        "if kernel('close', 4) == 0:\n    while True:\n        sys.modules['time'].sleep(60)\n",
        always="nobody waits for a process that has hung up; it is killed",
    ),
    _attack("send a message of no known kind", _send("unknown_kind")),
    _attack("send a message with parts missing", _send("missing_parts")),
    _attack("send a message with parts of the wrong kind", _send("wrong_types")),
    _attack("send a pickle by hand", _send("pickle"), changes("new")),
    _attack("call what is no tool", _ask("unknown_tool")),
    _attack(
        "call a tool with a path",
        _ask("look_outside"),
        leaks(),
        always="tools take names and references of values, which the runner alone looks up",
    ),
    _attack(
        "fetch a path",
        _ask("fetch_path"),
        leaks(),
        always="references are keys of what the runner keeps, and nothing else",
    ),
    _attack(
        "fetch a value that was never given",
        _ask("fetch_other"),
        leaks(),
        always="references are keys of what the runner keeps, and nothing else",
    ),
    _hanging(
        "never read the replies",
        "call = bytes.fromhex(aim['frames']['call'])\nwhile True:\n    os.write(4, call)\n",
    ),
    Attack(
        "call a tool without end",
        _SUBJECT,
        """\
for _ in range(200):
    try:
        tools.look(name="numbers.txt")
    except Exception as error:
        print(error)
""",
        calls(10),
        always="calls are counted where they are answered",
        uses_way_in=False,
    ),
    Attack(
        "show pictures without end",
        _SUBJECT,
        """\
for _ in range(50):
    try:
        show(np.zeros((4, 4, 3), np.uint8))
    except Exception as error:
        print(error)
""",
        calls(10),
        always="pictures are counted, and more of them are an error of the protocol",
        uses_way_in=False,
    ),
    Attack(
        "show a picture of 60 MB",
        _SUBJECT,
        "show(np.broadcast_to(np.uint8(1), (5_000, 4_000, 3)))\n",
        has_parent_take(50),
        always="a picture's size is checked before it is sent, and a frame's before it is taken",
        uses_way_in=False,
        patience_s=15.0,
    ),
    Attack(
        "fill the parent's memory with small messages",
        _SUBJECT,
        """\
text = bytes.fromhex(aim["frames"]["text"]) * 10
for _ in range(700):
    rest = text
    while rest:
        rest = rest[os.write(4, rest):]
""",
        has_parent_take(50),
        always="text beyond the limit is counted and let go of as it comes",
        ruins_session=True,
        patience_s=15.0,
    ),
)
