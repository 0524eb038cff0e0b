"""TODO."""

if __name__ != "spatial_agent.tools.media":
    raise ImportError(f"import spatial_agent.tools.media, not {__name__}")
