"""Weights on one machine: finding them, copying them, and noticing that they are not the same any more."""

import fcntl
import hashlib
import json
import os
import threading
from pathlib import Path

import pytest

from spatial_agent.services.model_store import ModelStore
from spatial_agent.services.settings import Settings
from spatial_agent.services.weights_overview import all_weights, overview, weights_named
from spatial_agent.tools.contract import Weights
from spatial_agent.tools.errors import ConfigurationError, MissingWeightsError, SourceError, StoppedError
from spatial_agent.tools.progress import listening, stopping
from spatial_agent.tools.registry import Registry, expert

HUB = Weights("tiny", "hf:owner/model", "Apache-2.0", parameters=3)
FILE = Weights("net", "file:net.param", "MIT", files=("net.bin",))
NUMBERS = bytes(range(251)) * 20_000
CONTENT = {"config.json": b"{}", "model.safetensors": NUMBERS}


def fill(folder: Path, content: dict[str, bytes]) -> Path:
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "weights")


@pytest.fixture
def given(tmp_path: Path) -> Path:
    return fill(tmp_path / "given" / "tiny", CONTENT).parent


def test_missing_weights_name_folder_licence_and_command(store: ModelStore) -> None:
    with pytest.raises(MissingWeightsError) as error:
        store.locate(HUB)

    said = str(error.value)
    assert str(store.folder / "tiny") in said
    assert "licence Apache-2.0" in said
    assert said.endswith("spatial-agent models pull tiny")


def test_missing_files_put_in_by_hand_name_themselves(store: ModelStore) -> None:
    fill(store.folder, {"net.param": b"7767517"})

    with pytest.raises(MissingWeightsError, match=r"lacks net\.bin.*models pull net --from FOLDER"):
        store.locate(FILE)

    fill(store.folder, {"net.bin": b"\0"})
    assert store.locate(FILE) == store.folder / "net.param"


def test_a_folder_without_its_network_is_incomplete(store: ModelStore) -> None:
    fill(store.folder / "tiny", {"config.json": b"{}"})

    assert store.state(HUB) == "incomplete"
    with pytest.raises(MissingWeightsError, match=r"lacks \*\.safetensors"):
        store.locate(HUB)


@pytest.mark.parametrize("depth", ["a weights folder", "the folder itself"])
def test_copied_weights_are_whole_pinned_and_found(store: ModelStore, given: Path, depth: str) -> None:
    path = store.pull(HUB, source=given if depth == "a weights folder" else given / "tiny")

    assert {name: (path / name).read_bytes() for name in CONTENT} == CONTENT
    assert everything(store.folder) == {"tiny/config.json", "tiny/model.safetensors", "weights.lock.json"}
    assert store.state(HUB) == "verified"
    lock = json.loads((store.folder / "weights.lock.json").read_text())["weights"]["tiny"]
    assert lock["revision"] is None
    assert lock["files"]["model.safetensors"]["sha256"] == hashlib.sha256(NUMBERS).hexdigest()


def test_a_stopped_copy_leaves_nothing_in_place_and_goes_on(store: ModelStore, given: Path) -> None:
    stop = threading.Event()

    def give_up(what: str, done: int, total: int) -> None:
        if what.startswith("model.safetensors"):
            stop.set()

    with pytest.raises(StoppedError), listening(give_up), stopping(stop):
        store.pull(HUB, source=given)
    assert store.state(HUB) == "missing"
    [partial] = store.folder.rglob("model.safetensors")
    arrived = partial.stat().st_size
    assert 0 < arrived < len(NUMBERS)

    copied: list[int] = []

    def watch(what: str, done: int, total: int) -> None:
        if what.startswith("model.safetensors"):
            copied.append(done)

    with listening(watch):
        store.pull(HUB, source=given)

    assert min(copied) > arrived // 1000
    assert copied[-1] == len(NUMBERS) // 1000
    assert set(store.verify(HUB).values()) == {"verified"}
    assert not list(store.folder.glob(".*"))


def test_what_an_earlier_copy_of_something_else_left_is_thrown_away(store: ModelStore, given: Path) -> None:
    fill(store.folder / ".tiny.local.partial", {"model.safetensors": b"something else"})

    with pytest.raises(SourceError, match="did not arrive as it is"):
        store.pull(HUB, source=given)

    store.pull(HUB, source=given)
    assert set(store.verify(HUB).values()) == {"verified"}


def test_other_content_than_the_pinned_is_refused_and_the_old_stays(store: ModelStore, given: Path) -> None:
    path = store.pull(HUB, source=given)
    fill(given / "tiny", {"model.safetensors": NUMBERS[::-1]})

    with pytest.raises(SourceError, match=r"model\.safetensors is pinned with sha256"):
        store.pull(HUB, source=given)

    assert (path / "model.safetensors").read_bytes() == NUMBERS


def test_a_damaged_file_is_found_and_a_pull_mends_it(store: ModelStore, given: Path) -> None:
    path = store.pull(HUB, source=given) / "model.safetensors"
    path.write_bytes(b"!" + NUMBERS[1:])

    assert store.verify(HUB) == {"config.json": "verified", "model.safetensors": "changed"}
    assert store.state(HUB) == "present"
    store.pull(HUB, source=given)
    assert path.read_bytes() == NUMBERS


def test_a_shortened_file_is_missing_weights(store: ModelStore, given: Path) -> None:
    path = store.pull(HUB, source=given) / "model.safetensors"
    path.write_bytes(NUMBERS[:-1])

    assert store.state(HUB) == "incomplete"
    with pytest.raises(MissingWeightsError, match=r"lacks the right model\.safetensors"):
        store.locate(HUB)


def test_files_put_in_by_hand_are_unpinned_until_pulled_in_place(store: ModelStore) -> None:
    fill(store.folder, {"net.param": b"7767517", "net.bin": b"\0", "other.json": b"{}"})

    assert store.verify(FILE) == {"net.bin": "unpinned", "net.param": "unpinned"}
    assert store.state(FILE) == "present"
    store.pull(FILE)
    assert store.verify(FILE) == {"net.bin": "verified", "net.param": "verified"}
    assert store.state(FILE) == "verified"


def test_files_come_from_another_folder(store: ModelStore, tmp_path: Path) -> None:
    source = fill(tmp_path / "given", {"net.param": b"7767517", "net.bin": b"\0", "other.json": b"{}"})

    assert store.pull(FILE, source=source) == store.folder / "net.param"
    assert everything(store.folder) == {"net.param", "net.bin", "weights.lock.json"}


def test_a_folder_put_in_by_hand_is_copied_as_a_folder(store: ModelStore, given: Path) -> None:
    weights = Weights("own", "file:tiny", "MIT")

    assert store.pull(weights, source=given) == store.folder / "tiny"
    assert everything(store.folder / "tiny") == set(CONTENT)


def test_declared_digests_are_checked_without_any_lock(store: ModelStore) -> None:
    right = hashlib.sha256(b"7767517").hexdigest()
    fill(store.folder, {"net.param": b"7767517"})

    def declared(sha256: str) -> Weights:
        return Weights("net", "file:net.param", "MIT", files=(), sha256={"net.param": sha256})

    assert store.verify(declared(right)) == {"net.param": "verified"}
    assert store.verify(declared("0" * 64)) == {"net.param": "changed"}
    with pytest.raises(SourceError, match="declared with sha256 0000"):
        store.pull(declared("0" * 64))


def test_without_a_source_the_command_says_where_to_put_the_file(store: ModelStore) -> None:
    with pytest.raises(
        ConfigurationError, match=r"is on no hub: put net\.param into .* or give --from FOLDER"
    ):
        store.pull(FILE)


def test_a_source_without_the_weights_is_refused(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"holds no tiny, .* expected \*\.json, \*\.safetensors"):
        store.pull(HUB, source=fill(tmp_path / "wrong", {"config.json": b"{}"}))

    assert everything(store.folder) == set()


def test_equal_weights_have_one_identity_and_other_ones_another(given: Path, tmp_path: Path) -> None:
    pinned, placed, other = (ModelStore(tmp_path / name) for name in ("pinned", "placed", "other"))
    pinned.pull(HUB, source=given)
    fill(placed.folder / "tiny", CONTENT)
    fill(other.folder / "tiny", CONTENT | {"model.safetensors": NUMBERS[::-1]})

    assert pinned.digest(HUB) == placed.digest(HUB) != other.digest(HUB)


def test_a_file_written_since_it_was_pinned_changes_the_identity(store: ModelStore, given: Path) -> None:
    path = store.pull(HUB, source=given) / "model.safetensors"
    before = store.digest(HUB)
    status = path.stat()
    path.write_bytes(NUMBERS[::-1])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))

    assert store.digest(HUB) != before


def test_a_second_pull_at_the_same_time_is_refused(store: ModelStore, given: Path) -> None:
    store.folder.mkdir()
    handle = os.open(store.folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(ConfigurationError, match="another pull is at work"):
            store.pull(HUB, source=given)
    finally:
        os.close(handle)
    store.pull(HUB, source=given)


@pytest.mark.parametrize("text", ["not json", '{"format": "x@1", "weights": {}}', '{"weights": 3}'])
def test_a_lock_file_that_is_none_is_named(store: ModelStore, text: str) -> None:
    fill(store.folder, {"weights.lock.json": text.encode()})

    with pytest.raises(ConfigurationError, match=r"weights\.lock\.json"):
        store.locate(HUB)


@pytest.mark.parametrize(
    ("name", "source"), [("../up", "hf:a/b"), ("net", "file:../net"), ("net", "file:"), ("net", "ftp://x")]
)
def test_weights_that_name_no_place_in_the_folder_are_refused(
    store: ModelStore, name: str, source: str
) -> None:
    with pytest.raises(ConfigurationError, match="weights"):
        store.locate(Weights(name, source, "MIT"))


def test_an_installation_without_a_weights_folder_has_one_in_its_cache(tmp_path: Path) -> None:
    assert ModelStore.of(Settings(tmp_path, 1, None)).folder == tmp_path / "weights"
    assert ModelStore.of(Settings(tmp_path, 1, tmp_path / "own")).folder == tmp_path / "own"


@expert("look.first", weights=[HUB, FILE])
def look(of: str) -> str:
    """Look."""
    return of


@expert("look.second", weights=[HUB])
def look_again(of: str) -> str:
    """Look again."""
    return of


def registry(*tools: object) -> Registry:
    registry = Registry()
    for tool in tools:
        registry.add(tool)  # type: ignore[arg-type]
    return registry


def test_the_overview_says_who_uses_what_and_how_it_is(store: ModelStore, given: Path) -> None:
    store.pull(HUB, source=given)

    found = {item.weights.name: item for item in overview(store, registry(look, look_again))}

    assert list(found) == ["net", "tiny"]
    assert (found["tiny"].used_by, found["tiny"].state) == (("look.first", "look.second"), "verified")
    assert found["tiny"].bytes == sum(map(len, CONTENT.values()))
    assert (found["net"].used_by, found["net"].state, found["net"].bytes) == (("look.first",), "missing", 0)


def test_one_name_for_two_weights_is_refused() -> None:
    @expert("look.third", weights=[Weights("tiny", "hf:other/model", "MIT")])
    def other(of: str) -> str:
        """Look."""
        return of

    with pytest.raises(ConfigurationError, match=r"look\.second and look\.third declare different weights"):
        all_weights(registry(look_again, other))


def test_an_unknown_name_gets_the_nearest_ones() -> None:
    with pytest.raises(ConfigurationError, match="did you mean tiny"):
        weights_named("tinny", registry(look))
