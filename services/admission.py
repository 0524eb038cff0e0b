"""Which experts may use which GPU: memory they declare against memory there really is.

Ray counts shares of a GPU and enforces none of them, so a share is computed here from gigabytes: what
other programs hold is seen in the free memory, and what experts have asked for but not yet taken is set
aside. Nothing here knows Ray; decisions are functions of what was probed.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from spatial_agent.tools.contract import Weights
from spatial_agent.tools.errors import ToolUnavailableError

#: Part of a GPU that is never given away: allocators fragment, and displays take some.
HEADROOM = 0.05
#: Accelerator memory that a process takes before it holds a single tensor, 10^9 bytes.
CONTEXT_GB = 0.6
#: What a need is multiplied with, by how it is known: activations come on top of parameters.
MARGIN = {"measured": 1.1, "parameters": 1.5, "unknown": 1.5}
#: Ray counts in steps of this share.
STEP = 1e-4


@dataclass(frozen=True)
class Gpu:
    """One GPU as it is right now.

    Attributes:
        node: Ray's id of the machine it is in.
        index: What Ray calls it there.
        total_gb: Its memory, 10^9 bytes.
        free_gb: What no process holds.
    """

    node: str
    index: str
    total_gb: float
    free_gb: float


#: Returns the GPUs of the cluster; may take a second.
Probe = Callable[[], Sequence[Gpu]]


@dataclass(frozen=True)
class Holding:
    """What one replica has been given.

    Attributes:
        replica: Its id.
        tool: The tool it runs.
        node: Machine of its GPU.
        index: Its GPU.
        reserved_gb: Memory that was set aside for it.
        used_gb: Memory it was seen to hold; 0 where nobody knows.
        used_at: When it was last used, on any clock.
        is_busy: Whether it works or is being loaded, and so cannot be evicted.
    """

    replica: str
    tool: str
    node: str
    index: str
    reserved_gb: float
    used_gb: float
    used_at: float
    is_busy: bool


@dataclass(frozen=True)
class Grant:
    """Room on a GPU.

    Attributes:
        gpu: Which.
        reserved_gb: Memory to set aside.
        share: The same for Ray, 0 to 1.
    """

    gpu: Gpu
    reserved_gb: float
    share: float


@dataclass(frozen=True)
class Evict:
    """There should be room once these replicas, the least recently used ones, have gone; probe again then."""

    replicas: tuple[str, ...]


@dataclass(frozen=True)
class Busy:
    """There may be room once these tools are done."""

    tools: tuple[str, ...]


def needed_gb(weights: Weights, measured_gb: float | None = None) -> float | None:
    """Return the memory a replica needs, or None where nobody knows.

    Args:
        weights: What it runs with.
        measured_gb: Most that earlier replicas of it were seen to hold, where there were any.
    """
    needs = [measured_gb * MARGIN["measured"]] if measured_gb else []
    if weights.vram_gb is not None:
        needs.append(weights.vram_gb * MARGIN[weights.vram_basis] + CONTEXT_GB)
    return max(needs, default=None)


def admit(
    tool: str, need_gb: float | None, gpus: Sequence[Gpu], holdings: Sequence[Holding]
) -> Grant | Evict | Busy:
    """Decide about one more replica.

    Args:
        tool: The tool, for messages.
        need_gb: Memory it needs; None, for unknown, asks for a whole GPU.
        gpus: All GPUs as they are now.
        holdings: What was given out before.

    Raises:
        ToolUnavailableError: If no GPU would have the room even when empty of experts.
    """
    options = [_Option(gpu, need_gb, [held for held in holdings if _is_on(held, gpu)]) for gpu in gpus]
    possible = [option for option in options if option.could_ever]
    if not possible:
        raise _refusal(tool, need_gb, options)
    fitting = [option for option in possible if option.fits_now]
    if fitting:
        # The fullest GPU that still has room: the emptier ones stay free for larger experts.
        return min(fitting, key=lambda option: option.available_gb).grant
    plans = [plan for option in possible if (plan := option.eviction) is not None]
    if plans:
        # Give up what was used longest ago; of equals, give up fewer.
        best = min(plans, key=lambda plan: (max(held.used_at for held in plan), len(plan)))
        return Evict(tuple(held.replica for held in best))
    return Busy(tuple(sorted({held.tool for option in possible for held in option.held if held.is_busy})))


@dataclass(frozen=True)
class _Option:
    """One GPU as a home for the newcomer."""

    gpu: Gpu
    need_gb: float | None
    held: Sequence[Holding]

    @property
    def capacity_gb(self) -> float:
        return self.gpu.total_gb * (1 - HEADROOM)

    @property
    def available_gb(self) -> float:
        """Free memory less what was promised and is not yet taken."""
        promised = sum(max(0.0, held.reserved_gb - held.used_gb) for held in self.held)
        headroom = self.gpu.total_gb - self.capacity_gb
        return min(
            self.gpu.free_gb - promised - headroom,
            self.capacity_gb - sum(held.reserved_gb for held in self.held),
        )

    @property
    def fits_now(self) -> bool:
        return self._fits(self.available_gb, len(self.held))

    @property
    def could_ever(self) -> bool:
        return self._fits(self.could_give_gb, 0)

    @property
    def could_give_gb(self) -> float:
        """Memory there may be without any expert."""
        return self._available_without(self.held)

    @property
    def eviction(self) -> list[Holding] | None:
        """The least recently used idle replicas whose going makes room, or None if that is not enough."""
        going: list[Holding] = []
        for held in sorted((held for held in self.held if not held.is_busy), key=lambda held: held.used_at):
            going.append(held)
            if self._fits(self._available_without(going), len(self.held) - len(going)):
                return going
        return None

    @property
    def grant(self) -> Grant:
        if self.need_gb is None:
            return Grant(self.gpu, self.available_gb, 1.0)
        share = math.ceil(self.need_gb / self.gpu.total_gb / STEP) * STEP
        return Grant(self.gpu, self.need_gb, min(1.0, max(STEP, round(share, 4))))

    def _available_without(self, going: Sequence[Holding]) -> float:
        """Memory there may be once replicas have gone; a hope only where nobody knows what they hold."""
        freed = sum(held.used_gb or held.reserved_gb for held in going)
        staying = [held for held in self.held if held not in going]
        return replace(
            self, gpu=replace(self.gpu, free_gb=self.gpu.free_gb + freed), held=staying
        ).available_gb

    def _fits(self, available_gb: float, neighbours: int) -> bool:
        if self.need_gb is None:
            return neighbours == 0 and available_gb > CONTEXT_GB
        return self.need_gb <= available_gb


def _is_on(held: Holding, gpu: Gpu) -> bool:
    return (held.node, held.index) == (gpu.node, gpu.index)


def _refusal(tool: str, need_gb: float | None, options: Sequence[_Option]) -> ToolUnavailableError:
    wanted = "a whole GPU (what it needs is not known)" if need_gb is None else f"{need_gb:.1f} GB of one GPU"
    there = ", ".join(_described(options)) or "there is none"
    return ToolUnavailableError(
        f"{tool} needs {wanted}; {there}; choose smaller weights, free the GPU, or run it on the CPU"
    )


def _described(options: Sequence[_Option]) -> Iterator[str]:
    for option in options:
        free_gb = max(0.0, option.could_give_gb)
        yield f"GPU {option.gpu.index} has {free_gb:.1f} of {option.gpu.total_gb:.1f} GB for experts"
