"""The client for event loops: every method can be awaited; see `client` for what they do."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Unpack, overload

import httpx

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.events import Event
from spatial_agent.agent.situation import Exchange
from spatial_agent.services.api.schemas import SceneView, SessionView, ToolView
from spatial_agent.services.sdk import asking, calling, fetching, scene_plans, uploading
from spatial_agent.services.sdk.concurrent import ConcurrentShell
from spatial_agent.services.sdk.connecting import address_of
from spatial_agent.services.sdk.given import Asked, HasId, exchanges_of, id_of
from spatial_agent.services.sdk.given import asking as asking_of
from spatial_agent.services.sdk.pacing import Clock, Pace, Retries
from spatial_agent.services.sdk.requesting import path
from spatial_agent.services.sdk.uploading import Progress
from spatial_agent.services.sdk.values import CallResult, Question


class AsyncClient:
    """Asks a service about scenes from an event loop; many questions may be under way at once.

    What `Client` says of every method holds here, too.

    Attributes:
        scenes: The scenes that the service keeps for this key.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        retries: Retries | None = None,
        timeout_s: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Prepare; nothing is connected before the first request.

        Args:
            url: Address of the service; ``SPATIAL_AGENT_URL`` where left out, else that of a service on this
                machine.
            key: The API key; ``SPATIAL_AGENT_API_KEY`` where left out. It goes to that address only.
            retries: How often and how soon requests are repeated.
            timeout_s: How long each sign of a reply is waited for, seconds.
            transport: Where requests go instead, for tests.
            clock: The time, for tests.

        Raises:
            ConfigurationError: If the address or the key is none.
        """
        address = address_of(url, key)
        address.warn(stacklevel=3)
        self._pace = Pace(retries or Retries(), timeout_s, clock or Clock())
        self._shell = ConcurrentShell(address, self._pace.clock, transport)
        self._url = address.url
        self.scenes = AsyncScenes(self._shell, self._pace)

    async def ask(self, scene: str | HasId, question: str, **asked: Unpack[Asked]) -> Answer:
        """Ask a question about a scene, and wait for the answer."""
        return await self._ask(scene, question, **asked)

    async def submit(self, scene: str | HasId, question: str, **asked: Unpack[Asked]) -> Question:
        """Hand in a question, and do not wait for the answer; arguments and errors are those of `ask`."""
        return await self._shell.run(asking_of(self._pace, scene, question, **asked).submitted())

    async def stream(
        self, scene: str | HasId, question: str, **asked: Unpack[Asked]
    ) -> AsyncGenerator[Event, None]:
        """Ask a question and yield what happens on the way; the last event is `Answered`."""
        question_asked = asking_of(self._pace, scene, question, **asked)
        try:
            async with aclosing(self._shell.stream(question_asked.told())) as events:
                async for event in events:
                    yield event
        finally:
            if question_asked.is_open:
                await self._shell.attempt(question_asked.given_up())

    async def question(self, question: str | HasId) -> Question:
        """Return what has become of a question that was handed in."""
        return await self._shell.run(asking.looked_up(self._pace, id_of(question)))

    async def wait(self, question: str | HasId, timeout_s: float | None = None) -> Answer:
        """Wait for the answer of a question that was handed in; it goes on where that takes too long."""
        return await self._shell.run(asking.waited_for(self._pace, id_of(question), timeout_s))

    def follow(self, question: str | HasId, timeout_s: float | None = None) -> AsyncGenerator[Event, None]:
        """Yield what happens to a question that was handed in, from its first event; errors as `wait`."""
        deadline = self._pace.until(timeout_s)
        return self._shell.stream(asking.followed(self._pace, id_of(question), deadline))

    async def cancel(self, question: str | HasId) -> Question:
        """Cancel a question; one that is over stays as it is."""
        return await self._shell.run(asking.cancelled(self._pace, id_of(question)))

    @overload
    async def picture(self, question: str | HasId, to: None = None) -> bytes: ...
    @overload
    async def picture(self, question: str | HasId, to: str | Path) -> Path: ...
    async def picture(self, question: str | HasId, to: str | Path | None = None) -> bytes | Path:
        """Return the marked picture of an answer (PNG), or save it; an answer's `trace_id` names it, too."""
        return await _fetched(self._shell, self._pace, path("questions", id_of(question), "picture.png"), to)

    async def session(self, scene: str | HasId) -> "AsyncSession":
        """Begin a dialogue about a scene: its questions may refer to those before."""
        return AsyncSession(self, await self._shell.run(calling.begun(self._pace, id_of(scene))))

    async def tools(self) -> list[ToolView]:
        """Return which experts and skills there are."""
        return await self._shell.run(calling.tools_listed(self._pace))

    async def call(
        self, tool: str, arguments: Mapping[str, Any] | None = None, *, scene: str | HasId | None = None
    ) -> CallResult:
        """Call one expert."""
        where = None if scene is None else id_of(scene)
        return await self._shell.run(calling.called(self._pace, tool, arguments or {}, where))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._shell.aclose()

    async def __aenter__(self) -> "AsyncClient":
        """Return the client itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self.aclose()

    def __repr__(self) -> str:
        """Return where it asks; never the key."""
        return f"{type(self).__name__}({self._url!r})"

    async def _ask(self, scene: str | HasId | None, question: str, **asked: Unpack[Asked]) -> Answer:
        question_asked = asking_of(self._pace, scene, question, **asked)
        try:
            return await self._shell.run(question_asked.answered())
        finally:
            if question_asked.is_open:
                await self._shell.attempt(question_asked.given_up())


class AsyncSession:
    """A dialogue about one scene: "and how far is *it* from the door?".

    Attributes:
        id: Its id.
        scene: Id of its scene.
    """

    def __init__(self, client: AsyncClient, view: SessionView) -> None:
        """Go on with a dialogue that the service knows."""
        self._client = client
        self.id = view.id
        self.scene = view.scene

    async def ask(
        self, question: str, *, options: Sequence[str] = (), timeout_s: float | None = None
    ) -> Answer:
        """Ask the next question, and wait for its answer; errors are those of `Client.ask`."""
        return await self._client._ask(None, question, session=self.id, options=options, timeout_s=timeout_s)

    async def exchanges(self) -> tuple[Exchange, ...]:
        """What was asked, as it was understood, and answered so far, oldest first; asks the service."""
        client = self._client
        return exchanges_of(await client._shell.run(calling.remembered(client._pace, self.id)))

    async def delete(self) -> None:
        """Forget the dialogue."""
        await self._client._shell.run(scene_plans.removed(self._client._pace, "sessions", self.id))

    def __repr__(self) -> str:
        """Return which dialogue it is."""
        return f"AsyncSession({self.id!r}, scene={self.scene!r})"


class AsyncScenes:
    """The scenes that a service keeps for a key."""

    def __init__(self, shell: ConcurrentShell, pace: Pace) -> None:
        """Ask through the client's connections."""
        self._shell = shell
        self._pace = pace

    async def upload(
        self,
        source: str | Path | Sequence[str | Path],
        name: str | None = None,
        *,
        profile: str | None = None,
        progress: Progress | None = None,
    ) -> SceneView:
        """Upload a scene; it is measured from then on, see `wait_until_ready`."""
        upload = uploading.upload_of(source, name, profile)
        return await self._shell.run(uploading.uploaded(self._pace, upload, progress))

    async def sample(self, name: str) -> SceneView:
        """Make a scene of a sample of the service; see `samples`."""
        return await self._shell.run(uploading.sampled(self._pace, name))

    async def samples(self) -> list[str]:
        """Return the names of the service's samples."""
        return (await self._shell.run(scene_plans.listed(self._pace))).samples

    async def get(self, scene: str | HasId) -> SceneView:
        """Return a scene: its state, and once it is measured its objects, cameras and room."""
        return await self._shell.run(scene_plans.looked_up(self._pace, id_of(scene)))

    async def list(self) -> list[SceneView]:
        """Return the scenes, newest first, without their objects and cameras."""
        return (await self._shell.run(scene_plans.listed(self._pace))).scenes

    async def delete(self, scene: str | HasId) -> None:
        """Delete a scene and everything that was made of it."""
        await self._shell.run(scene_plans.removed(self._pace, "scenes", id_of(scene)))

    async def wait_until_ready(self, scene: str | HasId, timeout_s: float | None = None) -> SceneView:
        """Wait until a scene is measured."""
        return await self._shell.run(scene_plans.measured(self._pace, id_of(scene), timeout_s))

    @overload
    async def artifact(self, scene: str | HasId, name: str, to: None = None) -> bytes: ...
    @overload
    async def artifact(self, scene: str | HasId, name: str, to: str | Path) -> Path: ...
    async def artifact(self, scene: str | HasId, name: str, to: str | Path | None = None) -> bytes | Path:
        """Return what was made of a scene, or save it."""
        return await _fetched(self._shell, self._pace, path("scenes", id_of(scene), "artifacts", name), to)


async def _fetched(shell: ConcurrentShell, pace: Pace, from_path: str, to: str | Path | None) -> bytes | Path:
    if to is None:
        return await shell.run(fetching.fetched(pace, from_path))
    return await shell.run(fetching.saved(pace, from_path, Path(to)))
