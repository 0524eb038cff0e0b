"""Opening a database: what it may be, and how its tables come to be there."""

import sqlite3
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, text

from spatial_agent.services.store.database import Database
from spatial_agent.services.store.errors import StoreUnavailableError
from spatial_agent.services.store.records import SceneRecord
from spatial_agent.services.store.store import Store
from spatial_agent.services.store.tables import metadata
from spatial_agent.tools.errors import ConfigurationError
from tests.services.store.postgresql import PostgreSQL, postgresql_cluster


def test_an_opened_database_has_the_tables_that_the_code_speaks_of(url: str) -> None:
    database = Database.open(url)
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == ["0001"]
    database.close()


def test_a_database_that_is_opened_again_keeps_what_it_has(url: str) -> None:
    record = SceneRecord("sc_1", "ann", "room", "", 5, "queued", 1.0)
    with Store.open(url) as store:
        store.scenes.add(record)
    with Store.open(url) as store:
        assert store.scenes.scene("ann", "sc_1") == record


def test_servers_that_start_at_once_make_the_tables_once(url: str) -> None:
    barrier = threading.Barrier(6)

    def start() -> None:
        barrier.wait()
        Database.open(url).close()

    with ThreadPoolExecutor(6) as pool:
        for started in [pool.submit(start) for _ in range(6)]:
            started.result()


def test_a_database_of_a_newer_version_is_left_alone(url: str) -> None:
    database = Database.open(url)
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(ConfigurationError, match="9999"):
        Database.open(url)


def test_an_upgrade_that_fails_leaves_nothing_behind(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alembic.runtime.migration.MigrationContext.stamp", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Database.open(url)
    monkeypatch.undo()
    with Store.open(url) as store:
        assert store.scenes.listed("ann") == []


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "store.sqlite",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?uri=true",
        "mysql://root@host/x",
    ],
)
def test_another_kind_of_database_is_refused_in_words(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="expected sqlite:///PATH or postgresql://"):
        Database.open(wrong)


def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(StoreUnavailableError) as caught:
        Database.open("postgresql://ann:s3cret@127.0.0.1:1/rooms?password=s3cret")
    assert "127.0.0.1:1/rooms" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_password_is_not_repeated_for_a_kind_that_is_unknown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Database.open("oracle://ann:s3cret@host/rooms?password=s3cret")
    assert "s3cret" not in str(caught.value)


def test_a_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailableError, match="file"):
        Database.open(f"sqlite:///{tmp_path / 'file' / 'store.sqlite'}")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_text("hello " * 1000)
    with pytest.raises(StoreUnavailableError, match=r"store\.sqlite.*not a database"):
        Database.open(f"sqlite:///{tmp_path / 'store.sqlite'}")


def test_a_store_shows_no_password() -> None:
    engine = create_engine("postgresql+psycopg://ann:s3cret@host/rooms?password=s3cret")
    shown = repr(Store(Database(engine)))
    assert "ann:***@host/rooms" in shown
    assert "s3cret" not in shown


def test_an_option_that_no_server_knows_is_named(postgresql: PostgreSQL) -> None:
    with pytest.raises(StoreUnavailableError, match="colour"):
        Database.open(f"{postgresql.url()}&colour=red")


def test_a_server_that_comes_back_is_found_again(postgresql: PostgreSQL) -> None:
    with Store.open(postgresql.new_database()) as store, psycopg.connect(postgresql.url()) as other:
        assert store.jobs.counts()["queued"] == 0
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        assert store.jobs.counts()["queued"] == 0


def test_a_server_that_went_away_is_an_error_in_words(tmp_path: Path) -> None:
    with postgresql_cluster() as cluster:
        with cluster.running():
            store = Store.open(cluster.new_database())
        with store, pytest.raises(StoreUnavailableError, match="that answers"):
            store.jobs.counts()


def test_the_file_of_a_store_is_its_owners(tmp_path: Path) -> None:
    Database.open(f"sqlite:///{tmp_path / 'store.sqlite'}").close()
    assert stat.S_IMODE((tmp_path / "store.sqlite").stat().st_mode) == 0o600


def test_readers_go_on_while_another_process_writes(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with Store.open(f"sqlite:///{path}") as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        assert store.scenes.listed("ann") == []
        other.execute("COMMIT")
        other.close()


def test_whoever_may_write_is_alone_from_the_beginning(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    database = Database.open(f"sqlite:///{path}")
    other = sqlite3.connect(path, isolation_level=None, timeout=0.0)
    with database.writing(), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    other.close()
    database.close()
