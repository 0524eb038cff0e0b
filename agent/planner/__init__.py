"""TODO."""

if __name__ != "spatial_agent.agent.planner":
    raise ImportError(f"import spatial_agent.agent.planner, not {__name__}")
