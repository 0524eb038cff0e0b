"""Resumable uploads over HTTP, as clients of tus 1.0.0 send them."""

import base64
import io
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import httpx
import pytest
from tusclient.client import TusClient

from tests.services.api.uploading import LIMITS, MIB, Person, Uploading, problem_name, uploading
from tests.services.scene_files.making import everything_below, picture, scan, zipped

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = TUS | {"Content-Type": "application/offset+octet-stream"}
CONTENT = zipped(scan())


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Uploading]:
    with uploading(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture(scope="module")
def anna(api: Uploading) -> Person:
    return api.person("anna")


def begin(person: Person, length: int = len(CONTENT), metadata: str = "") -> httpx.Response:
    headers = TUS | {"Upload-Length": str(length), "Upload-Metadata": metadata}
    return person.request("POST", "/v1/uploads", headers=headers)


def append(person: Person, path: str, offset: int, content: bytes, **headers: str) -> httpx.Response:
    sent = PIECE | {"Upload-Offset": str(offset)} | headers
    return person.request("PATCH", path, content=content, headers=sent)


class TestWithAClientOfTus:
    def test_an_upload_that_broke_off_goes_on_and_becomes_a_scene(self, api: Uploading, anna: Person) -> None:
        client = TusClient(f"{api.url}/v1/uploads", headers={"Authorization": f"Bearer {anna.token}"})
        first = client.uploader(
            file_stream=io.BytesIO(CONTENT), chunk_size=1000, metadata={"filename": "room.zip"}
        )
        first.upload(stop_at=3000)
        second = client.uploader(file_stream=io.BytesIO(CONTENT), chunk_size=1000, url=first.url)
        assert second.offset == 3000
        second.upload()
        upload_id = str(first.url).rpartition("/")[2]
        view = anna.request("GET", f"/v1/uploads/{upload_id}").json()
        assert (view["offset"], view["length"], view["name"]) == (len(CONTENT), len(CONTENT), "room.zip")
        scene = anna.request("POST", "/v1/scenes", json={"upload": upload_id, "name": "Room"})
        assert (scene.status_code, scene.json()["name"], scene.json()["frames"]) == (202, "Room", 1)
        assert anna.request("GET", f"/v1/uploads/{upload_id}").status_code == 404

    def test_the_server_says_what_it_speaks(self, api: Uploading) -> None:
        said = api.http.options("/v1/uploads")
        assert said.status_code == 204
        assert said.headers["tus-version"] == said.headers["tus-resumable"] == "1.0.0"
        assert said.headers["tus-extension"].split(",") == ["creation", "termination", "expiration"]
        assert int(said.headers["tus-max-size"]) == LIMITS.upload_bytes


class TestTheProtocol:
    def test_pieces_follow_one_another(self, anna: Person) -> None:
        begun = begin(anna, metadata="filename " + base64.b64encode(b"a.zip").decode())
        path = begun.headers["location"]
        assert (begun.status_code, begun.headers["tus-resumable"]) == (201, "1.0.0")
        appended = append(anna, path, 0, CONTENT[:100])
        assert (appended.status_code, appended.headers["upload-offset"]) == (204, "100")
        head = anna.request("HEAD", path, headers=TUS)
        assert (head.status_code, head.headers["upload-offset"]) == (200, "100")
        assert (head.headers["upload-length"], head.headers["cache-control"]) == (
            str(len(CONTENT)),
            "no-store",
        )
        assert append(anna, path, 100, CONTENT[100:]).headers["upload-offset"] == str(len(CONTENT))

    def test_an_upload_says_when_it_ends(self, anna: Person) -> None:
        ends = parsedate_to_datetime(begin(anna).headers["upload-expires"]).timestamp()
        assert ends == pytest.approx(time.time() + LIMITS.upload_hours * 3600, abs=60)

    def test_an_upload_can_be_given_up(self, api: Uploading, anna: Person) -> None:
        path = begin(anna).headers["location"]
        append(anna, path, 0, CONTENT[:100])
        ended = anna.request("DELETE", path, headers=TUS)
        assert (ended.status_code, ended.headers["tus-resumable"]) == (204, "1.0.0")
        assert anna.request("HEAD", path, headers=TUS).status_code == 404
        assert append(anna, path, 100, b"x").status_code == 404
        assert path.rpartition("/")[2] not in everything_below(api.folder / "scenes" / "uploads")

    def test_a_piece_that_broke_off_is_gone_on_with(self, api: Uploading, anna: Person) -> None:
        path = begin(anna).headers["location"]

        def broken() -> Iterator[bytes]:
            yield CONTENT[:1000]
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            anna.request("PATCH", path, content=broken(), headers=PIECE | {"Upload-Offset": "0"})
        deadline, status = time.monotonic() + 20, 409
        while status == 409 and time.monotonic() < deadline:
            # Until the server has noticed that nobody sends any more, the upload is held.
            offset = int(anna.request("HEAD", path, headers=TUS).headers["upload-offset"])
            assert offset in (0, 1000)
            status = append(anna, path, offset, CONTENT[offset:]).status_code
        assert status == 204
        stored = api.folder / "scenes" / "uploads" / path.rpartition("/")[2]
        assert stored.read_bytes() == CONTENT


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Upload-Length": "10"}, 412),
            ({"Upload-Length": "10", "Tus-Resumable": "0.2.2"}, 412),
            (TUS, 422),
            (TUS | {"Upload-Length": "-1"}, 422),
            (TUS | {"Upload-Length": "ten"}, 422),
            (TUS | {"Upload-Length": "0"}, 422),
            (TUS | {"Upload-Length": "1e3"}, 422),
            (TUS | {"Upload-Length": "9" * 30}, 422),
            (TUS | {"Upload-Length": str(LIMITS.upload_bytes + 1)}, 413),
            (TUS | {"Upload-Length": "10", "Upload-Metadata": "filename ???"}, 422),
            (TUS | {"Upload-Length": "10", "Upload-Metadata": "filename YQ"}, 400),
            (TUS | {"Upload-Length": "10", "Upload-Metadata": "filename " + "A" * 5000}, 422),
            (TUS | {"Upload-Length": "10", "Upload-Metadata": "filename Li4vYS5wbmc="}, 422),
            (TUS | {"Upload-Length": "10", "Upload-Metadata": "filename L2V0Yy9wYXNzd2Q="}, 422),
            (TUS | {"Upload-Length": "10", "Upload-Metadata": "filename YQBiLnBuZw=="}, 422),
        ],
    )
    def test_uploads_that_cannot_be(self, anna: Person, headers: dict[str, str], status: int) -> None:
        refused = anna.request("POST", "/v1/uploads", headers=headers)
        assert refused.status_code == status, refused.text
        problem_name(refused)

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Upload-Offset": "5"}, 409),
            ({"Upload-Offset": "-5"}, 422),
            ({"Upload-Offset": "x"}, 422),
            ({"Content-Type": "application/octet-stream"}, 415),
            ({"Tus-Resumable": "2.0.0"}, 412),
        ],
    )
    def test_pieces_that_do_not_fit(self, anna: Person, headers: dict[str, str], status: int) -> None:
        path = begin(anna).headers["location"]
        refused = append(anna, path, 0, b"x", **headers)
        assert refused.status_code == status, refused.text
        problem_name(refused)
        assert anna.request("GET", path).json()["offset"] == 0

    def test_more_than_was_said(self, api: Uploading, anna: Person) -> None:
        path = begin(anna, 100).headers["location"]
        assert append(anna, path, 0, bytes(3 * MIB)).status_code == 413
        stored = api.folder / "scenes" / "uploads" / path.rpartition("/")[2]
        assert stored.stat().st_size <= 100

    @pytest.mark.parametrize(
        "name", ["up_0123456789abcdef0123456789abcdef", "..%2fservice.sqlite", "x", "%00", "up_" + "a" * 500]
    )
    def test_there_are_no_uploads_but_those_begun(self, anna: Person, name: str) -> None:
        for method in ("HEAD", "PATCH", "DELETE", "GET"):
            refused = anna.request(method, f"/v1/uploads/{name}", headers=PIECE | {"Upload-Offset": "0"})
            assert refused.status_code == 404

    def test_an_unfinished_upload_is_no_scene(self, anna: Person) -> None:
        path = begin(anna).headers["location"]
        refused = anna.request("POST", "/v1/scenes", json={"upload": path.rpartition("/")[2]})
        assert (refused.status_code, problem_name(refused)) == (409, "upload-conflict")


class TestTenants:
    def test_nobody_touches_anothers_upload(self, api: Uploading, anna: Person) -> None:
        path = begin(anna).headers["location"]
        ben = api.person("ben")
        assert append(ben, path, 0, b"x").status_code == 404
        for method in ("HEAD", "DELETE", "GET"):
            assert ben.request(method, path, headers=TUS).status_code == 404
        stolen = ben.request("POST", "/v1/scenes", json={"upload": path.rpartition("/")[2]})
        assert stolen.status_code == 404
        assert anna.request("GET", path).json()["offset"] == 0

    def test_uploads_need_a_key_that_may_upload(self, api: Uploading) -> None:
        assert api.http.post("/v1/uploads", headers=TUS | {"Upload-Length": "10"}).status_code == 401
        assert begin(api.person("anna", "read", "ask")).status_code == 403

    def test_uploads_count_against_what_a_tenant_may_store(self, api: Uploading) -> None:
        small = api.person("small", stored_bytes=5000)
        assert begin(small, 3000).status_code == 201
        refused = begin(small, 3000)
        assert (refused.status_code, problem_name(refused)) == (507, "quota-exceeded")
        assert small.upload({"a.png": picture()}).status_code == 507


def test_the_document_says_what_the_protocol_needs(api: Uploading) -> None:
    document = api.http.get("/openapi.json").json()
    begun = document["paths"]["/v1/uploads"]["post"]
    headers = {item["name"].lower(): item for item in begun["parameters"] if item["in"] == "header"}
    assert headers["tus-resumable"]["required"]
    assert headers["tus-resumable"]["schema"]["const"] == "1.0.0"
    assert headers["upload-length"]["schema"]["minimum"] == 1
    assert {"201", "412", "413"} <= begun["responses"].keys()
    assert begun["responses"]["201"]["links"]["append"]["operationId"] == "uploads_append"
    pieces = document["paths"]["/v1/uploads/{upload_id}"]["patch"]
    assert pieces["operationId"] == "uploads_append"
    assert "application/offset+octet-stream" in pieces["requestBody"]["content"]
    scenes = document["paths"]["/v1/scenes"]["post"]
    assert scenes["requestBody"]["content"].keys() == {"multipart/form-data", "application/json"}
    assert scenes["responses"]["202"]["links"]["scene"]["operationId"] == "scenes_scene"
