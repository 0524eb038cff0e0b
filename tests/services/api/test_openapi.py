import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from jsonschema_rs import Draft202012Validator

from spatial_agent.agent.answer import Answer
from spatial_agent.services.api.app import create_app
from spatial_agent.services.api.event_json import event_from_json
from spatial_agent.services.api.strict_json import StrictRoute
from tests.services.api.prepared import Doing, open_prepared

Operation = tuple[str, str, dict[str, Any]]
#: What is not ours to shape: OpenAI's error format, and whatever watches the service.
OTHER_FORMATS = ("/v1/chat/completions", "/v1/models", "/healthz", "/readyz")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    service = open_prepared(tmp_path_factory.mktemp("service"), Doing())
    yield create_app(service)
    service.store.close()


@pytest.fixture(scope="module")
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def references(value: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


class TestTheDocument:
    def test_every_reference_leads_somewhere(self, document: dict[str, Any]) -> None:
        for reference in set(references(document)):
            place: Any = document
            for part in reference.removeprefix("#/").split("/"):
                place = place[part]

    def test_every_problem_that_may_come_is_declared(self, document: dict[str, Any]) -> None:
        for method, path, operation in operations(document):
            if path.startswith(OTHER_FORMATS):
                continue
            for status in (
                "400",
                "401",
                "403",
                "404",
                "408",
                "413",
                "421",
                "422",
                "429",
                "431",
                "500",
                "503",
            ):
                content = operation["responses"][status]["content"]
                assert content["application/problem+json"]["schema"] == {
                    "$ref": "#/components/schemas/Problem"
                }, (method, path, status)
        assert "HTTPValidationError" not in document["components"]["schemas"]

    def test_operations_are_called_differently(self, document: dict[str, Any]) -> None:
        names = [operation["operationId"] for _, _, operation in operations(document)]
        assert len(set(names)) == len(names)
        assert {"questions_ask", "questions_events", "sessions_begin"} <= set(names)

    def test_every_json_that_is_asked_for_has_an_example_that_fits(self, document: dict[str, Any]) -> None:
        seen = 0
        for _, path, operation in operations(document):
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is None:
                continue
            schema = content["schema"] | {"components": document["components"]}
            examples = content.get("examples") or {}
            assert examples, path
            for example in examples.values():
                Draft202012Validator(schema).validate(example["value"])
                seen += 1
        assert seen >= 5

    def test_every_json_that_comes_back_has_an_example_that_fits(self, document: dict[str, Any]) -> None:
        seen = 0
        for _, path, operation in operations(document):
            for status, response in operation["responses"].items():
                content = response.get("content", {}).get("application/json")
                if (
                    not status.startswith("2")
                    or content is None
                    or operation["operationId"] == "uploads_state"
                ):
                    continue
                validator = Draft202012Validator(content["schema"] | {"components": document["components"]})
                assert content.get("examples"), (path, status)
                for name, example in content["examples"].items():
                    assert [error.message for error in validator.iter_errors(example["value"])] == [], (
                        path,
                        name,
                    )
                    seen += 1
        assert seen >= 20

    def test_the_answers_of_examples_are_answers(self, document: dict[str, Any]) -> None:
        responses = document["paths"]["/v1/questions/{question_id}"]["get"]["responses"]
        shown = responses["200"]["content"]["application/json"]["examples"]["answered"]["value"]
        answer = Answer.from_json(shown["answer"])
        assert json.loads(json.dumps(answer.to_json())) == shown["answer"]
        assert shown["problem"] is None

    def test_every_kind_of_event_is_shown(self, document: dict[str, Any]) -> None:
        responses = document["paths"]["/v1/questions/{question_id}/events"]["get"]["responses"]
        (example,) = responses["200"]["content"]["text/event-stream"]["examples"].values()
        events = [block.split("\n") for block in example["value"].strip().split("\n\n")]
        kinds = []
        for number, (kind, data, place) in enumerate(events, 1):
            kinds.append(kind.removeprefix("event: "))
            event_from_json(kinds[-1], json.loads(data.removeprefix("data: ")))
            assert place == f"id: 1.{number}"
        assert kinds == ["started", "stage", "tool_call", "evidence", "token", "answer"]

    def test_what_must_be_said_once_is_in_the_schema(self, document: dict[str, Any]) -> None:
        root = {"components": document["components"]}
        question = Draft202012Validator({"$ref": "#/components/schemas/QuestionRequest"} | root)
        scene = "sc_" + "0" * 32
        assert question.is_valid({"question": "how far?", "scene": scene})
        assert not question.is_valid({"question": "how far?"})
        assert not question.is_valid({"question": "how far?", "scene": None})
        region = Draft202012Validator({"$ref": "#/components/schemas/RegionModel"} | root)
        assert region.is_valid({"frame": 0, "point_px": [1, 2]})
        assert not region.is_valid({"frame": 0})
        assert not region.is_valid({"frame": 0, "point_px": [1, 2], "xyxy_px": [0, 0, 1, 1]})

    def test_keys_are_optional_only_where_none_is_needed(
        self, document: dict[str, Any], tmp_path: Path
    ) -> None:
        service = open_prepared(tmp_path, Doing(), keys_required=True)
        with_keys = create_app(service).openapi()
        service.store.close()
        for each, optional in ((document, True), (with_keys, False)):
            assert set(each["components"]["securitySchemes"]) == {"bearer", "header"}
            secured = each["paths"]["/v1/questions"]["post"]["security"]
            assert secured[:2] == [{"bearer": []}, {"header": []}]
            assert ({} in secured) is optional
            assert "security" not in each["paths"]["/healthz"]["get"]

    def test_links_lead_to_operations(self, document: dict[str, Any]) -> None:
        known = {operation["operationId"] for _, _, operation in operations(document)}
        linked = {
            link["operationId"]
            for _, _, operation in operations(document)
            for response in operation["responses"].values()
            for link in response.get("links", {}).values()
        }
        assert "questions_events" in linked
        assert linked <= known


def test_every_route_that_takes_json_reads_it_strictly(app: FastAPI, document: dict[str, Any]) -> None:
    for route in _routes(app.router):
        if route.include_in_schema and route.path not in ("/healthz", "/readyz"):
            assert isinstance(route, StrictRoute), route.path


def _routes(router: Any) -> Iterator[APIRoute]:  # noqa: ANN401 - routers and what includes them
    for route in router.routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from _routes(route.original_router)
