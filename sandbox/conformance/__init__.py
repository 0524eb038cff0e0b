"""What every sandbox must do, whoever provides it; it speaks to nothing but the contract.

``asyncio.run(check_sandbox(open_zygote_sandbox))`` returns what a provider does not do as it should.
"""

if __name__ != "spatial_agent.sandbox.conformance":
    raise ImportError(f"import spatial_agent.sandbox.conformance, not {__name__}")

from spatial_agent.sandbox.conformance.suite import CHECKS, Failure, check_sandbox

__all__ = ["CHECKS", "Failure", "check_sandbox"]
