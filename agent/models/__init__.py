"""Multimodal language models behind one contract; importing this loads none of them."""

if __name__ != "spatial_agent.agent.models":
    raise ImportError(f"import spatial_agent.agent.models, not {__name__}")
