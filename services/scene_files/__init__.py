"""The files of scenes: received, checked, measured, and given out again."""

if __name__ != "spatial_agent.services.scene_files":
    raise ImportError(f"import spatial_agent.services.scene_files, not {__name__}")
