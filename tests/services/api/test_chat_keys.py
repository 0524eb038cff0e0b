"""Chat completions by key: whose scenes they see, and what is refused in OpenAI's words."""

from collections.abc import Iterator

import httpx
import pytest

from spatial_agent.services.store.records import SCOPES, Allowance, Scope
from tests.services.api.chatting import Chatting, chatting, frame, pictures, words
from tests.services.api.prepared import add_scene

QUESTION = "How long is the sofa?"


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chatting]:
    with chatting(tmp_path_factory.mktemp("service"), keys_required=True) as running:
        yield running


def key_of(chat: Chatting, tenant: str, *scopes: Scope, **allowed: int) -> dict[str, str]:
    _, token = chat.service.store.keys.create(
        tenant, "test", frozenset(scopes or SCOPES), Allowance(**allowed)
    )
    return {"Authorization": f"Bearer {token}"}


def ask(chat: Chatting, headers: dict[str, str], **fields: object) -> httpx.Response:
    asked = {"model": "spatial-agent/recorded", "messages": [{"role": "user", "content": QUESTION}]}
    return chat.http.post("/chat/completions", json=asked | fields, headers=headers)


def error_of(response: httpx.Response) -> tuple[int, str, str | None]:
    error = response.json()["error"]
    return response.status_code, error["type"], error["code"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer sk-123"}, {"Authorization": "Basic x"}])
def test_without_a_valid_key_nothing_is_told(chat: Chatting, headers: dict[str, str]) -> None:
    for response in (ask(chat, headers), chat.http.get("/models", headers=headers)):
        assert error_of(response) == (401, "invalid_request_error", "invalid_api_key")
        assert response.headers["www-authenticate"] == "Bearer"


def test_a_key_needs_the_scope(chat: Chatting) -> None:
    reads = key_of(chat, "reader", "read")
    assert chat.http.get("/models", headers=reads).status_code == 200
    assert error_of(ask(chat, reads)) == (403, "invalid_request_error", "insufficient_permissions")


def test_who_may_ask_may_send_pictures_along(chat: Chatting) -> None:
    message = {"role": "user", "content": [*pictures(frame(1)), words(QUESTION)]}
    assert ask(chat, key_of(chat, "asker", "ask"), messages=[message]).status_code == 200


def test_scenes_of_others_are_not_there(chat: Chatting) -> None:
    scene = add_scene(chat.service.store, "one")
    spatial = {"scene": scene}
    assert ask(chat, key_of(chat, "one"), spatial=spatial).status_code == 200
    assert error_of(ask(chat, key_of(chat, "other"), spatial=spatial)) == (
        404,
        "invalid_request_error",
        "scene_not_found",
    )


def test_the_same_pictures_of_two_tenants_are_two_scenes(chat: Chatting) -> None:
    message = {"role": "user", "content": [*pictures(frame(2)), words(QUESTION)]}
    one, other = key_of(chat, "first"), key_of(chat, "second")
    assert (
        ask(chat, one, messages=[message]).status_code
        == ask(chat, other, messages=[message]).status_code
        == 200
    )
    mine, theirs = chat.oracle.scenes[-2:]
    assert mine != theirs
    assert chat.service.store.scenes.scene("first", theirs) is None
    assert error_of(ask(chat, one, spatial={"scene": theirs}))[0] == 404


def test_what_a_tenant_may_store_holds_for_pictures(chat: Chatting) -> None:
    headers = key_of(chat, "small", stored_bytes=10)
    message = {"role": "user", "content": [*pictures(frame(3)), words(QUESTION)]}
    response = ask(chat, headers, messages=[message])
    assert response.status_code >= 400
    assert "error" in response.json()
    assert chat.service.store.scenes.listed("small") == []


def test_quotas_and_rates_are_told_in_openais_words(chat: Chatting) -> None:
    spatial = {"scene": add_scene(chat.service.store, "counted")}
    few = key_of(chat, "counted", questions_per_day=1)
    assert ask(chat, few, spatial=spatial).status_code == 200
    spent = ask(chat, few, spatial=spatial)
    assert error_of(spent) == (429, "insufficient_quota", "insufficient_quota")
    slow = key_of(chat, "counted", requests_per_minute=1)
    assert ask(chat, slow, spatial=spatial).status_code == 200
    fast = ask(chat, slow, spatial=spatial)
    assert error_of(fast) == (429, "requests", "rate_limit_exceeded")
    assert int(fast.headers["retry-after"]) >= 1


def test_a_priority_above_the_keys_is_refused(chat: Chatting) -> None:
    spatial = {"scene": add_scene(chat.service.store, "eager"), "priority": 5}
    assert error_of(ask(chat, key_of(chat, "eager"), spatial=spatial))[0] == 403
