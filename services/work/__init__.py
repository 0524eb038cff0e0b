"""The work of the service: jobs are taken from the store, run on agents, and told about."""

if __name__ != "spatial_agent.services.work":
    raise ImportError(f"import spatial_agent.services.work, not {__name__}")
