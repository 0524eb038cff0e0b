"""What the service keeps: jobs, their events, scenes, sessions, keys and what was used."""

if __name__ != "spatial_agent.services.store":
    raise ImportError(f"import spatial_agent.services.store, not {__name__}")
