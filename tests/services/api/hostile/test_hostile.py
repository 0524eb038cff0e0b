"""Bad requests to the command `spatial-agent serve`: each is refused in words, and nothing comes of it.

Every case is sent over a connection of its own; in the end the server has no more in use than before.
"""

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import spatial_agent.services
from spatial_agent.services.api.problems import KINDS
from tests.services.api.hostile import (
    address_cases,
    chat_cases,
    file_cases,
    header_cases,
    json_cases,
    tus_cases,
)
from tests.services.api.hostile.requests import OPENAI, Case, Reply
from tests.services.api.hostile.server import DISTANCE_M, MIB, InUse, Served, served

CASES: tuple[Case, ...] = (
    *json_cases.cases(),
    *chat_cases.CASES,
    *file_cases.cases(),
    *address_cases.cases(),
    *header_cases.cases(),
    *tus_cases.cases(),
)
#: How much more memory all bad requests together may leave in use, and may need in between.
MOST_MORE_BYTES = 48 * MIB
MOST_MORE_AT_ONCE_BYTES = 96 * MIB
HERE = Path(spatial_agent.services.__file__).parents[1]
#: What no answer may hold: traces of the code, of this machine, of its store.
TELLTALE = (
    "Traceback",
    'File "',
    ".py",
    "sqlite3",
    "sqlalchemy",
    "site-packages",
    "/root",
    "/home",
    str(HERE),
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("hostile")) as server:
        yield server


@pytest.fixture(scope="module")
def before(running: Served) -> tuple[InUse, dict[str, list[str]]]:
    return running.in_use(), running.kept()


@pytest.fixture(scope="module")
def slow_replies(running: Served, before: object) -> dict[str, Reply]:
    """Replies to what the server is meant to wait for, all at the same time."""
    waiting = [case for case in CASES if case.waits]
    with ThreadPoolExecutor(len(waiting)) as clients:
        return dict(zip((case.name for case in waiting), clients.map(running.send, waiting), strict=True))


@pytest.mark.parametrize("case", [pytest.param(case, id=ascii(case.name)[1:-1]) for case in CASES])
def test_it_is_refused(running: Served, before: object, slow_replies: dict[str, Reply], case: Case) -> None:
    reply = slow_replies[case.name] if case.waits else running.send(case)
    check(reply, case, running)


def check(reply: Reply, case: Case, running: Served) -> None:
    """Check that a reply is what a case expects, and tells nothing of the server."""
    text = reply.body.decode()
    assert reply.status == case.status, text[:1000]
    if case.kind.startswith(OPENAI):
        assert reply.headers["content-type"] == "application/json"
        error = reply.json["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]
        assert (error["code"] or error["type"]) == case.kind.removeprefix(OPENAI)
    else:
        assert reply.headers["content-type"] == "application/problem+json"
        problem = reply.json
        assert problem["status"] == case.status
        assert problem["title"]
        assert problem["type"].rpartition("problem:")[2] == case.kind
        assert case.kind == "about:blank" or (problem["detail"] and case.kind in KNOWN)
    assert len(text) < 5000
    assert not [word for word in (*TELLTALE, str(running.folder), running.known["key"]) if word in text]


KNOWN = {kind.name for kind in KINDS.values()}


class TestAfterwards:
    def test_there_are_enough_of_them_and_each_is_another(self) -> None:
        assert [name for name, count in Counter(case.name for case in CASES).items() if count > 1] == []
        assert len(CASES) >= 150
        assert {400, 401, 403, 404, 405, 408, 409, 413, 415, 421, 422, 431} <= {case.status for case in CASES}

    def test_nothing_came_of_them(self, running: Served, before: tuple[InUse, dict[str, list[str]]]) -> None:
        in_use_before, kept_before = before
        for case in CASES:
            if case.name not in running.sent:
                running.send(case)
        in_use = running.in_use()
        print(f"{len(CASES)} cases; before {in_use_before}; after {in_use}")
        assert running.kept() == kept_before
        assert running.troubles() == []
        assert in_use.bytes - in_use_before.bytes < MOST_MORE_BYTES
        assert in_use.most_bytes - in_use_before.most_bytes < MOST_MORE_AT_ONCE_BYTES
        assert in_use.files <= in_use_before.files + 8

    def test_it_still_measures(self, running: Served) -> None:
        view = running.ask()
        assert view["state"] == "done", json.dumps(view)
        assert view["answer"]["value"] == pytest.approx(DISTANCE_M, abs=1e-6)
        assert view["answer"]["unit"] == "m"
