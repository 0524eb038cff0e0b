"""Imports, before the walls go up, whatever programs use; afterwards no file can be opened."""

import codecs
import importlib
import json
import random
import time
import warnings
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np

from spatial_agent.sandbox import namespace
from spatial_agent.sandbox.policy import IMPORTS

#: What libraries import by themselves at their first use, or offer without having it imported.
_LATE = (
    "_strptime",
    "calendar",
    "contextvars",
    "copy",
    "ctypes",
    "difflib",
    "inspect",
    "linecache",
    "locale",
    "numpy.ctypeslib",
    "numpy.fft",
    "numpy.linalg",
    "numpy.ma",
    "numpy.polynomial",
    "numpy.random",
    "numpy.rec",
    "numpy.strings",
    "numpy.testing",
    "numpy.typing",
    "pickle",
    "scipy.linalg",
    "scipy.spatial.distance",
    "scipy.spatial.transform",
    "secrets",
    "shapely.affinity",
    "shapely.geometry",
    "shapely.ops",
    "stringprep",
    "tokenize",
    "traceback",
    "unicodedata",
    "weakref",
)
#: Encodings are modules too.
_ENCODINGS = (
    *("ascii", "base64", "charmap", "cp1252", "cp437", "hex", "idna", "iso8859-15", "latin-1", "punycode"),
    *("quopri", "raw_unicode_escape", "rot13", "unicode_escape", "utf-7", "utf-8", "utf-8-sig", "utf-16"),
    *("utf-16-be", "utf-16-le", "utf-32", "utf-32-be", "utf-32-le"),
)


def import_everything() -> None:
    """Import all that programs may import, and do once what prepares itself at its first use."""
    for name in sorted(IMPORTS) + list(_LATE):
        importlib.import_module(name)
    namespace.geometry()
    for encoding in _ENCODINGS:
        codecs.lookup(encoding)
    _warm_numbers()
    _warm_text()


def _warm_numbers() -> None:
    """Have numpy and scipy make their buffers, which the limit of memory then does not count."""
    from scipy.spatial import ConvexHull, Delaunay, KDTree
    from scipy.spatial.transform import Rotation

    matrix = np.random.default_rng(0).normal(size=(64, 64))
    for result in (matrix @ matrix, *np.linalg.svd(matrix), np.fft.fft(matrix), np.linalg.inv(matrix)):
        str(result)
    points = matrix[:, :3]
    KDTree(points).query(points[:2])
    ConvexHull(points)
    Delaunay(points[:, :2])
    Rotation.from_euler("z", 0.1).as_matrix()
    with warnings.catch_warnings(record=True):
        np.polyfit(np.arange(4.0), np.arange(4.0), 1)
        np.percentile(points, 5)


def _warm_text() -> None:
    """Have the time zone read, and whatever formats and parses text for the first time."""
    time.tzset()
    f"{datetime.now():%A %c %Z} {time.localtime()} {Decimal(1) / 3} {Fraction(1, 3)} {1.5:n}"
    datetime.strptime("2000-01-02", "%Y-%m-%d")
    json.dumps({"a": 1.5}, indent=1)
    random.Random(0).shuffle([1, 2])
