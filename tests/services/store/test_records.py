"""Scenes, sessions, uploads and usage."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from spatial_agent.services.store.records import NewJob, SceneRecord, SessionRecord, UploadRecord
from spatial_agent.services.store.store import Store

SCENE = SceneRecord("sc_1", "ann", "living room", "scan", 10, "queued", 5.0, facts={"frames": 3})
SESSION = SessionRecord("se_1", "ann", "sc_1", 5.0)
UPLOAD = UploadRecord("up_1", "ann", "room.zip", 100, 5.0)


def test_a_scene_is_kept_as_it_came(store: Store) -> None:
    whole = replace(SCENE, job="m_1", profile="open", problem={"title": "no"}, short_lived=True)
    store.scenes.add(whole)
    assert store.scenes.scene("ann", "sc_1") == whole
    assert store.scenes.scene("bob", "sc_1") is None


def test_what_is_said_to_change_about_a_scene_changes(store: Store) -> None:
    store.scenes.add(SCENE)
    changed = store.scenes.update("ann", "sc_1", state="failed", problem={"title": "no"}, job="m_1", facts={})
    assert changed == replace(SCENE, state="failed", problem={"title": "no"}, job="m_1", facts={})
    assert store.scenes.update("ann", "sc_1", problem=None, bytes=2**40) == store.scenes.scene("ann", "sc_1")
    assert store.scenes.update("ann", "sc_1") == replace(changed, problem=None, bytes=2**40)
    assert store.scenes.update("bob", "sc_1", state="ready") is None
    assert store.scenes.update("bob", "sc_1") is None


def test_scenes_are_listed_from_the_newest(store: Store) -> None:
    for number, tenant in enumerate(["ann", "bob", "ann"]):
        store.scenes.add(replace(SCENE, id=f"sc_{number}", tenant=tenant, created=float(number)))
    assert [scene.id for scene in store.scenes.listed("ann")] == ["sc_2", "sc_0"]


def test_the_bytes_of_a_tenants_scenes_are_summed(store: Store) -> None:
    assert store.scenes.stored_bytes("ann") == 0
    for id, tenant, size in [("sc_1", "ann", 2**40), ("sc_2", "ann", 5), ("sc_3", "bob", 7)]:
        store.scenes.add(replace(SCENE, id=id, tenant=tenant, bytes=size))
    assert store.scenes.stored_bytes("ann") == 2**40 + 5


def test_a_scene_goes_with_its_dialogues(store: Store) -> None:
    store.scenes.add(SCENE)
    for id, tenant, scene in [("se_1", "ann", "sc_1"), ("se_2", "ann", "sc_2"), ("se_3", "bob", "sc_1")]:
        store.sessions.add(SessionRecord(id, tenant, scene, 5.0, ({"question": "?"},)))
    assert store.scenes.remove("bob", "sc_1") is None
    assert store.scenes.remove("ann", "sc_1") == SCENE
    assert store.scenes.remove("ann", "sc_1") is None
    assert [session.id for session in store.sessions.listed("ann")] == ["se_2"]
    assert store.sessions.session("bob", "se_3") is not None


def test_a_scene_is_idle_once_nobody_asks_about_it(store: Store) -> None:
    for id in ("sc_1", "sc_2"):
        store.scenes.add(replace(SCENE, id=id))
    before = time.time()
    assert store.scenes.idle_since(before - 3600) == []
    assert [scene.id for scene in store.scenes.idle_since(before + 3600)] == ["sc_1", "sc_2"]
    job, _ = store.jobs.submit(NewJob("ann", "question", {}, "sc_1"))
    assert [scene.id for scene in store.scenes.idle_since(before + 3600)] == ["sc_2"]
    store.jobs.cancel("ann", job.id)
    assert {scene.id for scene in store.scenes.idle_since(before + 3600)} == {"sc_1", "sc_2"}


def test_a_question_uses_its_scene_even_after_its_job_was_dropped(store: Store) -> None:
    from sqlalchemy import update

    from spatial_agent.services.store.tables import scenes

    for id in ("sc_1", "sc_2"):
        store.scenes.add(replace(SCENE, id=id))
    with store.database.writing() as connection:
        connection.execute(update(scenes).values(used=time.time() - 7200))
    job, _ = store.jobs.submit(NewJob("ann", "question", {}, "sc_1"))
    store.jobs.submit(NewJob("bob", "question", {}, "sc_2"))  # not bob's: no use of it
    store.jobs.cancel("ann", job.id)
    store.jobs.drop_finished(time.time() + 60)
    store.jobs.cancel("bob", store.jobs.listed("bob")[0].id)
    assert [scene.id for scene in store.scenes.idle_since(time.time() - 3600)] == ["sc_2"]


def test_a_dialogue_is_kept_in_order(store: Store) -> None:
    said = tuple({"question": f"question {number}"} for number in range(12))
    whole = replace(SESSION, exchanges=said)
    store.sessions.add(whole)
    store.sessions.add(replace(SESSION, id="se_2", created=6.0))
    assert store.sessions.session("ann", "se_1") == whole
    assert store.sessions.session("bob", "se_1") is None
    assert store.sessions.listed("ann") == [replace(SESSION, id="se_2", created=6.0), whole]
    assert store.sessions.remove("bob", "se_1") is None
    assert store.sessions.remove("ann", "se_1") == whole
    assert store.sessions.remove("ann", "se_1") is None


def test_an_upload_advances_from_where_it_is(store: Store) -> None:
    store.uploads.add(UPLOAD)
    assert store.uploads.advance("ann", "up_1", 0, 60)
    assert not store.uploads.advance("ann", "up_1", 0, 60)
    assert not store.uploads.advance("ann", "up_1", 60, 101)
    assert not store.uploads.advance("bob", "up_1", 60, 100)
    assert store.uploads.advance("ann", "up_1", 60, 100)
    assert store.uploads.upload("ann", "up_1") == replace(UPLOAD, offset=100)


def test_what_uploads_will_take_is_summed(store: Store) -> None:
    assert (store.uploads.count("ann"), store.uploads.reserved_bytes("ann")) == (0, 0)
    for id, tenant, length in [("up_1", "ann", 2**40), ("up_2", "ann", 5), ("up_3", "bob", 7)]:
        store.uploads.add(replace(UPLOAD, id=id, tenant=tenant, length=length))
    assert (store.uploads.count("ann"), store.uploads.reserved_bytes("ann")) == (2, 2**40 + 5)


def test_uploads_are_forgotten(store: Store) -> None:
    store.uploads.add(UPLOAD)
    store.uploads.add(replace(UPLOAD, id="up_2", tenant="bob", created=7.0))
    assert store.uploads.older_than(7.0) == [UPLOAD]
    assert store.uploads.upload("bob", "up_1") is None
    assert store.uploads.remove("bob", "up_1") is None
    assert store.uploads.remove("ann", "up_1") == UPLOAD
    assert store.uploads.older_than(8.0) == [replace(UPLOAD, id="up_2", tenant="bob", created=7.0)]


def test_a_day_has_no_more_than_its_allowance(store: Store) -> None:
    assert store.usage.used("k1", "2026-01-31") == 0
    assert store.usage.spend("k1", "2026-01-31", 3, most=5)
    assert not store.usage.spend("k1", "2026-01-31", 3, most=5)
    assert store.usage.spend("k1", "2026-01-31", 2, most=5)
    assert not store.usage.spend("k1", "2026-02-01", 6, most=5)
    assert store.usage.spend("k2", "2026-01-31", 5, most=5)
    used = [store.usage.used(*place) for place in [("k1", "2026-01-31"), ("k1", "2026-02-01")]]
    assert used == [5, 0]


def test_an_allowance_holds_whoever_spends_at_once(store: Store) -> None:
    barrier = threading.Barrier(8)

    def spend(_: int) -> int:
        barrier.wait()
        return sum(store.usage.spend("k1", "2026-01-31", 1, most=50) for _ in range(10))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(spend, range(8))) == 50
    assert store.usage.used("k1", "2026-01-31") == 50
