"""Deciding what to measure: tasks, planning, the loop, answers and traces."""

if __name__ != "spatial_agent.agent":
    raise ImportError(f"import spatial_agent.agent, not {__name__}")
