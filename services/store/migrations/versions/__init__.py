"""One module per version of the tables."""

if __name__ != "spatial_agent.services.store.migrations.versions":
    raise ImportError(f"import spatial_agent.services.store.migrations.versions, not {__name__}")
