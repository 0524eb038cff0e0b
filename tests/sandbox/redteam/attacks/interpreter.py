"""Attacks from inside Python: walks through objects and frames, and code that runs when nobody expects it."""

from tests.sandbox.redteam.attack import Attack
from tests.sandbox.redteam.proofs import breaks_parent, changes, leaks

_SUBJECT = "interpreter"
_ENDS = "the end of a session's process is an answer like any other"
_EMPTY = "the zygote is a new interpreter without environment, descriptors or memory of its parent"
_NO_PICKLE = "what comes from a program is JSON and plain arrays; nothing is ever unpickled"


def _walk(name: str, source: str) -> Attack:
    return Attack(name, _SUBJECT, source, leaks(), uses_way_in=False)


def _crash(name: str, source: str, uses_way_in: bool = False, ruins: bool = False) -> Attack:
    return Attack(
        name, _SUBJECT, source, breaks_parent, always=_ENDS, uses_way_in=uses_way_in, ruins_session=ruins
    )


def _inherited(name: str, source: str) -> Attack:
    return Attack(name, _SUBJECT, source, leaks("victim"), always=_EMPTY)


def _evil_pickle(name: str, source: str) -> Attack:
    source = (
        "class Evil:\n    def __reduce__(self):\n        import posix\n"
        "        return posix.mkdir, (aim['new'],)\n" + source
    )
    return Attack(name, _SUBJECT, source, changes("new"), always=_NO_PICKLE, uses_way_in=False)


ATTACKS = (
    _walk(
        "walk the subclasses of object to open()",
        """\
for kind in ().__class__.__base__.__subclasses__():
    names = getattr(getattr(kind, "__init__", None), "__globals__", {})
    if "sys" in names and "io" in names["sys"].modules:
        print(names["sys"].modules["io"].open(aim["secret"]).read(64))
        break
""",
    ),
    _walk(
        "walk the frames to the builtins",
        """\
try:
    raise ValueError
except ValueError as error:
    frame = error.__traceback__.tb_frame
while frame.f_back:
    frame = frame.f_back
builtins = frame.f_globals["__builtins__"]
builtins = builtins if isinstance(builtins, dict) else vars(builtins)
print(builtins["open"](aim["secret"]).read(64))
""",
    ),
    _walk(
        "walk the closures of what it was given",
        """\
import math
builtins = vars(type(math))["__init__"].__class__.__mro__[-1].__subclasses__()
loader = [kind for kind in builtins if kind.__name__ == "BuiltinImporter"][0]
posix = loader.load_module("posix")
print(posix.read(posix.open(aim["secret"], 0), 64))
""",
    ),
    _walk(
        "walk the garbage collector to a module",
        """\
import random
gc = random._os.sys.modules.get("gc") or __import__("gc")
# From one thing to whatever it refers to, until the module of files is among it.
pending, known = [random], set()
while pending:
    thing = pending.pop()
    if id(thing) in known:
        continue
    known.add(id(thing))
    if isinstance(thing, dict) and thing.get("__name__") == "io" and "open" in thing:
        print(thing["open"](aim["secret"]).read(64))
        break
    pending += gc.get_referents(thing)
""",
    ),
    _walk(
        "evaluate text",
        "print(eval(\"__import__('io').open(aim['secret']).read(64)\"))\n",
    ),
    _walk(
        "format text into attributes",
        """\
class Text(str):
    pass
path = "{0.__class__.__base__}"
base = path.format(()) and ().__class__.__base__
print(getattr(base, "__subcla" + "sses__")() and __builtins__["open"](aim["secret"]).read(64)
      if isinstance(__builtins__, dict) else __builtins__.open(aim["secret"]).read(64))
""",
    ),
    Attack(
        "run a program from a code object",
        _SUBJECT,
        """\
code = compile("import os; os.mkdir(aim['new'])", "<any>", "exec")
rebuilt = code.replace(co_name="harmless")
type(lambda: None)(rebuilt, globals())()
""",
        changes("new"),
        uses_way_in=False,
    ),
    _crash(
        "a code object with broken instructions",
        """\
def function():
    return None
function.__code__ = function.__code__.replace(co_code=bytes([100, 255] * 8 + [83, 0]), co_consts=())
print(function())
""",
    ),
    _crash("end its own process", "os._exit(0)\n", uses_way_in=True),
    _crash("end its own process by a signal", "os.kill(os.getpid(), 9)\n", uses_way_in=True),
    _crash("raise SystemExit", "raise SystemExit(0)\n"),
    _crash("raise a BaseException of its own", "class Own(BaseException):\n    pass\nraise Own('x')\n"),
    _crash(
        "break what writes its answers",
        """\
for module in list(sys.modules.values()):
    for name in ("pack", "dumps", "to_parent", "frame"):
        if callable(getattr(module, name, None)):
            setattr(module, name, lambda *things, **named: b"\\xff" * 100)
for number in range(100):
    print(number)
""",
        uses_way_in=True,
        ruins=True,
    ),
    _inherited("read the environment", "print(dict(os.environ), os.environb)\n"),
    _inherited(
        "read the environment out of the C library",
        """\
place = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, "environ")
index = 0
while place and place[index]:
    print(place[index])
    index += 1
""",
    ),
    _inherited(
        "look for secrets among all objects",
        """\
gc = sys.modules.get("gc") or __import__("gc")
for thing in gc.get_objects():
    if isinstance(thing, dict) and "api_key" in thing:
        print(thing["api_key"])
frame = sys._getframe()
while frame:
    print([frame.f_locals.get(name) for name in ("configuration", "environment", "secret", "password")])
    frame = frame.f_back
""",
    ),
    Attack(
        "read descriptors left open",
        _SUBJECT,
        """\
for descriptor in (0, 1, 2, *range(5, 64)):
    buffer = ctypes.create_string_buffer(64)
    if kernel("fcntl", descriptor, 1) >= 0 and libc.pread(descriptor, buffer, 64, 0) > 0:
        print(descriptor, buffer.value)
""",
        leaks(),
        always=_EMPTY,
    ),
    _evil_pickle("answer with a pickle that acts", "answer(Evil())\n"),
    _evil_pickle("hide a pickle in an array", "answer(np.array([Evil()], dtype=object))\n"),
    _evil_pickle("show a pickle as a picture", "show(np.array([[Evil()]], dtype=object))\n"),
    _evil_pickle("hide a pickle in a tool's arguments", "tools.look(name=Evil())\n"),
)
