"""The key goes to the service and nowhere else: not into reprs, errors or warnings."""

import traceback
import warnings
from collections.abc import Callable

import httpx
import pytest

from spatial_agent.services.sdk import AsyncClient, Client, Retries, ServiceError
from spatial_agent.services.sdk.connecting import Address, address_of
from spatial_agent.tools.errors import ConfigurationError
from tests.services.sdk.conftest import KEY, URL, AnyClient
from tests.services.sdk.fakes import copy_of, scene

Connect = Callable[..., AnyClient]
LIST = {"scenes": [scene()], "samples": ["living_room"]}


def test_the_key_goes_along_as_a_bearer(connect: Connect) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=LIST)

    assert connect(answer, "http://127.0.0.1:8080/prefix/").scenes.samples() == ["living_room"]
    assert seen[0].headers["Authorization"] == f"Bearer {KEY}"
    assert str(seen[0].url) == "http://127.0.0.1:8080/prefix/v1/scenes"
    assert seen[0].headers["User-Agent"].startswith("spatial-agent-sdk/")


@pytest.mark.parametrize("failure", [httpx.ConnectError("refused"), httpx.Response(401), httpx.Response(200)])
def test_the_key_is_never_told(connect: Connect, failure: httpx.Response | Exception) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        if isinstance(failure, Exception):
            raise failure
        return copy_of(failure)

    client = connect(answer, retries=Retries(attempts=2))
    with pytest.raises(ServiceError) as told:
        client.scenes.list()
    said = (
        "".join(traceback.format_exception(told.value))
        + repr(told.value)
        + repr(client)
        + repr(client.scenes)
    )
    assert KEY not in said
    assert KEY not in repr(vars(told.value))
    assert KEY not in repr(Address(URL, KEY))


def test_a_key_in_clear_beyond_this_machine_is_warned_of() -> None:
    for kind in (Client, AsyncClient):
        with pytest.warns(UserWarning, match="without encryption") as told:
            kind("http://service.example", KEY)
        assert KEY not in str(told[0].message)
        assert told[0].filename == __file__


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://service.example", KEY),
        ("http://service.example", None),
        ("http://127.0.0.1:8080", KEY),
        ("http://localhost", KEY),
        ("http://[::1]:8080", KEY),
    ],
)
def test_nothing_is_warned_of_where_nobody_listens(url: str, key: str | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Client(url, key).close()


@pytest.mark.parametrize(
    "url",
    [
        "service.example",
        "ftp://service.example",
        "http://",
        "https://user:secret@service.example",
        "http://h/?key=secret",
        "",
    ],
)
def test_an_address_is_an_address_alone(url: str) -> None:
    with pytest.raises(ConfigurationError, match="url: expected") as told:
        Address(url)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "", "schlüssel", "x" * 513])
def test_what_cannot_be_a_key_is_refused_unsaid(key: str) -> None:
    with pytest.raises(ConfigurationError, match="key: expected") as told:
        Client(URL, key)
    assert not key or key not in str(told.value)


def test_the_settings_say_where_and_who(monkeypatch: pytest.MonkeyPatch) -> None:
    assert address_of(None, None) == Address("http://127.0.0.1:8080", None)
    monkeypatch.setenv("SPATIAL_AGENT_API_KEY", "sa_mine")
    assert address_of("https://service.example", None).key == "sa_mine"
    monkeypatch.setenv("SPATIAL_AGENT_URL", "https://service.example/")
    assert address_of(None, None) == Address("https://service.example", "sa_mine")
    assert address_of("https://service.example", None).key == "sa_mine"
    assert address_of("https://elsewhere.example", None).key is None
    assert address_of("https://elsewhere.example", "sa_other").key == "sa_other"


def test_no_proxy_comes_between_this_machine_and_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert Address("http://127.0.0.1:1", KEY).options()["trust_env"] is False
    assert Address("https://service.example", KEY).options()["trust_env"] is True
