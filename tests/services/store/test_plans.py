"""What is asked all the time is answered by an index, however much has been done before."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, text

from spatial_agent.services.store.records import EventId, NewJob
from spatial_agent.services.store.store import Store

#: Enough that going through all of them is the dearest plan.
FINISHED = 3000
#: What each question must not do, and the index that it must use, by the words of both databases.
ASKED: dict[str, tuple[Callable[[Store], object], set[str]]] = {
    "claim": (lambda store: store.jobs.claim("w1", 60.0), {"jobs_running", "jobs_queued"}),
    "renew": (lambda store: store.jobs.renew("w1", ["q_1"], 60.0), set()),
    "cancel": (lambda store: store.jobs.cancel("ann", "q_1"), set()),
    "job": (lambda store: store.jobs.job("ann", "q_1"), set()),
    "listed": (lambda store: store.jobs.listed("ann"), set()),
    "of session": (lambda store: store.jobs.listed("ann", session="se_7"), {"jobs_of_session"}),
    "of scene": (lambda store: store.jobs.listed("ann", scene="sc_7"), {"jobs_of_scene"}),
    "events": (lambda store: store.events.after("q_7", EventId(1, 2)), {"events"}),
    "submit": (
        lambda store: store.jobs.submit(
            NewJob("ann", "question", {}, "sc_1"), idempotency_key="k", most_queued=9, most_of_tenant=9
        ),
        {"jobs_by_idempotency_key", "jobs_queued", "jobs_unfinished"},
    ),
}


def fill(store: Store) -> None:
    """Let many jobs have been done, of two tenants, about many scenes, in many sessions."""
    numbers = f"WITH RECURSIVE g(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM g WHERE i < {FINISHED})"
    columns = "id, tenant, kind, request, scene, session, priority, request_id, fingerprint, state, created,"
    values = (
        "'q_' || i, CASE WHEN i % 9 = 0 THEN 'bob' ELSE 'ann' END, 'question', '{}', 'sc_' || (i % 500),"
        " 'se_' || (i % 500), 0, '', '', 'done', i, i, 1, i < 0, '{}'"
    )
    with store.database.writing() as connection:
        filling = (
            f"INSERT INTO jobs ({columns} finished, attempts, cancelling, answer) {numbers} SELECT {values}"
        )
        connection.execute(text(f"{filling} FROM g"))
        connection.execute(
            text("INSERT INTO events SELECT number, 1, k.i, 'stage', '{}' FROM jobs, (SELECT 1 AS i) k")
        )
        if not store.database.is_sqlite:
            connection.execute(text("ANALYZE"))


def plans(store: Store, ask: Callable[[], object]) -> list[str]:
    """Return how the database goes about each statement of a question."""
    asked: list[tuple[str, Any]] = []

    def remember(_: object, __: object, statement: str, parameters: object, ___: object, many: bool) -> None:
        if statement.split()[0] in ("SELECT", "UPDATE") and " FROM jobs" in statement.replace("\n", " "):
            asked.append((statement, parameters))

    event.listen(store.database.engine, "before_cursor_execute", remember)
    ask()
    event.remove(store.database.engine, "before_cursor_execute", remember)
    explain = "EXPLAIN QUERY PLAN" if store.database.is_sqlite else "EXPLAIN (COSTS OFF)"
    told = []
    with store.database.reading() as connection:
        for statement, parameters in asked:
            rows = connection.exec_driver_sql(f"{explain} {statement}", parameters)
            told.append("\n".join(str(row[-1]) for row in rows))
    return told


@pytest.mark.parametrize("name", ASKED)
def test_no_question_goes_through_all_jobs(store: Store, name: str) -> None:
    ask, indexes = ASKED[name]
    fill(store)
    told = plans(store, lambda: ask(store))
    for plan in told:
        assert "SCAN jobs\n" not in f"{plan}\n", plan
        assert "Seq Scan on jobs" not in plan, plan
    whole = "\n".join(told)
    assert [index for index in indexes if index not in whole] == [], whole


def test_the_queue_is_not_sorted_to_find_its_first(store: Store) -> None:
    fill(store)
    [next_one] = plans(store, lambda: store.jobs.claim("w1", 60.0))
    assert "TEMP B-TREE" not in next_one
    assert "Sort" not in next_one
