"""Single experts and skills: which there are, and calling one."""

import asyncio
import base64
from functools import lru_cache
from typing import Annotated, Any

from fastapi import Body, Path, Request
from PIL import Image

from spatial_agent.services.api.auth import spend
from spatial_agent.services.api.dependencies import Calls, Reads, TheService, api_router
from spatial_agent.services.api.problems import InvalidRequestError, NotFoundError
from spatial_agent.services.api.questions import ready_scene
from spatial_agent.services.api.schemas import ToolCallRequest, ToolCallView, ToolList, ToolView
from spatial_agent.services.api.service import Service
from spatial_agent.services.api.submitting import check_working
from spatial_agent.services.api.waiting import while_wanted
from spatial_agent.services.calling import CallableTools, ToolOutcome, call_schema, call_tool, refusal
from spatial_agent.services.pictures import png_of
from spatial_agent.services.settings import Settings
from spatial_agent.services.store.errors import QueueFullError
from spatial_agent.services.store.records import SceneRecord
from spatial_agent.services.work.redaction import without_folders
from spatial_agent.tools.errors import ToolUnavailableError
from spatial_agent.tools.registry import Tool

router = api_router("tools")
#: Calls that may wait for each one that is worked on.
MOST_WAITING = 16

EXAMPLES: dict[str, Any] = {
    "size": {
        "summary": "A skill: one measurement",
        "value": {
            "scene": "sc_0123456789abcdef0123456789abcdef",
            "arguments": {"of": "table", "dimension": "height"},
        },
    },
    "crop": {
        "summary": "An expert on a frame",
        "value": {
            "scene": "sc_0123456789abcdef0123456789abcdef",
            "arguments": {"frame": "$frame/0", "xyxy_px": [40, 60, 220, 310]},
        },
    },
    "within": {
        "summary": "An expert that takes what another one measures",
        "value": {
            "scene": "sc_0123456789abcdef0123456789abcdef",
            "arguments": {
                "frame": "$frame/0",
                "of": ["sofa"],
                "estimated": {"tool": "depth.sensor", "arguments": {"frame": "$frame/0"}},
            },
        },
    },
}
ToolName = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]{1,80}$", description="Name of an expert or skill.")]


@router.get("/v1/tools", response_description="The experts and skills.")
async def tools(service: TheService, _: Reads) -> ToolList:
    """List experts and skills, with the arguments they take and the weights they need."""
    known = await _tools(service)
    return ToolList(tools=[_view(known, known.registry.get(name)) for name in known.registry])


@router.get("/v1/tools/{name}", response_description="The expert or skill.")
async def tool(name: ToolName, service: TheService, _: Reads) -> ToolView:
    """Return what is known about an expert or skill."""
    known = await _tools(service)
    return _view(known, _named(known, name))


@router.post("/v1/tools/{name}", response_description="What it gave back.")
async def call(
    name: ToolName,
    asked: Annotated[ToolCallRequest, Body(openapi_examples=EXAMPLES)],
    request: Request,
    service: TheService,
    caller: Calls,
) -> ToolCallView:
    """Call one expert or skill, and wait for it.

    `"$scene"` and `"$frame/0"` stand for the scene and its frames; where an argument is what another expert
    measures, the call of that one stands in its place. Leaving cancels the call.
    """
    check_working(service)
    known = await _tools(service)
    chosen = _named(known, name)
    reason = refusal(chosen)
    if reason is not None:
        raise InvalidRequestError(f"{name} cannot be called from outside: {reason}")
    scene: SceneRecord | None = None
    if asked.scene is not None:
        scene = await asyncio.to_thread(ready_scene, service.store, caller, asked.scene)
    places = _places(request, service)
    await spend(service, caller)
    async with places:
        outcome = await while_wanted(service, request, _called(service, known, chosen, asked, scene))
    # Packing large pictures takes seconds, in which nobody else would be answered.
    return await asyncio.to_thread(_outcome_view, service, chosen, outcome)


class Places:
    """Calls that are worked on at a time; some more may wait, and the others are refused."""

    def __init__(self, at_once: int) -> None:
        """Begin with none."""
        self._free = asyncio.Semaphore(at_once)
        self._left = at_once * (1 + MOST_WAITING)

    async def __aenter__(self) -> None:
        """Wait for a place.

        Raises:
            QueueFullError: If too many wait already.
        """
        if self._left <= 0:
            raise QueueFullError("too many calls of experts are waiting; try again soon")
        self._left -= 1
        try:
            await self._free.acquire()
        except BaseException:
            self._left += 1
            raise

    async def __aexit__(self, *_: object) -> None:
        """Give the place back."""
        self._free.release()
        self._left += 1


def _places(request: Request, service: Service) -> Places:
    """Return the places of the app, which begin with its first call."""
    state = request.app.state
    if not hasattr(state, "tool_places"):
        state.tool_places = Places(service.config.work.workers)
    places: Places = state.tool_places
    return places


async def _called(
    service: Service, known: CallableTools, tool: Tool, asked: ToolCallRequest, scene: SceneRecord | None
) -> ToolOutcome:
    agent = await asyncio.to_thread(service.agents.get, None if scene is None else scene.profile)
    source = None if scene is None else await asyncio.to_thread(service.scenes.source, scene)
    return await call_tool(agent, source, tool.name, asked.arguments, tools=known)


async def _tools(service: Service) -> CallableTools:
    return await asyncio.to_thread(_installed, service.settings)


@lru_cache(maxsize=4)
def _installed(settings: Settings) -> CallableTools:
    return CallableTools.of(settings)


def _named(known: CallableTools, name: str) -> Tool:
    try:
        return known.registry.get(name)
    except ToolUnavailableError as error:
        raise NotFoundError(str(error)) from None


def _view(known: CallableTools, tool: Tool) -> ToolView:
    return ToolView(
        name=tool.name,
        kind=tool.kind,
        description=tool.spec.description,
        parameters=call_schema(tool),
        available=known.is_available(tool),
        needs=list(known.needs(tool)),
    )


def _outcome_view(service: Service, tool: Tool, outcome: ToolOutcome) -> ToolCallView:
    told = {
        "text": outcome.text,
        "value": outcome.value,
        "evidence": [dict(item) for item in outcome.evidence],
    }
    return ToolCallView(
        tool=tool.name,
        pictures=[_data_url(picture) for picture in outcome.pictures],
        seconds=round(outcome.seconds, 4),
        **without_folders(told, service.folders),
    )


def _data_url(picture: Image.Image) -> str:
    return f"data:image/png;base64,{base64.b64encode(png_of(picture)).decode('ascii')}"
