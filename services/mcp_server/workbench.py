"""What the tools of the MCP server do: everything that lives as long as the server, and the work on it."""

import asyncio
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from mcp_types import CallToolResult
from PIL import Image

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.agent.answer import Answer
from spatial_agent.agent.events import Event
from spatial_agent.agent.memory import Dialogue, resolve_followup
from spatial_agent.agent.plain import from_plain
from spatial_agent.agent.regions import Region
from spatial_agent.agent.session import exchange_of
from spatial_agent.agent.situation import Exchange
from spatial_agent.agent.state import LoadedScene
from spatial_agent.services.calling import CallableTools, call_tool
from spatial_agent.services.mcp_server.allowed_folders import AllowedFolders
from spatial_agent.services.mcp_server.inputs import AskInput, BuildSceneInput, MeasureInput, read_input
from spatial_agent.services.mcp_server.offers import (
    ASK,
    BUILD_SCENE,
    MEASURE,
    OWN,
    SOURCE,
    offered_experts,
    offered_skills,
)
from spatial_agent.services.mcp_server.pinned import PinnedSources
from spatial_agent.services.mcp_server.progress import Tell, in_words, paced
from spatial_agent.services.mcp_server.replies import answer_reply, outcome_reply, scene_reply
from spatial_agent.services.mcp_server.shelf import Shelf, ShelvedScene
from spatial_agent.services.pictures import answer_picture
from spatial_agent.services.scene_files.samples import sample_folder
from spatial_agent.tools.contract import Json, ToolRunner
from spatial_agent.tools.drawing.top_down import draw_top_down
from spatial_agent.tools.errors import ToolArgumentError, ToolUnavailableError
from spatial_agent.tools.progress import listening
from spatial_agent.tools.registry import Tool

#: Calls that are worked on at a time; the others wait.
AT_ONCE = 4
SAMPLE = "sample:"


@dataclass(frozen=True)
class Opened:
    """A source that may be opened.

    Attributes:
        path: Where to open it.
        scene: As the server remembers it.
    """

    path: Path
    scene: ShelvedScene


@dataclass
class Workbench:
    """The agent of a server, what it may open, and what it has done.

    Attributes:
        agent: Measures and answers.
        tools: What may be called.
        allowed: Folders whose files may be opened.
        pinned: Opens them.
        shelf: Remembers scenes and answers.
    """

    agent: SpatialAgent
    tools: CallableTools
    allowed: AllowedFolders
    pinned: PinnedSources
    shelf: Shelf = field(default_factory=Shelf)

    def __post_init__(self) -> None:
        """Learn which tools there are."""
        self._experts = offered_experts(self.tools)
        self._skills = offered_skills(self.tools)
        self._places = asyncio.Semaphore(AT_ONCE)

    def has(self, tool: str) -> bool:
        """Return whether there is a tool of that name."""
        return tool in OWN or tool in self._experts

    async def call(
        self, tool: str, arguments: Mapping[str, Json], allowed: AllowedFolders, tell: Tell
    ) -> CallToolResult:
        """Do what a tool does.

        Args:
            tool: Its name.
            arguments: Its arguments.
            allowed: Folders whose files may be opened for this call.
            tell: Gets what happens.

        Raises:
            SpatialAgentError: If it cannot be done; the message is for the model.
        """
        async with self._places:
            if tool == ASK:
                return await self._ask(read_input(AskInput, tool, arguments), allowed, tell)
            if tool == BUILD_SCENE:
                return await self._build(read_input(BuildSceneInput, tool, arguments), allowed, tell)
            if tool == MEASURE:
                wanted = read_input(MeasureInput, tool, arguments)
                skill = self._named(self._skills, wanted.what)
                return await self._outcome(skill, wanted.source, wanted.arguments, allowed, tell)
            rest = {name: value for name, value in arguments.items() if name != SOURCE}
            expert = self._named(self._experts, tool)
            return await self._outcome(expert, _source_of(tool, arguments), rest, allowed, tell)

    async def opened(self, source: str, allowed: AllowedFolders) -> Opened:
        """Return a source that may be opened.

        Raises:
            SourceError: If it may not, or is not there.
        """
        if source.startswith(SAMPLE):
            folder = await asyncio.to_thread(sample_folder, source.removeprefix(SAMPLE))
            return Opened(folder, ShelvedScene.of(source, folder.name))
        place = await asyncio.to_thread(allowed.locate, source)
        path = await asyncio.to_thread(self.pinned.pin, allowed, place)
        return Opened(path, ShelvedScene.of(str(place.path), place.name))

    async def loaded(self, path: Path, tell: Tell | None = None) -> LoadedScene:
        """Return the scene of an opened source, measured where it is not yet."""

        async def found(_: ToolRunner, loaded: LoadedScene) -> LoadedScene:
            return loaded

        with nullcontext() if tell is None else listening(paced(tell)):
            return await self.agent.awork(path, found)

    async def answer_picture(self, path: Path, answer: Answer) -> Image.Image:
        """Return the marked picture of an answer about an opened source."""
        return await asyncio.to_thread(answer_picture, await self.loaded(path), answer)

    async def map_picture(self, path: Path) -> Image.Image:
        """Return the map of an opened source.

        Raises:
            ViewpointError: If gravity is not known, so that nobody knows what is above.
        """
        return await asyncio.to_thread(draw_top_down, (await self.loaded(path)).scene)

    async def _ask(self, asked: AskInput, allowed: AllowedFolders, tell: Tell) -> CallToolResult:
        before = self._exchanges_up_to(asked.after)
        opened = await self.opened(asked.source, allowed)
        dialogue = Dialogue(before)
        # Without words before it a question stands as it was asked.
        question = resolve_followup(asked.question, dialogue) if before else asked.question
        with listening(paced(tell)):
            answer = await self._answered(opened, question, asked, dialogue.exchanges, tell)
        exchanges = dialogue.then(exchange_of(question, answer)).exchanges
        shelved = self.shelf.put_answer(answer, opened.scene, exchanges)
        picture = await self.answer_picture(opened.path, answer) if asked.picture else None
        return answer_reply(shelved, picture)

    async def _answered(
        self, opened: Opened, question: str, asked: AskInput, before: tuple[Exchange, ...], tell: Tell
    ) -> Answer:
        def heard(event: Event) -> None:
            if words := in_words(event):
                tell(words)

        return await self.agent.aask(
            opened.path,
            question,
            options=asked.options,
            regions=[from_plain(Region, region.model_dump()) for region in asked.regions],
            dialogue=before,
            listen=heard,
        )

    async def _build(self, wanted: BuildSceneInput, allowed: AllowedFolders, tell: Tell) -> CallToolResult:
        opened = await self.opened(wanted.source, allowed)
        loaded = await self.loaded(opened.path, tell)
        self.shelf.put_scene(opened.scene)
        has_map = wanted.picture and loaded.scene.up is not None
        picture = await asyncio.to_thread(draw_top_down, loaded.scene) if has_map else None
        return scene_reply(opened.scene, loaded, picture)

    async def _outcome(
        self,
        tool: Tool,
        source: str | None,
        arguments: Mapping[str, Json],
        allowed: AllowedFolders,
        tell: Tell,
    ) -> CallToolResult:
        path = None if source is None else (await self.opened(source, allowed)).path
        called = call_tool(self.agent, path, tool.name, arguments, tools=self.tools, progress=paced(tell))
        return outcome_reply(tool.name, await called)

    def _named(self, tools: Mapping[str, Tool], name: str) -> Tool:
        if name not in tools:
            raise ToolUnavailableError(f"there is nothing called {name!r:.80}; there are {', '.join(tools)}")
        return tools[name]

    def _exchanges_up_to(self, answer: str | None) -> tuple[Exchange, ...]:
        if answer is None:
            return ()
        shelved = self.shelf.answers.get(answer)
        if shelved is None:
            raise ToolArgumentError(
                f"ask: there is no answer {answer!r:.80} any more; ask the whole question"
            )
        return shelved.exchanges


def _source_of(tool: str, arguments: Mapping[str, Json]) -> str | None:
    source = arguments.get(SOURCE)
    if source is not None and not isinstance(source, str):
        raise ToolArgumentError(f"{tool}: {SOURCE} must be a path, got {source!r:.80}")
    return source
