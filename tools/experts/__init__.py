"""TODO."""

if __name__ != "spatial_agent.tools.experts":
    raise ImportError(f"import spatial_agent.tools.experts, not {__name__}")
