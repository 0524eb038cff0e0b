"""The application of Ray Serve: what it refuses, how it scales, and two replicas that share everything."""

import asyncio
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import yaml
from pydantic import ValidationError
from starlette.responses import PlainTextResponse

from spatial_agent.services.api.config import ServiceConfig
from spatial_agent.services.api.testing import PATIENCE_S
from spatial_agent.services.open_service import open_service
from spatial_agent.services.settings import Settings
from spatial_agent.services.store.store import Store
from spatial_agent.tools.errors import ConfigurationError
from tests.services.store.postgresql import postgresql_cluster

pytest.importorskip("ray.serve")

from ray.cluster_utils import Cluster
from ray.serve.config import AutoscalingConfig, AutoscalingContext
from ray.serve.schema import ServeDeploySchema

from spatial_agent.services.serve_app import (
    WANTED,
    NotReadyError,
    OneRequestId,
    ServeOptions,
    build,
    check_ready,
    replica_app,
    replicas_needed,
)

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "deploy" / "serve.yaml"
POSTGRESQL = "postgresql://someone:hunter2@db.example/agent"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A configuration that names a folder for scenes."""
    config = tmp_path / "service.toml"
    config.write_text(f'folder = "{tmp_path / "scenes"}"\nkeys_required = false\n', encoding="utf-8")
    return config


def test_several_replicas_are_refused_on_sqlite(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPATIAL_AGENT_DATABASE", raising=False)
    with pytest.raises(ConfigurationError, match="no further than one machine"):
        build(ServeOptions(config=shared, max_replicas=2))
    monkeypatch.setenv("SPATIAL_AGENT_DATABASE", "sqlite:////tmp/service.sqlite")
    with pytest.raises(ConfigurationError, match="SPATIAL_AGENT_DATABASE=postgresql"):
        build(ServeOptions(config=shared, max_replicas=2))


def test_several_replicas_are_refused_without_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPATIAL_AGENT_DATABASE", POSTGRESQL)
    with pytest.raises(ConfigurationError, match="one folder for scenes") as refused:
        build(ServeOptions(max_replicas=2))
    assert "hunter2" not in str(refused.value)


def test_a_second_replica_that_only_an_override_asked_for_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPATIAL_AGENT_DATABASE", raising=False)
    context = SimpleNamespace(rank=SimpleNamespace(rank=1))
    monkeypatch.setattr("ray.serve.get_replica_context", lambda: context)
    with pytest.raises(ConfigurationError, match="2 replicas need one database"):
        replica_app(ServiceConfig(folder=tmp_path))


def test_what_can_be_is_built(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPATIAL_AGENT_DATABASE", raising=False)
    assert build(ServeOptions(config=shared)) is not None
    monkeypatch.setenv("SPATIAL_AGENT_DATABASE", POSTGRESQL)
    assert build(ServeOptions(config=shared, min_replicas=2, max_replicas=8)) is not None


def test_options_that_contradict_one_another_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"min_replicas: expected at most max_replicas \(1\), got 3"):
        build(ServeOptions(min_replicas=3))
    with pytest.raises(ValidationError, match="database"):
        ServeOptions.model_validate({"database": POSTGRESQL})


def context(requests: float, wanted: dict[Any, float], target: float = 64) -> AutoscalingContext:
    config = AutoscalingConfig(min_replicas=1, max_replicas=9, target_ongoing_requests=target)
    known: dict[str, Any] = dict.fromkeys(
        ("deployment_id", "deployment_name", "app_name", "running_replicas", "raw_metrics", "current_time")
        + ("last_scale_up_time", "last_scale_down_time", "total_queued_requests")
    )
    return AutoscalingContext(
        **known,
        current_num_replicas=1,
        target_num_replicas=1,
        total_num_requests=requests,
        aggregated_metrics={WANTED: wanted},
        capacity_adjusted_min_replicas=1,
        capacity_adjusted_max_replicas=9,
        policy_state={},
        config=config,
    )


@pytest.mark.parametrize(
    ("requests", "wanted", "replicas"),
    [
        # Every replica counts the jobs of the same database: what they say is not added up.
        (0, {"a": 2.5, "b": 2.5}, 3),
        # What one of them counted before jobs came must not hide them.
        (0, {"a": 0.0, "b": 4.0}, 4),
        (65, {"a": 0.5}, 2),
        (64, {}, 1),
        (0, {}, 0),
    ],
)
def test_jobs_that_wait_count_as_requests_that_are_open_do(
    requests: float, wanted: dict[Any, float], replicas: int
) -> None:
    assert replicas_needed(context(requests, wanted)) == (replicas, {})


def test_a_replica_is_healthy_while_it_can_be_given_work(tmp_path: Path) -> None:
    async def follow() -> None:
        config = ServiceConfig(folder=tmp_path)
        service = open_service(config, Settings(cache_folder=tmp_path, database=None))
        try:
            with pytest.raises(NotReadyError, match="starting"):
                await check_ready(service)
            await service.start()
            await check_ready(service)
            await service.drain()
            with pytest.raises(NotReadyError, match="draining"):
                await check_ready(service)
        finally:
            await service.close()

    asyncio.run(follow())


def test_the_id_of_a_request_is_left_to_the_proxy() -> None:
    async def ask() -> httpx.Response:
        app = OneRequestId(PlainTextResponse("words", headers={"X-Request-Id": "twice", "X-Other": "kept"}))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://replica") as client:
            return await client.get("/")

    response = asyncio.run(ask())
    assert ("x-request-id" in response.headers, response.headers["x-other"]) == (False, "kept")


def test_the_configuration_is_one_that_serve_and_the_application_take() -> None:
    schema = ServeDeploySchema.model_validate(yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8")))
    (application,) = schema.applications
    module, _, name = application.import_path.partition(":")
    assert getattr(sys.modules[module], name) is build
    options = ServeOptions.model_validate(application.args)
    assert (options.min_replicas, options.max_replicas) == (2, 8)
    assert POSTGRESQL.partition(":")[0] not in str(application.runtime_env)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@contextmanager
def serving_on_ray(address: str, config: Path, port: int, log: Path) -> Iterator[httpx.Client]:
    """Run `serve run` with a configuration until the block ends; Ctrl+C then shuts the application down."""
    command = [sys.executable, "-m", "ray.serve.scripts", "run", "--address", address, str(config)]
    with log.open("wb") as output, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            until = time.monotonic() + PATIENCE_S
            while not is_ready(client):
                assert process.poll() is None, log.read_text(encoding="utf-8")
                assert time.monotonic() < until, log.read_text(encoding="utf-8")
                time.sleep(0.2)
            yield client
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_S)


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_two_replicas_share_jobs_and_scenes_and_drain(
    ray_head: Cluster, shared: Path, tmp_path: Path
) -> None:
    port = free_port()
    with postgresql_cluster() as cluster, cluster.running() as server:
        url = server.new_database()
        document = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
        document["http_options"] |= {"host": "127.0.0.1", "port": port}
        (application,) = document["applications"]
        application["args"] |= {"config": str(shared), "max_replicas": 2, "cpus": 0.1}
        application["runtime_env"] = {
            "env_vars": {"SPATIAL_AGENT_DATABASE": url, "SPATIAL_AGENT_CACHE": str(tmp_path / "cache")}
        }
        config = tmp_path / "serve.yaml"
        config.write_text(yaml.safe_dump(document), encoding="utf-8")
        with serving_on_ray(ray_head.address, config, port, tmp_path / "log") as client:
            check_answers(client)
            asked = [ask(client, number).json()["id"] for number in range(20)]
            workers = len(list((tmp_path / "scenes" / "servers").glob("*.lock")))
        with Store.open(url) as store:
            counts = store.jobs.counts()
            states = [job.state for job in store.jobs.listed("local", most=50) if job.id in asked]
    assert workers == 2
    # Nothing is left under the name of a server that is gone: what had not ended waits for another one.
    assert (counts["running"], counts["failed"], len(states)) == (0, 0, 20)
    assert set(states) <= {"done", "queued"}


def ask(client: httpx.Client, number: int) -> httpx.Response:
    (scene,) = client.get("/v1/scenes").json()["scenes"]
    question = {"scene": scene["id"], "question": f"How wide is the sofa{'?' * (number + 1)}"}
    return client.post("/v1/questions", json=question)


def check_answers(client: httpx.Client) -> None:
    scene = client.post("/v1/scenes", json={"sample": "living_room"}).json()["id"]
    # Requests go to either replica: whichever is asked knows what the other was told.
    seen = {client.get(f"/v1/scenes/{scene}").status_code for _ in range(10)}
    question = {"scene": scene, "question": "How many chairs are there?"}
    answered = client.post("/v1/questions", json=question, headers={"Prefer": "wait=60"})
    assert (seen, answered.status_code, answered.json()["state"]) == ({200}, 200, "done")
    assert len(answered.headers.get_list("x-request-id")) == 1
    for _ in range(4):
        with client.stream("GET", answered.json()["links"]["events"]) as events:
            ids = [line for line in events.iter_lines() if line.startswith("id:")]
        assert ids
        assert all(re.fullmatch(r"id: 1\.\d+", line) for line in ids)
