"""Checkpoints in PostgreSQL: the same as those of SQLite, and shared by servers."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

import psycopg
import pytest
from langgraph.graph import END, START, StateGraph

from spatial_agent.agent.checkpoints import postgres_checkpoints, sqlite_checkpoints
from spatial_agent.tools.errors import ConfigurationError
from tests.services.store.postgresql import PostgreSQL, postgresql_cluster

#: Classes of langgraph, whose types say more than matters here.
Saver: TypeAlias = Any
Graph: TypeAlias = Any
Open = Callable[[], AbstractAsyncContextManager[Saver]]


class Steps(TypedDict):
    done: list[str]


class PoweredOffError(Exception):
    """The machine that ran the graph is gone."""


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSQL]:
    with postgresql_cluster() as cluster, cluster.running():
        yield cluster


@pytest.fixture(params=["sqlite", "postgresql"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the same checkpoints each time."""
    if request.param == "sqlite":
        return lambda: sqlite_checkpoints(tmp_path / "checkpoints.sqlite")
    server: PostgreSQL = request.getfixturevalue("postgresql")
    url = server.new_database()
    return lambda: postgres_checkpoints(url)


def graph(saver: Saver, *, breaks: bool) -> Graph:
    """Return a graph of two steps, the second of which may not be survived."""

    def first(state: Steps) -> Steps:
        return {"done": [*state["done"], "first"]}

    def second(state: Steps) -> Steps:
        if breaks:
            raise PoweredOffError
        return {"done": [*state["done"], "second"]}

    built = StateGraph(Steps)
    built.add_node("first", first)
    built.add_node("second", second)
    built.add_edge(START, "first")
    built.add_edge("first", "second")
    built.add_edge("second", END)
    return built.compile(checkpointer=saver)


def test_a_run_goes_on_where_another_process_left_it(opened: Open) -> None:
    config = {"configurable": {"thread_id": "q_1"}}

    async def run() -> Steps:
        async with opened() as saver:
            with pytest.raises(PoweredOffError):
                await graph(saver, breaks=True).ainvoke({"done": []}, config)
        async with opened() as saver:
            other = await graph(saver, breaks=False).aget_state({"configurable": {"thread_id": "q_2"}})
            assert other.values == {}
            done: Steps = await graph(saver, breaks=False).ainvoke(None, config)
            return done

    # "first" was done once.
    assert asyncio.run(run()) == {"done": ["first", "second"]}


def test_servers_that_start_at_once_make_the_tables_once(postgresql: PostgreSQL) -> None:
    url = postgresql.new_database()

    async def start(number: int) -> Steps:
        async with postgres_checkpoints(url) as saver:
            config = {"configurable": {"thread_id": f"q_{number}"}}
            done: Steps = await graph(saver, breaks=False).ainvoke({"done": []}, config)
            return done

    async def start_all() -> list[Steps]:
        return await asyncio.gather(*(start(number) for number in range(4)))

    assert asyncio.run(start_all()) == [{"done": ["first", "second"]}] * 4


def test_runs_go_on_after_the_server_dropped_its_connections(postgresql: PostgreSQL) -> None:
    url = postgresql.new_database()

    async def run() -> Steps:
        async with postgres_checkpoints(url) as saver:
            with psycopg.connect(postgresql.url(), autocommit=True) as other:
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname <> 'postgres'"
                )
            config = {"configurable": {"thread_id": "q"}}
            done: Steps = await graph(saver, breaks=False).ainvoke({"done": []}, config)
            return done

    assert asyncio.run(run()) == {"done": ["first", "second"]}


@pytest.mark.parametrize(
    "url", ["postgresql://ann:s3cret@127.0.0.1:1/rooms", "postgresql://ann:s3cret@[/rooms"]
)
def test_a_server_that_is_not_there_is_an_error_without_its_password(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spatial_agent.agent.checkpoints.PATIENCE_S", 0.2)

    async def start() -> None:
        async with postgres_checkpoints(url):
            pass

    with pytest.raises(ConfigurationError, match="expected a PostgreSQL database") as caught:
        asyncio.run(start())
    assert "s3cret" not in str(caught.value)
