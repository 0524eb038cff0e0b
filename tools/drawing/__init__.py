"""Pictures made of scene values: what experts and prompts both draw with."""

if __name__ != "spatial_agent.tools.drawing":
    raise ImportError(f"import spatial_agent.tools.drawing, not {__name__}")
