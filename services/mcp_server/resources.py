"""Resources of the MCP server: maps and files of scenes that were measured, marked pictures of answers."""

import asyncio
import base64
import json
import re
from collections.abc import Awaitable, Callable, Mapping

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    BlobResourceContents,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from spatial_agent.prompts.untrusted import printable
from spatial_agent.services.mcp_server.allowed_folders import AllowedFolders
from spatial_agent.services.mcp_server.replies import SCHEME, answer_uri, scene_uri
from spatial_agent.services.mcp_server.shelf import ShelvedAnswer, ShelvedScene
from spatial_agent.services.mcp_server.workbench import Workbench
from spatial_agent.services.pictures import png_of
from spatial_agent.tools.mapping.scene_file import scene_to_json

PNG, JSON = "image/png", "application/json"
#: An address that this server could have given; whatever else is asked for does not exist.
_ADDRESS = re.compile(
    rf"{SCHEME}://(?:scenes/(?P<scene>s-[0-9a-f]{{16}})/(?P<of_scene>map\.png|scene\.json)"
    r"|answers/(?P<answer>[0-9a-f-]{1,64})/(?P<of_answer>picture\.png|answer\.json))"
)


def listed(bench: Workbench) -> list[Resource]:
    """Return what can be read now, newest first."""
    found: list[Resource] = []
    for answer in reversed(bench.shelf.answers.values()):
        told = printable(answer.answer.text)[:200]
        found.append(_resource(answer_uri(answer, "picture.png"), "picture of an answer", told, PNG))
        found.append(_resource(answer_uri(answer, "answer.json"), "answer", told, JSON))
    for scene in reversed(bench.shelf.scenes.values()):
        told = printable(scene.name)[:200]
        found.append(_resource(scene_uri(scene, "map.png"), "map of a scene", told, PNG))
        found.append(_resource(scene_uri(scene, "scene.json"), "scene file", told, JSON))
    return found


def templates() -> list[ResourceTemplate]:
    """Return the forms of addresses."""
    return [
        ResourceTemplate(uri_template=f"{SCHEME}://{form}", name=name, mime_type=kind)
        for form, name, kind in (
            ("scenes/{id}/map.png", "map of a scene from above", PNG),
            ("scenes/{id}/scene.json", "scene file: objects, cameras, room", JSON),
            ("answers/{id}/picture.png", "frame and map with what the answer rests on", PNG),
            ("answers/{id}/answer.json", "answer with its evidence", JSON),
        )
    ]


async def read(bench: Workbench, uri: str, allowed: AllowedFolders) -> ReadResourceResult:
    """Return what is behind an address.

    Args:
        bench: Knows the scenes and answers.
        uri: The address.
        allowed: Folders whose files may be opened for this request.

    Raises:
        MCPError: If there is nothing.
        SpatialAgentError: If it cannot be made any more.
    """
    address = _ADDRESS.fullmatch(uri)
    if address is None:
        raise _unknown(uri)
    if address["answer"]:
        answer = bench.shelf.answers.get(address["answer"])
        if answer is None:
            raise _unknown(uri)
        return await _OF_ANSWER[address["of_answer"]](bench, uri, answer, allowed)
    scene = bench.shelf.scenes.get(address["scene"])
    if scene is None:
        raise _unknown(uri)
    return await _OF_SCENE[address["of_scene"]](bench, uri, scene, allowed)


async def _picture(
    bench: Workbench, uri: str, answer: ShelvedAnswer, allowed: AllowedFolders
) -> ReadResourceResult:
    opened = await bench.opened(answer.scene.source, allowed)
    picture = await bench.answer_picture(opened.path, answer.answer)
    return _blob(uri, await asyncio.to_thread(png_of, picture))


async def _answer(
    bench: Workbench, uri: str, answer: ShelvedAnswer, allowed: AllowedFolders
) -> ReadResourceResult:
    await bench.opened(answer.scene.source, allowed)
    return _text(uri, json.dumps(answer.answer.to_json(), ensure_ascii=False))


async def _map(
    bench: Workbench, uri: str, scene: ShelvedScene, allowed: AllowedFolders
) -> ReadResourceResult:
    opened = await bench.opened(scene.source, allowed)
    return _blob(uri, await asyncio.to_thread(png_of, await bench.map_picture(opened.path)))


async def _scene_file(
    bench: Workbench, uri: str, scene: ShelvedScene, allowed: AllowedFolders
) -> ReadResourceResult:
    opened = await bench.opened(scene.source, allowed)
    loaded = await bench.loaded(opened.path)
    return _text(uri, json.dumps(scene_to_json(loaded.scene), ensure_ascii=False))


_OF_SCENE: Mapping[
    str, Callable[[Workbench, str, ShelvedScene, AllowedFolders], Awaitable[ReadResourceResult]]
] = {"map.png": _map, "scene.json": _scene_file}
_OF_ANSWER: Mapping[
    str, Callable[[Workbench, str, ShelvedAnswer, AllowedFolders], Awaitable[ReadResourceResult]]
] = {"picture.png": _picture, "answer.json": _answer}


def _resource(uri: str, name: str, description: str, mime_type: str) -> Resource:
    return Resource(uri=uri, name=name, description=description, mime_type=mime_type)


def _blob(uri: str, data: bytes) -> ReadResourceResult:
    blob = base64.b64encode(data).decode("ascii")
    return ReadResourceResult(contents=[BlobResourceContents(uri=uri, mime_type=PNG, blob=blob)])


def _text(uri: str, text: str) -> ReadResourceResult:
    return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type=JSON, text=text)])


def _unknown(uri: str) -> MCPError:
    message = f"there is no resource {uri!r:.200}; resources/list says which there are"
    return MCPError(INVALID_PARAMS, message, {"uri": uri[:200]})
