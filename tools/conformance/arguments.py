"""Plain arguments made from a tool's JSON schema: ordinary ones, hostile ones, and wrong ones."""

import math
from collections.abc import Collection, Iterator, Mapping
from itertools import cycle
from typing import Any

from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import ToolArgumentError
from spatial_agent.tools.registry import Tool

UNIT_ENDINGS = ("_m", "_m2", "_m3", "_px", "_rad", "_deg", "_s", "_gb", "_hz", "_k")
#: Bare numbers that have no unit, as whole names or as the last word of one.
DIMENSIONLESS = frozenset(
    {"confidence", "count", "end", "factor", "fraction", "frame", "index", "iou", "least", "most", "ratio"}
    | {"scale", "score", "seed", "share", "start", "threshold", "zoom"}
)
JSON_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
#: Things of which the synthetic living room has one each.
WORDS = ("sofa", "table", "tv", "bookshelf", "lamp")
#: What names that this project gives a fixed meaning stand for, inside the room's smallest picture.
NAMED: Mapping[str, Json] = {"xyxy_px": [20.0, 20.0, 100.0, 80.0], "xy_px": [60.0, 40.0]}
HOSTILE: Mapping[str, tuple[Json, ...]] = {
    "number": (math.nan, math.inf, -math.inf, 0.0, -1.0, 1e308, 5e-324),
    "integer": (0, -1, 2**63, -(2**63)),
    "string": ("", " \t\n", "\u6c99\u53d1 \u202e\x00 \U0001f6cb", "x" * 10_000, "$scene", "'; --"),
    "boolean": (True, False),
    "null": (None,),
    "object": ({},),
}
SAMPLES: Mapping[str, Json] = {
    "number": 1.0,
    "integer": 1,
    "boolean": True,
    "null": None,
    "object": {},
}


def sample_arguments(tool: Tool) -> dict[str, Json]:
    """Return an ordinary value for every plain argument that has no default."""
    schema = tool.spec.parameters
    required = [name for name in schema.get("required", ()) if name not in tool.references]
    words = cycle(WORDS)
    return {
        name: NAMED.get(name) or _sample(_resolved(schema["properties"][name], schema), words)
        for name in required
    }


def hostile_arguments(tool: Tool) -> Iterator[tuple[str, Json]]:
    """Yield name and value of plain arguments that fit the schema and still ask for trouble."""
    schema = tool.spec.parameters
    for name, given in schema["properties"].items():
        if name not in tool.references:
            for value in _hostile(_resolved(given, schema)):
                yield name, value


def wrong_arguments(tool: Tool, ordinary: Mapping[str, Json]) -> Iterator[tuple[str, Mapping[str, Json]]]:
    """Yield plain arguments that do not fit the schema, and what is wrong with them."""
    yield "an unknown argument", {**ordinary, "no_such_argument": 1}
    for name in sample_arguments(tool):
        yield f"no {name}", {key: value for key, value in ordinary.items() if key != name}
    for name in tool.spec.parameters["properties"]:
        if name not in tool.references:
            # No JSON argument is of this type, so nothing that is checked at all lets it pass.
            yield f"{name} of a type that JSON has not", {**ordinary, name: object()}


def is_refused(tool: Tool, arguments: Mapping[str, Json]) -> bool:
    """Whether a tool's signature refuses arguments the way planners understand."""
    try:
        tool.arguments(arguments)
    except ToolArgumentError:
        return True
    return False


def schema_faults(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield what keeps a parameter schema from being plain JSON Schema of an object."""
    if schema.get("type") != "object":
        yield f"expected type 'object', got {schema.get('type')!r}"
    properties = schema.get("properties", {})
    yield from (
        f"requires {name}, which it does not have" for name in set(schema.get("required", ())) - {*properties}
    )
    for name, given in properties.items():
        yield from (f"{name}: {fault}" for fault in _part_faults(given, schema))


def numbers_without_unit(tool: Tool, dimensionless: Collection[str] = ()) -> list[str]:
    """Return the numeric arguments whose name carries no unit and that are not known to have none."""
    schema = tool.spec.parameters
    known = DIMENSIONLESS | {*dimensionless}
    return [
        name
        for name, given in schema["properties"].items()
        if name not in tool.references
        and _is_numeric(_resolved(given, schema), schema)
        and not name.endswith(UNIT_ENDINGS)
        and not {name, name.rpartition("_")[2]} & known
    ]


def _resolved(given: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a part of a schema without references to other parts."""
    if "$ref" in given:
        given = schema["$defs"][given["$ref"].rpartition("/")[2]]
    whole = dict(given)
    for key in ("anyOf", "prefixItems"):
        if key in whole:
            whole[key] = [_resolved(option, schema) for option in whole[key]]
    if isinstance(whole.get("items"), dict):
        whole["items"] = _resolved(whole["items"], schema)
    return whole


def _sample(given: Mapping[str, Any], words: Iterator[str]) -> Json:
    if "default" in given or "const" in given:
        return given.get("default", given.get("const"))
    if "enum" in given:
        return given["enum"][0]
    if "anyOf" in given:
        return _sample(given["anyOf"][0], words)
    kind = given.get("type", "string")
    if kind == "array":
        items = given.get("prefixItems") or [given.get("items", {})] * max(2, given.get("minItems", 0))
        return [_sample(item, words) for item in items]
    if kind == "string":
        return next(words)
    if kind in ("number", "integer"):
        return min(max(SAMPLES[kind], given.get("minimum", 1)), given.get("maximum", 1))
    return SAMPLES[kind]


def _hostile(given: Mapping[str, Any]) -> Iterator[Json]:
    if "anyOf" in given:
        for option in given["anyOf"]:
            yield from _hostile(option)
    elif "enum" in given:
        yield from given["enum"]
    elif given.get("type") == "array":
        sample = _sample(given, cycle(WORDS))
        yield from ([], sample * 500)
        yield from ([*sample[:-1], bad] for bad in _hostile(given.get("items", {})))
    else:
        yield from HOSTILE.get(given.get("type", "string"), ())


def _part_faults(given: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    reference = given.get("$ref")
    if reference is not None and reference.rpartition("/")[2] not in schema.get("$defs", {}):
        yield f"refers to {reference}, which is not there"
    elif not {"$ref", "anyOf", "enum", "const", "type"} & {*given}:
        yield "accepts anything: give it a type"
    elif given.get("type", "object") not in JSON_TYPES:
        yield f"JSON Schema has no type {given['type']!r}"
    options = [*given.get("anyOf", ()), *given.get("prefixItems", ())]
    if isinstance(given.get("items"), dict):
        options.append(given["items"])
    for option in options:
        yield from _part_faults(option, schema)


def _is_numeric(given: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    if given.get("type") in ("number", "integer"):
        return True
    options = [*given.get("anyOf", ()), *given.get("prefixItems", ())]
    if isinstance(given.get("items"), dict):
        options.append(given["items"])
    return any(_is_numeric(option, schema) for option in options)
