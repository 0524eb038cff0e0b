"""A room full of instruments: the expert that reads them, and a model that has it called.

What the expert did stands in its ledger; what it read is known beforehand to nobody but the test and it.
"""

import asyncio
import json
import random
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from tests.agent.models.dialects.served import Body, Called, Says, Server, event_stream, serving
from tests.services import instrument

DISTRIBUTION = "spatial-agent-instrument"
#: Instruments in the room.
MOST = 200
PATIENCE_S = 60.0
_NUMBER = re.compile(r"What does instrument (\d+) read\?")
_READING = re.compile(r"(e\d+) \| \"Instrument \d+ reads ([\d.]+) m")
#: A scene file: nothing has to be measured before the first question.
ROOM = {
    "format": "spatial-agent/scene@1",
    "scale": "metric",
    "up": [0, 0, 1],
    "objects": [{"id": "desk", "label": "desk", "box": {"centre_m": [0, 0, 1], "extent_m": [1, 1, 1]}}],
}


def question(number: int) -> str:
    return f"What does instrument {number} read?"


class Instruments:
    """The expert as an installed distribution, its readings, and its ledger.

    Attributes:
        site: What has to be on the path of whoever is to find it.
        room: The scene file.
        readings: What the instruments read, metres.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.site = folder / "site"
        self.room = folder / "room.json"
        chance = random.Random(seed)
        self.readings = [round(chance.uniform(0.5, 9.5), 3) for _ in range(MOST)]
        self.room.write_text(json.dumps(ROOM))
        about = self.site / f"{DISTRIBUTION.replace('-', '_')}-1.0.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(
            "[spatial_agent.experts]\ninstrument.read = reads_instruments:read_instrument\n"
        )
        shutil.copy(str(instrument.__file__), self.site / "reads_instruments.py")
        (self.site / "readings.json").write_text(json.dumps(self.readings))
        self._ledger = self.site / "ledger"
        self._ledger.touch()

    def ledger(self) -> list[tuple[str, int, int]]:
        """Return what was done to which instrument by which process, in order."""
        lines = (line.split() for line in self._ledger.read_text(encoding="ascii").splitlines())
        return [(what, int(number), int(process)) for what, number, process in lines]


@dataclass
class Reader(Server):
    """A model that lets the expert read what is asked for, and answers with what it is told of that.

    Attributes:
        requests: How often it was asked.
        may_conclude: Cleared, it keeps those waiting who have the expert's result.
    """

    requests: int = 0
    may_conclude: threading.Event = field(default_factory=threading.Event)
    _more: threading.Condition = field(default_factory=threading.Condition)

    async def answer(self, request: Request) -> Response:
        try:
            body = await request.json()
        except ClientDisconnect:
            return Response()
        says = said_to(body)
        with self._more:
            self.requests += 1
            self._more.notify_all()
        if any(message["role"] == "tool" for message in body["messages"]):
            await asyncio.to_thread(self.may_conclude.wait, PATIENCE_S)
        if body.get("stream"):
            return event_stream(self.events(says, body))
        return JSONResponse(self.completion(says, body))

    def wait_for(self, requests: int, most_s: float = PATIENCE_S) -> bool:
        """Wait until it has been asked so often in all; return whether it was in time."""
        with self._more:
            return self._more.wait_for(lambda: self.requests >= requests, most_s)


def said_to(body: Body) -> Says:
    """Return what the model says to a request: a task, a call, nothing more to call, or the answer."""
    messages, text = body["messages"], json.dumps(body["messages"])
    [number] = set(_NUMBER.findall(text))
    if body.get("tools"):
        if any(message["role"] == "tool" for message in messages):
            return Says("That is enough.")
        return Says(calls=(Called("instrument__read", json.dumps({"number": int(number)})),))
    if found := _READING.search("\n".join(words(message) for message in messages)):
        answer = {"reason": "It was read.", "answer": found[2], "unit": "m", "cites": [found[1]]}
        return Says(json.dumps(answer))
    if "intent" in json.dumps(body.get("response_format")):
        task = {"intent": "open", "entities": [], "viewpoint": "none", "answer_form": "number", "unit": "m"}
        return Says(json.dumps(task | {"objective": "the reading"}))
    return Says(json.dumps({"reason": "", "answer": "unknown", "unit": "", "cites": []}))


def words(message: Body) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content or ())


@contextmanager
def reader() -> Iterator[Reader]:
    """Serve the model."""
    with serving() as serve:
        model = Reader()
        model.may_conclude.set()
        serve(model)
        yield model
