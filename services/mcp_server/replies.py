"""Results as what MCP clients read: words for models, JSON for programs, pictures for both."""

import base64
import io
from collections.abc import Mapping
from typing import Any

from mcp_types import CallToolResult, ContentBlock, ImageContent, ResourceLink, TextContent
from PIL import Image
from pydantic import TypeAdapter

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.executor import is_own
from spatial_agent.agent.state import LoadedScene
from spatial_agent.prompts.hints import scale_words
from spatial_agent.prompts.untrusted import printable, quoted
from spatial_agent.services.api.schemas import ObjectView
from spatial_agent.services.calling import ToolOutcome
from spatial_agent.services.mcp_server.shelf import ShelvedAnswer, ShelvedScene
from spatial_agent.services.pictures import png_of
from spatial_agent.tools.contract import Json

SCHEME = "spatial"
#: Longest edge of a picture in a reply, pixels, and its size as PNG beyond which it is sent as JPEG, bytes.
MOST_PX, MOST_PNG_BYTES = 1280, 2**20
#: Objects that a scene's description names.
MOST_NAMED = 200
_OBJECT = {"type": "object"}


def scene_uri(scene: ShelvedScene, name: str) -> str:
    """Return the address of something of a scene, such as its ``map.png``."""
    return f"{SCHEME}://scenes/{scene.id}/{name}"


def answer_uri(answer: ShelvedAnswer, name: str) -> str:
    """Return the address of something of an answer, such as its ``picture.png``."""
    return f"{SCHEME}://answers/{answer.id}/{name}"


def failed(message: str) -> CallToolResult:
    """Return an error that the model reads and can react to."""
    return CallToolResult(content=[TextContent(text=printable(message))], is_error=True)


def answer_reply(shelved: ShelvedAnswer, picture: Image.Image | None) -> CallToolResult:
    """Return an answer: its sentence and what it rests on; everything in the structured content."""
    answer = shelved.answer
    resources = {"picture": answer_uri(shelved, "picture.png"), **_scene_resources(shelved.scene)}
    content: list[ContentBlock] = [TextContent(text=printable("\n".join(_answer_lines(answer))))]
    content += [] if picture is None else [image_of(picture)]
    content.append(_link(resources["picture"], "picture of the answer", "image/png"))
    structured = answer.to_json() | {"id": shelved.id, "resources": resources}
    return CallToolResult(content=content, structured_content=structured)


def scene_reply(shelved: ShelvedScene, loaded: LoadedScene, picture: Image.Image | None) -> CallToolResult:
    """Return what a scene holds."""
    resources = _scene_resources(shelved)
    content: list[ContentBlock] = [TextContent(text=printable("\n".join(_scene_lines(loaded))))]
    content += [] if picture is None else [image_of(picture)]
    content += [
        _link(resources["map"], "map from above", "image/png"),
        _link(resources["scene"], "scene file", "application/json"),
    ]
    structured = _scene_json(loaded) | {"id": shelved.id, "name": shelved.name, "resources": resources}
    return CallToolResult(content=content, structured_content=structured)


def outcome_reply(tool: str, outcome: ToolOutcome) -> CallToolResult:
    """Return what an expert or skill gave back."""
    content: list[ContentBlock] = [TextContent(text=printable(outcome.text))]
    content += map(image_of, outcome.pictures)
    structured = {
        "tool": tool,
        "text": outcome.text,
        "value": outcome.value,
        "evidence": [dict(item) for item in outcome.evidence],
        "seconds": round(outcome.seconds, 4),
    }
    return CallToolResult(content=content, structured_content=structured)


def image_of(picture: Image.Image) -> ImageContent:
    """Return a picture as a reply carries it: not larger than models look at."""
    small = picture.convert("RGB")
    small.thumbnail((MOST_PX, MOST_PX))
    data, kind = png_of(small), "png"
    if len(data) > MOST_PNG_BYTES:
        buffer, kind = io.BytesIO(), "jpeg"
        small.save(buffer, format="JPEG", quality=90)
        data = buffer.getvalue()
    return ImageContent(data=base64.b64encode(data).decode("ascii"), mime_type=f"image/{kind}")


def answer_schema() -> dict[str, Any]:
    """Return the JSON schema of the structured content of an answer."""
    schema = TypeAdapter(Answer).json_schema()
    schema["properties"] |= {"format": {"type": "string"}, "id": {"type": "string"}, "resources": _OBJECT}
    return schema


def scene_schema() -> dict[str, Any]:
    """Return the JSON schema of the structured content of a scene."""
    item = ObjectView.model_json_schema()
    properties: dict[str, Any] = {
        "id": {"type": "string"},
        "name": {"type": "string"},
        "frames": {"type": ["integer", "null"], "description": "Number of frames."},
        "scale": {"type": "string", "description": "'metric', 'relative' or 'directions'."},
        "up": {"type": "boolean", "description": "Whether gravity is known."},
        "floor_m2": {"type": ["number", "null"], "description": "Area of the floor, square metres."},
        "objects": {"type": "array", "items": item},
        "notes": {"type": "array", "items": {"type": "string"}},
        "degraded": {"type": "array", "items": {"type": "string"}},
        "resources": _OBJECT,
    }
    return {"type": "object", "properties": properties, "required": list(properties)}


def outcome_schema() -> dict[str, Any]:
    """Return the JSON schema of the structured content of an expert's or skill's result."""
    properties: dict[str, Any] = {
        "tool": {"type": "string"},
        "text": {"type": "string", "description": "What came of it, with units and margins."},
        "value": {"description": "Its value, where that is plain JSON."},
        "evidence": {"type": "array", "items": _OBJECT},
        "seconds": {"type": "number", "minimum": 0},
    }
    return {"type": "object", "properties": properties, "required": list(properties)}


def _answer_lines(answer: Answer) -> list[str]:
    lines = [answer.text]
    if answer.reason and answer.reason not in answer.text:
        lines.append(answer.reason)
    told = [item for item in answer.evidence if item["claim"] not in answer.text]
    lines += [
        f"- {'' if is_own(item['call_id']) else 'checked another way: '}{item['claim']}" for item in told
    ]
    lines += [f"degraded: {sentence}" for sentence in answer.degraded]
    return lines


def _scene_lines(loaded: LoadedScene) -> list[str]:
    scene = loaded.scene
    frames = "no frames" if loaded.frames is None else f"{len(loaded.frames)} frames"
    room = "" if scene.room is None else f", floor of {scene.room.area_m2:.1f} m²"
    unit = "m" if scene.scale == "metric" else "units without scale"
    lines = [f"Scene of {scale_words(scene)} from {frames}{room}, {len(scene.objects)} objects:"]
    for item in scene.objects[:MOST_NAMED]:
        size = " x ".join(f"{edge:.2f}" for edge in item.box.extent_m)
        centre = ", ".join(f"{number:.2f}" for number in item.box.centre_m)
        lines.append(f"- {quoted(item.id)[1:-1]}: {size} {unit} about ({centre}) {unit}")
    return lines + [*scene.notes, *(f"degraded: {sentence}" for sentence in loaded.degraded)]


def _scene_json(loaded: LoadedScene) -> dict[str, Json]:
    scene = loaded.scene
    objects = [
        ObjectView(
            id=item.id,
            label=item.label,
            centre_m=item.box.centre_m.tolist(),
            size_m=item.box.extent_m.tolist(),
            rotation=item.box.world_from_box.tolist(),
            quality=item.score,
        ).model_dump(mode="json")
        for item in scene.objects
    ]
    return {
        "frames": None if loaded.frames is None else len(loaded.frames),
        "scale": scene.scale,
        "up": scene.up is not None,
        "floor_m2": None if scene.room is None else scene.room.area_m2,
        "objects": objects,
        "notes": list(scene.notes),
        "degraded": list(loaded.degraded),
    }


def _scene_resources(scene: ShelvedScene) -> Mapping[str, str]:
    return {"map": scene_uri(scene, "map.png"), "scene": scene_uri(scene, "scene.json")}


def _link(uri: str, name: str, mime_type: str) -> ResourceLink:
    return ResourceLink(uri=uri, name=name, mime_type=mime_type)
