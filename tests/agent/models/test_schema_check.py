"""Documents against schemas, with the standard's meaning of each word."""

import pytest

from spatial_agent.agent.models.schema_check import schema_problem

POINT = {
    "type": "object",
    "properties": {"x": {"type": "number", "minimum": 0, "maximum": 9}, "unit": {"enum": ["m", "cm"]}},
    "required": ["x"],
    "additionalProperties": False,
}
PATH = {
    "$defs": {"point": POINT},
    "type": "object",
    "properties": {
        "points": {"type": "array", "items": {"$ref": "#/$defs/point"}, "minItems": 1, "maxItems": 2},
        "name": {"type": ["string", "null"]},
        "count": {"type": "integer"},
        "kind": {"const": "path"},
        "end": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/point"}]},
    },
}


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"points": [{"x": 1.5, "unit": "m"}, {"x": 0}], "name": None, "count": 3, "kind": "path"},
        {"count": 3.0, "end": "door", "other": object},
        {"end": {"x": 1}},
    ],
)
def test_what_fits_has_no_problem(document: object) -> None:
    assert schema_problem(document, PATH) is None


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ([], "the document: expected object, got []"),
        ({"points": []}, "points: expected at least 1 items, got 0"),
        ({"points": [{"x": 1}] * 3}, "points: expected at most 2 items, got 3"),
        ({"points": [{"unit": "m"}]}, "points[0]: x missing, got ['unit']"),
        ({"points": [{"x": 1}, {"x": 10}]}, "points[1].x: expected at most 9, got 10"),
        ({"points": [{"x": -1}]}, "points[0].x: expected at least 0, got -1"),
        ({"points": [{"x": 1, "unit": "mile"}]}, "points[0].unit: expected one of 'm', 'cm', got 'mile'"),
        ({"points": [{"x": 1, "y": 1}]}, "points[0].y: unknown; known are x, unit"),
        ({"points": [{"x": True}]}, "points[0].x: expected number, got True"),
        ({"name": 3}, "name: expected string or null, got 3"),
        ({"count": 2.5}, "count: expected integer, got 2.5"),
        ({"count": float("inf")}, "count: expected integer, got inf"),
        ({"kind": "line"}, "kind: expected one of 'path', got 'line'"),
        ({"end": 3}, "end: expected string, got 3"),
    ],
)
def test_what_does_not_fit_is_named(document: object, problem: str) -> None:
    assert schema_problem(document, PATH) == problem
