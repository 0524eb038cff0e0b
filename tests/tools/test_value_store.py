"""Values on disk: exact, whole or absent, bounded, without pickle, and safe with two processes."""

import io
import os
import pickle
import subprocess
import sys
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_agent.tools.bounded_folder import BoundedFolder
from spatial_agent.tools.content import content_hash
from spatial_agent.tools.contract import Finding
from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.scene import (
    CameraIntrinsics,
    CameraPose,
    DepthMap,
    Detections,
    Frame,
    FrameHeader,
    InstanceMask,
    Measurement,
    OrientedBox,
    Picture,
    PointCloud,
    SceneObject,
    TriangleMesh,
)
from spatial_agent.tools.synthetic import SyntheticRoom
from spatial_agent.tools.value_file import VALUE_CLASSES, value_from_bytes, value_to_bytes
from spatial_agent.tools.value_store import ValueStore

RNG = np.random.default_rng(3)
TURNED = OrientedBox.upright(np.array([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 0.5]), 0.7)
VALUES = [
    DepthMap(RNG.uniform(0, 5, (3, 5)).astype(np.float32), "relative", 0.1, 0.05),
    Detections(RNG.uniform(0, 9, (2, 4)), np.array([0.2, 0.9]), ("a", "b"), RNG.random((2, 3, 5)) > 0.5),
    Detections(np.zeros((0, 4)), np.zeros(0), (), np.zeros((0, 3, 5), np.bool_)),
    Picture(RNG.integers(0, 255, (3, 5, 3), np.uint8), "A picture, “quoted”."),
    InstanceMask(RNG.random((3, 5)) > 0.5, "chair", 0.25, 7),
    PointCloud(RNG.normal(size=(9, 3)), None, np.ones(9)),
    TriangleMesh(RNG.normal(size=(3, 3)), np.array([[0, 1, 2]])),
    Measurement(1.0, "m", None, 2.0, "open below"),
    SceneObject("chair-1", "chair", TURNED, facing=RNG.normal(size=3)),
    Frame(
        FrameHeader(4, "f", CameraIntrinsics(9.0, 9.0, 2.0, 1.0, 5, 3), CameraPose(np.eye(4)), 0.5, True),
        RNG.integers(0, 255, (3, 5, 3), np.uint8),
        DepthMap(np.ones((3, 5), np.float32)),
        np.arange(15, dtype=np.uint16).reshape(3, 5),
    ),
    SyntheticRoom.example().scene_map(),
    Finding("1 m.", 1.0, "m", details={"at_m": (1.0, 2.0)}, marks=({"kind": "point"},)),
    (1, [2.5, float("inf")], {"a": None, 3: "three"}, "\ud800"),
    None,
]


def same(one: object, other: object) -> bool:
    """Whether two values are of one class and hold the same, bit by bit; a numpy number is a number."""
    if isinstance(one, np.generic):
        one = one.item()
    if isinstance(other, np.generic):
        other = other.item()
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if type(one).__name__ in VALUE_CLASSES:
        names = [field.name for field in fields(VALUE_CLASSES[type(one).__name__])]
        return all(same(getattr(one, name), getattr(other, name)) for name in names)
    return repr(one) == repr(other)


@pytest.fixture
def store(tmp_path: Path) -> ValueStore:
    return ValueStore(tmp_path, 10**9)


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_exactly(store: ValueStore, value: object) -> None:
    content = store.put(value)
    assert content == content_hash(value)
    assert same(store.get(content), value)


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3).filter(lambda v: np.linalg.norm(v) > 0.1))
def test_a_direction_keeps_its_last_digit(direction: list[float]) -> None:
    item = SceneObject("a", "a", TURNED, facing=np.array(direction))
    assert same(value_from_bytes(value_to_bytes(item)), item)


@pytest.mark.parametrize("shape", [(0,), (1, 1), (3, 7), (2, 5, 9)])
def test_masks_take_a_bit_a_pixel_and_come_back(shape: tuple[int, ...]) -> None:
    mask = RNG.random(shape) > 0.5
    assert same(value_from_bytes(value_to_bytes(mask)), mask)
    large = np.zeros((20, 200, 300), np.bool_)
    assert len(value_to_bytes(large)) < large.size / 8 + 2000


def test_arrays_from_disk_are_read_only(store: ValueStore) -> None:
    depth = store.get(store.put(VALUES[0]))
    assert isinstance(depth, DepthMap)
    with pytest.raises(ValueError, match="read-only"):
        depth.z_m[0, 0] = 1.0


def test_equal_values_are_one_file(store: ValueStore, tmp_path: Path) -> None:
    store.put(DepthMap(np.ones((2, 3), np.float32)))
    store.put(DepthMap(np.ones((2, 3), np.float32)))
    assert len(list(tmp_path.iterdir())) == 1


def test_a_key_leads_to_its_value(store: ValueStore) -> None:
    store.link("abc1", store.put(["x"]))
    assert store.linked("abc1") == ["x"]
    for missing in ("abc2", "ABSENT"):
        with pytest.raises(KeyError):
            store.linked(missing)


@dataclass(frozen=True)
class Stranger:
    """A frozen value that nobody declared."""

    rgb: object = None


@pytest.mark.parametrize(
    "value", [Stranger(), object(), [print], np.array(["text"]), {"a": {1}}], ids=lambda v: type(v).__name__
)
def test_other_values_are_refused_and_leave_no_file(store: ValueStore, tmp_path: Path, value: object) -> None:
    with pytest.raises(TypeError):
        store.put(value)
    assert list(tmp_path.iterdir()) == []


def test_declared_classes_of_others_can_be_kept(tmp_path: Path) -> None:
    store = ValueStore(tmp_path, 10**9, {**VALUE_CLASSES, "Stranger": Stranger})
    assert store.get(store.put(Stranger("known"))) == Stranger("known")
    with pytest.raises(KeyError):
        ValueStore(tmp_path, 10**9).get(content_hash(Stranger("known")))


def test_a_class_of_the_same_name_is_not_taken_for_the_declared_one() -> None:
    impostor = type("Picture", (Stranger,), {})
    with pytest.raises(TypeError, match="not Picture"):
        value_to_bytes(impostor())


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def renamed_class(data: bytes) -> bytes:
    return data.replace(b"DepthMap", b"DepthCap")


@pytest.mark.parametrize(
    "damage", [truncated, flipped, renamed_class, lambda data: b"", lambda data: b"PK\3\4"]
)
def test_a_damaged_file_is_a_miss_and_removed(store: ValueStore, tmp_path: Path, damage: object) -> None:
    content = store.put(DepthMap(RNG.uniform(0, 5, (30, 50)).astype(np.float32)))
    path = only_file(tmp_path)
    assert callable(damage)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(KeyError):
        store.get(content)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_holds_another_value_than_its_name_says_is_a_miss(
    store: ValueStore, tmp_path: Path
) -> None:
    content = store.put(["one"])
    only_file(tmp_path).write_bytes(value_to_bytes(["two"]))
    with pytest.raises(KeyError):
        store.get(content)


def test_nothing_is_ever_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (os.mkdir, (str(tmp_path / "sprung"),))

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("content.npy", pickle.dumps(Trap()))
    with pytest.raises(ValueError, match="decode"):
        value_from_bytes(buffer.getvalue())
    buffer = io.BytesIO()
    np.savez(buffer, content=np.frombuffer(b'{"array": "a"}', np.uint8), a=np.array([Trap()], object))
    with pytest.raises(ValueError, match="allow_pickle"):
        value_from_bytes(buffer.getvalue())
    assert not (tmp_path / "sprung").exists()


def test_what_cannot_exist_is_refused_when_read() -> None:
    data = value_to_bytes(DepthMap(np.ones((2, 3), np.float32)))
    with np.load(io.BytesIO(data)) as arrays:
        parts = dict(arrays) | {"array0": np.full((2, 3), -1, np.float32)}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **parts)
    with pytest.raises(InvalidValueError, match="at least 0"):
        value_from_bytes(buffer.getvalue())


def test_a_hash_cannot_name_a_file_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "victim.value.npz").write_bytes(b"not a value")
    store = ValueStore(tmp_path / "store", 10**9)
    store.link("abc", "../victim")
    with pytest.raises(KeyError):
        store.linked("abc")
    assert (tmp_path / "victim.value.npz").exists()


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    size = len(value_to_bytes(np.full(1000, 1.0)))
    store = ValueStore(tmp_path, int(2.5 * size))
    contents: list[str] = []
    for number in range(3):
        if number == 2:
            store.get(contents[0])
        contents.append(store.put(np.full(1000, float(number))))
        os.utime(tmp_path / f"{contents[-1]}.value.npz", (10**6 + number, 10**6 + number))
    with pytest.raises(KeyError):
        store.get(contents[1])
    for content in (contents[0], contents[2]):
        assert isinstance(store.get(content), np.ndarray)


def test_a_folder_stays_near_its_limit_and_keeps_what_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x" * 5000)
    files = BoundedFolder(tmp_path, (".bin",), 10_000)
    for number in range(300):
        files.write(f"{number}.bin", bytes(100))
        assert sum(path.stat().st_size for path in tmp_path.glob("*.bin")) <= 10_000 * (1 + 1 / 16) + 100
    assert (tmp_path / "notes.txt").exists()
    assert files.read("299.bin") == bytes(100)
    assert files.read("0.bin") is None


def test_what_a_dead_process_left_half_written_goes_when_it_is_old(tmp_path: Path) -> None:
    old, new = tmp_path / ".a.bin.1-1.partial", tmp_path / ".b.bin.2-2.partial"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (10**6, 10**6))
    BoundedFolder(tmp_path, (".bin",), 10_000).write("c.bin", b"whole")
    assert not old.exists()
    assert new.exists()


WRITER = """
import sys
from pathlib import Path
import numpy as np
from spatial_agent.tools.value_store import ValueStore

store = ValueStore(Path(sys.argv[1]), 60_000)
for number in range(200):
    store.link("shared", store.put(np.full(1000, float(number % 10))))
"""


def test_two_processes_share_a_folder_that_is_too_small_for_both(tmp_path: Path) -> None:
    store = ValueStore(tmp_path, 60_000)
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)]) for _ in range(2)]
    found = 0
    while any(writer.poll() is None for writer in writers):
        try:
            value = store.linked("shared")
        except KeyError:
            continue
        assert isinstance(value, np.ndarray)
        assert (value == value[0]).all()
        found += 1
    assert [writer.returncode for writer in writers] == [0, 0]
    assert found > 0
    assert not list(tmp_path.glob("*.partial"))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 90_000
