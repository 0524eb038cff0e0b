"""TODO."""

if __name__ != "spatial_agent.tools.skills":
    raise ImportError(f"import spatial_agent.tools.skills, not {__name__}")
