"""TODO."""

if __name__ != "spatial_agent.tools.geometry":
    raise ImportError(f"import spatial_agent.tools.geometry, not {__name__}")
