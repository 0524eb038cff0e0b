import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from spatial_agent.services.api.rates import MOST_BUCKETS, RateLimits
from spatial_agent.services.store.records import SCOPES, Allowance, Scope
from tests.services.api.prepared import Prepared, prepared


@dataclass
class Tenant:
    """Somebody with a key and a scene."""

    api: Prepared
    token: str
    scene: str

    def request(self, method: str, path: str, **rest: Any) -> httpx.Response:  # noqa: ANN401
        headers = {"Authorization": f"Bearer {self.token}"} | rest.pop("headers", {})
        return self.api.http.request(method, path, headers=headers, **rest)

    def ask(self, **fields: Any) -> httpx.Response:  # noqa: ANN401
        body = {"question": "how far?", "scene": self.scene} | fields
        return self.request("POST", "/v1/questions", json=body, headers={"Prefer": "wait=20"})


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    with prepared(tmp_path_factory.mktemp("service"), keys_required=True) as running:
        yield running


def tenant(api: Prepared, name: str, *scopes: Scope, **allowed: Any) -> Tenant:  # noqa: ANN401
    allowance = Allowance(**allowed)
    _, token = api.service.store.keys.create(name, "test", frozenset(scopes or SCOPES), allowance)
    return Tenant(api, token, api.add_scene(name))


def name_of(response: httpx.Response) -> str:
    return str(response.json()["type"].rpartition(":")[2])


class TestWhoMayComeIn:
    def test_without_a_key_nothing_but_health_is_told(self, api: Prepared) -> None:
        for path in ("/v1/questions", "/v1/sessions", "/metrics"):
            refused = api.http.get(path)
            assert (refused.status_code, name_of(refused)) == (401, "authentication")
            assert refused.headers["www-authenticate"] == "Bearer"
        assert api.http.get("/healthz").status_code == 200
        ready = api.http.get("/readyz").json()
        assert (ready["status"], ready["experts"], ready["queued"]) == ("ok", {}, 0)

    def test_a_key_comes_as_bearer_or_in_its_own_header(self, api: Prepared) -> None:
        token = tenant(api, "headers").token
        for headers in ({"Authorization": f"Bearer {token}"}, {"X-API-Key": token}):
            assert api.http.get("/v1/questions", headers=headers).status_code == 200

    @pytest.mark.parametrize("token", ["", "sa_1_2", "x", "sa_" + "a" * 4000, "ключ", "a b", "sa__"])
    def test_what_is_no_key_is_refused(self, api: Prepared, token: str) -> None:
        refused = api.http.get("/v1/questions", headers={b"X-API-Key": token.encode()})
        assert (refused.status_code, name_of(refused)) == (401, "authentication")
        assert len(token) < 5 or token not in refused.text

    def test_revoked_and_expired_and_rotated_keys_end_at_once(self, api: Prepared) -> None:
        keys = api.service.store.keys
        record, token = keys.create("ends", "test", frozenset(SCOPES))
        headers = {"X-API-Key": token}
        assert api.http.get("/v1/questions", headers=headers).status_code == 200
        _, fresh = keys.rotate(record.id)
        assert api.http.get("/v1/questions", headers=headers).status_code == 401
        assert api.http.get("/v1/questions", headers={"X-API-Key": fresh}).status_code == 200
        keys.revoke(record.id)
        assert api.http.get("/v1/questions", headers={"X-API-Key": fresh}).status_code == 401
        _, late = keys.create("ends", "test", frozenset(SCOPES), expires=time.time() - 1)
        assert api.http.get("/v1/questions", headers={"X-API-Key": late}).status_code == 401

    @pytest.mark.parametrize(
        ("scope", "method", "path"),
        [
            ("read", "GET", "/v1/questions"),
            ("ask", "POST", "/v1/sessions"),
            ("metrics", "GET", "/metrics"),
        ],
    )
    def test_each_scope_opens_its_own_door_alone(
        self, api: Prepared, scope: Scope, method: str, path: str
    ) -> None:
        with_it = tenant(api, f"only {scope}", scope)
        others = tenant(api, f"all but {scope}", *(other for other in SCOPES if other != scope))
        body = {"json": {"scene": with_it.scene}} if method == "POST" else {}
        assert with_it.request(method, path, **body).status_code in (200, 201)
        refused = others.request(method, path, **body)
        assert (refused.status_code, name_of(refused)) == (403, "forbidden")
        assert scope in refused.json()["detail"]


class TestTenants:
    def test_nobody_sees_what_others_have(self, api: Prepared) -> None:
        anna, ben = tenant(api, "anna"), tenant(api, "ben")
        asked = anna.ask().json()["id"]
        session = anna.request("POST", "/v1/sessions", json={"scene": anna.scene}).json()["id"]
        assert anna.request("GET", f"/v1/questions/{asked}").status_code == 200
        for method, path in (
            ("GET", f"/v1/questions/{asked}"),
            ("DELETE", f"/v1/questions/{asked}"),
            ("GET", f"/v1/questions/{asked}/events"),
            ("GET", f"/v1/questions/{asked}/trace"),
            ("GET", f"/v1/questions/{asked}/picture.png"),
            ("GET", f"/v1/sessions/{session}"),
            ("DELETE", f"/v1/sessions/{session}"),
        ):
            refused = ben.request(method, path)
            assert (refused.status_code, name_of(refused)) == (404, "not-found"), path
        assert ben.ask(scene=anna.scene).status_code == 404
        assert ben.ask(scene=None, session=session).status_code == 404
        assert ben.request("POST", "/v1/sessions", json={"scene": anna.scene}).status_code == 404
        assert ben.request("GET", "/v1/questions").json()["questions"] == []
        assert ben.request("GET", f"/v1/questions?scene={anna.scene}").json()["questions"] == []
        assert ben.request("GET", f"/v1/questions?before={asked}").json()["questions"] == []
        assert ben.request("GET", "/v1/sessions").json()["sessions"] == []

    def test_an_idempotency_key_of_another_is_another(self, api: Prepared) -> None:
        anna, ben = tenant(api, "anna"), tenant(api, "ben")
        headers = {"Idempotency-Key": "1"}
        ids = {
            who.request(
                "POST", "/v1/questions", json={"question": "how far?", "scene": who.scene}, headers=headers
            ).json()["id"]
            for who in (anna, ben)
        }
        assert len(ids) == 2


class TestWhatAKeyMayUse:
    def test_requests_beyond_the_rate_wait(self, api: Prepared) -> None:
        hasty = tenant(api, "hasty", requests_per_minute=5)
        answers = [hasty.request("GET", "/v1/questions") for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        assert name_of(answers[-1]) == "rate-limit"
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 13

    def test_questions_beyond_the_day_wait_until_tomorrow(self, api: Prepared) -> None:
        curious = tenant(api, "curious", questions_per_day=2)
        answers = [curious.ask(question=f"how far? {number}") for number in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert name_of(answers[-1]) == "quota"
        # Uploading and calling count, too: who has asked less than that is told why.
        assert "scenes and calls of experts" in answers[-1].json()["detail"]
        assert 0 < int(answers[-1].headers["retry-after"]) <= 86_401

    def test_repeating_a_request_uses_nothing(self, api: Prepared) -> None:
        careful = tenant(api, "careful", questions_per_day=1)
        body = {"question": "how far?", "scene": careful.scene}
        first = careful.request("POST", "/v1/questions", json=body, headers={"Idempotency-Key": "a"})
        again = careful.request("POST", "/v1/questions", json=body, headers={"Idempotency-Key": "a"})
        assert again.status_code in (200, 202)
        assert first.json()["id"] == again.json()["id"]
        other = careful.request("POST", "/v1/questions", json=body, headers={"Idempotency-Key": "b"})
        assert (other.status_code, name_of(other)) == (429, "quota")

    def test_jobs_beyond_the_queue_wait_and_cost_nothing(self, api: Prepared) -> None:
        eager = tenant(api, "eager", queued=2, questions_per_day=3)
        api.doing.released.clear()
        try:
            answers = [
                eager.request("POST", "/v1/questions", json={"question": "wait", "scene": eager.scene})
                for _ in range(4)
            ]
        finally:
            api.doing.released.set()
        assert [answer.status_code for answer in answers] == [202, 202, 429, 429]
        assert name_of(answers[-1]) == "queue-full"
        assert "retry-after" in answers[-1].headers
        for answer in answers[:2]:
            eager.request("GET", f"/v1/questions/{answer.json()['id']}", headers={"Prefer": "wait=20"})
        assert eager.ask().status_code == 200

    def test_priorities_above_the_key_are_refused(self, api: Prepared) -> None:
        modest = tenant(api, "modest", priority=3)
        assert modest.ask(priority=3).status_code == 200
        assert modest.ask(priority=-5).status_code == 200
        assert modest.ask(priority=4).status_code == 403


class TestRates:
    def test_a_bucket_fills_evenly(self) -> None:
        now = [0.0]
        rates = RateLimits(lambda: now[0])
        assert [rates.take("key", 2) for _ in range(2)] == [0.0, 0.0]
        assert rates.take("key", 2) == pytest.approx(30.0)
        now[0] = 15.0
        assert rates.take("key", 2) == pytest.approx(15.0)
        assert rates.take("other", 2) == 0.0
        now[0] = 30.0
        assert rates.take("key", 2) == 0.0
        now[0] = 1000.0
        assert [rates.take("key", 2) == 0.0 for _ in range(3)] == [True, True, False]

    def test_buckets_of_many_keys_take_bounded_memory(self) -> None:
        rates = RateLimits(lambda: 0.0)
        for number in range(MOST_BUCKETS + 50):
            rates.take(str(number), 1)
        assert len(rates._buckets) == MOST_BUCKETS
