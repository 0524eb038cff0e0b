"""Running what nobody trusts: programs that models write, and experts of strangers.

A program runs in a process of its own behind several independent walls of the operating system. What it
says comes back as JSON and plain arrays, never as pickles, and is checked as an attacker's words are.
"""

if __name__ != "spatial_agent.sandbox":
    raise ImportError(f"import spatial_agent.sandbox, not {__name__}")

from spatial_agent.sandbox.environment import (
    Layer,
    ProgramAnswer,
    ProgramError,
    ProgramResult,
    Sandbox,
    SandboxSession,
    ShownImage,
)
from spatial_agent.sandbox.policy import ExpertPolicy, SandboxPolicy

__all__ = [
    "ExpertPolicy",
    "Layer",
    "ProgramAnswer",
    "ProgramError",
    "ProgramResult",
    "Sandbox",
    "SandboxPolicy",
    "SandboxSession",
    "ShownImage",
]
