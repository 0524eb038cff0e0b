"""Whether a document fits a JSON schema, said so that a model can correct it.

Of JSON Schema this knows what tools and documents of this package use: ``type`` (one or several), ``enum``,
``const``, ``properties``, ``required``, ``additionalProperties``, ``items``, ``minItems``, ``maxItems``,
``minimum``, ``maximum``, ``anyOf`` and ``$ref`` into ``$defs``. What it does not know it lets pass.
"""

from collections.abc import Callable, Mapping
from typing import Any

from spatial_agent.tools.contract import Json

Schema = Mapping[str, Json]

_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, Mapping),
    "array": lambda value: isinstance(value, list | tuple),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: (
        not isinstance(value, bool)
        and (isinstance(value, int) or (isinstance(value, float) and value % 1 == 0))
    ),
}
_SHOWN = 60


def schema_problem(document: Json, schema: Schema) -> str | None:
    """Return the first thing in which a document does not fit a schema; None where it fits.

    >>> schema_problem({"unit": "mile"}, {"properties": {"unit": {"enum": ["m", "cm"]}}})
    "unit: expected one of 'm', 'cm', got 'mile'"
    """
    return _problem(document, schema, "", schema)


def _problem(value: Json, schema: Schema, where: str, root: Schema) -> str | None:
    schema = _resolved(schema, root)
    if "anyOf" in schema:
        problems = [_problem(value, option, where, root) for option in schema["anyOf"]]
        if all(problems):
            return problems[0]
    for check in (_type, _choice, _range):
        if expected := check(value, schema):
            return f"{where or 'the document'}: expected {expected}, got {_shown(value)}"
    if isinstance(value, Mapping):
        return _in_object(value, schema, where, root)
    return _in_array(value, schema, where, root) if isinstance(value, list | tuple) else None


def _resolved(schema: Schema, root: Schema) -> Schema:
    reference = str(schema.get("$ref", ""))
    name = reference.removeprefix("#/$defs/")
    found: Schema = root.get("$defs", {}).get(name, {}) if reference else schema
    return found


def _type(value: Json, schema: Schema) -> str | None:
    kinds = schema.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    known = [kind for kind in kinds if kind in _TYPES]
    return None if not known or any(_TYPES[kind](value) for kind in known) else " or ".join(known)


def _choice(value: Json, schema: Schema) -> str | None:
    choices = [schema["const"]] if "const" in schema else schema.get("enum")
    if choices is None or value in choices:
        return None
    return "one of " + ", ".join(repr(choice) for choice in choices)


def _range(value: Json, schema: Schema) -> str | None:
    if not _TYPES["number"](value):
        return None
    if "minimum" in schema and value < schema["minimum"]:
        return f"at least {schema['minimum']}"
    return f"at most {schema['maximum']}" if "maximum" in schema and value > schema["maximum"] else None


def _in_object(value: Mapping[str, Json], schema: Schema, where: str, root: Schema) -> str | None:
    properties: Mapping[str, Schema] = schema.get("properties", {})
    missing = [name for name in schema.get("required", ()) if name not in value]
    if missing:
        return f"{where or 'the document'}: {', '.join(missing)} missing, got {_shown(sorted(value))}"
    others = schema.get("additionalProperties", True)
    for name, item in value.items():
        inside = f"{where}.{name}" if where else str(name)
        if name not in properties and others is False:
            return f"{inside}: unknown; known are {', '.join(properties)}"
        rule: Json = properties.get(name, others)
        problem = _problem(item, rule, inside, root) if isinstance(rule, Mapping) else None
        if problem:
            return problem
    return None


def _in_array(value: "list[Json] | tuple[Json, ...]", schema: Schema, where: str, root: Schema) -> str | None:
    if len(value) < schema.get("minItems", 0):
        return f"{where or 'the document'}: expected at least {schema['minItems']} items, got {len(value)}"
    if len(value) > schema.get("maxItems", len(value)):
        return f"{where or 'the document'}: expected at most {schema['maxItems']} items, got {len(value)}"
    rule: Schema = schema.get("items", {})
    problems = (_problem(item, rule, f"{where}[{place}]", root) for place, item in enumerate(value))
    return next((problem for problem in problems if problem), None)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
