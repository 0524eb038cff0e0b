"""What measures pixels: one module per capability, one class per model; models load on first use."""

if __name__ != "spatial_agent.tools.experts":
    raise ImportError(f"import spatial_agent.tools.experts, not {__name__}")

from spatial_agent.tools.experts.instances import RecordedInstances, Segmenter

__all__ = ["RecordedInstances", "Segmenter"]
