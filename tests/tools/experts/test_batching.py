"""Several calls at once: order, grouping, and whose failure is whose."""

from spatial_agent.tools.errors import ToolArgumentError
from spatial_agent.tools.experts.batching import together


def test_results_stand_where_their_requests_stood_and_batches_are_of_one_key() -> None:
    batches: list[list[str]] = []

    def shout(batch: list[str]) -> list[str]:
        batches.append(batch)
        return [word.upper() for word in batch]

    assert together(["a", "bb", "c", "dd"], len, shout) == ["A", "BB", "C", "DD"]
    assert batches == [["a", "c"], ["bb", "dd"]]


def test_a_request_that_failed_its_checks_is_given_back_and_never_run() -> None:
    refused = ToolArgumentError("no")

    def doubled(batch: list[str]) -> list[str]:
        return [word * 2 for word in batch]

    requests: list[str | Exception] = ["a", refused, "b"]
    results = together(requests, len, doubled)
    assert results == ["aa", refused, "bb"]


def test_what_breaks_a_batch_costs_its_neighbours_nothing() -> None:
    def picky(batch: list[str]) -> list[str]:
        if "bad" in batch:
            raise MemoryError("too much")
        return [word.upper() for word in batch]

    first, second, third = together(["one", "bad", "two"], len, picky)
    assert (first, third) == ("ONE", "TWO")
    assert isinstance(second, MemoryError)
