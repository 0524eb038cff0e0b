"""What the MCP server offers: its own three tools, and every expert that can be called here."""

from collections.abc import Iterable, Mapping
from typing import Any

from mcp_types import Tool, ToolAnnotations

from spatial_agent.services.calling import CallableTools, call_schema
from spatial_agent.services.mcp_server.inputs import SOURCE_TEXT, AskInput, BuildSceneInput, MeasureInput
from spatial_agent.services.mcp_server.replies import answer_schema, outcome_schema, scene_schema
from spatial_agent.tools import registry
from spatial_agent.tools.contract import Json

ASK, BUILD_SCENE, MEASURE = "ask", "build_scene", "measure"
OWN = (ASK, BUILD_SCENE, MEASURE)
#: The argument that every expert gets: what ``$scene`` and ``$frame/N`` are of.
SOURCE = "source"
_LOOKS_ONLY = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)


def offered_name(tool: registry.Tool) -> str:
    """Return what clients call an expert: many take no dots in names.

    A dash stands for the dot; no registered name has one, so that both ways are unambiguous.
    """
    return tool.name.replace(".", "-")


def offered_experts(tools: CallableTools) -> dict[str, registry.Tool]:
    """Return the experts that can be called here, by what clients call them."""
    installed = [tools.registry.get(name) for name in tools.registry]
    experts = [tool for tool in installed if tool.kind == "expert" and tools.is_available(tool)]
    named = {offered_name(tool): tool for tool in experts if SOURCE not in tool.spec.parameters["properties"]}
    return {name: tool for name, tool in named.items() if name not in OWN}


def offered_skills(tools: CallableTools) -> dict[str, registry.Tool]:
    """Return the skills that ``measure`` does, by name."""
    installed = [tools.registry.get(name) for name in tools.registry]
    return {tool.name: tool for tool in installed if tool.kind == "skill" and tools.is_available(tool)}


def offers(tools: CallableTools) -> list[Tool]:
    """Return every tool as clients list it."""
    own = [_ask(), _build_scene(), _measure(offered_skills(tools).values())]
    return own + [_expert(name, tool) for name, tool in offered_experts(tools).items()]


def _ask() -> Tool:
    return Tool(
        name=ASK,
        title="Ask about a room",
        description="Answer a question about a room from what is measured in it: distances, sizes, "
        "directions, counts, orders, routes. The answer has a unit, a 90 % margin and its evidence; where "
        "nothing can be measured it says so instead of guessing.",
        input_schema=AskInput.model_json_schema(),
        output_schema=answer_schema(),
        annotations=ToolAnnotations(read_only_hint=True, idempotent_hint=True),
    )


def _build_scene() -> Tool:
    return Tool(
        name=BUILD_SCENE,
        title="Measure a scene",
        description="Measure a scan, video or picture once, and list its objects with sizes and places in "
        "metres. Needed by no other tool, which measure what is not measured yet.",
        input_schema=BuildSceneInput.model_json_schema(),
        output_schema=scene_schema(),
        annotations=_LOOKS_ONLY,
    )


def _measure(skills: Iterable[registry.Tool]) -> Tool:
    known = {tool.name: tool for tool in skills}
    schema = MeasureInput.model_json_schema()
    schema["properties"]["what"]["enum"] = list(known)
    lines = "\n".join(f"- {_signature(tool)}: {tool.spec.summary}" for tool in known.values())
    return Tool(
        name=MEASURE,
        title="Measure one thing",
        description="Measure one thing in a scene directly, without words to be understood. Objects are "
        "named by label, id or phrase, such as 'sofa', 'chair-2' or 'lamp near the sofa'. What can be "
        f"measured, and its arguments:\n{lines}",
        input_schema=schema,
        output_schema=outcome_schema(),
        annotations=_LOOKS_ONLY,
    )


def _expert(name: str, tool: registry.Tool) -> Tool:
    return Tool(
        name=name,
        title=tool.name,
        description=tool.spec.description,
        input_schema=_with_source(tool),
        output_schema=outcome_schema(),
        annotations=_LOOKS_ONLY,
    )


def _with_source(tool: registry.Tool) -> dict[str, Json]:
    schema = call_schema(tool)
    source: Mapping[str, Json] = {"type": "string", "minLength": 1, "description": SOURCE_TEXT}
    schema["properties"] = {SOURCE: source} | schema["properties"]
    if tool.references:
        schema["required"] = [SOURCE, *schema.get("required", [])]
    return schema


def _signature(tool: registry.Tool) -> str:
    schema: Mapping[str, Any] = call_schema(tool)
    required = schema.get("required", [])
    shown = []
    for name, field in schema["properties"].items():
        if name in tool.references:
            continue
        choices = "|".join(map(str, field.get("enum", [])))
        default = "" if name in required else f" = {field.get('default')}"
        shown.append(f"{name}{f' ({choices})' if choices else ''}{default}")
    return f"{tool.name}({', '.join(shown)})"
