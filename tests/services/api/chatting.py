"""A service that is asked by chat completions: its jobs answer as a test tells them, and are remembered."""

import asyncio
import base64
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from spatial_agent.agent.answer import Answer
from spatial_agent.services.api.service import Service
from spatial_agent.services.api.testing import serving_in_thread
from spatial_agent.services.store.records import LOCAL_TENANT, Job
from spatial_agent.services.work.desk import Done
from tests.services.api.prepared import Doing, add_scene, open_prepared

Content = str | list[dict[str, Any]]
Tell = Callable[[str, Mapping[str, Any]], None]
#: For what has to come from a machine that may be busy with other work.
PATIENCE_S = 30.0


@dataclass
class Oracle(Doing):
    """Answers questions as it is told, and remembers what it was asked.

    Attributes:
        answers: Answers or errors by question; those it does not know it answers with a letter or a sentence.
        asked: The requests of its jobs, as they came.
        scenes: Ids of the scenes they were about.
    """

    answers: dict[str, Answer | Exception] = field(default_factory=dict)
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    scenes: list[str] = field(default_factory=list)

    async def run(self, job: Job, tell: Tell) -> Done:
        self.asked.append(job.new.request)
        self.scenes.append(job.new.scene)
        question = str(job.new.request["question"])
        tell("stage", {"stage": "load", "facts": {"objects": 12}})
        tell("token", {"text": '{"ans'})
        self.begun.set()
        if question.startswith("wait"):
            await self._wait(job)
        given = self.answers.get(question) or self._usual(job)
        if isinstance(given, Exception):
            raise given
        await asyncio.sleep(0)
        return Done(given.to_json())

    def _usual(self, job: Job) -> Answer:
        if job.new.request["options"]:
            return Answer("B", "right", choice="B", trace_id=job.id, tokens=70, tokens_written=10)
        claim = {"claim": "The sofa is 2.12 m long, ± 0.03 m."}
        return Answer(
            "The sofa is 2.12 m long, ± 0.03 m.", 2.12, "m", margin=0.03, evidence=(claim,), trace_id=job.id
        )


@dataclass
class Chatting:
    """A service that runs.

    Attributes:
        url: Where OpenAI's protocol begins.
        service: The service itself.
        oracle: What its jobs do.
        http: A client without a key.
        scene: Id of a scene of whoever needs no key.
    """

    url: str
    service: Service
    oracle: Oracle
    http: httpx.Client
    scene: str

    def complete(self, content: Content, **fields: object) -> httpx.Response:
        """Ask one message, about the uploaded scene unless the fields say otherwise."""
        asked = {"model": "spatial-agent/recorded", "messages": [{"role": "user", "content": content}]}
        return self.http.post("/chat/completions", json=asked | {"spatial": {"scene": self.scene}} | fields)


@contextmanager
def chatting(folder: Path, **overrides: object) -> Iterator[Chatting]:
    oracle = Oracle()
    service = open_prepared(folder, oracle, **overrides)
    scene = add_scene(service.store, LOCAL_TENANT)
    with serving_in_thread(service) as url, httpx.Client(base_url=f"{url}/v1", timeout=PATIENCE_S) as http:
        try:
            yield Chatting(f"{url}/v1", service, oracle, http, scene)
        finally:
            oracle.released.set()


def frame(shade: int, form: str = "PNG", size: tuple[int, int] = (32, 24)) -> str:
    """A picture as a data URL; frames of different shades differ."""
    buffer = io.BytesIO()
    Image.new("RGB", size, (shade, shade, 255 - shade)).save(buffer, form)
    return f"data:image/{form.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def pictures(*urls: str, detail: str | None = None) -> list[dict[str, Any]]:
    extra = {} if detail is None else {"detail": detail}
    return [{"type": "image_url", "image_url": {"url": url} | extra} for url in urls]


def words(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}
