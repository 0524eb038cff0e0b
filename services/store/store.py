"""The store of a service: everything that must outlive its process."""

from types import TracebackType

from spatial_agent.services.store.database import Database
from spatial_agent.services.store.events import EventTable
from spatial_agent.services.store.jobs import JobTable
from spatial_agent.services.store.keys import KeyTable
from spatial_agent.services.store.scenes import SceneTable
from spatial_agent.services.store.sessions import SessionTable
from spatial_agent.services.store.uploads import UploadTable
from spatial_agent.services.store.usage import UsageTable


class Store:
    """The tables of a database. All methods wait for it, and are safe to call from several threads.

    Attributes:
        database: Where everything is kept.
        jobs: Questions and measurements, from the queue to their end.
        events: What happened in each.
        scenes: Uploaded scenes.
        sessions: Dialogues.
        keys: API keys.
        usage: What keys have used.
        uploads: Resumable uploads.
    """

    def __init__(self, database: Database) -> None:
        """Keep everything in a database, which is closed with the store."""
        self.database = database
        self.jobs = JobTable(database)
        self.events = EventTable(database)
        self.scenes = SceneTable(database)
        self.sessions = SessionTable(database)
        self.keys = KeyTable(database)
        self.usage = UsageTable(database)
        self.uploads = UploadTable(database)

    @classmethod
    def open(cls, url: str) -> "Store":
        """Open the store at a URL; see `Database.open`.

        Raises:
            ConfigurationError: If it is no URL of a database, or a newer version has written to it.
            StoreUnavailableError: If the database cannot be reached.
        """
        return cls(Database.open(url))

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def __enter__(self) -> "Store":
        """Return the store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the database."""
        self.close()

    def __repr__(self) -> str:
        """Name the database without its password."""
        return f"Store({self.database!r})"
