"""GPUs are shared out by gigabytes that are really there; nothing here needs a GPU, or Ray."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_agent.services.admission import CONTEXT_GB, Busy, Evict, Gpu, Grant, Holding, admit, needed_gb
from spatial_agent.tools.contract import Weights
from spatial_agent.tools.errors import ToolUnavailableError

HOME = ("n1", "0")


def held(
    name: str, gb: float, *, used: float = 0.0, at: float = 0.0, busy: bool = False, index: str = "0"
) -> Holding:
    return Holding(name, name, "n1", index, gb, used, at, busy)


def gpu(total: float = 20.0, free: float | None = None, index: str = "0") -> Gpu:
    return Gpu("n1", index, total, total if free is None else free)


def test_a_share_is_what_is_needed_of_what_the_gpu_has() -> None:
    decision = admit("a", 5.0, [gpu(20.0)], [])

    assert decision == Grant(gpu(20.0), 5.0, 0.25)


def test_what_other_programs_hold_is_not_given_away() -> None:
    with pytest.raises(ToolUnavailableError, match=r"a needs 5.0 GB of one GPU; GPU 0 has 3.0 of 20.0 GB"):
        admit("a", 5.0, [gpu(20.0, free=4.0)], [])


def test_what_was_promised_and_not_yet_taken_is_not_given_away() -> None:
    loading = held("b", 12.0, used=0.0, busy=True)
    loaded = held("b", 12.0, used=12.0, busy=True)

    # The free memory is the same; what differs is how much of it is spoken for.
    assert isinstance(admit("a", 5.0, [gpu(20.0, free=8.0)], [loading]), Busy)
    assert isinstance(admit("a", 5.0, [gpu(20.0, free=8.0)], [loaded]), Grant)


def test_the_last_part_of_a_gpu_is_kept_free() -> None:
    assert isinstance(admit("a", 19.0, [gpu(20.0)], []), Grant)
    with pytest.raises(ToolUnavailableError):
        admit("a", 19.5, [gpu(20.0)], [])


def test_the_fullest_gpu_that_has_room_is_taken() -> None:
    gpus = [gpu(index="0"), gpu(index="1", free=9.0), gpu(index="2", free=2.0)]
    decision = admit("a", 5.0, gpus, [])

    assert isinstance(decision, Grant)
    assert decision.gpu.index == "1"


def test_the_least_recently_used_idle_replicas_make_room_and_no_more_than_needed() -> None:
    holdings = [
        held("old", 6.0, used=6.0, at=1.0),
        held("newer", 6.0, used=6.0, at=2.0),
        held("newest", 6.0, used=6.0, at=3.0),
    ]

    assert admit("a", 5.0, [gpu(20.0, free=2.0)], holdings) == Evict(("old",))
    assert admit("a", 12.0, [gpu(20.0, free=2.0)], holdings) == Evict(("old", "newer"))


def test_what_is_held_need_not_be_known_to_make_room() -> None:
    holdings = [held("old", 6.0, at=1.0), held("new", 6.0, at=2.0)]

    assert admit("a", 10.0, [gpu(20.0, free=8.0)], holdings) == Evict(("old", "new"))


def test_a_busy_replica_is_never_evicted() -> None:
    holdings = [held("busy", 12.0, used=12.0, at=1.0, busy=True), held("idle", 6.0, used=6.0, at=2.0)]

    assert admit("a", 5.0, [gpu(20.0, free=2.0)], holdings) == Evict(("idle",))
    assert admit("a", 12.0, [gpu(20.0, free=2.0)], holdings) == Busy(("busy",))


def test_the_gpu_whose_replicas_were_left_alone_longest_is_cleared() -> None:
    holdings = [held("fresh", 15.0, used=15.0, at=9.0), held("stale", 15.0, used=15.0, at=1.0, index="1")]
    gpus = [gpu(free=5.0), gpu(free=5.0, index="1")]

    assert admit("a", 10.0, gpus, holdings) == Evict(("stale",))


def test_an_unknown_need_gets_a_gpu_of_its_own() -> None:
    alone = admit("a", None, [gpu(20.0)], [])
    shared = admit("a", None, [gpu(20.0, free=19.0), gpu(20.0, index="1")], [held("b", 1.0, used=1.0)])

    assert isinstance(alone, Grant)
    assert alone.share == 1.0
    assert isinstance(shared, Grant)
    assert shared.gpu.index == "1"
    assert admit("a", None, [gpu(20.0, free=19.0)], [held("b", 1.0, used=1.0)]) == Evict(("b",))


def test_without_any_gpu_it_is_refused() -> None:
    with pytest.raises(ToolUnavailableError, match="there is none"):
        admit("a", 1.0, [], [])


def test_a_need_is_never_less_than_what_was_declared_or_seen() -> None:
    def need(vram: float | None, basis: str, seen: float | None = None) -> float | None:
        return needed_gb(Weights("w", "file:w", "MIT", vram_gb=vram, vram_basis=basis), seen)  # type: ignore[arg-type]

    assert need(None, "unknown") is None
    assert need(None, "unknown", 2.0) == pytest.approx(2.2)
    assert need(4.0, "measured") == pytest.approx(4.4 + CONTEXT_GB)
    assert need(4.0, "parameters") == pytest.approx(6.0 + CONTEXT_GB)
    assert need(4.0, "measured", 1.0) == pytest.approx(4.4 + CONTEXT_GB)
    assert need(4.0, "measured", 9.0) == pytest.approx(9.9)


class _Machine:
    """GPUs on which experts take what they need, other programs come and go, and nothing is told twice."""

    def __init__(self, sizes: list[float]) -> None:
        self.sizes = sizes
        self.others = [0.0] * len(sizes)
        self.holdings: list[Holding] = []
        self.taken: dict[str, float] = {}

    def gpus(self) -> list[Gpu]:
        return [
            Gpu("n1", str(index), size, size - self.others[index] - self.used(index))
            for index, size in enumerate(self.sizes)
        ]

    def used(self, index: int) -> float:
        return sum(self.taken[held.replica] for held in self.holdings if held.index == str(index))

    def worst(self, index: int) -> float:
        """Memory in use once every expert has taken all it was promised."""
        promised = sum(held.reserved_gb for held in self.holdings if held.index == str(index))
        return self.others[index] + promised


@given(
    st.lists(st.floats(4.0, 80.0), min_size=1, max_size=3),
    st.lists(
        st.tuples(st.floats(0.1, 40.0), st.floats(0.01, 1.0), st.booleans(), st.booleans()), max_size=12
    ),
    st.lists(st.floats(0.0, 0.5), min_size=3, max_size=3),
)
def test_whatever_is_asked_no_gpu_is_ever_promised_more_than_it_has(
    sizes: list[float], wishes: list[tuple[float, float, bool, bool]], others: list[float]
) -> None:
    machine = _Machine(sizes)
    machine.others = [share * size for share, size in zip(others, sizes, strict=False)]
    for turn, (need, taken, busy, is_known) in enumerate(wishes):
        try:
            decision = admit("a", need, machine.gpus(), machine.holdings)
        except ToolUnavailableError:
            continue
        if isinstance(decision, Evict):
            idle = {held.replica for held in machine.holdings if not held.is_busy}
            assert set(decision.replicas) <= idle
            machine.holdings = [held for held in machine.holdings if held.replica not in decision.replicas]
            continue
        if isinstance(decision, Grant):
            assert need == decision.reserved_gb
            used = taken * decision.reserved_gb
            machine.taken[f"r{turn}"] = used
            told = used if is_known else 0.0
            newcomer = Holding(
                f"r{turn}", "a", "n1", decision.gpu.index, decision.reserved_gb, told, float(turn), busy
            )
            machine.holdings.append(newcomer)
        for index, size in enumerate(sizes):
            assert machine.worst(index) <= size
