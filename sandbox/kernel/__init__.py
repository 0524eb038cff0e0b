"""What the Linux kernel enforces: Landlock, seccomp, namespaces, identity and resource limits."""

if __name__ != "spatial_agent.sandbox.kernel":
    raise ImportError(f"import spatial_agent.sandbox.kernel, not {__name__}")
