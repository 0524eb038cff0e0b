"""From a question to a spatial task, and from a task to the calls that measure it; no model needed."""

if __name__ != "spatial_agent.agent.planner":
    raise ImportError(f"import spatial_agent.agent.planner, not {__name__}")
