"""Experts of this process: found weights, loaded once, one call at a time."""

import threading
from pathlib import Path

import pytest

from spatial_agent.tools.contract import Weights
from spatial_agent.tools.errors import ConfigurationError, MissingWeightsError, ToolUnavailableError
from spatial_agent.tools.local_experts import LocalExperts
from spatial_agent.tools.registry import expert, tool_of

SMALL = Weights("small", "file:small.txt", "CC0-1.0")
LARGE = Weights("large", "file:large.txt", "CC0-1.0")


class Counting:
    """Reads a word from its weights and says on which device it was loaded."""

    loads = 0

    def __init__(self, weights: Path) -> None:
        self._weights = weights

    def load(self, device: str) -> None:
        type(self).loads += 1
        self._word = f"{self._weights.read_text()} on {device}"

    def __call__(self, of: str) -> str:
        """Return a word.

        Args:
            of: Anything.
        """
        return f"{of}: {self._word}"


@pytest.fixture
def counting() -> type[Counting]:
    return expert("test.counting", weights=[SMALL, LARGE])(type("Fresh", (Counting,), {"loads": 0}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small.txt").write_text("little")
    (tmp_path / "large.txt").write_text("much")
    return tmp_path


def locating(folder: Path, asked: list[str]) -> LocalExperts:
    def locate(weights: Weights) -> Path:
        asked.append(weights.name)
        return folder / weights.source.removeprefix("file:")

    return LocalExperts(locate, device="cuda:1")


def test_an_expert_is_located_and_loaded_at_its_first_call_only(
    counting: type[Counting], folder: Path
) -> None:
    asked: list[str] = []
    experts = locating(folder, asked)
    assert counting.loads == 0

    answers = [experts.run(tool_of(counting), {"of": of}) for of in ("a", "b")]

    assert answers == ["a: little on cuda:1", "b: little on cuda:1"]
    assert (counting.loads, asked) == (1, ["small"])


def test_other_weights_are_chosen_by_the_tools_name(counting: type[Counting], folder: Path) -> None:
    experts = LocalExperts(lambda weights: folder / f"{weights.name}.txt", chosen={"test.counting": "large"})

    assert experts.run(tool_of(counting), {"of": "a"}) == "a: much on cpu"


def test_weights_nobody_declared_are_refused(counting: type[Counting], folder: Path) -> None:
    experts = LocalExperts(lambda weights: folder, chosen={"test.counting": "huge"})

    with pytest.raises(ConfigurationError, match="no weights 'huge'; it declares small, large"):
        experts.run(tool_of(counting), {"of": "a"})


def test_without_weights_the_error_names_them_and_the_next_call_tries_again(
    counting: type[Counting], folder: Path
) -> None:
    found: list[Path] = []

    def locate(weights: Weights) -> Path:
        if not found:
            raise MissingWeightsError(f"{weights.name} are missing")
        return found[0]

    experts = LocalExperts(locate)
    with pytest.raises(MissingWeightsError, match="small are missing"):
        experts.run(tool_of(counting), {"of": "a"})
    found.append(folder / "small.txt")

    assert experts.run(tool_of(counting), {"of": "a"}) == "a: little on cpu"


def test_where_nothing_finds_weights_their_licence_is_named(counting: type[Counting]) -> None:
    with pytest.raises(MissingWeightsError, match=r"small \(CC0-1\.0\) are not on this machine"):
        LocalExperts().run(tool_of(counting), {"of": "a"})


def test_first_calls_at_the_same_time_load_once(counting: type[Counting], folder: Path) -> None:
    experts = locating(folder, [])
    ready = threading.Barrier(8)
    answers: list[object] = []

    def call() -> None:
        ready.wait()
        answers.append(experts.run(tool_of(counting), {"of": "a"}))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counting.loads == 1
    assert answers == ["a: little on cuda:1"] * 8


def test_calls_of_one_expert_never_overlap() -> None:
    inside = threading.Lock()

    @expert("test.alone")
    class Alone:
        def load(self, device: str) -> None:
            pass

        def __call__(self, of: str) -> bool:
            """Return whether nobody else is here.

            Args:
                of: Anything.
            """
            alone = inside.acquire(blocking=False)
            threading.Event().wait(0.005)
            if alone:
                inside.release()
            return alone

    experts = LocalExperts()
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(experts.run(tool_of(Alone), {"of": "a"})))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [True] * 6


def test_a_function_is_called_as_it_is() -> None:
    @expert("test.echo")
    def echo(of: str) -> str:
        """Return it.

        Args:
            of: Anything.
        """
        return of

    assert LocalExperts().run(tool_of(echo), {"of": "a"}) == "a"


def test_an_expert_that_cannot_be_loaded_is_unavailable_and_tried_again() -> None:
    tries = []

    @expert("test.unloadable")
    class Unloadable:
        def load(self, device: str) -> None:
            tries.append(device)
            raise OSError("libmodel.so.3: no such file")

        def __call__(self, of: str) -> str:
            """Never get here.

            Args:
                of: Anything.
            """
            return of

    experts = LocalExperts(device="cpu")
    for _ in range(2):
        with pytest.raises(ToolUnavailableError, match=r"test.unloadable cannot be loaded .*libmodel"):
            experts.run(tool_of(Unloadable), {"of": "a"})
    assert tries == ["cpu", "cpu"]
