"""Registration: what a signature and a docstring become."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest

from spatial_agent.tools.binding import bind, resolve
from spatial_agent.tools.contract import Finding, Resources, ToolCall, Weights
from spatial_agent.tools.errors import ConfigurationError, ToolArgumentError, ToolUnavailableError
from spatial_agent.tools.registry import Registry, Tool, expert, skill, tool_of
from spatial_agent.tools.scene import DepthMap, Detections, Frame, FrameHeader, SceneMap


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


SMALL = Weights("small", "file:small", "Apache-2.0")
LARGE = Weights("large", "file:large", "MIT")


@expert("test.seen", "4", weights=[SMALL, LARGE], resources=Resources(threads=2), deterministic=False)
class Seen:
    """Not what planners read."""

    def __init__(self, weights: Path) -> None:
        self.weights = weights

    def load(self, device: str) -> None:
        pass

    def __call__(
        self,
        frame: Frame,
        others: tuple[Frame, ...],
        boxes: Detections | None = None,
        side: Literal["left", "right"] = "left",
    ) -> DepthMap:
        """See something.

        Args:
            frame: The picture.
            others: Further pictures.
            boxes: Where to look.
            side: Which side.
        """
        raise NotImplementedError

    def batch(self, calls: Sequence[Mapping[str, Any]]) -> list[DepthMap]:
        raise NotImplementedError


def test_a_class_is_described_by_its_call() -> None:
    tool = tool_of(Seen)

    assert (tool.spec.name, tool.spec.version, tool.spec.kind) == ("test.seen", "4", "expert")
    assert tool.spec.summary == "See something."
    assert tool.spec.returns == "DepthMap"
    assert tool.spec.weights == (SMALL, LARGE)
    assert (tool.spec.resources.threads, tool.spec.deterministic, tool.spec.idempotent) == (2, False, True)
    assert (tool.capability, tool.has_state, tool.batches) == ("test", True, True)
    assert not tool_of(reach).has_state


def test_references_may_be_many_or_left_out() -> None:
    spec = tool_of(Seen).spec
    properties = spec.parameters["properties"]

    assert spec.references == {"frame": "Frame", "others": "list of Frame", "boxes": "optional Detections"}
    assert spec.parameters["required"] == ["frame", "others"]
    assert properties["frame"]["type"] == "string"
    assert properties["others"] == {
        "type": "array",
        "items": {"type": "string", "pattern": properties["frame"]["pattern"]},
        "description": "Further pictures.",
    }
    assert properties["boxes"]["default"] is None
    assert properties["boxes"]["anyOf"][1] == {"type": "null"}
    assert properties["side"]["enum"] == ["left", "right"]


def call(**arguments: object) -> ToolCall:
    return ToolCall("c1", "test.seen", arguments)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"others": ["$frame/1"]}, "frame must be a reference such as '\\$scene', got None"),
        ({"frame": "frame/1", "others": ["$frame/1"]}, "got 'frame/1'"),
        ({"frame": "$frame/1", "others": "$frame/1"}, "others must be references such as"),
        ({"frame": "$frame/1", "others": []}, "others must be references such as"),
        ({"frame": "$frame/1", "others": ["$frame/1"], "boxes": 3}, "boxes must be a reference"),
        (
            {"frame": "$frame/1", "others": ["$frame/1"], "side": "up"},
            "side: Input should be 'left' or 'right'",
        ),
    ],
)
def test_wrong_references_are_named(arguments: dict[str, object], part: str) -> None:
    with pytest.raises(ToolArgumentError, match=part):
        bind(tool_of(Seen), call(**arguments))


def test_references_are_resolved_to_values_of_their_type() -> None:
    frame = Frame(FrameHeader(0, "0"))
    tool = tool_of(Seen)
    plain, referenced = bind(tool, call(frame="$frame/1", others=["$frame/1", "$frame/1"]))

    assert plain == {"side": "left"}
    assert resolve(tool, referenced, {"$frame/1": frame}.__getitem__) == {
        "frame": frame,
        "others": (frame, frame),
        "boxes": None,
    }
    with pytest.raises(ToolArgumentError, match=r"frame must be a Frame, \$frame/1 is a int"):
        resolve(tool, referenced, {"$frame/1": 3}.__getitem__)


def test_weights_are_found_by_name_and_the_first_are_the_default() -> None:
    tool = tool_of(Seen)

    assert tool.named_weights() == SMALL
    assert tool.named_weights("large") == LARGE
    with pytest.raises(ConfigurationError, match="no weights 'huge'; it declares small, large"):
        tool.named_weights("huge")
    with pytest.raises(ConfigurationError, match="it declares none"):
        tool_of(reach).named_weights()


def test_a_class_is_built_with_the_path_of_its_weights_only(tmp_path: Path) -> None:
    built = tool_of(Seen).build(tmp_path)

    assert isinstance(built, Seen)
    assert built.weights == tmp_path
    with pytest.raises(ConfigurationError, match="runs with weights"):
        tool_of(Seen).build()


def test_a_class_that_cannot_be_loaded_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="load is missing"):

        @expert("test.unloaded")
        class Unloaded:
            def __call__(self, of: str) -> str:
                """Return it."""
                return of


def test_two_distributions_that_claim_one_name_are_both_named() -> None:
    other = expert("test.seen")(type("Seen", (), {"load": Seen.load, "__call__": Seen.__call__}))
    other.__module__ = "somebody_elses.experts"
    registry = Registry()
    registry.add(Seen)

    with pytest.raises(ConfigurationError, match=r"test_registry and somebody_elses\.experts; rename one"):
        registry.add(other)


def point(value: str, name: str = "test.broken") -> metadata.EntryPoint:
    return metadata.EntryPoint(name, value, "spatial_agent.experts")


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installs entry points instead of all others: those of the built-in distribution, and a stranger's."""

    def install(built_in: Sequence[metadata.EntryPoint], strangers: Sequence[metadata.EntryPoint]) -> None:
        declared = {"spatial-reasoning-agent": built_in, "strangers-tools": strangers}
        every = [*built_in, *strangers]
        monkeypatch.setattr(metadata, "entry_points", lambda group: [p for p in every if p.group == group])
        monkeypatch.setattr(
            metadata, "distribution", lambda name: SimpleNamespace(entry_points=declared[name])
        )

    return install


@pytest.mark.parametrize("value", ["no_such_module_anywhere:tool", "spatial_agent.tools.scene:no_such_name"])
def test_an_entry_point_that_cannot_be_loaded_is_named(value: str, install: Callable[..., None]) -> None:
    install([point(value)], [])

    with pytest.raises(ConfigurationError, match=r"tool 'test\.broken' \(.*\) cannot be loaded"):
        Registry.from_entry_points()


COUNT = "spatial_agent.tools.skills.counting:count"
BREAKS = "antigravity:fly"


def test_nothing_of_a_distribution_that_is_not_trusted_is_imported(install: Callable[..., None]) -> None:
    install([point(COUNT, "count")], [point(BREAKS)])

    registry = Registry.from_entry_points()

    assert [*registry] == ["count"]
    assert [*registry.left_out] == ["test.broken (an unknown distribution)"]
    assert "antigravity" not in sys.modules
    with pytest.raises(ToolUnavailableError, match=r"not trusted.*SPATIAL_AGENT_TRUSTED_EXPERTS="):
        registry.get("test.broken")


def test_what_the_operator_trusts_is_loaded_as_if_built_in(install: Callable[..., None]) -> None:
    install([], [point(COUNT, "count")])

    registry = Registry.from_entry_points(trusted=["strangers-tools"])

    assert not registry.get("count").is_isolated
    assert registry.left_out == {}


def test_trusting_what_is_not_installed_is_a_mistake_that_is_told() -> None:
    with pytest.raises(ConfigurationError, match="'no-such-distribution' is not installed"):
        Registry.from_entry_points(trusted=["no-such-distribution"])


def test_a_stranger_cannot_take_the_name_of_another_tool(install: Callable[..., None]) -> None:
    install([point(COUNT, "count")], [point(BREAKS, "count"), point(BREAKS, "test.own")])
    own = replace(tool_of(reach), name="test.own")

    registry = Registry.from_entry_points(isolate=lambda point: own)

    assert tool_of(registry.get("count").target).name == "count"
    assert registry.get("test.own") is own
    assert "another tool's name" in registry.left_out["count (an unknown distribution)"]


def test_a_stranger_cannot_take_the_name_of_anothers_weights(install: Callable[..., None]) -> None:
    depth = "spatial_agent.tools.experts.depth_anything:DepthAnything"
    install([point(depth, "depth.depth_anything")], [point(BREAKS, "test.own")])
    taken = Registry.from_entry_points().get("depth.depth_anything").weights[0]
    own = replace(tool_of(Seen), name="test.own", weights=(replace(taken, source="hf:stranger/other"),))

    registry = Registry.from_entry_points(isolate=lambda point: own)

    assert "its weights" in registry.left_out["test.own (an unknown distribution)"]


def test_one_stranger_that_cannot_be_isolated_costs_nobody_else(install: Callable[..., None]) -> None:
    install([point(COUNT, "count")], [point(BREAKS, "test.own")])

    def isolate(point: metadata.EntryPoint) -> Tool:
        raise ConfigurationError("it cannot be found")

    registry = Registry.from_entry_points(isolate=isolate)

    assert [*registry] == ["count"]
    with pytest.raises(ToolUnavailableError, match="cannot be used: it cannot be found"):
        registry.get("test.own")


def test_a_name_like_no_other_gets_all_names() -> None:
    registry = Registry()
    registry.add(reach)
    registry.add(Seen)

    with pytest.raises(ToolUnavailableError, match=r"there are test\.reach, test\.seen"):
        registry.get("weather")


def test_every_installed_tool_has_a_json_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    registry = Registry.from_entry_points()

    for name in registry:
        jsonschema.Draft202012Validator.check_schema(registry.get(name).spec.parameters)
