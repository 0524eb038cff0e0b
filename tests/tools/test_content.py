"""Content hashes: equal content, equal hash; anything else, another one; in every process."""

import gc
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spatial_agent.tools import content
from spatial_agent.tools.content import content_bytes, content_hash
from spatial_agent.tools.contract import Finding
from spatial_agent.tools.scene import (
    CameraIntrinsics,
    DepthMap,
    Detections,
    Frame,
    FrameHeader,
    FrameSet,
    SceneMap,
)
from spatial_agent.tools.synthetic import SyntheticRoom

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12
)
arrays = hnp.arrays(
    st.sampled_from([np.bool_, np.uint8, np.int16, np.int64, np.float32, np.float64]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)


def same_json(one: object, other: object) -> bool:
    """Whether two JSON values are the same, types of numbers and signs of zeros included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(one[key], other[key]) for key in one)
    return repr(one) == repr(other)


def picture(height: int = 480, width: int = 640) -> Frame:
    rgb = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Frame(FrameHeader(0, "0"), rgb)


@given(json_values, json_values)
def test_two_json_values_have_one_hash_exactly_if_they_are_the_same(one: object, other: object) -> None:
    assert (content_hash(one) == content_hash(other)) == same_json(one, other)


@given(st.dictionaries(st.text(), scalars))
def test_the_order_of_keys_does_not_matter(mapping: dict[str, Any]) -> None:
    assert content_hash(dict(reversed(mapping.items()))) == content_hash(mapping)


@given(arrays)
def test_an_array_is_its_numbers_wherever_they_lie(array: np.ndarray[Any, Any]) -> None:
    wide = np.zeros((*array.shape, 2), array.dtype)
    wide[..., 0] = array
    view = wide[..., 0]
    view.flags.writeable = False
    swapped = array.astype(array.dtype.newbyteorder(">"))
    twins = (array.copy(), array.copy(order="F"), view, swapped)
    assert {content_hash(twin) for twin in twins} == {content_hash(array)}


@given(arrays, arrays)
def test_arrays_differ_by_dtype_shape_and_numbers(
    one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]
) -> None:
    same = one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    assert (content_hash(one) == content_hash(other)) == same


@given(arrays.filter(lambda array: array.size > 0), st.data())
def test_one_changed_bit_changes_the_hash(array: np.ndarray[Any, Any], data: st.DataObject) -> None:
    changed = array.copy()
    flat = changed.reshape(-1).view(np.uint8)
    at = data.draw(st.integers(0, flat.size - 1))
    flat[at] ^= 1
    assert content_hash(changed) != content_hash(array)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["ab", "c"], ["a", "bc"]),
        ([[], 1], [[1]]),
        ({"a": {}}, {"a": []}),
        (1, True),
        (1, 1.0),
        ("1", 1),
        (None, "None"),
        (np.zeros(4, np.uint8), np.zeros((2, 2), np.uint8)),
        (np.zeros(4, np.uint8), [0, 0, 0, 0]),
        (np.zeros(8, np.uint8), np.zeros(1, np.float64)),
    ],
    ids=str,
)
def test_values_that_look_alike_differ(one: object, other: object) -> None:
    assert content_hash(one) != content_hash(other)


def test_what_json_does_not_tell_apart_is_the_same() -> None:
    assert content_hash((1, (2.5, "x"))) == content_hash([1, [2.5, "x"]])
    assert content_hash(np.float64(2.5)) == content_hash(2.5)
    assert content_hash(np.int32(7)) == content_hash(7)


def test_every_field_of_a_scene_value_counts() -> None:
    depth = DepthMap(np.ones((2, 3), np.float32))
    hashes = {
        content_hash(value)
        for value in (
            depth,
            replace(depth, scale="relative"),
            replace(depth, scale_error=0.02),
            DepthMap(np.full((2, 3), 2, np.float32)),
            DepthMap(np.ones((3, 2), np.float32)),
        )
    }
    assert len(hashes) == 5


def test_equal_scenes_measured_twice_are_one_content() -> None:
    one, other = (SyntheticRoom.example().scene_map() for _ in range(2))
    moved = replace(one, objects=one.objects[1:])
    assert one is not other
    assert content_hash(one) == content_hash(other) != content_hash(moved)


def test_a_frame_is_its_pixels_and_its_header() -> None:
    frame = picture()
    camera = CameraIntrinsics(500, 500, 319.5, 239.5, 640, 480)
    known = Frame(replace(frame.header, intrinsics=camera), frame.rgb)
    assert content_hash(picture()) == content_hash(frame) != content_hash(known)


def test_a_frame_set_is_what_its_own_hash_says() -> None:
    def undecodable(index: int, rgb: bool, depth: bool, instances: bool) -> Frame:
        raise AssertionError("no pixel needs to be decoded")

    frames = FrameSet("a", "TUM RGB-D", (FrameHeader(0, "0"),), undecodable, "1f")
    assert content_hash(frames) == content_hash(replace(frames, name="renamed"))
    assert content_hash(frames) != content_hash(replace(frames, content_hash="20"))


def test_findings_count_with_all_their_fields() -> None:
    finding = Finding("1 m.", 1.0, "m", 0.9, 1.1, details={"a": [1, 2]})
    assert content_hash(finding) == content_hash(replace(finding, details={"a": (1, 2)}))
    assert content_hash(finding) != content_hash(replace(finding, details={"a": [1, 3]}))


def test_a_mapping_changed_after_it_was_hashed_hashes_anew() -> None:
    details = {"a": 1}
    finding = Finding("1.", 1, details=details)
    before = content_hash(finding)
    details["a"] = 2
    assert content_hash(finding) != before


@dataclass
class Changing:
    number: int = 1


@dataclass(frozen=True)
class Holder:
    held: object


@pytest.mark.parametrize(
    "value",
    [
        object(),
        Changing(),
        Holder(Changing()),
        {1, 2},
        b"raw",
        print,
        DepthMap,
        np.array([object()]),
        [{"a": {1}}],
    ],
    ids=lambda value: type(value).__name__,
)
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="content: expected"):
        content_hash(value)


def test_the_hash_is_the_same_in_another_process() -> None:
    program = (
        "import numpy as np\n"
        "from spatial_agent.tools.content import content_hash\n"
        "from spatial_agent.tools.scene import DepthMap\n"
        "depth = DepthMap(np.arange(6, dtype=np.float32).reshape(2, 3))\n"
        "print(content_hash([{'b': 1.5, 'a': 'ü'}, depth]))\n"
    )
    # Python's own hashes of texts, and so the order of sets, differ with the seed.
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    here = content_hash([{"a": "ü", "b": 1.5}, DepthMap(np.arange(6, dtype=np.float32).reshape(2, 3))])
    assert outputs == {here}


def test_a_large_value_is_read_once_and_forgotten_with_it() -> None:
    before = len(content._digests._known)
    frame = picture(1080, 1920)
    content_hash(frame)
    started = time.perf_counter()
    for _ in range(100):
        content_hash(frame)
    assert (time.perf_counter() - started) / 100 < 0.001
    del frame
    gc.collect()
    assert len(content._digests._known) <= before


def test_the_size_of_a_value_is_that_of_its_arrays() -> None:
    boxes = Detections(np.zeros((2, 4)), np.zeros(2), ("a", "b"), np.zeros((2, 100, 200), np.bool_))
    assert 40_080 <= content_bytes(boxes) < 41_000
    assert content_bytes(SceneMap(())) < 1000
    assert content_bytes({"text": "x" * 5000}) >= 5000
