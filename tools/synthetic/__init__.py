"""TODO."""

if __name__ != "spatial_agent.tools.synthetic":
    raise ImportError(f"import spatial_agent.tools.synthetic, not {__name__}")
