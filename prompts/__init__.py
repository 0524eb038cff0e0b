"""What people and models read and see: words and marked frames."""

if __name__ != "spatial_agent.prompts":
    raise ImportError(f"import spatial_agent.prompts, not {__name__}")
