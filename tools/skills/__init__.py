"""Skills: one question intent each, composed of geometry and references to objects."""

if __name__ != "spatial_agent.tools.skills":
    raise ImportError(f"import spatial_agent.tools.skills, not {__name__}")
