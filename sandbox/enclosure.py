"""Going behind the walls: what a process does to itself before it runs anything nobody trusts."""

from spatial_agent.sandbox.environment import Layer
from spatial_agent.sandbox.kernel import landlock, limits, namespaces, privileges, seccomp
from spatial_agent.sandbox.policy import SandboxPolicy
from spatial_agent.tools.errors import SandboxUnavailableError


def check_kernel(wanted: frozenset[Layer]) -> None:
    """Make sure that the kernel has what the wanted layers stand on.

    Raises:
        SandboxUnavailableError: If it has not; the message says what is missing.
    """
    if Layer.LANDLOCK in wanted and landlock.abi_version() == 0:
        raise SandboxUnavailableError(
            "the kernel has no Landlock; it takes Linux 5.13 or newer, with landlock enabled at boot"
        )
    if Layer.SECCOMP in wanted and not seccomp.available():
        raise SandboxUnavailableError("the kernel has no seccomp filters, or this processor is not known")


def withdraw(layers: frozenset[Layer]) -> None:
    """Go behind the walls that are the same for every program: its own shared memory, identity, Landlock.

    Other namespaces are entered before, by whoever starts the process.

    Args:
        layers: The walls that go up.

    Raises:
        OSError: If the kernel refuses a wall.
        SandboxUnavailableError: If it has not got one.
    """
    if Layer.NAMESPACES in layers:
        namespaces.own_ipc()
    if Layer.IDENTITY in layers:
        privileges.give_up()
    if Layer.LANDLOCK in layers:
        landlock.restrict()


def enclose(
    policy: SandboxPolicy, layers: frozenset[Layer], mapped: int, read_fd: int, write_fd: int
) -> None:
    """Go behind the last walls, after `withdraw`; from then on only the two descriptors lead out.

    Args:
        policy: Limits.
        layers: The walls that go up.
        mapped: Bytes of address space that do not count as the program's.
        read_fd: Where it may read.
        write_fd: Where it may write.

    Raises:
        OSError: If the kernel refuses a wall.
        SandboxUnavailableError: If it has not got one.
    """
    if Layer.RLIMITS in layers:
        limits.apply(policy, mapped)
    if Layer.SECCOMP in layers:
        seccomp.install_allow_list(read_fd, write_fd)
