"""Two tenants of one real service, and every route as each of them may call it."""

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from spatial_agent.services.store.records import Scope
from tests.services.api.uploading import Person
from tests.services.scene_files.making import picture

SAMPLE = Path(__file__).parents[2] / "examples" / "scans" / "living_room"
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "4"}
#: What ids look like that were never given.
NEVER = "0123456789abcdef0123456789abcdef"

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Things:
    """Ids of what somebody has.

    Attributes:
        scene: A measured scene.
        question: A question about it that is done.
        session: A dialogue about it.
        upload: An upload that is not finished.
        finished: An upload that is.
    """

    scene: str = f"sc_{NEVER}"
    question: str = f"q_{NEVER}"
    session: str = f"se_{NEVER}"
    upload: str = f"up_{NEVER}"
    finished: str = f"up_{NEVER}"

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(vars(self).values())


#: Of nobody.
NOTHING = Things()


@dataclass(frozen=True)
class Call:
    """A request that names something.

    Attributes:
        scopes: What a key needs for it.
        options: What goes with it, beside its path.
        names: Whether it is about one thing, so that it is not found where that is another tenant's.
        changes: Whether it changes or makes something.
    """

    scopes: frozenset[Scope]
    options: Callable[[Things], Options] = field(default=lambda _: {})
    names: bool = True
    changes: bool = False


def needs(*scopes: Scope, **rest: Any) -> Call:  # noqa: ANN401 - of Call
    return Call(frozenset(scopes), **rest)


def chat(things: Things) -> Options:
    message = {"role": "user", "content": "How tall is the sofa?"}
    return {
        "json": {
            "model": "spatial-agent/recorded",
            "messages": [message],
            "spatial": {"scene": things.scene},
        }
    }


def asked(things: Things) -> Options:
    return {"json": {"question": "How tall is the sofa?", "scene": things.scene}}


def calling(things: Things) -> Options:
    return {"json": {"scene": things.scene, "arguments": {"of": "sofa", "dimension": "height"}}}


#: Every route; those that need no key have no scopes. A new one fails the tests until it stands here.
ROUTES: dict[tuple[str, str], Call] = {
    ("GET", "/healthz"): needs(names=False),
    ("GET", "/readyz"): needs(names=False),
    ("OPTIONS", "/v1/uploads"): needs(names=False),
    ("GET", "/metrics"): needs("metrics", names=False),
    ("POST", "/v1/scenes"): needs(
        "upload", options=lambda things: {"json": {"upload": things.finished}}, changes=True
    ),
    ("GET", "/v1/scenes"): needs("read", names=False),
    ("GET", "/v1/scenes/{scene_id}"): needs("read"),
    ("DELETE", "/v1/scenes/{scene_id}"): needs("read", "upload", changes=True),
    ("GET", "/v1/scenes/{scene_id}/artifacts/{name}"): needs("read"),
    ("POST", "/v1/uploads"): needs(
        "upload", options=lambda _: {"headers": TUS | {"Upload-Length": "8"}}, names=False, changes=True
    ),
    ("GET", "/v1/uploads/{upload_id}"): needs("upload"),
    ("HEAD", "/v1/uploads/{upload_id}"): needs("upload", options=lambda _: {"headers": TUS}),
    ("PATCH", "/v1/uploads/{upload_id}"): needs(
        "upload", options=lambda _: {"headers": TUS | PIECE, "content": b"more"}, changes=True
    ),
    ("DELETE", "/v1/uploads/{upload_id}"): needs("upload", options=lambda _: {"headers": TUS}, changes=True),
    ("POST", "/v1/questions"): needs("ask", options=asked, changes=True),
    ("GET", "/v1/questions"): needs("read", names=False),
    ("GET", "/v1/questions/{question_id}"): needs("read"),
    ("DELETE", "/v1/questions/{question_id}"): needs("read", "ask", changes=True),
    ("GET", "/v1/questions/{question_id}/events"): needs(
        "read", options=lambda _: {"headers": {"Last-Event-ID": "1.1"}}
    ),
    ("GET", "/v1/questions/{question_id}/trace"): needs("read"),
    ("GET", "/v1/questions/{question_id}/picture.png"): needs("read"),
    ("GET", "/v1/sessions"): needs("read", names=False),
    ("POST", "/v1/sessions"): needs(
        "ask", options=lambda things: {"json": {"scene": things.scene}}, changes=True
    ),
    ("GET", "/v1/sessions/{session_id}"): needs("read"),
    ("DELETE", "/v1/sessions/{session_id}"): needs("read", "ask", changes=True),
    ("GET", "/v1/tools"): needs("read", names=False),
    ("GET", "/v1/tools/{name}"): needs("read", names=False),
    ("POST", "/v1/tools/{name}"): needs("tools", options=calling),
    ("GET", "/v1/models"): needs("read", names=False),
    ("GET", "/v1/models/{model_id}"): needs("read", names=False),
    ("POST", "/v1/chat/completions"): needs("ask", options=chat, changes=True),
}
#: What stands in for `{name}`, which is no id.
NAMES = {
    "/v1/scenes/{scene_id}/artifacts/{name}": "map.png",
    "/v1/tools/{name}": "size",
    "/v1/models/{model_id}": "spatial-agent/recorded",
}


def path_of(template: str, things: Things) -> str:
    filled = template
    for kind in ("scene", "question", "session", "upload"):
        filled = filled.replace(f"{{{kind}_id}}", getattr(things, kind))
    name = NAMES.get(template, "")
    return filled.replace("{name}", name).replace("{model_id}", name)


def send(person: Person, route: tuple[str, str], things: Things) -> httpx.Response:
    """Call a route about things, whoever's they are."""
    method, template = route
    return person.request(method, path_of(template, things), **ROUTES[route].options(things))


def first_frames(number: int = 2) -> dict[str, bytes]:
    """Return the first frames of the sample scan, which are measured soon."""
    manifest = json.loads((SAMPLE / "scan.json").read_text())
    manifest["frames"] = manifest["frames"][:number]
    names = [frame[kind] for frame in manifest["frames"] for kind in ("color", "depth", "instances")]
    files = {name: (SAMPLE / name).read_bytes() for name in names}
    return files | {"scan.json": json.dumps(manifest).encode()}


def upload_of(person: Person, content: bytes, length: int) -> str:
    """Begin a resumable upload and send what there is of it."""
    named = base64.b64encode(b"frame.png").decode()
    headers = TUS | {"Upload-Length": str(length), "Upload-Metadata": f"filename {named}"}
    begun = person.request("POST", "/v1/uploads", headers=headers)
    assert begun.status_code == 201, begun.text
    place = begun.headers["location"]
    sent = person.request("PATCH", place, headers=TUS | PIECE | {"Upload-Offset": "0"}, content=content)
    assert sent.status_code == 204, sent.text
    return str(place.rpartition("/")[2])


def settle(person: Person, folder: str = "room") -> Things:
    """Give somebody one of everything."""
    files = {f"{folder}/{name}": content for name, content in first_frames().items()}
    scene = str(person.upload(files, data={"name": f"{folder} of somebody"}).json()["id"])
    assert person.measured(scene)["state"] == "ready"
    session = person.request("POST", "/v1/sessions", json={"scene": scene}).json()["id"]
    done = person.request(
        "POST",
        "/v1/questions",
        json={"question": "How tall is the sofa?", "session": session},
        headers={"Prefer": "wait=60"},
    )
    assert done.json()["state"] == "done", done.text
    frame = picture()
    things = Things(scene, done.json()["id"], session)
    return replace(
        things, upload=upload_of(person, b"part", 8), finished=upload_of(person, frame, len(frame))
    )


def wait_until(true: Callable[[], bool], patience_s: float = 20.0) -> None:
    """Wait for something that another thread does."""
    until = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < until, "it never came to be"
        time.sleep(0.01)
