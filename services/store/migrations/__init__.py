"""The revisions of the store's tables; `services.store.upgrading` applies those that a database lacks.

A new revision is a module in `versions`, numbered on, that names the one before it as ``down_revision`` and
changes the tables in ``upgrade()``. What is published is never edited. A test compares the tables of an
upgraded database with those of `services.store.tables`.
"""

if __name__ != "spatial_agent.services.store.migrations":
    raise ImportError(f"import spatial_agent.services.store.migrations, not {__name__}")
