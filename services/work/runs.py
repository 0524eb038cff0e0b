"""What jobs do: questions are answered and scenes measured by the agent of their profile."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.agent.events import Answered, Event
from spatial_agent.agent.memory import MOST_EXCHANGES, Dialogue, resolve_followup
from spatial_agent.agent.plain import from_plain, to_plain
from spatial_agent.agent.regions import Region
from spatial_agent.agent.session import exchange_of
from spatial_agent.agent.situation import Exchange
from spatial_agent.services.api.event_json import event_to_json
from spatial_agent.services.api.schemas import QuestionRequest
from spatial_agent.services.scene_files.folder import SceneFiles
from spatial_agent.services.scene_files.measuring import measure
from spatial_agent.services.store.records import Job
from spatial_agent.services.store.store import Store
from spatial_agent.services.work.agents import Agents
from spatial_agent.services.work.job_runner import Done, Tell
from spatial_agent.services.work.redaction import without_folders
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import ConfigurationError, SourceError, SpatialAgentError


class QuestionJob(QuestionRequest):
    """The request of a job that is a question: what was asked, and what only the service adds."""

    source: str = Field(description="Where the scene's own folder has what it was measured from.")
    dialogue: Annotated[list[dict[str, Any]], Field(max_length=64)] = Field(
        default_factory=list, description="What was asked and answered before, as JSON of `Exchange`."
    )


class AgentRuns:
    """Runs jobs on agents; a question whose server died goes on from its last checkpoint."""

    def __init__(self, agents: Agents, scenes: SceneFiles, store: Store, folders: Sequence[Path]) -> None:
        """Run nothing yet.

        Args:
            agents: Answer and measure.
            scenes: Knows where the files of scenes are.
            store: Knows scenes and dialogues.
            folders: Folders of this server, which no answer may name; the innermost first.
        """
        self._agents = agents
        self._scenes = scenes
        self._store = store
        self._folders = tuple(folders)

    async def run(self, job: Job, tell: Tell) -> Done:
        """Do a job.

        Raises:
            SpatialAgentError: If it cannot be done; names no folder of this server.
        """

        def told(kind: str, data: Mapping[str, Json]) -> None:
            tell(kind, without_folders(dict(data), self._folders))

        try:
            done = await (self._measure(job) if job.new.kind == "scene" else self._ask(job, told))
        except SpatialAgentError as error:
            error.args = tuple(without_folders(list(error.args), self._folders))
            raise
        return Done(without_folders(dict(done.answer), self._folders), done.exchange)

    async def forget(self, job_ids: Sequence[str]) -> None:
        """Drop what was kept to take jobs up again; their traces stay, and go by age."""
        # All agents of a service keep their checkpoints in one place.
        with suppress(ConfigurationError):
            await (await self._agent(None)).drop(*job_ids)

    async def _measure(self, job: Job) -> Done:
        scene = await asyncio.to_thread(self._store.scenes.scene, job.new.tenant, job.new.scene)
        if scene is None:
            raise SourceError(f"the scene {job.new.scene} was deleted; upload it again")
        agent = await self._agent(scene.profile)
        return Done(await measure(agent, scene, self._scenes, self._folders))

    async def _ask(self, job: Job, tell: Tell) -> Done:
        asked = QuestionJob.model_validate(job.new.request)
        agent = await self._agent(asked.profile)
        dialogue = Dialogue(tuple(from_plain(Exchange, item) for item in await self._dialogue(job, asked)))
        # Without words before it a question stands as it was asked.
        question = resolve_followup(asked.question, dialogue) if dialogue.exchanges else asked.question

        def told(event: Event) -> None:
            if not isinstance(event, Answered):
                tell(*event_to_json(event))

        answer = await agent.aask(
            self._scenes.source_at(job.new.scene, asked.source),
            question,
            options=asked.options,
            regions=[from_plain(Region, region.model_dump()) for region in asked.regions],
            dialogue=dialogue.exchanges,
            run_id=job.id,
            listen=told,
        )
        return Done(answer.to_json(), to_plain(exchange_of(question, answer)) if job.new.session else None)

    async def _dialogue(self, job: Job, asked: QuestionJob) -> Sequence[Mapping[str, Any]]:
        if job.new.session is None:
            return asked.dialogue
        session = await asyncio.to_thread(self._store.sessions.session, job.new.tenant, job.new.session)
        if session is None:
            raise SourceError(f"the session {job.new.session} was deleted; begin another")
        return session.exchanges[-MOST_EXCHANGES:]

    async def _agent(self, profile: str | None) -> SpatialAgent:
        opened = self._agents.opened(profile)
        return opened if opened is not None else await asyncio.to_thread(self._agents.get, profile)
