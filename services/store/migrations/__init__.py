"""Alembic migrations of the store."""

if __name__ != "spatial_agent.services.store.migrations":
    raise ImportError(f"import spatial_agent.services.store.migrations, not {__name__}")
