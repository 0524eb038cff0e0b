"""Resource limits, set below what any program could raise them to."""

import math
import resource

from spatial_agent.sandbox.policy import SandboxPolicy

#: Room for what a process maps without using, such as the stacks of its own libraries.
_SLACK_BYTES = 16 * 2**20
_STACK_BYTES = 8 * 2**20
_RLIMIT_MSGQUEUE = 12
#: Numbers of the two pipes to the parent; those below are free.
_PIPES = (3, 4)


def apply(policy: SandboxPolicy, mapped: int) -> None:
    """Limit the calling process for good.

    Args:
        policy: What is allowed.
        mapped: Bytes of address space that were taken before anything of the program's was loaded.
    """
    memory = mapped + policy.memory_mb * 2**20 + _SLACK_BYTES
    cpu = math.ceil(policy.cpu_s)
    for kind, limit in {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_NOFILE: _first_refused(policy.open_files),
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_STACK: _STACK_BYTES,
        _RLIMIT_MSGQUEUE: 0,
    }.items():
        resource.setrlimit(kind, (limit, limit))
    # At the first the kernel ends the process in a way that names the limit, at the second in any case.
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))


def _first_refused(files: int) -> int:
    """Return the number that no descriptor gets any more; the pipes, 3 and 4, are open already and stay."""
    return files if files <= _PIPES[0] else files + len(_PIPES)


def mapped_bytes() -> int:
    """Return the size of this process's address space."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
