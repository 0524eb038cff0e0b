"""Checks of what goes into a program and what it shows."""

from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from spatial_agent.sandbox.conformance.bench import Bench, expect, failed, still_usable
from spatial_agent.tools.contract import Finding
from spatial_agent.tools.errors import WireError
from spatial_agent.tools.scene import DepthMap, OrientedBox, SceneMap
from spatial_agent.tools.synthetic import SyntheticRoom

_PLAIN: Mapping[str, object] = {
    "none": None,
    "yes": True,
    "large": 2**63 - 1,
    "least": -(2**63),
    "half": 0.5,
    "tiny": 5e-324,
    "text": "caf\u00e9 \u6c99\u53d1 \U0001f6cb \x00 \u202e",
    "listed": [1, "a", None, [2.5, [False]], {"b": {"c": []}}],
    "paired": (1, (2, 3)),
    "named": {"a b": 1, "": 2, "tuple": [3], "__class__": "x", "array": {"dtype": "u1"}},
    "numbered": {1: "one", 2.5: "two and a half", None: 0, False: "no"},
}
_DTYPES = ("?", "i1", "u1", "<i2", "<u2", "<i4", "<i8", "<u8", "<f2", "<f4", "<f8")


async def plain_inputs(bench: Bench) -> None:
    """Plain values arrive equal, with their types."""
    for name, value in _PLAIN.items():
        got = await bench.answer("answer(repr(given))", {"given": value})
        expect(got == repr(value), f"{name} to arrive as {value!r}", got)
    got = await bench.answer("answer([repr(x) for x in given])", {"given": [float("nan"), float("inf")]})
    expect(got == ["nan", "inf"], "what is not finite to arrive", got)


async def array_inputs(bench: Bench) -> None:
    """Arrays arrive with dtype, shape and every element, wherever they stand."""
    arrays = {f"a{n}": _sample(dtype) for n, dtype in enumerate(_DTYPES)}
    arrays |= {
        "empty": np.zeros((0, 3)),
        "scalar": np.array(2.5),
        "strided": np.arange(24).reshape(4, 6)[::2, ::3],
    }
    arrays |= {
        "turned": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "swapped": np.arange(3, dtype=">i4"),
    }
    told = "[[x.dtype.str[1:], list(x.shape), x.tolist()] for x in %s]"
    expected = [[array.dtype.str[1:], list(array.shape), array.tolist()] for array in arrays.values()]
    got = await bench.told(told % f"[{', '.join(arrays)}]", arrays)
    expect(got == expected, "every array as it is here", got)
    nested = {"given": {"deep": [list(arrays.values())]}}
    got = await bench.told(told % "given['deep'][0]", nested)
    expect(got == expected, "every nested array as it is here", got)


def _sample(dtype: str) -> NDArray[np.generic]:
    values = np.random.default_rng(7).integers(0, 100, (2, 3))
    sample: NDArray[np.generic] = (values > 50 if dtype == "?" else values).astype(dtype)
    return sample


async def large_inputs(bench: Bench) -> None:
    """An array of several megabytes arrives whole."""
    array = np.random.default_rng(0).random(3 * 2**17)
    got = await bench.answer("answer([len(given), float(given.sum()), float(given[-1])])", {"given": array})
    expect(got == [len(array), float(array.sum()), float(array[-1])], "the whole array", got)


async def scene_inputs(bench: Bench) -> None:
    """Scene values arrive as what they are, with everything in them."""
    scene, depth = _scene(), DepthMap(np.array([[1.0, 0.1], [2.0, 3.0]], np.float32))
    told = """
[type(scene).__name__, [o.label for o in scene.objects], scene.objects[0].box.centre_m.tolist(),
    scene.objects[0].box.world_from_box.tolist(), scene.room.area_m2, len(scene.cameras),
    type(depth).__name__,
    depth.z_m.tolist(), found[0].value, found[0].details["of"][1]]
"""
    finding = Finding("Two metres.", 2.0, "m", 1.5, 2.5, details={"of": [1, 2]})
    got = await bench.told(told.strip(), {"scene": scene, "depth": depth, "found": [finding]})
    lamp = scene.objects[0]
    assert scene.room is not None
    expected = [
        "SceneMap",
        [item.label for item in scene.objects],
        lamp.box.centre_m.tolist(),
        lamp.box.world_from_box.tolist(),
        scene.room.area_m2,
        len(scene.cameras),
        "DepthMap",
        depth.z_m.tolist(),
        2.0,
        2,
    ]
    expect(got == expected, f"the scene as it is here, {expected!r}", got)


async def scene_operators(bench: Bench) -> None:
    """The geometry operators work on scene values inside as they do outside."""
    boxes = [OrientedBox(np.array([x_m, 0.0, 0.0]), np.ones(3), np.eye(3)) for x_m in (0.0, 5.0)]
    program = "from spatial_agent.tools.geometry.distance import box_distance\nanswer(box_distance(a, b))"
    got = await bench.answer(program, {"a": boxes[0], "b": boxes[1]})
    expect(abs(got - 4.0) < 1e-9, "4 m between two boxes", got)


@cache
def _scene() -> SceneMap:
    return SyntheticRoom.example().scene_map()


async def untouched_inputs(bench: Bench) -> None:
    """Whatever a program does to its inputs, nobody else sees."""
    scene, array, listed = _scene(), np.arange(6.0), [1, 2]
    inputs = {"scene": scene, "array": array, "listed": listed, "named": {"a": array}}
    centre_m = scene.objects[0].box.centre_m.copy()
    for _ in range(2):
        got = await bench.told("seen", inputs, before=_VANDAL)
        expect(got == [15.0, 2, centre_m.tolist()], "inputs as they are here", got)
    same = np.array_equal(array, np.arange(6.0)) and listed == [1, 2]
    same = same and np.array_equal(scene.objects[0].box.centre_m, centre_m) and array.flags.writeable
    expect(same, "the caller's own values as they were", (array, listed))


_VANDAL = """
centre_m = scene.objects[0].box.centre_m
seen = [float(array.sum()), len(listed), centre_m.tolist()]
def attempt(change):
    try:
        change()
    except Exception:
        pass
attempt(lambda: array.setflags(write=True))
attempt(lambda: array.__setitem__(0, 99.0))
attempt(lambda: named["a"].fill(7))
attempt(lambda: listed.append(3))
attempt(lambda: centre_m.fill(7))
attempt(lambda: object.__setattr__(scene, "objects", ()))
"""


async def refused_inputs(bench: Bench) -> None:
    """What cannot be sent is said at once, to whoever opens the session."""
    for value in (object(), {1, 2}, b"bytes", 1j, 2**64, "\ud800", np.array([object()]), [[lambda: 1]]):
        try:
            session = bench.session({"given": value})
        except WireError as error:
            expect(bool(str(error).strip()), "an error with a message", error)
            continue
        await session.close()
        expect(False, f"WireError for the input {value!r}", "a session")


async def pictures(bench: Bench) -> None:
    """Pictures that are shown come out as they were, in order, and cannot be written to."""
    program = """
import numpy as np
first = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
show(first, "the first")
show(first[::2, ::-1])
"""
    result = await bench.run(program)
    expect(result.error is None and len(result.images) == 2, "two pictures", result)
    first = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    for shown, rgb in zip(result.images, (first, first[::2, ::-1]), strict=True):
        right = shown.rgb.dtype == np.uint8 and np.array_equal(shown.rgb, rgb)
        expect(right, f"a picture of shape {rgb.shape}", shown)
        expect(not shown.rgb.flags.writeable, "read-only pixels", shown.rgb.flags)
    expect(result.images[0].caption == "the first", "its caption", result.images[0].caption)


async def no_pictures(bench: Bench) -> None:
    """What is no picture is the program's error, not a picture."""
    async with bench.session() as session:
        await session.run("import numpy as np")
        for value in (
            "'a.png'",
            "np.full((2, 2), 7.0)",
            "np.zeros((0, 3, 3), np.uint8)",
            "np.array([object()])",
        ):
            result = await session.run(f"show({value})")
            expect(failed(result).kind == "exception", f"an exception for show({value})", result)
            expect(result.images == (), f"no picture from show({value})", result)
            await still_usable(session)
