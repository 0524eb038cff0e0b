"""What is kept no longer is dropped, what is still to be kept is not."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from spatial_agent.services.api.config import Retention
from spatial_agent.services.store.records import LOCAL_TENANT, SceneRecord
from spatial_agent.services.store.store import Store
from spatial_agent.services.work import retention as retention_module
from spatial_agent.services.work.retention import DAY_S, HOUR_S, Sweeper
from spatial_agent.services.work.store_calls import StoreCalls
from tests.services.work.scripted import Outage, new_job, on_loop, until

RETENTION = Retention(jobs_days=30.0, scenes_days=10.0, chat_scenes_hours=1.0)


class Dropped:
    """Takes note of what is to be dropped."""

    def __init__(self) -> None:
        self.jobs: list[str] = []
        self.scenes: list[str] = []

    async def drop_runs(self, ids: Sequence[str]) -> None:
        self.jobs += ids

    async def drop_scene(self, scene: SceneRecord) -> None:
        self.scenes.append(scene.id)
        if scene.name == "stubborn":
            raise OSError("expected a folder that can be removed")


def sweep(store: Store, dropped: Dropped, later_s: float, retention: Retention = RETENTION) -> None:
    async def once() -> None:
        calls = StoreCalls(1, "test")
        sweeper = Sweeper(store, calls, retention, dropped.drop_runs, dropped.drop_scene)
        await sweeper.sweep_once(time.time() + later_s)
        await calls.close()

    on_loop(once())


def add_scene(store: Store, scene: str, *, name: str = "room", short_lived: bool = False) -> None:
    store.scenes.add(
        SceneRecord(scene, LOCAL_TENANT, name, "", 1, "ready", time.time(), short_lived=short_lived)
    )


def test_jobs_that_ended_long_ago_go_with_all_there_is_of_them(store: Store) -> None:
    ended, _ = store.jobs.submit(new_job(0))
    waits, _ = store.jobs.submit(new_job(1))
    assert store.jobs.claim("w", 30.0) is not None
    assert store.jobs.finish("w", ended.id, "done", answer={})
    dropped = Dropped()
    sweep(store, dropped, 29 * DAY_S)
    assert dropped.jobs == []
    sweep(store, dropped, 31 * DAY_S)
    assert dropped.jobs == [ended.id]
    assert store.jobs.job(LOCAL_TENANT, ended.id) is None
    assert store.jobs.job(LOCAL_TENANT, waits.id) is not None


def test_scenes_go_after_their_last_question_and_those_of_chats_sooner(store: Store) -> None:
    add_scene(store, "s_kept0001")
    add_scene(store, "s_chat0001", short_lived=True)
    dropped = Dropped()
    sweep(store, dropped, 0.5 * HOUR_S)
    assert dropped.scenes == []
    sweep(store, dropped, 2 * HOUR_S)
    assert dropped.scenes == ["s_chat0001"]
    sweep(store, dropped, 11 * DAY_S)
    assert sorted(dropped.scenes) == ["s_chat0001", "s_chat0001", "s_kept0001"]


def test_scenes_stay_for_ever_where_nothing_says_for_how_long(store: Store) -> None:
    add_scene(store, "s_kept0001")
    dropped = Dropped()
    sweep(store, dropped, 10_000 * DAY_S, Retention(scenes_days=None))
    assert dropped.scenes == []


def test_a_scene_whose_job_waits_is_not_idle(store: Store) -> None:
    add_scene(store, "s_room0001")
    store.jobs.submit(new_job())
    dropped = Dropped()
    sweep(store, dropped, 11 * DAY_S)
    assert dropped.scenes == []


def test_a_scene_that_cannot_be_dropped_does_not_keep_the_others(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    add_scene(store, "s_bad00001", name="stubborn")
    add_scene(store, "s_kept0001")
    dropped = Dropped()
    sweep(store, dropped, 11 * DAY_S)
    assert sorted(dropped.scenes) == ["s_bad00001", "s_kept0001"]
    assert "s_bad00001" in caplog.text


def test_sweeping_goes_on_after_an_outage(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention_module, "SWEEP_S", 0.01)
    ended, _ = store.jobs.submit(new_job(0))
    assert store.jobs.claim("w", 30.0) is not None
    assert store.jobs.finish("w", ended.id, "done", answer={})
    dropped, outage = Dropped(), Outage(store)

    async def test() -> None:
        calls, end = StoreCalls(1, "test"), asyncio.Event()
        retention = Retention(jobs_days=1e-9)
        sweeper = Sweeper(store, calls, retention, dropped.drop_runs)
        outage.begin()
        sweeping = asyncio.create_task(sweeper.sweep(end))
        await until(lambda: outage.refused > 2)
        outage.end()
        await until(lambda: dropped.jobs == [ended.id])
        end.set()
        await sweeping
        await calls.close()

    on_loop(test())
