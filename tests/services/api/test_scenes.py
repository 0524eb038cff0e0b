"""Scenes over HTTP: uploaded, measured, looked at, deleted; each tenant's own."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.services.api.uploading import MIB, Person, Uploading, problem_name, uploading
from tests.services.scene_files.making import everything_below, picture, scan, tarred, zipped

SAMPLE = Path(__file__).parents[3] / "examples" / "scans" / "living_room"
FRAMES = 2
BOUNDARY = "multipart/form-data; boundary=xx"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Uploading]:
    with uploading(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture(scope="module")
def anna(api: Uploading) -> Person:
    return api.person("anna")


def start_of_the_sample() -> dict[str, bytes]:
    """Return the first frames of the sample scan: a scan that is measured soon."""
    manifest = json.loads((SAMPLE / "scan.json").read_text())
    manifest["frames"] = manifest["frames"][:FRAMES]
    names = [frame[kind] for frame in manifest["frames"] for kind in ("color", "depth", "instances")]
    files = {name: (SAMPLE / name).read_bytes() for name in names}
    return files | {"scan.json": json.dumps(manifest).encode()}


@pytest.fixture(scope="module")
def sample(anna: Person) -> str:
    """Id of the first frames of the sample scan, measured."""
    files = {f"room/{name}": content for name, content in start_of_the_sample().items()}
    begun = anna.upload(files, data={"name": "Living room"})
    assert begun.status_code == 202
    scene_id = str(begun.json()["id"])
    assert begun.headers["location"] == f"/v1/scenes/{scene_id}"
    assert anna.measured(scene_id)["state"] == "ready"
    return scene_id


class TestWhatASceneIs:
    @pytest.mark.slow
    def test_the_sample_has_the_objects_that_are_in_the_room(self, anna: Person) -> None:
        truth = json.loads((SAMPLE / "truth.json").read_text())
        begun = anna.request("POST", "/v1/scenes", json={"sample": "living_room"})
        scene = anna.measured(begun.json()["id"])
        assert sorted(item["label"] for item in scene["objects"]) == sorted(
            item["label"] for item in truth["objects"]
        )
        assert scene["room"]["area_m2"] == pytest.approx(truth["room"]["area_m2"], rel=0.1)

    def test_it_has_objects_that_are_in_the_room(self, anna: Person, sample: str) -> None:
        truth = json.loads((SAMPLE / "truth.json").read_text())["objects"]
        seen = {item["label"] for item in truth if item["first_seen_frame"] < FRAMES}
        scene = anna.request("GET", f"/v1/scenes/{sample}").json()
        labels = {item["label"] for item in scene["objects"]}
        assert "sofa" in labels
        assert labels <= seen
        assert (scene["scale"], scene["up"], scene["name"]) == ("metric", True, "Living room")

    def test_it_has_the_cameras_of_the_recording(self, anna: Person, sample: str) -> None:
        frames = json.loads((SAMPLE / "scan.json").read_text())["frames"][:FRAMES]
        cameras = anna.request("GET", f"/v1/scenes/{sample}").json()["cameras"]
        assert len(cameras) == len(frames)
        told = [
            (item["focal_px"], item["centre_px"], item["width_px"], item["height_px"]) for item in cameras
        ]
        pinholes = [frame["intrinsics"] for frame in frames]
        assert told == [([p["fx"], p["fy"]], [p["cx"], p["cy"]], p["width"], p["height"]) for p in pinholes]

    def test_it_is_listed_without_its_objects(self, anna: Person, sample: str) -> None:
        listed = anna.request("GET", "/v1/scenes").json()
        (found,) = [scene for scene in listed["scenes"] if scene["id"] == sample]
        assert found["objects"] == found["cameras"] == []
        assert found["frames"] == FRAMES
        assert listed["samples"] == ["living_room"]


class TestArtifacts:
    def test_each_is_what_it_says(self, anna: Person, sample: str) -> None:
        links = anna.request("GET", f"/v1/scenes/{sample}").json()["artifacts"]
        came = {name: anna.request("GET", link.replace("{n}", "0")) for name, link in links.items()}
        assert came["cloud.ply"].content.startswith(b"ply\nformat binary_little_endian")
        assert came["scene.glb"].content.startswith(b"glTF")
        assert came["scene.json"].json()["format"] == "spatial-agent/scene@1"
        assert Image.open(io.BytesIO(came["map.png"].content)).format == "PNG"
        shown = Image.open(io.BytesIO(came["frames/{n}.jpg"].content))
        with Image.open(SAMPLE / "color" / "0000.jpg") as original:
            assert (shown.format, shown.size) == ("JPEG", original.size)
        for response in came.values():
            assert response.status_code == 200
            assert response.headers["x-content-type-options"] == "nosniff"
            assert "sandbox" in response.headers["content-security-policy"]
            assert "filename=" in response.headers["content-disposition"]

    def test_parts_and_what_is_known_are_not_sent_whole(self, anna: Person, sample: str) -> None:
        path = f"/v1/scenes/{sample}/artifacts/cloud.ply"
        whole = anna.request("GET", path)
        part = anna.request("GET", path, headers={"Range": "bytes=10-29"})
        assert (part.status_code, part.content) == (206, whole.content[10:30])
        known = anna.request("GET", path, headers={"If-None-Match": whole.headers["etag"]})
        assert (known.status_code, known.content) == (304, b"")
        head = anna.request("HEAD", path)
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(whole.content)))
        beyond = anna.request("GET", path, headers={"Range": f"bytes={len(whole.content)}-"})
        assert beyond.status_code == 416

    @pytest.mark.parametrize(
        "name",
        [
            "nothing.png",
            "..%2ffiles%2fscan.json",
            "..%2f..%2f..%2fservice.sqlite",
            "%2fetc%2fpasswd",
            f"frames/{FRAMES}.jpg",
            "frames/-1.jpg",
            "frames/0.jpg%00.png",
            "frames/9999999.jpg",
            "frames/%D9%A1.jpg",
            "answers/x.png",
            "map.png/",
        ],
    )
    def test_there_is_nothing_else(self, anna: Person, sample: str, name: str) -> None:
        refused = anna.request("GET", f"/v1/scenes/{sample}/artifacts/{name}")
        assert refused.status_code == 404
        assert problem_name(refused) == "not-found"


class TestUploading:
    def test_a_folder_is_kept_under_its_names(self, api: Uploading, anna: Person) -> None:
        files = {f"kitchen/{number}.png": picture(seed=number) for number in range(2)}
        begun = anna.upload(files, data={"name": "Küche"}).json()
        stored = api.folder / "scenes" / begun["id"] / "files"
        assert {name: (stored / name).read_bytes() for name in files} == files
        assert begun["name"] == "Küche"

    @pytest.mark.parametrize("pack", [zipped, tarred])
    def test_an_archive_is_unpacked(self, anna: Person, pack: Callable[[dict[str, bytes]], bytes]) -> None:
        begun = anna.upload({"room.archive": pack({f"room/{n}.png": picture(seed=n) for n in range(2)})})
        assert (begun.status_code, begun.json()["frames"], begun.json()["name"]) == (202, 2, "room")

    def test_a_picture_can_be_looked_at_though_nothing_in_it_can_be_measured(self, anna: Person) -> None:
        scene = anna.measured(anna.upload({"photo.png": picture(size=(200, 100))}).json()["id"])
        assert (scene["state"], scene["objects"], scene["frames"]) == ("ready", [], 1)
        shown = anna.request("GET", scene["artifacts"]["frames/{n}.jpg"].replace("{n}", "0"))
        assert Image.open(io.BytesIO(shown.content)).size == (200, 100)

    def test_what_cannot_be_measured_says_why(self, anna: Person) -> None:
        scene = anna.measured(anna.upload(scan()).json()["id"])
        assert scene["state"] == "failed"
        assert "instance" in scene["problem"]["detail"]

    def test_the_same_key_is_the_same_scene(self, anna: Person, api: Uploading) -> None:
        key = {"Idempotency-Key": "once"}
        first = anna.upload({"a.png": picture()}, headers=key)
        again = anna.upload({"a.png": picture()}, headers=key)
        assert first.json()["id"] == again.json()["id"]
        assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (
            False,
            "true",
        )
        other = api.person("once").upload({"a.png": picture()}, headers=key)
        assert other.json()["id"] != first.json()["id"]

    def test_a_deleted_scene_is_gone_with_its_files(self, api: Uploading, anna: Person) -> None:
        scene_id = anna.upload({"a.png": picture()}).json()["id"]
        assert (api.folder / "scenes" / scene_id).is_dir()
        assert anna.request("DELETE", f"/v1/scenes/{scene_id}").status_code == 204
        assert anna.request("GET", f"/v1/scenes/{scene_id}").status_code == 404
        assert anna.request("DELETE", f"/v1/scenes/{scene_id}").status_code == 404
        assert not (api.folder / "scenes" / scene_id).exists()


class TestTenants:
    def test_nobody_sees_anothers_scene(self, api: Uploading, sample: str) -> None:
        ben = api.person("ben")
        for method, path in (
            ("GET", f"/v1/scenes/{sample}"),
            ("DELETE", f"/v1/scenes/{sample}"),
            ("GET", f"/v1/scenes/{sample}/artifacts/map.png"),
            ("GET", f"/v1/scenes/{sample}/artifacts/frames/0.jpg"),
        ):
            assert problem_name(ben.request(method, path)) == "not-found"
        assert ben.request("GET", "/v1/scenes").json()["scenes"] == []

    def test_a_key_does_what_it_may(self, api: Uploading, sample: str) -> None:
        reader = api.person("anna", "read")
        assert reader.request("GET", f"/v1/scenes/{sample}").status_code == 200
        assert problem_name(reader.upload({"a.png": picture()})) == "forbidden"
        assert problem_name(reader.request("DELETE", f"/v1/scenes/{sample}")) == "forbidden"
        asker = api.person("anna", "ask")
        assert problem_name(asker.request("GET", f"/v1/scenes/{sample}/artifacts/map.png")) == "forbidden"

    def test_a_tenant_stores_no_more_than_allowed(self, api: Uploading) -> None:
        small = api.person("small", stored_bytes=2000)
        refused = small.upload({"a.png": picture()})
        assert (refused.status_code, small.request("GET", "/v1/scenes").json()["scenes"]) == (507, [])
        assert problem_name(refused) == "quota-exceeded"

    def test_a_scene_that_cannot_be_queued_is_not_kept(self, api: Uploading) -> None:
        spent = api.person("spent", questions_per_day=0)
        assert problem_name(spent.upload({"a.png": picture()})) == "quota"
        assert spent.request("GET", "/v1/scenes").json()["scenes"] == []


def part(headers: str, content: str = "x") -> str:
    return f"--xx\r\n{headers}\r\n\r\n{content}\r\n"


FILE = 'Content-Disposition: form-data; name="files"; filename='
FIELD = "Content-Disposition: form-data; name="


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("body", "content_type", "status"),
        [
            (b"", "", 415),
            (b"<xml/>", "text/xml", 415),
            (b"x", "application/zip", 415),
            (b"", "multipart/form-data", 400),
            (b"", BOUNDARY, 400),
            (b"hello", BOUNDARY, 400),
            (b"x", "multipart/form-data; boundary=" + "x" * 300, 400),
            (part(f'{FILE}"a.png"')[:-10].encode(), BOUNDARY, 400),
            (part(f'{FILE}"a.png"').encode(), BOUNDARY, 400),
            ((part(f'{FILE}"{"a" * 5000}.png"') + "--xx--").encode(), BOUNDARY, 400),
            ((part("X: y\r\n" * 20 + f'{FILE}"a.png"') + "--xx--").encode(), BOUNDARY, 400),
            ((part("X: y") + "--xx--").encode(), BOUNDARY, 422),
            ((part(f'{FIELD}"name"', "n" * 3000) + "--xx--").encode(), BOUNDARY, 413),
            ("".join(part(f'{FIELD}"f{n}"') for n in range(20)).encode() + b"--xx--", BOUNDARY, 413),
            ((part(f'{FILE}"../a.png"') + "--xx--").encode(), BOUNDARY, 422),
            ((part(f'{FILE}""') + "--xx--").encode(), BOUNDARY, 422),
            ((part(f'{FILE}"@.png"') + "--xx--").encode().replace(b"@", b"\xff\xfe"), BOUNDARY, 422),
            (b"--xx--", BOUNDARY, 422),
            (b"{", "application/json", 400),
            (b"[]", "application/json", 422),
            (b"{}", "application/json", 422),
            (b'{"sample": "nothing"}', "application/json", 422),
            (b'{"sample": "../../../etc"}', "application/json", 422),
            (b'{"sample": "living_room", "upload": "up_00000000"}', "application/json", 422),
            (b'{"upload": "up_0123456789abcdef0123456789abcdef"}', "application/json", 404),
            (b'{"upload": "../../service.sqlite"}', "application/json", 422),
            (b'{"url": "http://169.254.169.254/"}', "application/json", 422),
            (b'{"sample": "living_room", "profile": "nothing"}', "application/json", 422),
            (b'{"sample": "' + b"x" * 100_000 + b'"}', "application/json", 413),
            (b"[" * 50_000, "application/json", 400),
        ],
    )
    def test_what_cannot_be_read(self, anna: Person, body: bytes, content_type: str, status: int) -> None:
        headers = {"Content-Type": content_type} if content_type else {}
        refused = anna.request("POST", "/v1/scenes", content=body, headers=headers)
        assert refused.status_code == status, refused.text
        problem_name(refused)

    def test_a_field_that_nobody_knows(self, anna: Person) -> None:
        refused = anna.upload({"a.png": picture()}, data={"url": "http://169.254.169.254/"})
        assert (refused.status_code, problem_name(refused)) == (422, "invalid-request")

    @pytest.mark.parametrize(
        ("files", "status"),
        [
            ({"a.zip": zipped({"a.png": bytes(40 * MIB)})}, 413),
            ({"a.zip": zipped({"../a.png": b"1"})}, 422),
            ({"a.png": bytes(9 * MIB)}, 413),
            ({"a.png": picture()[:-20]}, 422),
            ({"a.mp4": b"#EXTM3U\n/etc/passwd\n"}, 422),
            (scan(color="../../../../etc/passwd"), 422),
            (scan(depth="/etc/passwd"), 422),
            (scan(color="color/0.png\0"), 422),
        ],
    )
    def test_what_is_not_taken(
        self, api: Uploading, anna: Person, files: dict[str, bytes], status: int
    ) -> None:
        refused = anna.upload(files)
        assert refused.status_code == status, refused.text
        assert problem_name(refused) in ("upload", "too-large", "source")
        assert everything_below(api.folder / "scenes" / "incoming") == []

    def test_a_body_that_never_ends_is_cut(self, api: Uploading, anna: Person) -> None:
        def endless() -> Iterator[bytes]:
            yield (f'--xx\r\n{FILE}"a.bmp"\r\n\r\nBM').encode()
            while True:
                yield bytes(MIB)

        # The connection is closed while it sends: it need not get to read the reply.
        with suppress(httpx.TransportError):
            refused = anna.request(
                "POST", "/v1/scenes", content=endless(), headers={"Content-Type": BOUNDARY}
            )
            assert problem_name(refused) == "too-large"
        assert everything_below(api.folder / "scenes" / "incoming") == []
