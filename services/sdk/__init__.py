"""The typed client of the REST API."""

if __name__ != "spatial_agent.services.sdk":
    raise ImportError(f"import spatial_agent.services.sdk, not {__name__}")
