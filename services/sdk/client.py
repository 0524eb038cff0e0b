"""The client for programs that wait: every method returns when it is done."""

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack, overload

import httpx

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.events import Event
from spatial_agent.agent.situation import Exchange
from spatial_agent.services.api.schemas import SceneView, SessionView, ToolView
from spatial_agent.services.sdk import asking, calling, fetching, scene_plans, uploading
from spatial_agent.services.sdk.blocking import BlockingShell
from spatial_agent.services.sdk.connecting import address_of
from spatial_agent.services.sdk.given import Asked, HasId, exchanges_of, id_of
from spatial_agent.services.sdk.given import asking as asking_of
from spatial_agent.services.sdk.pacing import Clock, Pace, Retries
from spatial_agent.services.sdk.requesting import path
from spatial_agent.services.sdk.uploading import Progress
from spatial_agent.services.sdk.values import CallResult, Question


class Client:
    """Asks a service about scenes; safe to use from several threads.

    Requests are repeated over broken connections and where the service turns them away for a while; a
    question is never asked twice by that.

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
        transport: httpx.BaseTransport | None = None,
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
        self._shell = BlockingShell(address, self._pace.clock, transport)
        self._url = address.url
        self.scenes = Scenes(self._shell, self._pace)

    def ask(self, scene: str | HasId, question: str, **asked: Unpack[Asked]) -> Answer:
        """Ask a question about a scene, and wait for the answer.

        Leaving early (an interrupt, `timeout_s`) cancels the question.

        Args:
            scene: The scene, or its id.
            question: The question.
            asked: What else comes with it; see `Asked`.

        Raises:
            QuestionError: If it cannot be understood.
            ToolError: If the scene could not be measured; other errors of this package as in process.
            WaitTimeoutError: If it takes longer than `timeout_s`.
            ServiceError: If the service refuses or cannot be reached.
        """
        return self._ask(scene, question, **asked)

    def submit(self, scene: str | HasId, question: str, **asked: Unpack[Asked]) -> Question:
        """Hand in a question, and do not wait for the answer; arguments and errors are those of `ask`."""
        return self._shell.run(asking_of(self._pace, scene, question, **asked).submitted())

    def stream(
        self, scene: str | HasId, question: str, **asked: Unpack[Asked]
    ) -> Generator[Event, None, None]:
        """Ask a question and yield what happens on the way; the last event is `Answered`.

        Leaving the loop early cancels the question. Arguments and errors are those of `ask`.
        """
        question_asked = asking_of(self._pace, scene, question, **asked)
        try:
            yield from self._shell.stream(question_asked.told())
        finally:
            if question_asked.is_open:
                self._shell.attempt(question_asked.given_up())

    def question(self, question: str | HasId) -> Question:
        """Return what has become of a question that was handed in."""
        return self._shell.run(asking.looked_up(self._pace, id_of(question)))

    def wait(self, question: str | HasId, timeout_s: float | None = None) -> Answer:
        """Wait for the answer of a question that was handed in; it goes on where that takes too long.

        Raises:
            StoppedError: If it was cancelled; else as `ask`.
        """
        return self._shell.run(asking.waited_for(self._pace, id_of(question), timeout_s))

    def follow(self, question: str | HasId, timeout_s: float | None = None) -> Generator[Event, None, None]:
        """Yield what happens to a question that was handed in, from its first event; errors as `wait`."""
        deadline = self._pace.until(timeout_s)
        return self._shell.stream(asking.followed(self._pace, id_of(question), deadline))

    def cancel(self, question: str | HasId) -> Question:
        """Cancel a question; one that is over stays as it is."""
        return self._shell.run(asking.cancelled(self._pace, id_of(question)))

    @overload
    def picture(self, question: str | HasId, to: None = None) -> bytes: ...
    @overload
    def picture(self, question: str | HasId, to: str | Path) -> Path: ...
    def picture(self, question: str | HasId, to: str | Path | None = None) -> bytes | Path:
        """Return the marked picture of an answer (PNG), or save it; an answer's `trace_id` names it, too."""
        return _fetched(self._shell, self._pace, path("questions", id_of(question), "picture.png"), to)

    def session(self, scene: str | HasId) -> "Session":
        """Begin a dialogue about a scene: its questions may refer to those before."""
        return Session(self, self._shell.run(calling.begun(self._pace, id_of(scene))))

    def tools(self) -> list[ToolView]:
        """Return which experts and skills there are."""
        return self._shell.run(calling.tools_listed(self._pace))

    def call(
        self, tool: str, arguments: Mapping[str, Any] | None = None, *, scene: str | HasId | None = None
    ) -> CallResult:
        """Call one expert.

        Args:
            tool: Its name.
            arguments: Plain JSON; ``"$scene"`` and ``"$frame/0"`` stand for the scene and its frames.
            scene: What these are.

        Raises:
            ToolError: As it fails.
            ServiceError: If the service refuses or cannot be reached.
        """
        where = None if scene is None else id_of(scene)
        return self._shell.run(calling.called(self._pace, tool, arguments or {}, where))

    def close(self) -> None:
        """Close all connections."""
        self._shell.close()

    def __enter__(self) -> "Client":
        """Return the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        self.close()

    def __repr__(self) -> str:
        """Return where it asks; never the key."""
        return f"{type(self).__name__}({self._url!r})"

    def _ask(self, scene: str | HasId | None, question: str, **asked: Unpack[Asked]) -> Answer:
        question_asked = asking_of(self._pace, scene, question, **asked)
        try:
            return self._shell.run(question_asked.answered())
        finally:
            if question_asked.is_open:
                self._shell.attempt(question_asked.given_up())


class Session:
    """A dialogue about one scene: "and how far is *it* from the door?".

    Attributes:
        id: Its id.
        scene: Id of its scene.
    """

    def __init__(self, client: Client, view: SessionView) -> None:
        """Go on with a dialogue that the service knows."""
        self._client = client
        self.id = view.id
        self.scene = view.scene

    def ask(self, question: str, *, options: Sequence[str] = (), timeout_s: float | None = None) -> Answer:
        """Ask the next question, and wait for its answer; errors are those of `Client.ask`."""
        return self._client._ask(None, question, session=self.id, options=options, timeout_s=timeout_s)

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """What was asked, as it was understood, and answered so far, oldest first; asks the service."""
        client = self._client
        return exchanges_of(client._shell.run(calling.remembered(client._pace, self.id)))

    def delete(self) -> None:
        """Forget the dialogue."""
        self._client._shell.run(scene_plans.removed(self._client._pace, "sessions", self.id))

    def __repr__(self) -> str:
        """Return which dialogue it is."""
        return f"Session({self.id!r}, scene={self.scene!r})"


class Scenes:
    """The scenes that a service keeps for a key."""

    def __init__(self, shell: BlockingShell, pace: Pace) -> None:
        """Ask through the client's connections."""
        self._shell = shell
        self._pace = pace

    def upload(
        self,
        source: str | Path | Sequence[str | Path],
        name: str | None = None,
        *,
        profile: str | None = None,
        progress: Progress | None = None,
    ) -> SceneView:
        """Upload a scene; it is measured from then on, see `wait_until_ready`.

        Large ones go on where they were when the connection breaks.

        Args:
            source: A folder, a file (scan, video, picture, archive), or several files. Hidden files are left
                out, links to folders are not followed.
            name: What to call it; the name of the folder or file where left out.
            profile: Which experts measure it; the service's first where left out.
            progress: Told how many bytes are there, and how many there are in all.

        Raises:
            SourceError: If a file cannot be read, or is not what the service takes.
            QuotaError: If it is more than the service takes.
            ServiceError: If the service refuses otherwise or cannot be reached.
        """
        upload = uploading.upload_of(source, name, profile)
        return self._shell.run(uploading.uploaded(self._pace, upload, progress))

    def sample(self, name: str) -> SceneView:
        """Make a scene of a sample of the service; see `samples`."""
        return self._shell.run(uploading.sampled(self._pace, name))

    def samples(self) -> list[str]:
        """Return the names of the service's samples."""
        return self._shell.run(scene_plans.listed(self._pace)).samples

    def get(self, scene: str | HasId) -> SceneView:
        """Return a scene: its state, and once it is measured its objects, cameras and room."""
        return self._shell.run(scene_plans.looked_up(self._pace, id_of(scene)))

    def list(self) -> list[SceneView]:
        """Return the scenes, newest first, without their objects and cameras."""
        return self._shell.run(scene_plans.listed(self._pace)).scenes

    def delete(self, scene: str | HasId) -> None:
        """Delete a scene and everything that was made of it."""
        self._shell.run(scene_plans.removed(self._pace, "scenes", id_of(scene)))

    def wait_until_ready(self, scene: str | HasId, timeout_s: float | None = None) -> SceneView:
        """Wait until a scene is measured.

        Raises:
            SourceError: If it cannot be measured; other errors as the service reports them.
            WaitTimeoutError: If that takes longer than `timeout_s`; the measuring goes on.
        """
        return self._shell.run(scene_plans.measured(self._pace, id_of(scene), timeout_s))

    @overload
    def artifact(self, scene: str | HasId, name: str, to: None = None) -> bytes: ...
    @overload
    def artifact(self, scene: str | HasId, name: str, to: str | Path) -> Path: ...
    def artifact(self, scene: str | HasId, name: str, to: str | Path | None = None) -> bytes | Path:
        """Return what was made of a scene, or save it.

        Args:
            scene: The scene, or its id.
            name: Such as ``"map.png"``, ``"cloud.ply"`` or ``"frames/0.jpg"``; `SceneView.artifacts` has all.
            to: The file to save it at, which is there only once it is whole.
        """
        return _fetched(self._shell, self._pace, path("scenes", id_of(scene), "artifacts", name), to)


def _fetched(shell: BlockingShell, pace: Pace, from_path: str, to: str | Path | None) -> bytes | Path:
    if to is None:
        return shell.run(fetching.fetched(pace, from_path))
    return shell.run(fetching.saved(pace, from_path, Path(to)))
