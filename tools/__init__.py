"""What can be measured, and with what; imports nothing else of this project."""

if __name__ != "spatial_agent.tools":
    raise ImportError(f"import spatial_agent.tools, not {__name__}")
