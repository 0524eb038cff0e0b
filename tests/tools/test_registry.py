"""Registration: what a signature and a docstring become."""

import pytest

from spatial_agent.tools.contract import Finding
from spatial_agent.tools.errors import ConfigurationError, ToolArgumentError, ToolUnavailableError
from spatial_agent.tools.registry import Registry, expert, skill, tool_of
from spatial_agent.tools.scene import SceneMap


@skill("test.reach", version="3")
def reach(scene: SceneMap, of: str, limit_m: float = 2.0) -> Finding:
    """Find what is in reach.

    Args:
        scene: The scene.
        of: The object that
            reaches.
        limit_m: How far, metres.
    """
    return Finding(f"{of} reaches {limit_m} m", limit_m, "m")


def test_the_schema_says_what_the_signature_says() -> None:
    spec = tool_of(reach).spec

    assert (spec.name, spec.version, spec.kind) == ("test.reach", "3", "skill")
    assert spec.summary == "Find what is in reach."
    assert spec.references == {"scene": "SceneMap"}
    assert spec.parameters["required"] == ["of", "scene"]
    assert spec.parameters["properties"]["limit_m"] == {
        "default": 2.0,
        "description": "How far, metres.",
        "type": "number",
    }
    assert spec.parameters["additionalProperties"] is False


def test_argument_texts_join_continued_lines() -> None:
    assert tool_of(reach).spec.parameters["properties"]["of"]["description"] == "The object that reaches."


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"of": 3}, "of: Input should be a valid string"),
        ({}, "of: Field required"),
        ({"of": "sofa", "far": 1}, "far: Extra inputs"),
        ({"of": "sofa", "limit_m": "2"}, "limit_m: Input should be a valid number"),
    ],
)
def test_wrong_arguments_name_the_argument_and_what_is_taken(arguments: dict[str, object], part: str) -> None:
    with pytest.raises(ToolArgumentError, match="it takes of, limit_m") as error:
        tool_of(reach).arguments(arguments)

    assert part in str(error.value)


def test_an_unknown_name_gets_the_nearest_ones() -> None:
    registry = Registry()
    registry.add(reach)

    with pytest.raises(ToolUnavailableError, match="did you mean 'test.reach'"):
        registry.get("test.raech")


def test_two_functions_cannot_share_a_name() -> None:
    @expert("test.reach")
    def other(of: str) -> str:
        """Return it."""
        return of

    registry = Registry()
    registry.add(reach)
    registry.add(reach)

    with pytest.raises(ConfigurationError, match="two tools are called 'test.reach'"):
        registry.add(other)


def test_a_frozen_registry_takes_nothing_more() -> None:
    with pytest.raises(ConfigurationError, match="frozen"):
        Registry().freeze().add(reach)


def test_a_function_that_was_not_declared_is_refused() -> None:
    def plain(of: str) -> str:
        return of

    with pytest.raises(ConfigurationError, match="decorate it"):
        Registry().add(plain)


def test_a_tool_without_a_docstring_is_refused() -> None:
    @skill("test.silent")
    def silent(of: str) -> str:
        return of

    with pytest.raises(ConfigurationError, match="docstring"):
        _ = tool_of(silent).spec


def test_every_built_in_tool_is_registered_and_documents_each_argument() -> None:
    registry = Registry.from_entry_points()

    assert {"distance", "count", "size", "room", "nearest", "direction", "order", "route"} <= set(registry)
    for name in registry:
        spec = registry.get(name).spec
        for argument, schema in spec.parameters["properties"].items():
            assert schema.get("description") or argument in spec.references, f"{name}: {argument} has no text"
