"""Experts of strangers, each in a bubblewrapped process of its own behind a proxy."""

if __name__ != "spatial_agent.sandbox.isolation":
    raise ImportError(f"import spatial_agent.sandbox.isolation, not {__name__}")
