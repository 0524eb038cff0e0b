"""Running sums per voxel: the memory of the fusion, bounded by the surface of the scene."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Sums = NDArray[np.float32]
Keys = NDArray[np.int64]

#: Bits per axis of a voxel key: 2^21 voxels of 2 cm are 42 km.
AXIS_BITS = 21
HALF_RANGE = 1 << (AXIS_BITS - 1)
#: Sums wait until there are at least so many, since each merge sorts all voxels.
MERGE_ROWS = 400_000
#: Key of voxel (0, 0, 0).
ZERO_KEY = (HALF_RANGE << 2 * AXIS_BITS) + (HALF_RANGE << AXIS_BITS) + HALF_RANGE


def voxel_keys(i: NDArray[Any], j: NDArray[Any], k: NDArray[Any]) -> Keys:
    """Pack whole-numbered voxel indices, each of shape (N,), into one sortable integer each."""
    keys = i.astype(np.int64)
    for axis in (j, k):
        keys <<= AXIS_BITS
        keys += axis.astype(np.int64)
    keys += ZERO_KEY
    return keys


def voxel_indices(keys: Keys) -> NDArray[np.int32]:
    """Unpack what `voxel_keys` packed, shape (3, N)."""
    mask = (1 << AXIS_BITS) - 1
    axes = (keys >> (2 * AXIS_BITS), keys >> AXIS_BITS & mask, keys & mask)
    return np.array([axis - HALF_RANGE for axis in axes], np.int32)


def sum_by_key(keys: Keys, columns: Iterable[Floats]) -> tuple[Keys, list[Sums]]:
    """Add up the values of equal keys, column by column; the keys come back sorted and unique."""
    if not len(keys):
        return keys, [np.empty(0, np.float32) for _ in columns]
    order = np.argsort(keys)
    ordered = keys[order]
    first = np.concatenate(([True], ordered[1:] != ordered[:-1]))
    group = np.empty(len(keys), np.intp)
    group[order] = np.cumsum(first) - 1
    return ordered[first], [np.bincount(group, column).astype(np.float32) for column in columns]


@dataclass
class VoxelSums:
    """A sparse grid that collects sums, in batches.

    Attributes:
        keys: Sorted unique voxel keys, shape (M,).
        columns: Sums, each of shape (M,).
    """

    keys: Keys
    columns: list[Sums]
    _waiting: list[tuple[Keys, list[Sums]]] = field(default_factory=list)
    _waiting_rows: int = 0

    @classmethod
    def empty(cls, columns: int) -> "VoxelSums":
        """Start without any voxel."""
        return cls(np.empty(0, np.int64), [np.empty(0, np.float32) for _ in range(columns)])

    def add(self, keys: Keys, columns: list[Sums]) -> None:
        """Take sums in; they are merged once they are half as many as the voxels known."""
        self._waiting.append((keys, columns))
        self._waiting_rows += len(keys)
        if self._waiting_rows > max(len(self.keys) // 2, MERGE_ROWS):
            self.merge()

    def merge(self) -> None:
        """Bring `keys` and `columns` up to date."""
        parts = [(self.keys, self.columns), *self._waiting]
        keys = np.concatenate([keys for keys, _ in parts])
        # One column at a time, so that only one is there twice.
        columns = (np.concatenate(column) for column in zip(*(sums for _, sums in parts), strict=True))
        self.keys, self.columns = sum_by_key(keys, columns)
        self._waiting, self._waiting_rows = [], 0


def find_keys(sorted_keys: Keys, wanted: Keys) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return where each wanted key stands among the sorted ones, and whether it is there."""
    at = np.minimum(np.searchsorted(sorted_keys, wanted), len(sorted_keys) - 1)
    return at, sorted_keys[at] == wanted
