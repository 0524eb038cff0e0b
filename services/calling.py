"""Calls of single experts and skills from outside: plain JSON in; words, numbers and pictures out.

What stands for the scene and its frames are the references ``"$scene"`` and ``"$frame/3"``. Where a tool
takes what another one measures, the call of that other one stands in its place, as ``{"tool": ...,
"arguments": {...}}``. A reference into another run, a file or an address means nothing here.
"""

import re
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from PIL import Image

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.agent.evidence import to_json
from spatial_agent.agent.state import LoadedScene, Source
from spatial_agent.prompts.hints import hint
from spatial_agent.services.model_store import ModelStore
from spatial_agent.services.settings import Settings
from spatial_agent.services.tools_here import installed_tools
from spatial_agent.services.weights_here import WeightsHere
from spatial_agent.tools.call_json import plain_json
from spatial_agent.tools.contract import Json, ToolCall, ToolResult, ToolRunner
from spatial_agent.tools.errors import ToolArgumentError, ToolUnavailableError
from spatial_agent.tools.progress import Progress, listening
from spatial_agent.tools.registry import Reference, Registry, Tool
from spatial_agent.tools.scene import Detections, Frame, Measurement, Picture, SceneMap

#: References that a call from outside may hold.
REFERENCE = re.compile(r"\$(?:scene|frame/[0-9]{1,9})")
#: Calls within one call, itself counted, and how deep they may lie in one another.
MOST_CALLS, MOST_DEEP = 16, 4
#: Names of arguments whose text would be a file or an address.
_FILES = re.compile(
    r"(?:^|_)(?:path|paths|file|files|filename|filenames|folder|folders|dir|directory|url|urls|uri|uris)$"
)
_FILE_FORMATS = frozenset({"path", "file-path", "directory-path", "uri", "uri-reference", "iri"})
#: The type of whole recordings, which are kept under no reference.
_RECORDING = "FrameSet"
#: What calls are about that name no scene: always the same, so that it takes one place among those known.
_NO_SCENE = SceneMap(())


@dataclass(frozen=True, eq=False)
class ToolOutcome:
    """What came of a call.

    Attributes:
        text: What came of it in words, with units and margins.
        value: Its value, where that is plain JSON or a few numbers; else None.
        evidence: What a skill found out, as the JSON that answers carry.
        pictures: What it drew.
        seconds: Wall time of the call, without that of measuring the scene.
    """

    text: str
    value: Json
    evidence: tuple[Mapping[str, Json], ...]
    pictures: tuple[Image.Image, ...]
    seconds: float


@dataclass(frozen=True)
class CallableTools:
    """The installed tools as those outside may call them.

    Attributes:
        registry: The installed tools.
        weights: The weights of this machine.
    """

    registry: Registry
    weights: WeightsHere

    @classmethod
    def of(cls, settings: Settings) -> "CallableTools":
        """Return the tools of an installation."""
        return cls(installed_tools(settings), WeightsHere(ModelStore.of(settings)))

    def get(self, name: str) -> Tool:
        """Return a tool that may be called.

        Raises:
            ToolUnavailableError: If there is none of that name, or it cannot be called from outside.
        """
        tool = self.registry.get(name)
        reason = refusal(tool)
        if reason is not None:
            raise ToolUnavailableError(f"{name} cannot be called from outside: {reason}")
        return tool

    def is_available(self, tool: Tool) -> bool:
        """Return whether a tool may be called and its weights, if any, are here."""
        has_weights = not tool.weights or any(map(self.weights.has, tool.weights))
        return refusal(tool) is None and has_weights

    def needs(self, tool: Tool) -> tuple[str, ...]:
        """Return in words what a tool needs: weights with their licences, or why nobody may call it."""
        reason = refusal(tool)
        weights = [f"{item.name} ({item.licence})" for item in tool.weights]
        return (*weights, *([f"not from outside: {reason}"] if reason else []))


def refusal(tool: Tool) -> str | None:
    """Return why a tool cannot be called from outside; None where it can."""
    if any(reference.type_name == _RECORDING for reference in tool.references.values()):
        return "it takes a whole recording, for which no reference stands"
    if tool.is_isolated:  # what it names it cannot open
        return None
    files = [name for name, schema in _plain_parameters(tool).items() if _names_files(name, schema)]
    if files:
        return f"its argument {', '.join(files)} could name a file or an address"
    return None


def call_schema(tool: Tool) -> dict[str, Json]:
    """Return the JSON schema of a tool's arguments in a call from outside."""
    schema = dict(tool.spec.parameters)
    properties = dict(schema.get("properties", {}))
    for name, reference in tool.references.items():
        text = properties[name].get("description")
        properties[name] = _reference_schema(reference) | ({"description": text} if text else {})
    filled = {name for name, reference in tool.references.items() if _is_the_scene(name, reference)}
    required = [name for name in schema.get("required", []) if name not in filled]
    schema |= {"type": "object", "properties": properties, "additionalProperties": False}
    schema.pop("required", None)
    return schema | ({"required": required} if required else {})


async def call_tool(
    agent: SpatialAgent,
    source: Source | None,
    tool: str,
    arguments: Mapping[str, Json],
    *,
    tools: CallableTools,
    progress: Progress | None = None,
) -> ToolOutcome:
    """Call one expert or skill; cancelling stops it.

    Args:
        agent: Runs it.
        source: What ``$scene`` and ``$frame/N`` are of; None for a tool that needs neither.
        tool: Name of the tool.
        arguments: Plain JSON; ``scene`` may be left out.
        tools: The tools that may be called.
        progress: Hears from threads how far the measuring is.

    Raises:
        ToolError: If there is no such tool, its arguments are wrong, or it failed.
        SourceError: If the source cannot be read.
        BudgetExceededError: If it takes longer than a whole question may.
    """
    tools.get(tool)

    async def work(runner: ToolRunner, _: LoadedScene) -> ToolOutcome:
        calls = _Calls(runner, tools, has_scene=source is not None)
        started = time.perf_counter()
        result = await calls.run(tool, arguments)
        return _outcome(runner, result, time.perf_counter() - started)

    with nullcontext() if progress is None else listening(progress):
        return await agent.awork(_NO_SCENE if source is None else source, work)


class _Calls:
    """The calls that one call from outside amounts to."""

    def __init__(self, runner: ToolRunner, tools: CallableTools, *, has_scene: bool) -> None:
        self._runner = runner
        self._tools = tools
        self._has_scene = has_scene
        self._made = 0

    async def run(self, name: str, arguments: Mapping[str, Json], deep: int = 1) -> ToolResult:
        """Run a call after those within it; raise the error of whichever fails."""
        tool = self._tools.get(name)
        self._made += 1
        if self._made > MOST_CALLS or deep > MOST_DEEP:
            raise ToolArgumentError(
                f"{name}: expected at most {MOST_CALLS} calls, {MOST_DEEP} deep, got more; call them singly"
            )
        number = self._made
        given = {
            argument: await self._referenced(tool, argument, value, deep)
            if argument in tool.references
            else value
            for argument, value in (self._defaults(tool) | dict(arguments)).items()
        }
        result = await self._runner.call(ToolCall(f"c{number}", tool.name, given))
        if result.error is not None:
            raise result.error
        return result

    def _defaults(self, tool: Tool) -> dict[str, Json]:
        known = tool.references.items() if self._has_scene else ()
        return {name: "$scene" for name, reference in known if _is_the_scene(name, reference)}

    async def _referenced(self, tool: Tool, name: str, given: Json, deep: int) -> Json:
        """Return what stands in the runner for an argument that is passed by reference."""
        if given is None:
            return None
        if isinstance(given, list):
            return [await self._referenced(tool, name, item, deep) for item in given]
        if isinstance(given, Mapping):
            return await self._measured(tool, name, given, deep)
        if not isinstance(given, str) or not REFERENCE.fullmatch(given):
            raise ToolArgumentError(
                f'{tool.name}: {name} must be "$scene", "$frame/N" or a call such as '
                f'{{"tool": "depth.sensor", "arguments": {{"frame": "$frame/0"}}}}, got {given!r:.80}'
            )
        if not self._has_scene:
            raise ToolArgumentError(f"{tool.name}: {name} is {given}, and the call names no scene; name one")
        return given

    async def _measured(self, tool: Tool, name: str, call: Mapping[str, Json], deep: int) -> str:
        inner, arguments = call.get("tool"), call.get("arguments", {})
        unknown = sorted(set(call) - {"tool", "arguments"})
        if not isinstance(inner, str) or not isinstance(arguments, Mapping) or unknown:
            raise ToolArgumentError(
                f'{tool.name}: {name} must be a call with "tool" and "arguments", got {dict(call)!r:.80}'
            )
        try:
            self._tools.get(inner)
        except ToolUnavailableError as error:
            # To whoever calls, it is the argument that is wrong; the tool itself is there.
            raise ToolArgumentError(f"{tool.name}: {name}: {error}") from error
        result = await self.run(inner, arguments, deep + 1)
        if result.handle is None:
            raise ToolArgumentError(
                f"{tool.name}: {name} must be a {tool.references[name].type_name}, {inner} gives a finding"
            )
        return result.handle


def _outcome(runner: ToolRunner, result: ToolResult, seconds: float) -> ToolOutcome:
    evidence = tuple(to_json(item) for item in result.evidence)
    value = None if result.handle is None else runner.value(result.handle)
    told = hint(value, result.handle and "result", result)
    plain = evidence[0]["value"] if evidence else _plain_value(value)
    return ToolOutcome(told.text, plain, evidence, _pictures(value), seconds)


def _plain_value(value: object) -> Json:
    """Return a value as plain JSON, or None where it is too much for that."""
    if isinstance(value, Detections):
        boxes = zip(value.labels, value.scores.tolist(), value.xyxy_px.tolist(), strict=True)
        return [{"label": label, "score": score, "xyxy_px": xyxy_px} for label, score, xyxy_px in boxes]
    if isinstance(value, Measurement):
        return {"value": value.value, "unit": value.unit, "low": value.low, "high": value.high}
    try:
        return plain_json(value)
    except TypeError:
        return None


def _pictures(value: object) -> tuple[Image.Image, ...]:
    rgb = value.rgb if isinstance(value, Picture | Frame) else None
    return () if rgb is None else (Image.fromarray(rgb),)


def _is_the_scene(name: str, reference: Reference) -> bool:
    """Return whether an argument is the scene of the call where nothing else is said."""
    return name == "scene" and reference.type_name == "SceneMap" and not reference.optional


def _reference_schema(reference: Reference) -> dict[str, Json]:
    call = {
        "type": "object",
        "description": f"A call whose result is a {reference.type_name}.",
        "properties": {"tool": {"type": "string"}, "arguments": {"type": "object"}},
        "required": ["tool"],
        "additionalProperties": False,
    }
    ways: list[dict[str, Json]] = [call]
    if reference.type_name in _PATTERNS:
        ways.insert(0, {"type": "string", "pattern": _PATTERNS[reference.type_name]})
    one: dict[str, Json] = {"anyOf": ways}
    if reference.many:
        one = {"type": "array", "items": one, "minItems": 1}
    return {"anyOf": [one, {"type": "null"}], "default": None} if reference.optional else one


_PATTERNS = {"SceneMap": r"^\$scene$", "Frame": r"^\$frame/[0-9]{1,9}$"}


def _plain_parameters(tool: Tool) -> dict[str, Mapping[str, Any]]:
    properties = tool.spec.parameters.get("properties", {})
    return {name: schema for name, schema in properties.items() if name not in tool.references}


def _names_files(name: str, schema: Mapping[str, Any]) -> bool:
    kinds = [schema, schema.get("items", {}), *schema.get("anyOf", [])]
    kinds += [kind.get("items", {}) for kind in schema.get("anyOf", [])]
    if any(kind.get("format") in _FILE_FORMATS for kind in kinds):
        return True
    return bool(_FILES.search(name)) and any(kind.get("type") == "string" for kind in kinds)
