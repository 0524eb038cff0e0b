"""What every expert must do, checked on a synthetic room; anybody's expert can be put to it.

>>> from spatial_agent.tools.skills.counting import count
>>> report = check_expert(count, arguments={"kind": "chair"})
>>> failures(report)
{}
"""

if __name__ != "spatial_agent.tools.conformance":
    raise ImportError(f"import spatial_agent.tools.conformance, not {__name__}")

from spatial_agent.tools.conformance.expert import check_expert, failures

__all__ = ["check_expert", "failures"]
