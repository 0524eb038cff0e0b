import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from spatial_agent.services.api.logs import JsonLines, TextLines
from spatial_agent.services.store.errors import StoreUnavailableError
from tests.services.api.prepared import Prepared, prepared


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    with prepared(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "spatial_agent.api")
    return caplog


def fields_of(api: Prepared, records: pytest.LogCaptureFixture, request_id: str) -> list[dict[str, object]]:
    # A request is logged after its response has gone, and before the next one is read.
    api.http.get("/healthz")
    fields = [getattr(record, "fields", {}) for record in records.records]
    return [known for known in fields if known.get("request_id") == request_id]


class TestHealth:
    def test_it_lives_and_takes_work(self, api: Prepared) -> None:
        assert api.http.get("/healthz").json() == {
            "status": "ok",
            "version": "1.2.3",
            "queued": 0,
            "running": 0,
            "experts": {},
        }
        ready = api.http.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "ok")
        assert set(ready.json()["experts"].values()) == {"ready"}

    def test_without_its_store_it_takes_none(self, api: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
        async def lost() -> None:
            raise StoreUnavailableError("postgresql://me:hunter2@db is gone")

        monkeypatch.setattr(api.service.desk, "counts", lost)
        ready = api.http.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "degraded")
        assert "hunter2" not in ready.text
        assert api.http.get("/healthz").status_code == 200
        numbers = api.http.get("/metrics")
        assert (numbers.status_code, numbers.headers["content-type"]) == (503, "application/problem+json")
        assert numbers.headers["retry-after"]

    def test_what_a_profile_lacks_is_told_without_folders(
        self, api: Prepared, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = api.service.config.folder
        state = {"recorded": "ready", "open": f"weights of yolox are not in {folder}/weights"}
        monkeypatch.setattr(api.service.agents, "state", lambda: state)
        ready = api.http.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert ready.json()["experts"]["open"] == "weights of yolox are not in weights"

    def test_an_expert_that_keeps_failing_is_told_while_it_is_left_alone(self, api: Prepared) -> None:
        labels = {"tool": "detect.yolox"}
        api.service.meter.level("spatial_agent_breaker_open", labels, 1)
        resting = api.http.get("/readyz")
        assert (resting.status_code, resting.json()["status"]) == (200, "degraded")
        assert "left alone" in resting.json()["experts"]["detect.yolox"]
        api.service.meter.level("spatial_agent_breaker_open", labels, 0)
        whole = api.http.get("/readyz").json()
        assert (whole["status"], "detect.yolox" in whole["experts"]) == ("ok", False)


class TestMetrics:
    def test_requests_and_jobs_are_counted(
        self, api: Prepared, eventually: Callable[[Callable[[], bool]], None]
    ) -> None:
        api.ask()
        eventually(lambda: "spatial_agent_jobs_total{" in api.http.get("/metrics").text)
        api.http.get("/v1/questions/q_00000000000000000000000000000000")
        api.http.get("/nowhere/at/all")
        response = api.http.get("/metrics")
        assert response.headers["content-type"].startswith("text/plain")
        samples = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(response.text)
            for sample in family.samples
        }

        def requests(method: str, route: str, status: str) -> float:
            labels = (("method", method), ("route", route), ("status", status))
            return samples[("spatial_agent_http_requests_total", labels)]

        assert requests("POST", "/v1/questions", "200") == 1
        assert requests("GET", "/v1/questions/{question_id}", "404") == 1
        assert requests("GET", "unknown", "404") == 1
        assert samples[("spatial_agent_jobs_in_state", (("state", "done"),))] == 1
        took = samples[
            ("spatial_agent_http_request_seconds_sum", (("method", "POST"), ("route", "/v1/questions")))
        ]
        assert 0 < took < 20
        outcome = (("kind", "question"), ("outcome", "done"))
        assert samples[("spatial_agent_jobs_total", outcome)] == 1


class TestLogs:
    @pytest.mark.parametrize(
        ("question", "outcome"),
        [("how far?", "done"), ("fail to see it", "failed"), ("crash into it", "failed")],
    )
    def test_a_job_is_a_line_with_the_id_of_its_request(
        self,
        api: Prepared,
        caplog: pytest.LogCaptureFixture,
        eventually: Callable[[Callable[[], bool]], None],
        question: str,
        outcome: str,
    ) -> None:
        caplog.set_level(logging.INFO, "spatial_agent")
        asked = f"job-{question[:3]}"
        view = api.ask(question, headers={"X-Request-Id": asked}).json()

        def lines() -> list[dict[str, Any]]:
            told = [getattr(record, "fields", {}) for record in caplog.records]
            return [fields for fields in told if fields.get("job") == view["id"]]

        eventually(lambda: lines() != [])
        (line,) = lines()
        assert (line["request_id"], line["kind"], line["outcome"]) == (asked, "question", outcome)
        assert (line["tenant"], line["scene"], line["attempt"]) == ("local", api.scene, 1)
        assert question not in json.dumps(line)
        if outcome == "failed":
            assert view["problem"]["instance"] == asked

    def test_a_request_is_one_line_without_its_query(
        self, api: Prepared, records: pytest.LogCaptureFixture
    ) -> None:
        headers = {"X-Request-Id": "line-1", "X-API-Key": "hunter2"}
        api.http.get("/v1/questions?most=3&token=hunter2", headers=headers)
        (fields,) = fields_of(api, records, "line-1")
        assert fields["route"] == "/v1/questions"
        assert (fields["method"], fields["status"], fields["tenant"]) == ("GET", 200, "local")
        assert "hunter2" not in records.text + json.dumps(fields)

    def test_what_nobody_foresaw_is_in_the_log_alone(
        self, api: Prepared, records: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError("hunter2")

        monkeypatch.setattr(api.service.store.jobs, "listed", broken)
        response = api.http.get("/v1/questions", headers={"X-Request-Id": "line-2"})
        problem = response.json()
        assert (response.status_code, problem["type"]) == (500, "urn:spatial-agent:problem:internal")
        assert problem["instance"] == response.headers["x-request-id"] == "line-2"
        assert "hunter2" not in response.text
        assert "ZeroDivisionError: hunter2" in records.text
        assert [known.get("status") for known in fields_of(api, records, "line-2")] == [None, 500]

    def test_lines_are_json_or_text_and_stay_lines(self) -> None:
        record = logging.makeLogRecord(
            {"name": "spatial_agent.api", "msg": "request", "levelno": logging.INFO, "levelname": "INFO"}
        )
        record.fields = {"path": "/a\n/b\x1b[31m", "status": 200, "key": None}
        line = JsonLines().format(record)
        assert "\n" not in line
        parsed = json.loads(line)
        assert (parsed["level"], parsed["path"], parsed["status"]) == ("info", "/a\n/b\x1b[31m", 200)
        assert parsed["time"].endswith("Z")
        text = TextLines().format(record)
        assert text.endswith("info request path=/a?/b?[31m status=200")
