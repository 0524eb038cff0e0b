import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.services.api.prepared import Prepared, prepared


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    with prepared(tmp_path_factory.mktemp("service")) as running:
        yield running


def until(api: Prepared, question: str, *states: str) -> dict[str, Any]:
    for _ in range(500):
        view: dict[str, Any] = api.http.get(f"/v1/questions/{question}").json()
        if view["state"] in states:
            return view
    raise AssertionError(f"{question} stayed {view['state']}")


def is_problem(response: httpx.Response, status: int, name: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["type"].rpartition(":")[2] == name
    assert problem["instance"] == response.headers["x-request-id"]
    return problem


class TestAsking:
    def test_an_answer_that_is_waited_for_comes_at_once(self, api: Prepared) -> None:
        response = api.ask("how far is the sofa?", options=["A. near", "B. far"])
        assert response.status_code == 200
        assert response.headers["preference-applied"] == "wait=20"
        view = response.json()
        assert response.headers["location"] == view["links"]["self"] == f"/v1/questions/{view['id']}"
        assert (view["state"], view["attempts"], view["scene"]) == ("done", 1, api.scene)
        assert view["options"] == ["A. near", "B. far"]
        assert (view["answer"]["value"], view["answer"]["unit"], view["answer"]["margin"]) == (2.5, "m", 0.1)
        assert view["created"] <= view["started"] <= view["finished"] <= time.time() + 1
        assert set(view["links"]) == {"self", "events", "scene", "trace", "picture"}

    def test_without_waiting_a_question_is_taken_and_can_be_looked_at(self, api: Prepared) -> None:
        taken = api.ask("how far?", wait=None)
        assert taken.status_code == 202
        assert "preference-applied" not in taken.headers
        done = api.http.get(taken.headers["location"], headers={"Prefer": "respond-async, wait=20"})
        assert (done.status_code, done.json()["state"]) == (200, "done")

    def test_waiting_ends_when_it_should_and_the_question_goes_on(self, api: Prepared) -> None:
        api.doing.released.clear()
        began = time.monotonic()
        response = api.ask("wait for me", wait=0)
        assert (response.status_code, response.headers["retry-after"]) == (202, "1")
        assert time.monotonic() - began < 5
        api.doing.released.set()
        assert until(api, response.json()["id"], "done")["answer"]["value"] == 2.5

    def test_who_leaves_while_waiting_stops_nothing(self, api: Prepared) -> None:
        api.doing.released.clear()
        with pytest.raises(httpx.ReadTimeout), httpx.Client(base_url=api.url, timeout=0.2) as impatient:
            impatient.post(
                "/v1/questions",
                json={"question": "wait for nobody", "scene": api.scene},
                headers={"Prefer": "wait=100"},
            )
        left = api.http.get("/v1/questions").json()["questions"][0]
        assert (left["question"], left["state"]) == ("wait for nobody", "running")
        api.doing.released.set()
        until(api, left["id"], "done")

    def test_a_question_that_fails_says_why(self, api: Prepared) -> None:
        view = api.ask("fail please").json()
        assert view["state"] == "failed"
        assert view["answer"] is None
        problem = view["problem"]
        assert problem["type"].endswith(":no-such-object")
        assert (problem["status"], problem["suggestions"]) == (422, ["sofa", "table"])

    def test_what_nobody_foresaw_tells_no_secrets(self, api: Prepared) -> None:
        view = api.ask("crash please").json()
        assert (view["state"], view["problem"]["status"]) == ("failed", 500)
        assert "secret" not in str(view)


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("fields", "status", "name"),
        [
            ({"scene": "sc_00000000000000000000000000000000"}, 404, "not-found"),
            ({"scene": None}, 422, "invalid-request"),
            ({"scene": "../../etc"}, 422, "invalid-request"),
            ({"session": "se_00000000000000000000000000000000"}, 404, "not-found"),
            ({"profile": "luxury"}, 422, "invalid-request"),
            ({"regions": [{"frame": 0}]}, 422, "invalid-request"),
            (
                {"regions": [{"frame": 0, "point_px": [1, 2], "xyxy_px": [0, 0, 5, 5]}]},
                422,
                "invalid-request",
            ),
            ({"regions": [{"frame": -1, "point_px": [1, 2]}]}, 422, "invalid-request"),
            ({"regions": [{"frame": 0, "mask": {"size": [2, 2], "counts": [3]}}]}, 422, "invalid-request"),
            (
                {"regions": [{"frame": 0, "mask": {"size": [9000, 9000], "counts": [81_000_000]}}]},
                413,
                "too-large",
            ),
            ({"question": ""}, 422, "invalid-request"),
            ({"question": "x" * 8001}, 422, "invalid-request"),
            ({"question": "half \ud800"}, 400, "bad-request"),
            ({"question": "nothing \0"}, 400, "bad-request"),
            ({"question": 7}, 422, "invalid-request"),
            ({"options": ["x"] * 27}, 422, "invalid-request"),
            ({"priority": 101}, 422, "invalid-request"),
            ({"unknown": 1}, 422, "invalid-request"),
        ],
    )
    def test_fields(self, api: Prepared, fields: dict[str, Any], status: int, name: str) -> None:
        is_problem(api.ask(**fields), status, name)

    @pytest.mark.parametrize(
        ("body", "kind", "status", "name"),
        [
            (b"{", "application/json", 400, "bad-request"),
            (b"", "application/json", 422, "invalid-request"),
            (b"\xff\xfe", "application/json", 400, "bad-request"),
            (b'{"question": NaN}', "application/json", 400, "bad-request"),
            (b'{"question": 1e999}', "application/json", 400, "bad-request"),
            (b"[" * 100_000, "application/json", 400, "bad-request"),
            (b'{"a":' * 80 + b"1" + b"}" * 80, "application/json", 400, "bad-request"),
            (b"9" * 5000, "application/json", 400, "bad-request"),
            (b"question=how", "application/x-www-form-urlencoded", 415, "media-type"),
            (b"how far?", "text/plain", 415, "media-type"),
        ],
    )
    def test_bodies(self, api: Prepared, body: bytes, kind: str, status: int, name: str) -> None:
        response = api.http.post("/v1/questions", content=body, headers={"Content-Type": kind})
        is_problem(response, status, name)

    def test_a_scene_that_could_not_be_measured(self, api: Prepared) -> None:
        scene = api.add_scene(state="failed", problem={"detail": "no depth in any frame"})
        problem = is_problem(api.ask(scene=scene), 409, "conflict")
        assert "no depth in any frame" in problem["detail"]

    def test_unknown_routes_and_methods(self, api: Prepared) -> None:
        missing = api.http.get("/v1/nothing")
        assert (missing.status_code, missing.json()["type"]) == (404, "about:blank")
        wrong = api.http.put("/v1/questions", json={})
        assert (wrong.status_code, wrong.headers["content-type"]) == (405, "application/problem+json")
        assert set(wrong.headers["allow"].replace(" ", "").split(",")) & {"GET", "POST"}
        assert api.http.head("/v1/questions").status_code == 405
        assert api.http.get("/v1/questions/").status_code == 404
        is_problem(api.http.get("/v1/questions/%00%00"), 404, "not-found")
        is_problem(api.http.get("/v1/questions/q_00000000000000000000000000000000"), 404, "not-found")

    @pytest.mark.parametrize("query", ["state=sleeping", "most=0", "most=201", "before=1", "scene=x"])
    def test_queries(self, api: Prepared, query: str) -> None:
        is_problem(api.http.get(f"/v1/questions?{query}"), 422, "invalid-request")


class TestIdempotency:
    def test_the_same_request_under_a_key_is_asked_once(self, api: Prepared) -> None:
        key = {"Idempotency-Key": "retry-1"}
        first, again = (api.ask("how far is it?", headers=key) for _ in range(2))
        assert first.json()["id"] == again.json()["id"]
        assert "idempotent-replayed" not in first.headers
        assert again.headers["idempotent-replayed"] == "true"
        asked = [
            q for q in api.http.get("/v1/questions").json()["questions"] if q["question"] == "how far is it?"
        ]
        assert len(asked) == 1

    def test_another_request_under_it_is_refused(self, api: Prepared) -> None:
        api.ask("one", headers={"Idempotency-Key": "retry-2"})
        is_problem(api.ask("two", headers={"Idempotency-Key": "retry-2"}), 409, "idempotency-conflict")

    def test_keys_that_are_none_are_refused(self, api: Prepared) -> None:
        for key in ("", "x" * 256, "two words"):
            is_problem(api.ask(headers={"Idempotency-Key": key}), 422, "invalid-request")


class TestListing:
    def test_newest_first_by_scene_in_pages(self, api: Prepared) -> None:
        scene = api.add_scene()
        asked = [api.ask(f"how far? {number}", scene=scene).json()["id"] for number in range(5)]
        first = api.http.get("/v1/questions", params={"scene": scene, "most": 2}).json()
        second = api.http.get(
            "/v1/questions", params={"scene": scene, "most": 9, "before": first["next"]}
        ).json()
        assert [q["id"] for q in first["questions"] + second["questions"]] == asked[::-1]
        assert second["next"] is None
        failed = api.http.get("/v1/questions", params={"scene": scene, "state": "failed"}).json()
        assert failed["questions"] == []


class TestCancelling:
    def test_a_running_question_stops(self, api: Prepared) -> None:
        api.doing.released.clear()
        asked = api.ask("wait to be cancelled", wait=None).json()["id"]
        until(api, asked, "running")
        assert api.http.delete(f"/v1/questions/{asked}").status_code in (200, 202)
        view = until(api, asked, "cancelled")
        assert view["answer"] is None
        assert asked in api.doing.cancelled
        api.doing.released.set()

    def test_what_is_done_stays_as_it_is(self, api: Prepared) -> None:
        asked = api.ask().json()["id"]
        response = api.http.delete(f"/v1/questions/{asked}")
        assert (response.status_code, response.json()["state"]) == (200, "done")


class TestTracesAndPictures:
    def test_a_trace_comes_as_lines_that_name_no_folder(self, api: Prepared) -> None:
        asked = api.ask().json()["id"]
        is_problem(api.http.get(f"/v1/questions/{asked}/trace"), 404, "not-found")
        folder = api.service.config.folder
        assert folder is not None
        (folder / "runs").mkdir(exist_ok=True)
        line = f'{{"kind": "question", "source": "{folder}/scenes/{api.scene}/files/scan"}}\n'
        (folder / "runs" / f"{asked}.jsonl").write_text(line * 3000)
        response = api.http.get(f"/v1/questions/{asked}/trace")
        assert response.headers["content-type"].startswith("application/jsonl")
        assert len(response.text.splitlines()) == 3000
        assert str(folder) not in response.text
        assert f"{api.scene}/files/scan" in response.text

    def test_what_has_no_answer_has_no_picture(self, api: Prepared) -> None:
        failed = api.ask("fail").json()["id"]
        is_problem(api.http.get(f"/v1/questions/{failed}/picture.png"), 409, "conflict")


class TestSessions:
    def test_questions_of_a_dialogue_are_about_its_scene(self, api: Prepared) -> None:
        begun = api.http.post("/v1/sessions", json={"scene": api.scene})
        assert begun.status_code == 201
        session = begun.json()["id"]
        asked = api.ask("how far is it?", scene=None, session=session).json()
        assert (asked["scene"], asked["session"]) == (api.scene, session)
        view = api.http.get(begun.headers["location"]).json()
        assert [exchange["question"] for exchange in view["exchanges"]] == ["how far is it?"]
        listed = api.http.get("/v1/sessions").json()["sessions"]
        assert [one["id"] for one in listed] == [session]
        is_problem(api.ask(scene=api.add_scene(), session=session), 422, "invalid-request")
        assert api.http.delete(f"/v1/sessions/{session}").status_code == 204
        is_problem(api.http.get(f"/v1/sessions/{session}"), 404, "not-found")
        assert api.http.get(f"/v1/questions/{asked['id']}").json()["state"] == "done"

    def test_about_no_scene_there_is_no_dialogue(self, api: Prepared) -> None:
        other = api.add_scene(tenant="somebody else")
        is_problem(api.http.post("/v1/sessions", json={"scene": other}), 404, "not-found")
