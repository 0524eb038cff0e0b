"""From posed RGB-D frames to a scene map: fusion, gravity, room, objects, files."""

if __name__ != "spatial_agent.tools.mapping":
    raise ImportError(f"import spatial_agent.tools.mapping, not {__name__}")
