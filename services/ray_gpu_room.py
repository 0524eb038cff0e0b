"""Who holds how much of which GPU, and how room is made for the next: the ledger behind `admission`."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from spatial_agent.services.admission import Busy, Evict, Grant, Holding, Probe, admit, needed_gb
from spatial_agent.services.ray_replica import Replica
from spatial_agent.tools.contract import Weights
from spatial_agent.tools.errors import ToolUnavailableError

#: How often memory is looked at while waiting for room: other programs give no sign when they leave.
LOOK_AGAIN_S = 1.0
#: Time a driver may take to give back the memory of a process that has gone.
RELEASE_S = 5.0


@dataclass(frozen=True)
class _Held:
    """What a replica was given, and how it is asked to leave."""

    tool: str
    grant: Grant
    stop_idle: Callable[[Replica, str], None]


class GpuRoom:
    """Finds room for replicas, evicting idle ones, and remembers who was given what.

    Args:
        probe: Tells what memory GPUs have.
    """

    def __init__(self, probe: Probe) -> None:
        """Hold nothing."""
        self._probe = probe
        self._held: dict[Replica, _Held] = {}
        self._measured_gb: dict[str, float] = {}
        self._change = asyncio.Event()
        #: To be held from `find` to `take`.
        self.deciding = asyncio.Lock()

    def changed(self) -> None:
        """Take note that a replica became free or went."""
        self._change.set()

    async def change(self) -> None:
        """Wait until there may be more room than there was."""
        self._change.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._change.wait(), LOOK_AGAIN_S)

    async def find(self, tool: str, weights: Weights) -> Grant | None:
        """Return room for one more replica, evicting idle ones where that helps; None while all are busy.

        Raises:
            ToolUnavailableError: If no GPU would have the room even when empty of experts.
        """
        need_gb = needed_gb(weights, self._known_gb(tool))
        patient_until = 0.0
        loop = asyncio.get_running_loop()
        while True:
            gpus = await asyncio.to_thread(self._probe)
            try:
                decision = admit(tool, need_gb, gpus, self._holdings())
            except ToolUnavailableError:
                if loop.time() >= patient_until:
                    raise
                await asyncio.sleep(LOOK_AGAIN_S / 10)
                continue
            if isinstance(decision, Grant):
                return decision
            if isinstance(decision, Busy):
                return None
            await self._evict(decision, tool)
            patient_until = loop.time() + RELEASE_S

    async def take(
        self, replica: Replica, tool: str, grant: Grant, index: str, stop_idle: Callable[[Replica, str], None]
    ) -> None:
        """Write down what a replica that has started holds.

        Args:
            replica: The replica.
            tool: What it runs.
            grant: What it was granted.
            index: The GPU that Ray gave it; Ray cannot be told which to take.
            stop_idle: Asks it to leave.

        Raises:
            ToolUnavailableError: If that is another GPU, and has no room for it.
        """
        if index != grant.gpu.index:
            gpus = [gpu for gpu in await asyncio.to_thread(self._probe) if gpu.node == grant.gpu.node]
            here = [gpu for gpu in gpus if gpu.index == index]
            decision = admit(tool, grant.reserved_gb, here, self._holdings())
            if not isinstance(decision, Grant):
                raise ToolUnavailableError(
                    f"{tool} has room on GPU {grant.gpu.index}, but Ray put it on GPU {index}; hide that one "
                    "from Ray with CUDA_VISIBLE_DEVICES"
                )
            grant = replace(grant, gpu=here[0])
        self._held[replica] = _Held(tool, grant, stop_idle)
        replica.death.add_done_callback(lambda _: self._let_go(replica))

    async def _evict(self, decision: Evict, newcomer: str) -> None:
        for replica, held in list(self._held.items()):
            if replica.id in decision.replicas:
                held.stop_idle(replica, f"it made room for {newcomer}")
                if replica.death.done():  # else a call came first
                    await replica.gone()

    def _let_go(self, replica: Replica) -> None:
        held = self._held[replica]
        self._measured_gb[held.tool] = self._known_gb(held.tool)
        del self._held[replica]
        self.changed()

    def _known_gb(self, tool: str) -> float:
        """Return the most memory that replicas of a tool were seen to hold; 0 where nobody knows."""
        living = (replica.gpu_gb for replica, held in self._held.items() if held.tool == tool)
        return max([self._measured_gb.get(tool, 0.0), *living])

    def _holdings(self) -> list[Holding]:
        now = asyncio.get_running_loop().time()
        return [
            Holding(
                replica.id,
                held.tool,
                held.grant.gpu.node,
                held.grant.gpu.index,
                held.grant.reserved_gb,
                replica.gpu_gb,
                replica.idle_since or now,
                is_busy=replica.idle_since is None,
            )
            for replica, held in self._held.items()
        ]
