"""The web page, built once and served by the API."""

if __name__ != "spatial_agent.services.web":
    raise ImportError(f"import spatial_agent.services.web, not {__name__}")
