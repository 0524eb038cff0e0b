"""Once everything is imported, programs run without opening a file and without importing anything."""

import json
import subprocess
import sys

#: Everything a program may reasonably do that libraries prepare at its first use.
CELLS = r"""
a = np.random.rand(5, 3)
print(np.linalg.svd(a), np.linalg.eig(a[:3]), np.linalg.lstsq(a, np.ones(5)))
#
print(np.linalg.pinv(a), np.linalg.matrix_rank(a))
print(np.linalg.solve(np.eye(2), [1, 1]), np.linalg.qr(a))
#
print(np.random.default_rng(3).normal())
print(np.random.default_rng().random(), np.random.RandomState(1).rand())
#
print(np.percentile(a, 3), np.median(a))
print(np.einsum('ij,kj->ik', a, a), np.polyfit([1, 2, 3], [1, 2, 3], 1))
#
print(np.interp(1.5, [1, 2], [3, 4]), np.fft.fft(a), np.histogram(a), np.cov(a), np.unique([1, 1]))
#
np.set_printoptions(precision=2)
print(a, np.arange(9999), a.astype(complex), np.array(['a']))
#
print(np.loadtxt(['1 2']), np.genfromtxt(['1,2'], delimiter=','), np.datetime64('2020-01-01'))
#
print(np.ma.array([1], mask=[1]), np.polynomial.Polynomial([1, 2])(3))
print(np.finfo(float), np.iinfo(int))
#
np.mean([]), np.sqrt(-1.0), np.float64(1) / 0, np.nanmean([np.nan])
#
from numpy.testing import assert_allclose
assert_allclose([1], [2])
#
np.linalg.inv(np.zeros((2, 2)))
#
np.asarray([1, 2, 3])[5]
#
from scipy.spatial import KDTree, cKDTree, ConvexHull, Delaunay, Voronoi, procrustes, distance_matrix
#
p = np.random.rand(50, 3)
print(KDTree(p).query(p[:2]), KDTree(p).query_ball_point(p[0], 0.3))
#
print(cKDTree(p).query_pairs(0.1), ConvexHull(p).volume, Delaunay(p[:, :2]), Voronoi(p[:, :2]))
#
print(procrustes(p, p * 2)[2], distance_matrix(p, p))
#
from scipy.spatial.transform import Rotation, Slerp
print(Rotation.from_euler('xyz', [1, 2, 3]).as_quat())
#
print(Slerp([0, 1], Rotation.random(2))(0.5), Rotation.align_vectors(p, p))
#
from scipy.spatial.distance import cdist, pdist
print(cdist(p, p, 'cosine'), pdist(p, 'mahalanobis'))
#
import statistics
print(statistics.quantiles([1, 2, 3]), statistics.NormalDist(0, 1).cdf(1))
#
print(statistics.stdev([1, 2]), statistics.linear_regression([1, 2], [3, 4]), statistics.fmean([1]))
#
import datetime, time
print(datetime.datetime.now().strftime('%c %x %A %Z'), time.ctime(), time.strftime('%c'))
#
print(datetime.datetime.strptime('1 Jan 2020', '%d %b %Y'))
print(time.strptime('3', '%d'), time.mktime(time.gmtime()))
#
print(datetime.datetime.now(datetime.timezone.utc).astimezone(), f'{datetime.date(2020, 1, 1):%B}')
#
import decimal, fractions
print(decimal.Decimal('1.1').sqrt(), fractions.Fraction(0.5), f'{3.3:n}')
#
import json
print(json.dumps({'a': [1, None, 'é']}, indent=2, sort_keys=True), json.loads('[1]'))
json.loads('{')
#
import re, string, textwrap
print(re.findall(r'\w+', 'a b', re.I), re.sub('(?P<a>x)', r'\g<a>', 'x'))
#
print(textwrap.fill('a ' * 50), string.Template('$a').substitute(a=1))
print(string.Formatter().format('{}', 1))
#
import random
print(random.random(), random.sample(range(9), 2), random.Random(4).gauss(0, 1), random.Random())
#
print('ß'.casefold(), '\N{BULLET}', 'é'.encode('latin-1'))
print('a'.encode('utf-16'), 'é.fr'.encode('idna'))
#
print('a'.encode('cp1252'), 'ﬁ'.upper(), b'\xe9'.decode('iso8859-15'), 'é'.encode('unicode_escape'))
#
import dataclasses, enum, typing, functools, collections, itertools, heapq, bisect, operator
#
@dataclasses.dataclass(slots=True)
class P:
    x: int = 1
print(P(), dataclasses.asdict(P()), typing.get_type_hints(P))
#
class C(enum.IntFlag):
    A = 1
print(C.A | 2, collections.namedtuple('N', 'a')(1), typing.NamedTuple('M', [('a', int)])(1))
#
@functools.singledispatch
def f(x): return 0
@f.register
def _(x: int): return 1
print(f(1), f('a'))
#
class T(typing.Generic[typing.TypeVar('K')]): pass
class Q(typing.Protocol):
    def a(self) -> int: ...
#
from spatial_agent.tools.scene import OrientedBox, SceneMap, SceneObject
from spatial_agent.tools import geometry
#
boxes = [OrientedBox.upright(np.array([x, 0, 0.5]), np.ones(3), 0.7) for x in (0.0, 2.0)]
#
print(geometry.distance.box_distance(*boxes), geometry.room.__name__)
SceneObject('a', 'chair', boxes[0])
#
SceneMap(()).objekts
#
class B:
    def __del__(self): 1 / 0
B(); None
#
def g(n): return g(n + 1)
g(0)
#
raise ExceptionGroup('g', [ValueError(1)])
#
try:
    {}['a']
except KeyError as e:
    raise ValueError('b') from e
#
[0] * 10**16
#
import os
#
print('\udc80')
#
sys
""".strip().split("\n#\n")
SCRIPT = """
import json, sys
from spatial_agent.sandbox import worker
from spatial_agent.sandbox.messages import Cell, Setup
from spatial_agent.sandbox.policy import IMPORTS
from spatial_agent.sandbox.program import Program

class Nowhere:
    def send(self, message):
        pass

worker.preload()
cells = json.load(sys.stdin)
events = []
program = Program(Setup(tuple(IMPORTS), {}, 10**6, 10**6, 2, True), Nowhere())
running = None

def note(event, arguments):
    if event in ("open", "import", "os.listdir", "os.scandir"):
        events.append([running, event, str(arguments[0])])

sys.addaudithook(note)
errors = []
for running in cells:
    error = program.run(Cell(running)).error
    if error is not None:
        errors.append(error.message.splitlines()[-1].partition(":")[0])
json.dump({"events": events, "errors": errors}, sys.stdout)
"""


def events_and_errors(cells: list[str], script: str = SCRIPT) -> tuple[list[list[str]], list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", script], input=json.dumps(cells), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return found["events"], found["errors"]


def test_programs_open_nothing_and_import_nothing_anew() -> None:
    events, errors = events_and_errors(CELLS)
    assert events == []
    assert errors == [
        " DESIRED",
        "LinAlgError",
        "IndexError",
        "JSONDecodeError",
        "AttributeError",
        "RecursionError",
        "- ValueError",
        "caused by KeyError",
        "out of memory; variables are kept",
        "line 1, column 1",
        "NameError",
    ]


def test_the_hook_of_this_test_sees_what_it_looks_for() -> None:
    events, _ = events_and_errors(["np.load('nowhere')", "from numpy import nothing"])
    assert ["np.load('nowhere')", "open", "nowhere"] in events
    assert ["from numpy import nothing", "import", "numpy.nothing"] in events
