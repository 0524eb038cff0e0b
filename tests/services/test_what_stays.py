"""What stays of scenes that are deleted, what a service says of where it is, and what nobody can pile up."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spatial_agent.services.api.config import Retention
from spatial_agent.services.pictures import write_scene_folder
from spatial_agent.services.scene_files.artifacts import Artifacts
from spatial_agent.services.scenes import SceneStore
from spatial_agent.services.store.records import LOCAL_TENANT, NewJob, SceneRecord
from spatial_agent.services.store.store import Store
from spatial_agent.services.work.retention import Sweeper
from spatial_agent.services.work.store_calls import StoreCalls
from tests.services.api.chatting import frame, pictures, words
from tests.services.api.uploading import MIB, Uploading, uploading
from tests.services.scene_files.making import everything_below, picture
from tests.services.tenants import TUS, first_frames, wait_until

#: A scene file, which takes no time to measure.
ROOM = json.dumps(
    {
        "format": "spatial-agent/scene@1",
        "scale": "metric",
        "up": [0, 0, 1],
        "objects": [
            {"id": "desk", "label": "desk", "box": {"centre_m": [0, 0, 1], "extent_m": [1, 1, 1]}},
        ],
    }
).encode()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Uploading]:
    """A service whose folder is reached by a link, as where a disk is mounted elsewhere."""
    place = tmp_path_factory.mktemp("machine")
    (place / "real-disk").mkdir()
    (place / "service").symlink_to(place / "real-disk")
    with uploading(place / "service") as running:
        yield running


def scene_folder(api: Uploading, scene: str) -> Path:
    return api.folder / "scenes" / scene


class TestWhatIsDeleted:
    def test_a_scene_that_is_deleted_while_it_is_measured_leaves_nothing(
        self, api: Uploading, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        anna = api.person("deletes-early")
        at_work, may_write = threading.Event(), threading.Event()
        write = write_scene_folder

        def slowly(*given: Any) -> Any:  # noqa: ANN401 - as the original
            at_work.set()
            assert may_write.wait(20)
            return write(*given)

        monkeypatch.setattr("spatial_agent.services.scene_files.measuring.write_scene_folder", slowly)
        scene = anna.upload({"room.json": ROOM}).json()["id"]
        assert at_work.wait(60)
        assert anna.request("DELETE", f"/v1/scenes/{scene}").status_code == 204
        may_write.set()
        wait_until(lambda: api.service.desk.running == 0)
        wait_until(lambda: not scene_folder(api, scene).exists())

    def test_a_scene_that_is_deleted_while_it_is_looked_at_leaves_nothing(
        self, api: Uploading, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        anna = api.person("deletes-late")
        scene = anna.upload({"a.png": picture(), "b.png": picture(seed=1)}).json()["id"]
        anna.measured(scene)
        decode = Artifacts._decoded

        def slowly(artifacts: Artifacts, record: SceneRecord, index: int) -> Any:  # noqa: ANN401 - a picture
            decoded = decode(artifacts, record, index)
            assert anna.request("DELETE", f"/v1/scenes/{scene}").status_code == 204
            return decoded

        monkeypatch.setattr(Artifacts, "_decoded", slowly)
        anna.request("GET", f"/v1/scenes/{scene}/artifacts/frames/0.jpg")
        assert not scene_folder(api, scene).exists()

    def test_a_server_that_dies_while_it_deletes_leaves_what_can_be_deleted(
        self, api: Uploading, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Files without a scene are seen by nobody, and go with nobody."""
        anna = api.person("dies")
        scene = anna.upload({"a.png": picture()}).json()["id"]
        anna.measured(scene)
        scenes = api.service.scenes
        record = api.service.store.scenes.scene("dies", scene)
        assert record is not None

        def dies(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(api.service.store.scenes, "remove", dies)
            with pytest.raises(KeyboardInterrupt):
                scenes._remove(record)
        assert not scene_folder(api, scene).exists()
        assert anna.request("GET", "/v1/scenes").json()["scenes"]
        assert anna.request("DELETE", f"/v1/scenes/{scene}").status_code == 204
        scenes.remove_stale(time.time())
        assert everything_below(api.folder / "scenes" / "incoming") == []


class TestWhereItIs:
    def test_no_answer_names_a_folder_behind_a_link(self, api: Uploading) -> None:
        anna = api.person("looks")
        scene = anna.upload(first_frames(1)).json()["id"]
        told = [str(anna.measured(scene))]
        asked = {"question": "How far is the sofa from the unicorn?", "scene": scene}
        done = anna.request("POST", "/v1/questions", json=asked, headers={"Prefer": "wait=60"})
        own = f"/v1/questions/{done.json()['id']}"
        told += [anna.request("GET", f"{own}{part}").text for part in ("", "/events", "/trace")]
        (scene_folder(api, scene) / "files" / "color" / "0000.jpg").unlink(missing_ok=True)
        for file in scene_folder(api, scene).rglob("*.png"):
            file.write_bytes(b"no picture")
        call = {"scene": scene, "arguments": {"frame": "$frame/0", "xyxy_px": [0, 0, 9, 9]}}
        told.append(anna.request("POST", "/v1/tools/crop", json=call).text)
        told.append(anna.request("GET", f"/v1/scenes/{scene}/artifacts/frames/0.jpg").text)
        for text in told:
            assert str(api.folder) not in text
            assert "real-disk" not in text

    def test_folders_of_weights_count_too(self, api: Uploading) -> None:
        service = replace(
            api.service, settings=replace(api.service.settings, weights_folder=api.folder / "w")
        )
        assert api.folder / "w" in service.folders
        assert (api.folder / "w").resolve() in service.folders

    def test_processes_that_open_uploads_know_no_secret(
        self, api: Uploading, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[str] = []
        start = asyncio.create_subprocess_exec

        async def watched(*arguments: str, **options: Any) -> Any:  # noqa: ANN401 - a process
            seen.append(f"{arguments} {options['env']}")
            return await start(*arguments, **options)

        for name in ("SPATIAL_AGENT_MODEL_KEY", "SPATIAL_AGENT_DATABASE", "OPENAI_API_KEY"):
            monkeypatch.setenv(name, "canary-of-the-operator")
        monkeypatch.setattr(asyncio, "create_subprocess_exec", watched)
        anna = api.person("uploads")
        assert anna.upload(first_frames(1)).status_code == 202
        assert seen
        assert not [told for told in seen if "canary" in told or anna.token in told]


class TestWhatNobodyPilesUp:
    def test_uploads_begun_at_once_share_one_room(self, api: Uploading) -> None:
        greedy = api.person("at-once", stored_bytes=20 * MIB)
        headers = TUS | {"Upload-Length": str(8 * MIB)}

        def begin(_: int) -> int:
            return greedy.request("POST", "/v1/uploads", headers=headers).status_code

        with ThreadPoolExecutor(12) as threads:
            statuses = list(threads.map(begin, range(24)))
        assert statuses.count(201) == 2
        assert api.service.store.uploads.reserved_bytes("at-once") <= 20 * MIB

    def test_pictures_are_not_kept_for_questions_that_are_refused(self, api: Uploading) -> None:
        used_up = api.person("used-up", questions_per_day=0)
        content = [*pictures(frame(90)), words("How far is the sofa?")]
        body = {"model": "spatial-agent/recorded", "messages": [{"role": "user", "content": content}]}
        assert used_up.request("POST", "/v1/chat/completions", json=body).status_code == 429
        assert api.service.store.scenes.stored_bytes("used-up") == 0

    def test_a_source_that_nobody_asks_about_is_not_remembered(self, tmp_path: Path) -> None:
        """A service measures scene after scene for years."""
        scenes = SceneStore(cache=Any, perception=Any, open_frames=Any)  # type: ignore[arg-type]

        async def ask() -> None:
            for number in range(100):
                with pytest.raises(Exception, match="no such file"):
                    await scenes.get(Any, str(tmp_path / str(number)))  # type: ignore[arg-type]

        asyncio.run(ask())
        assert len(scenes._locks) == 0


def test_a_scene_that_is_asked_about_meanwhile_is_not_swept_away(tmp_path: Path) -> None:
    """What is due is found once, and dropped one after the other, which may take minutes."""
    with Store.open(f"sqlite:///{tmp_path / 'store.sqlite'}") as store:
        names = ("sc_0000000a", "sc_0000000b")
        for name in names:
            store.scenes.add(
                SceneRecord(name, LOCAL_TENANT, "pictures", "files", 9, "ready", 1.7e9, short_lived=True)
            )
        dropped: list[str] = []

        async def drop(scene: SceneRecord) -> None:
            dropped.append(scene.id)
            for name in names:
                if name != scene.id:
                    store.jobs.submit(NewJob(LOCAL_TENANT, "question", {"question": "how far?"}, name))

        async def sweep() -> None:
            calls = StoreCalls(1, "store")
            retention = Retention(chat_scenes_hours=1.0)
            await Sweeper(store, calls, retention, on_idle_scene=drop).sweep_once(time.time() + 7200)
            await calls.close()

        asyncio.run(sweep())
        assert len(dropped) == 1
