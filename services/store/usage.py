"""What keys have used, by the day."""

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from spatial_agent.services.store.database import Database
from spatial_agent.services.store.tables import usage

_ROW = (usage.c.key == bindparam("of_key")) & (usage.c.day == bindparam("on_day"))
_USED = select(usage.c.used).where(_ROW)
_SPEND = (
    update(usage)
    .where(_ROW, usage.c.used + bindparam("amount") <= bindparam("most"))
    .values(used=usage.c.used + bindparam("amount"))
    .returning(usage.c.used)
)


class UsageTable:
    """How much of its daily allowance each key has used."""

    def __init__(self, database: Database) -> None:
        """Keep it in a database."""
        self._database = database
        insert = sqlite.insert if database.is_sqlite else postgresql.insert
        self._begin = insert(usage).values(used=0).on_conflict_do_nothing()

    def spend(self, key_id: str, day: str, amount: int, most: int) -> bool:
        """Use some of what a key has for a day.

        Args:
            key_id: Which key.
            day: Which day, such as ``"2026-01-31"``.
            amount: How much, 0 or more.
            most: How much it has for the day.

        Returns:
            False where not that much is left; then nothing is used.
        """
        given = {"of_key": key_id, "on_day": day, "amount": amount, "most": most}
        with self._database.writing() as connection:
            connection.execute(self._begin, {"key": key_id, "day": day})
            return connection.execute(_SPEND, given).one_or_none() is not None

    def used(self, key_id: str, day: str) -> int:
        """Return how much a key has used on a day."""
        with self._database.reading() as connection:
            return connection.execute(_USED, {"of_key": key_id, "on_day": day}).scalar() or 0
