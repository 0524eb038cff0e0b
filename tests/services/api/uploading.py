"""A service with keys whose scenes are really measured, and people who upload to it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from spatial_agent.services.api.config import Limits, ServiceConfig
from spatial_agent.services.api.service import Service
from spatial_agent.services.api.testing import serving_in_thread
from spatial_agent.services.open_service import open_service
from spatial_agent.services.settings import Settings
from spatial_agent.services.store.records import SCOPES, Allowance, Scope

MIB = 2**20
PATIENCE_S = 60.0
LIMITS = Limits(request_bytes=MIB, upload_bytes=16 * MIB, file_bytes=8 * MIB, files=200, frames=100)


@dataclass(frozen=True)
class Person:
    """Somebody with a key."""

    http: httpx.Client
    token: str

    def request(self, method: str, path: str, **rest: Any) -> httpx.Response:  # noqa: ANN401 - of httpx
        headers = {"Authorization": f"Bearer {self.token}"} | rest.pop("headers", {})
        return self.http.request(method, path, headers=headers, **rest)

    def upload(self, files: dict[str, bytes], **rest: Any) -> httpx.Response:  # noqa: ANN401 - of httpx
        """Send files as a browser does."""
        sent = [("files", (name, content, "application/octet-stream")) for name, content in files.items()]
        return self.request("POST", "/v1/scenes", files=sent, **rest)

    def measured(self, scene_id: str) -> dict[str, Any]:
        """Wait until a scene has been measured, or has failed."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            scene: dict[str, Any] = self.request("GET", f"/v1/scenes/{scene_id}").json()
            if scene["state"] in ("ready", "failed"):
                return scene
            time.sleep(0.02)
        raise TimeoutError(scene_id)


@dataclass(frozen=True)
class Uploading:
    """A service that runs."""

    url: str
    service: Service
    folder: Path
    http: httpx.Client

    def person(self, tenant: str, *scopes: Scope, **allowed: Any) -> Person:  # noqa: ANN401 - of Allowance
        """Return somebody new of a tenant."""
        _, token = self.service.store.keys.create(
            tenant, "test", frozenset(scopes or SCOPES), Allowance(**{"requests_per_minute": 10**6} | allowed)
        )
        return Person(self.http, token)


@contextmanager
def uploading(folder: Path) -> Iterator[Uploading]:
    """Serve below a folder."""
    config = ServiceConfig(port=0, folder=folder, keys_required=True, limits=LIMITS, web_page=False)
    service = open_service(config, replace(Settings(), database=None, cache_folder=folder / "cache"))
    with serving_in_thread(service) as url, httpx.Client(base_url=url, timeout=PATIENCE_S) as http:
        yield Uploading(url, service, folder, http)


def problem_name(response: httpx.Response) -> str:
    """Return what kind of problem a response tells; it must be one that tells nothing of the server."""
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert told["status"] == response.status_code
    assert told["detail"]
    assert "Traceback" not in response.text
    assert "/tmp" not in response.text
    return str(told["type"].rpartition(":")[2])
