"""TODO."""

if __name__ != "spatial_agent.services":
    raise ImportError(f"import spatial_agent.services, not {__name__}")
