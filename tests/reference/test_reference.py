"""The reference is current, leaves nothing out, and says of scopes what the service really does."""

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import cast

import httpx
import pytest

from spatial_agent.services.api.config import ServiceConfig
from spatial_agent.services.api.problems import INTERNAL, KINDS
from spatial_agent.services.api.testing import serving_in_thread
from spatial_agent.services.open_service import open_service
from spatial_agent.services.settings import Settings
from spatial_agent.services.store.records import SCOPES, Allowance, Scope
from tests.reference.acting import WHO
from tests.reference.page import PAGE, page, variables

# It warns of its own use of pydantic when it is first imported.
pytest.importorskip("ray.serve")

ROOT = Path(__file__).parents[2]
#: A row of the table of routes: method, path, scopes.
ROUTE = re.compile(r"^\| `([A-Z]+) (/\S*)` \| ([`\w, ]*) \|", re.MULTILINE)
#: What stands in paths; no such thing is there, but who may not ask is told that first.
FILLED = {"name": "map.png", "model_id": "spatial-agent/recorded"}


@pytest.fixture(scope="module")
def written() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_it_is_current(written: str) -> None:
    assert page() == written, "write it anew: python -m tests.reference.page"


def test_every_variable_that_is_read_is_listed(written: str) -> None:
    read = set(re.findall(r"environ\.get\(\s*\"(\w+)\"", (ROOT / "services/settings.py").read_text("utf-8")))
    assert len(read) > 10
    assert read == set(variables())
    assert all(f"| `{name}` |" in written for name in read)


def test_every_problem_says_who_must_act() -> None:
    assert set(WHO) == {kind.name for kind in KINDS.values()} | {INTERNAL.name}


def test_every_field_and_option_says_what_it_is(written: str) -> None:
    rows = [line for line in written.splitlines() if line.startswith("| `")]
    assert len(rows) > 150
    assert [row for row in rows if row.rstrip(" |").endswith("`") and "` | " not in row] == []
    assert [row for row in rows if re.search(r"\|\s*\|$", row)] == []


def test_a_key_needs_the_scopes_that_are_listed_and_no_others(written: str, tmp_path: Path) -> None:
    routes = [
        (method, path, set(re.findall(r"\w+", needed))) for method, path, needed in ROUTE.findall(written)
    ]
    assert len(routes) > 25
    config = ServiceConfig(folder=tmp_path, port=0, keys_required=True)
    service = open_service(config, Settings(cache_folder=tmp_path, model="none", database=None))
    allowance = Allowance(requests_per_minute=10_000)
    with serving_in_thread(service) as url, httpx.Client(base_url=url) as client:

        def status(method: str, path: str, scopes: Iterable[str] | None) -> int:
            address = re.sub(r"\{(\w+)\}", lambda match: FILLED.get(match[1], "x_0"), path)
            headers = {"Tus-Resumable": "1.0.0"}
            headers |= (
                {} if scopes is None else {"X-API-Key": token(frozenset(cast(Iterable[Scope], scopes)))}
            )
            return client.request(method, address, headers=headers).status_code

        @lru_cache
        def token(scopes: frozenset[Scope]) -> str:
            return service.store.keys.create("tenant", "key", scopes, allowance)[1]

        for method, path, needed in routes:
            assert (status(method, path, None) == 401) == bool(needed), (method, path)
            assert status(method, path, needed or SCOPES) not in (401, 403), (method, path)
            for scope in needed:
                assert status(method, path, set(SCOPES) - {scope}) == 403, (method, path, scope)
