"""TODO."""

if __name__ != "spatial_agent.agent":
    raise ImportError(f"import spatial_agent.agent, not {__name__}")
