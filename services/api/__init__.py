"""The REST API; importing this loads no web framework."""

if __name__ != "spatial_agent.services.api":
    raise ImportError(f"import spatial_agent.services.api, not {__name__}")
