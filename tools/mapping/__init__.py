"""TODO."""

if __name__ != "spatial_agent.tools.mapping":
    raise ImportError(f"import spatial_agent.tools.mapping, not {__name__}")
