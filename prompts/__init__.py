"""What people and models read and see: words, marked frames, maps."""

if __name__ != "spatial_agent.prompts":
    raise ImportError(f"import spatial_agent.prompts, not {__name__}")
