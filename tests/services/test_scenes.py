"""The scene store: measured once, found afterwards, and never stale."""

import asyncio
import dataclasses
import gc
import shutil
from pathlib import Path

import pytest

from spatial_agent.agent.state import LoadedScene, Source
from spatial_agent.services.perception import Perception
from spatial_agent.services.scenes import SceneStore
from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.mapping.cache import SceneCache
from spatial_agent.tools.media import open_source
from spatial_agent.tools.registry import Registry
from spatial_agent.tools.scene import SceneMap
from spatial_agent.tools.synthetic import SyntheticRoom, write_scan

ROOM = SyntheticRoom.example().resized(160, 120)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scan(ROOM.frames(), tmp_path_factory.mktemp("scan") / "room")


def make_store(folder: Path) -> SceneStore:
    perception = Perception(recorded=True, identity="recorded/1")
    return SceneStore(SceneCache(folder, 10**9), perception, open_source)


def load(store: SceneStore, source: Source) -> LoadedScene:
    async def found() -> LoadedScene:
        return await store.get(LocalRunner(Registry.from_entry_points()), store.name(source))

    return asyncio.run(found())


def test_a_scan_is_measured_once_and_then_found_in_memory_and_on_disk(scan: Path, tmp_path: Path) -> None:
    store = make_store(tmp_path)
    first, second = load(store, scan), load(store, scan)
    later = load(make_store(tmp_path), scan)

    assert (first.cached, second.cached, later.cached) == (False, True, True)
    assert second.scene is first.scene
    assert later.scene.scene_id == first.scene.scene_id


def test_a_copy_elsewhere_is_the_same_scene(scan: Path, tmp_path: Path) -> None:
    store = make_store(tmp_path / "cache")
    load(store, scan)
    copy = tmp_path / "elsewhere"
    shutil.copytree(scan, copy)

    assert load(store, copy).cached


def test_a_changed_file_is_noticed(scan: Path, tmp_path: Path) -> None:
    store = make_store(tmp_path / "cache")
    copy = tmp_path / "copy"
    shutil.copytree(scan, copy)
    before = load(store, copy)
    text = (copy / "scan.json").read_text("utf-8")
    (copy / "scan.json").write_text(text.replace('"sofa"', '"bench"'), encoding="utf-8")
    after = load(store, copy)

    assert not after.cached
    assert {item.label for item in after.scene.objects} - {item.label for item in before.scene.objects} == {
        "bench"
    }


def test_questions_at_the_same_time_measure_a_scan_once(scan: Path, tmp_path: Path) -> None:
    store = make_store(tmp_path)

    async def both() -> list[LoadedScene]:
        runner = LocalRunner(Registry.from_entry_points())
        name = store.name(scan)
        return list(await asyncio.gather(store.get(runner, name), store.get(runner, name)))

    assert sorted(item.cached for item in asyncio.run(both())) == [False, True]


def test_values_in_memory_are_sources_and_are_let_go(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    scene = dataclasses.replace(ROOM.scene_map(), scene_id="mine")
    name = store.name(scene)

    assert load(store, scene).scene is scene
    assert not load(store, ROOM.frames()).cached
    fresh = make_store(tmp_path)
    gone = fresh.name(SceneMap(objects=()))
    gc.collect()
    for lost in (name, gone):
        with pytest.raises(SourceError, match="a value in memory, which is gone"):
            asyncio.run(fresh.get(LocalRunner(Registry.from_entry_points()), lost))
