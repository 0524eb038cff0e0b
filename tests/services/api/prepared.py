"""A service whose jobs do what their question says, with its real store, desk, app and web server."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx

from spatial_agent.agent.answer import Answer
from spatial_agent.services.api.config import ServiceConfig
from spatial_agent.services.api.metrics import service_meter
from spatial_agent.services.api.problems import problem_of
from spatial_agent.services.api.service import Service
from spatial_agent.services.api.testing import serving_in_thread
from spatial_agent.services.scene_files.folder import SceneFiles
from spatial_agent.services.settings import Settings
from spatial_agent.services.store.ids import new_id
from spatial_agent.services.store.records import LOCAL_TENANT, Job, SceneRecord
from spatial_agent.services.store.store import Store
from spatial_agent.services.work.agents import Agents
from spatial_agent.services.work.desk import Desk, Done
from spatial_agent.tools.errors import NoSuchObjectError


@dataclass
class Doing:
    """Does what a question says: ``wait`` until released, ``fail``, or answer how far something is."""

    released: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    cancelled: list[str] = field(default_factory=list)

    async def run(self, job: Job, tell: Callable[[str, Mapping[str, Any]], None]) -> Done:
        question = str(job.new.request["question"])
        tell("stage", {"stage": "load", "facts": {"objects": 12}})
        self.begun.set()
        if question.startswith("wait"):
            await self._wait(job)
        if question.startswith("fail"):
            raise NoSuchObjectError("there is no piano; there are a sofa, a table", ("sofa", "table"))
        if question.startswith("crash"):
            raise ZeroDivisionError("secret of the house")
        tell("stage", {"stage": "answer", "facts": {}})
        answer = Answer(text="2.5 m, give or take 0.1 m", value=2.5, unit="m", margin=0.1, trace_id=job.id)
        exchange = {"question": question, "answer": answer.text, "objects": []}
        return Done(answer.to_json(), exchange if job.new.session else None)

    async def forget(self, job_ids: Sequence[str]) -> None:
        return None

    async def _wait(self, job: Job) -> None:
        try:
            while not self.released.is_set():
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            self.cancelled.append(job.id)
            raise


@dataclass
class Prepared:
    """A service that runs.

    Attributes:
        url: Its address.
        service: The service itself.
        doing: What its jobs do.
        http: A client that shows no key.
        scene: Id of a scene of whoever needs no key.
    """

    url: str
    service: Service
    doing: Doing
    http: httpx.Client
    scene: str

    def add_scene(self, tenant: str = LOCAL_TENANT, **fields: Any) -> str:  # noqa: ANN401
        return add_scene(self.service.store, tenant, **fields)

    def ask(self, question: str = "how far?", *, wait: float | None = 20, **fields: Any) -> httpx.Response:  # noqa: ANN401
        headers = {} if wait is None else {"Prefer": f"wait={wait:g}"}
        headers |= {"Content-Type": "application/json"} | fields.pop("headers", {})
        told = {"question": question, "scene": self.scene} | fields
        return self.http.post("/v1/questions", content=json.dumps(told), headers=headers)


def add_scene(store: Store, tenant: str, **fields: Any) -> str:  # noqa: ANN401
    record = SceneRecord(new_id("sc"), tenant, "a room", "scan", 1000, "ready", 1.7e9)
    store.scenes.add(replace(record, **fields))
    return record.id


def open_prepared(folder: Path, doing: Doing, **overrides: Any) -> Service:  # noqa: ANN401
    chosen = {"port": 0, "folder": folder, "web_page": False, "work": {"drain_seconds": 5.0}} | overrides
    config = ServiceConfig.model_validate(chosen)
    settings = replace(Settings(), cache_folder=folder / "cache")
    store = Store.open(f"sqlite:///{folder / 'service.sqlite'}")
    meter = service_meter()
    agent = SimpleNamespace(
        trace_path=lambda run: folder / "runs" / f"{run}.jsonl", warm=lambda: None, close=lambda: None
    )
    return Service(
        config=config,
        settings=settings,
        store=store,
        desk=Desk(store, doing, name="test", work=config.work, problem_of=problem_of, meter=meter),
        agents=Agents(("recorded", "open"), lambda _: cast(Any, agent)),
        scenes=SceneFiles(folder / "scenes", store, config.limits),
        meter=meter,
        version="1.2.3",
    )


@contextmanager
def prepared(folder: Path, **overrides: Any) -> Iterator[Prepared]:  # noqa: ANN401
    doing = Doing()
    service = open_prepared(folder, doing, **overrides)
    scene = add_scene(service.store, LOCAL_TENANT)
    with serving_in_thread(service) as url, httpx.Client(base_url=url, timeout=30) as http:
        try:
            yield Prepared(url, service, doing, http, scene)
        finally:
            doing.released.set()
