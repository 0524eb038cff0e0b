"""The service as it is put together: what it takes up, and what it clears away."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from spatial_agent.services.api.config import ServiceConfig
from spatial_agent.services.api.service import Service
from spatial_agent.services.open_service import open_service
from spatial_agent.services.settings import Settings
from spatial_agent.services.work.slots import Slot

HOUR_S = 3600.0


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service that was not started."""
    made = open_service(ServiceConfig(folder=tmp_path), replace(Settings(), database=None))
    yield made
    asyncio.run(made.close())


def test_a_scene_whose_server_died_before_it_was_handed_in_is_measured_once(service: Service) -> None:
    async def swept() -> list[bool]:
        record = await service.scenes.from_sample("local", "living_room")
        assert record.job is None
        states = []
        for _ in range(2):
            await service.desk.sweep(time.time() + HOUR_S)
            states += [job.new.scene for job in service.store.jobs.listed("local")]
        found = service.store.scenes.scene("local", record.id)
        assert found is not None
        assert found.job is not None
        return [scene == record.id for scene in states]

    assert asyncio.run(swept()) == [True, True]


def test_traces_go_when_finished_jobs_do(service: Service, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir(exist_ok=True)
    (runs / "20200101-000000-abcdef.jsonl").touch()
    day_s = 24 * HOUR_S

    asyncio.run(service.desk.sweep(time.time() + (service.config.retention.jobs_days - 1) * day_s))
    assert [path.suffix for path in runs.glob("*.jsonl")] == [".jsonl"]
    asyncio.run(service.desk.sweep(time.time() + (service.config.retention.jobs_days + 1) * day_s))
    assert list(runs.glob("*.jsonl")) == []


def test_names_of_servers_last_and_differ(tmp_path: Path) -> None:
    first, second = Slot(tmp_path), Slot(tmp_path)
    assert first.name != second.name
    kept = first.name
    first.close()
    again = Slot(tmp_path)
    assert again.name == kept
    again.close()
    second.close()


def test_nothing_printable_names_the_database(tmp_path: Path) -> None:
    settings = replace(Settings(), database="postgresql://someone:hunter2@127.0.0.1:1/none")
    with pytest.raises(Exception, match="PostgreSQL|database|store") as refused:
        open_service(ServiceConfig(folder=tmp_path), settings)
    assert "hunter2" not in f"{refused.value} {refused.value!r} {settings!r}"
